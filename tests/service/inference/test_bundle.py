"""Opening a bundle: what is accepted, and what each broken one is told."""

import json
import shutil

import numpy as np
import onnx
import pytest

from service.inference.bundle import golden_differences, load_bundle, open_bundle
from service.inference.execution import Execution
from service.inference.sessions import open_sessions
from tests.tiny import edit_manifest, expected_answer, quadrants
from trust.head import TrustHead, trust_probability
from trust.manifest import BundleError, read_manifest, verify_files


def test_opened_bundle_gives_the_outputs_of_both_networks(tiny_bundle):
    image = quadrants(200, 50, 20, 120)
    outputs = open_bundle(tiny_bundle).sessions.run(image[None, ..., None])
    assert outputs.keys() == {"logits", "probabilities", "novelty", "oracle_logit"}
    expected = expected_answer(image)
    np.testing.assert_allclose(outputs["probabilities"], [expected.probabilities], atol=1e-6)
    np.testing.assert_allclose(outputs["logits"], [[8 * 200 / 255, 8 * 50 / 255, 8 * 20 / 255]], atol=1e-5)
    np.testing.assert_allclose(outputs["oracle_logit"], [4 * 120 / 255 - 1], atol=1e-6)
    np.testing.assert_allclose(outputs["novelty"], [(200 + 50 + 20 + 120) / 4 / 255], atol=1e-6)


def test_batch_of_many_sizes_gives_each_image_the_same_outputs(tiny_bundle):
    bundle = open_bundle(tiny_bundle)
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 1), np.uint8)
    together = trust_probability(bundle.manifest.trust_head, bundle.sessions.run(images))
    alone = [trust_probability(bundle.manifest.trust_head, bundle.sessions.run(images[i : i + 1])) for i in range(9)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)
    np.testing.assert_allclose(together, [expected_answer(image[..., 0]).trust for image in images], atol=1e-6)


def test_how_the_networks_run_is_logged_in_one_line(tiny_bundle, caplog):
    with caplog.at_level("INFO", "trustserve"):
        bundle = open_bundle(tiny_bundle)
    assert [record.getMessage() for record in caplog.records] == [f"tiny 1.0.0: {bundle.sessions.statement}"]


def test_folder_that_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"no bundle at .*: manifest.json not found"):
        open_bundle(tmp_path)


def test_changed_file(own_bundle):
    graph = bytearray((own_bundle / "oracle.onnx").read_bytes())
    graph[-1] ^= 1
    (own_bundle / "oracle.onnx").write_bytes(graph)
    with pytest.raises(BundleError, match=r"oracle.onnx is not the file that was exported"):
        open_bundle(own_bundle)


def test_graph_that_changes_after_all_files_were_verified(own_bundle):
    manifest = read_manifest(own_bundle)
    verify_files(own_bundle, manifest)
    shutil.copy(own_bundle / "classifier.onnx", own_bundle / "oracle.onnx")
    with pytest.raises(BundleError, match=r"oracle.onnx is not the file that was exported"):
        open_sessions(own_bundle, manifest, Execution())


@pytest.mark.parametrize("location", ["weights", "./weights", "sub/../weights", "../tiny/weights", "/etc/hostname"])
@pytest.mark.parametrize("place", ["bundle", "working directory"])
def test_graph_whose_weights_lie_in_another_file(own_bundle, tmp_path, monkeypatch, location, place):
    # onnxruntime would find them beside the graph, or in the working directory when it is given bytes.
    folder = own_bundle if place == "bundle" else tmp_path / "elsewhere" / "tiny"
    (folder / "sub").mkdir(parents=True)
    monkeypatch.chdir(folder)
    model = onnx.load(own_bundle / "classifier.onnx")
    weights = next(each for each in model.graph.initializer if each.name == "weights")
    (folder / "weights").write_bytes(weights.raw_data)
    onnx.external_data_helper.set_external_data(weights, location)
    weights.ClearField("raw_data")
    (own_bundle / "classifier.onnx").write_bytes(model.SerializeToString())
    edit_manifest(own_bundle)
    with pytest.raises(BundleError, match=r"classifier.onnx cannot be loaded: .*[Ee]xternal data"):
        open_bundle(own_bundle)


