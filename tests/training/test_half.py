"""Half precision: the same answers, or no bundle."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from service.inference.bundle import open_bundle
from tests.tiny import THRESHOLD, edit_manifest, expected_answer, write_tiny_bundle
from training.bundle.float16 import rounded_to_float16, to_float16
from training.bundle.half import PrecisionLost, compare_graphs, write_half
from training.cli import app
from training.wrap.frozen import FrozenClassifier
from trust.manifest import read_manifest

IMAGES = np.random.default_rng(1).integers(0, 256, (40, 4, 4, 1), np.uint8)
BATCHES = [IMAGES[:32], IMAGES[32:]]


def graphs(bundle):
    return [onnx.load(bundle / file) for file in ("classifier.onnx", "oracle.onnx")]


def change_oracle(bundle, change):
    """Overwrites the weights and the subtracted constant of the tiny bundle's oracle."""
    model = onnx.load(bundle / "oracle.onnx")
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(change(tensor.name, numpy_helper.to_array(tensor)), tensor.name))
    onnx.save(model, bundle / "oracle.onnx")
    edit_manifest(bundle)


def test_written_bundle_is_served_and_says_how_it_differs(tiny_bundle, tmp_path):
    parity = write_half(tiny_bundle, tmp_path / "half", BATCHES)
    assert (parity.images, parity.flipped) == (40, 0)
    # Numbers from 1 to 8 have ten binary digits after the first.
    assert 0 < parity.outputs["logits"] < 8 * 2**-10
    assert parity.trust < 0.002
    bundle = open_bundle(tmp_path / "half")
    found = bundle.sessions.run(IMAGES)
    bundle.sessions.close()
    assert {name: values.dtype for name, values in found.items()} == dict.fromkeys(found, np.float32)
    record = bundle.manifest.provenance["half_precision"]
    assert (record["images"], record["flipped"], record["from_version"]) == (40, 0, "1.0.0")
    assert record["trust_difference"] == parity.trust
    assert bundle.manifest.version != "1.0.0"
    assert parity.statement in (tmp_path / "half" / "README.md").read_text()


def test_values_are_rounded_to_eleven_binary_digits_after_each_step(tiny_bundle):
    # The oracle's logit of one pixel of 100: the weight of a pixel, 4 / 4 / 255, times 100, minus 1.
    image = np.zeros((1, 4, 4, 1), np.uint8)
    image[0, 3, 3] = 100
    product = np.float16(100 * np.float32(np.float16(1 / 255)))
    found = FrozenClassifier(rounded_to_float16(onnx.load(tiny_bundle / "oracle.onnx"))).run(image)["oracle_logit"]
    assert found == [np.float16(product - 1)]
    assert 0 < abs(found[0] - (100 / 255 - 1)) < 2**-11


def test_only_the_network_is_halved(tiny_bundle):
    half = to_float16(onnx.load(tiny_bundle / "classifier.onnx"))
    types = {each.name: each.type.tensor_type.elem_type for each in [*half.graph.input, *half.graph.output]}
    floats = dict.fromkeys(("logits", "probabilities", "novelty"), TensorProto.FLOAT)
    assert types == {"image": TensorProto.UINT8, **floats}
    weights = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert weights["weights"] == TensorProto.FLOAT16
    assert weights["peak"] == TensorProto.FLOAT


def test_bundle_that_differs_by_more_than_allowed_is_not_written(tiny_bundle, tmp_path):
    with pytest.raises(
        PrecisionLost, match=r"trust differs by at most 0.00\d+ on 40 reference images.*nothing was written"
    ):
        write_half(tiny_bundle, tmp_path / "half", BATCHES, tolerance=1e-9)
    assert not list(tmp_path.iterdir())


def test_outputs_that_float16_cannot_hold_are_refused_whatever_is_allowed(own_bundle, tmp_path):
    # Up to 2,000,000, where float16 ends at 65,504; a trust of 1 it gives both.
    change_oracle(own_bundle, lambda name, values: values * 500_000 if name == "weights" else values)
    with pytest.raises(PrecisionLost, match="beyond what float16 can hold"):
        write_half(own_bundle, tmp_path / "half", BATCHES, tolerance=1.0, flipped_share=1.0)


def test_flipped_answers_are_counted_by_class_and_decision(tiny_bundle, tmp_path):
    other = write_tiny_bundle(tmp_path / "other")
    change_oracle(other, lambda name, values: values + 1 if name == "one" else values)
    parity = compare_graphs(graphs(tiny_bundle), graphs(other), read_manifest(tiny_bundle), BATCHES)
    trust = np.array([expected_answer(image[..., 0]).trust for image in IMAGES])
    # An oracle logit that is less by one takes one from the logit of trust.
    lower = 1 / (1 + np.exp(-(np.log(trust / (1 - trust)) - 1)))
    assert parity.flipped == ((trust >= THRESHOLD) != (lower >= THRESHOLD)).sum() > 0
    assert parity.trust == pytest.approx((trust - lower).max(), abs=1e-5)
    assert parity.outputs["oracle_logit"] == pytest.approx(1.0, abs=1e-5)


def test_command_compares_on_the_images_that_the_bundle_was_made_with(trained, tmp_path, capsys):
    options = ["--to", str(tmp_path / "half"), "--cache", str(tmp_path / "cache")]
    app(["half", str(trained.bundle), *options], result_action="return_value")
    record = read_manifest(tmp_path / "half").provenance["half_precision"]
    assert record["images"] == read_manifest(trained.bundle).reference.images
    assert record["statement"] in " ".join(capsys.readouterr().out.split())
    open_bundle(tmp_path / "half").sessions.close()
