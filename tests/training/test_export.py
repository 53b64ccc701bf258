"""A run through every step on real images: the bundle says what torch says, and replaces the old one whole or not."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest

from training.bundle import export, graphs, placing
from training.bundle.export import Release, export_bundle
from training.bundle.graphs import ExportError
from training.bundle.networks import TorchNetworks
from training.cli import app
from training.config import TrainingConfig
from training.run import Run
from training.steps import load_pair, open_dataset
from trust.head import trust_probability
from trust.manifest import CLASSIFIER, GOLDEN, ORACLE, REFERENCE, RESULTS, read_manifest, verify_files


@pytest.fixture(scope="module")
def loaded(trained):
    run = Run(trained.config)
    dataset = open_dataset(trained.config, run)
    pair, calibrated = load_pair(trained.config, run, dataset)
    return dataset, pair, calibrated.heads["default-0"]


def test_bundle_is_what_its_manifest_says(trained):
    manifest = read_manifest(trained.bundle)
    verify_files(trained.bundle, manifest)
    assert manifest.classes == ("bag", "sandal", "trouser")
    assert manifest.provenance["config"]["backbone"] == "small_resnet"


def test_graphs_say_what_torch_says_on_images_no_step_has_fitted(trained, loaded):
    dataset, pair, head = loaded
    pixels = dataset.test.pixels(slice(None))
    wanted = pair.outputs([pixels])["default-0"]
    found = {}
    for file in (CLASSIFIER, ORACLE):
        session = onnxruntime.InferenceSession(str(trained.bundle / file), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        found |= dict(zip(names, session.run(names, {"image": pixels}), strict=True))
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(trust_probability(head, found), trust_probability(head, wanted), atol=1e-3)


def test_golden_batch_holds_clean_and_corrupted_images_with_their_trust(trained, loaded):
    _, pair, head = loaded
    golden = np.load(trained.bundle / GOLDEN)
    assert len(golden["image"]) == 2 * export.GOLDEN_IMAGES
    np.testing.assert_allclose(
        golden["trust"], trust_probability(head, pair.outputs([golden["image"]])["default-0"]), atol=1e-6
    )


def test_reference_summary_is_the_arithmetic_of_its_rows(trained):
    manifest, rows = read_manifest(trained.bundle), np.load(trained.bundle / REFERENCE)
    correct = rows["predicted"] == rows["target"]
    quality = np.where(correct, rows["confidence"], 1 - rows["confidence"])
    assert manifest.reference.accuracy == pytest.approx(correct.mean())
    assert manifest.reference.net_trust_score == pytest.approx(quality.mean(), abs=1e-6)
    assert manifest.reference.mean_trust == pytest.approx(rows["trust"].mean(), abs=1e-6)


def test_version_is_of_the_networks_and_the_head_alone(trained):
    manifest = read_manifest(trained.bundle)
    answering = (
        manifest.files[CLASSIFIER].sha256 + manifest.files[ORACLE].sha256 + manifest.trust_head.model_dump_json()
    )
    assert manifest.version == hashlib.sha256(answering.encode()).hexdigest()[:12]


def test_graphs_carry_no_traces_of_the_machine_that_wrote_them(trained):
    for file in (CLASSIFIER, ORACLE):
        model = onnx.load(trained.bundle / file)
        assert ".py" not in str(model.graph.node) + str(model.metadata_props)
        assert not any(node.metadata_props for node in model.graph.node)


def test_samples_are_a_few_of_each_class(trained):
    names = sorted(path.name for path in (trained.bundle / "samples").iterdir())
    assert names == [f"{name}-{number}.png" for name in ("bag", "sandal", "trouser") for number in (1, 2, 3)]


def test_card_shows_the_measured_table(trained):
    card = (trained.bundle / "README.md").read_text()
    results = json.loads((trained.bundle / RESULTS).read_text())
    auroc = results["conditions"]["clean"]["methods"]["trust probability"]["auroc"]["mean"]
    assert f"| trust probability | {100 * auroc:.1f} |" in card
    for kind in results["conditions"]:
        assert f"| {kind} |" in card


def test_export_that_fails_leaves_the_old_bundle(trained, loaded, tmp_path, monkeypatch):
    dataset, pair, head = loaded
    name = trained.config.name
    shutil.copytree(trained.bundle, tmp_path / name)
    manifest = read_manifest(trained.bundle)
    # The graphs are compared first: of what the bundle would say nothing is read.
    release = Release(
        name=name,
        description="",
        head=head,
        threshold=manifest.threshold,
        gate=manifest.gate,
        results={"summary": {}},
        card="card",
        report=None,
        provenance={},
    )
    before = (tmp_path / name / "manifest.json").read_bytes()
    monkeypatch.setattr(graphs, "PARITY_TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="logits differs by"):
        export_bundle(tmp_path, release, TorchNetworks(pair, dataset.test.pixels(slice(4))), dataset, seed=0)
    assert (tmp_path / name / "manifest.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("exchange", [True, False], ids=["one system call", "two renames"])
def test_new_bundle_replaces_the_old_one_whole(tmp_path, monkeypatch, exchange):
    draft, place = tmp_path / "draft", tmp_path / "bundle"
    for folder, file in ((draft, "new"), (place, "old")):
        folder.mkdir()
        (folder / file).touch()
    if not exchange:
        monkeypatch.setattr(placing, "_exchange", lambda *_: False)
    placing.put_in_place(draft, place)
    assert [path.name for path in place.iterdir()] == ["new"]
    assert not (tmp_path / ".bundle-old").exists()


def test_step_without_its_input_names_the_step_that_writes_it(trained, tmp_path):
    options = [option if option != str(trained.config.run) else str(tmp_path / "empty") for option in trained.options]
    with pytest.raises(Exception, match=r"classifier.pt not found; run `trustserve-train classifier`"):
        app(["oracle", *options], result_action="return_value")


def test_config_in_the_manifest_can_be_run_again(trained):
    recorded = read_manifest(trained.bundle).provenance["config"]
    known = {field.name for field in dataclasses.fields(TrainingConfig)}
    assert recorded.keys() <= known
    assert json.loads(json.dumps(recorded))["seed"] == trained.config.seed