def test_graph_with_an_operator_from_a_library_of_its_own(own_bundle):
    model = onnx.load(own_bundle / "classifier.onnx")
    model.graph.node[0].domain = "somebody.else"
    model.opset_import.append(onnx.helper.make_opsetid("somebody.else", 1))
    onnx.save(model, own_bundle / "classifier.onnx")
    edit_manifest(own_bundle)
    with pytest.raises(BundleError, match=r"classifier.onnx cannot be loaded: .*somebody.else"):
        open_bundle(own_bundle)


def test_graph_that_cannot_be_read(own_bundle):
    (own_bundle / "classifier.onnx").write_bytes(b"not a graph")
    edit_manifest(own_bundle)
    with pytest.raises(BundleError, match=r"classifier.onnx cannot be loaded"):
        open_bundle(own_bundle)


def test_graph_for_images_of_another_size(own_bundle):
    manifest = json.loads((own_bundle / "manifest.json").read_text())
    manifest["preprocess"]["input_size"] = [1, 8, 8]
    (own_bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"takes image: tensor\(uint8\) \(N, 4, 4, 1\); wanted .* \(N, 8, 8, 1\)"):
        open_bundle(own_bundle)


def test_graph_that_lacks_an_output(own_bundle):
    shutil.copy(own_bundle / "classifier.onnx", own_bundle / "oracle.onnx")
    edit_manifest(own_bundle)
    with pytest.raises(BundleError, match=r"oracle.onnx does not give \['oracle_logit'\]"):
        open_bundle(own_bundle)


def test_manifest_with_a_class_too_many(own_bundle):
    edit_manifest(own_bundle, classes=("a", "b", "c", "d"))
    with pytest.raises(BundleError, match=r"\(1, 3\) for one image; wanted \(1, 4\)"):
        open_bundle(own_bundle)


def test_replay_that_differs_names_the_output_and_the_difference(own_bundle):
    golden = dict(np.load(own_bundle / "golden.npz"))
    golden["oracle_logit"][2] += 0.25
    np.savez(own_bundle / "golden.npz", **golden)
    edit_manifest(own_bundle)
    with pytest.raises(BundleError, match=r"oracle_logit differs by 0.25, allowed is 0.0001"):
        open_bundle(own_bundle)


def test_replay_compares_the_trust_head_too(own_bundle):
    edit_manifest(
        own_bundle,
        trust_head=TrustHead(inputs=("confidence_log_odds", "oracle_logit"), weights=(0.5, 1.0), bias=3.0),
    )
    with pytest.raises(BundleError, match=r"trust differs by"):
        open_bundle(own_bundle)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda golden: golden.pop("trust"), r"lacks \['trust'\]"),
        (lambda golden: golden.update(novelty=golden["novelty"][:2]), "novelty differs by inf"),
        (lambda golden: golden.update(trust=golden["trust"] * np.nan), "trust differs by inf"),
    ],
    ids=["lacks-an-array", "other-shape", "not-a-number"],
)
def test_golden_batch_that_proves_nothing(own_bundle, change, words):
    golden = dict(np.load(own_bundle / "golden.npz"))
    change(golden)
    np.savez(own_bundle / "golden.npz", **golden)
    edit_manifest(own_bundle)
    with pytest.raises(BundleError, match=words):
        open_bundle(own_bundle)


def test_golden_file_of_no_arrays(own_bundle):
    (own_bundle / "golden.npz").write_bytes(b"nothing")
    edit_manifest(own_bundle)
    with pytest.raises(BundleError, match=r"golden.npz is not a file of arrays"):
        open_bundle(own_bundle)


def test_differences_of_every_output_are_small_where_nothing_changed(tiny_bundle):
    differences = golden_differences(load_bundle(tiny_bundle))
    assert list(differences)[-1] == "trust"
    assert differences.keys() == {"logits", "probabilities", "novelty", "oracle_logit", "trust"}
    assert max(differences.values()) < 1e-5


def test_cuda_that_is_wanted_but_not_there(tiny_bundle, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(BundleError, match=r"device is cuda, but onnxruntime has no working CUDA here"):
        open_bundle(tiny_bundle, Execution(device="cuda"))
