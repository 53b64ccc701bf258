"""Any classifier becomes one kind of graph: the same answers, from uint8 pixels, for any number of images."""

import io

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from training.wrap.preprocessing import PreprocessOptions, with_preset
from training.wrap.source import decide_source_input, read_source
from training.wrap.standard import standardise
from training.wrap.surgery import set_temperature

SIDE = 12
CLASSES = 4
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Net(nn.Module):
    """Two convolutions and a linear layer, as anybody writes them."""

    def __init__(self, channels=3, softmax=False):
        super().__init__()
        self.first = nn.Conv2d(channels, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.last = nn.Linear(6, CLASSES)
        self.softmax = softmax

    def forward(self, images):
        maps = torch.relu(self.norm(self.first(images)))
        logits = 8 * self.last(maps.mean((2, 3)))
        return logits.softmax(1) if self.softmax else logits


@pytest.fixture
def pixels():
    return np.random.default_rng(3).integers(0, 256, (9, SIDE, SIDE, 3), dtype=np.uint8)


def make(**options):
    torch.manual_seed(5)
    return Net(**options).eval()


def normalised(pixels, mean=MEAN, std=STD):
    """What a user's own program would feed: (N, C, H, W) float32."""
    return ((pixels / 255.0 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)


def export(path, net, pixels, dynamo=False, batch=None, outputs=("output",), **options):
    """Writes a network as torch's users do; with a number of images the graph has it built in."""
    example = torch.from_numpy(normalised(pixels[: batch or 2]))
    names = {"input_names": ["input"], "output_names": list(outputs)}
    if dynamo:
        shapes = None if batch else ({0: torch.export.Dim("batch")},)
        torch.onnx.export(net, (example,), path, dynamo=True, dynamic_shapes=shapes, verbose=False, **names)
    else:
        axes = {} if batch else {name: {0: "batch"} for name in ("input", *outputs)}
        torch.onnx.export(net, (example,), path, dynamo=False, dynamic_axes=axes, **names, **options)
    return path


def wrap(source, pixels, weights=None, output=None, gives=None, features="last", **options):
    """From a file to its standard form, with imagenet's normalisation where nothing else is said."""
    chosen = with_preset(PreprocessOptions(**({"preprocess": "imagenet"} | options)))
    read = read_source(str(source), weights, chosen)
    spec = decide_source_input(read, chosen)
    return standardise(read, spec, pixels, output=output, gives=gives, features=features)


def softmax(logits, temperature=1.0):
    return torch.from_numpy(np.asarray(logits, np.float64) / temperature).softmax(1).numpy()


def logits_of(net, inputs):
    with torch.inference_mode():
        return net(torch.from_numpy(inputs)).numpy()


@pytest.mark.parametrize("dynamo", [False, True], ids=["legacy exporter", "dynamo exporter"])
def test_graph_answers_as_the_owners_program(tmp_path, pixels, dynamo):
    net = make()
    standard = wrap(export(tmp_path / "c.onnx", net, pixels, dynamo), pixels)
    outputs = standard.classifier.outputs([pixels[:4], pixels[4:]])
    wanted = logits_of(net, normalised(pixels))
    np.testing.assert_allclose(outputs["logits"], wanted, atol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"], softmax(wanted), atol=1e-6)
    with torch.inference_mode():
        maps = torch.relu(net.norm(net.first(torch.from_numpy(normalised(pixels)))))
    np.testing.assert_allclose(outputs["features"], maps.mean((2, 3)), atol=1e-5)


def test_graph_takes_uint8_pixels_of_any_number(tmp_path, pixels):
    classifier = wrap(export(tmp_path / "c.onnx", make(), pixels), pixels).classifier
    taken = classifier.model.graph.input[0]
    onnx.checker.check_model(classifier.model)
    assert (taken.name, taken.type.tensor_type.elem_type) == ("image", TensorProto.UINT8)
    dimensions = taken.type.tensor_type.shape.dim
    assert (dimensions[0].dim_param, [each.dim_value for each in dimensions[1:]]) == ("N", [SIDE, SIDE, 3])
    assert {name: len(values) for name, values in classifier.run(pixels[:1]).items()} == dict.fromkeys(
        ("logits", "probabilities", "features"), 1
    )


def test_probabilities_output_is_recognised_and_logits_are_found_before_its_softmax(tmp_path, pixels):
    standard = wrap(export(tmp_path / "c.onnx", make(softmax=True), pixels), pixels)
    wanted = logits_of(make(), normalised(pixels))
    np.testing.assert_allclose(standard.classifier.run(pixels)["logits"], wanted, atol=1e-5)
    assert any("gives probabilities" in sentence for sentence in standard.found)


def test_probabilities_without_a_softmax_become_logarithms(tmp_path):
    # A table of odds, normalised by hand: p = x / sum(x), one pixel a class.
    nodes = [
        helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=1),
        helper.make_node("Div", ["x", "sum"], ["p"]),
    ]
    path = save(tmp_path, nodes, shape=["N", 4], output="p", axes=np.array([1]))
    tiny = np.array([[[[30], [10]], [[0], [0]]], [[[1], [1]], [[1], [1]]]], np.uint8)  # (2, 2, 2, 1)
    outputs = wrap(path, tiny, preprocess="unit", input_size=(1, 2, 2)).classifier.run(tiny)
    np.testing.assert_allclose(outputs["probabilities"], [[0.75, 0.25, 0, 0], [0.25] * 4], atol=1e-6)
    np.testing.assert_allclose(outputs["logits"][0, :2], np.log([0.75, 0.25]), atol=1e-6)
    np.testing.assert_allclose(outputs["logits"][0, 2:], np.log(1e-7), rtol=1e-5)


def test_temperature_can_be_set_later(tmp_path, pixels):
    model = wrap(export(tmp_path / "c.onnx", make(), pixels), pixels).classifier.model
    session = onnxruntime.InferenceSession(set_temperature(model, 2.5).SerializeToString())
    logits, probabilities = session.run(["logits", "probabilities"], {"image": pixels})
    np.testing.assert_allclose(probabilities, softmax(logits, 2.5), atol=1e-6)


def test_half_precision_answers_within_its_rounding(tmp_path, pixels):
    net = make()
    path = tmp_path / "half.onnx"
    torch.onnx.export(
        make().half(),
        (torch.from_numpy(normalised(pixels)).half(),),
        path,
        dynamo=False,
        dynamic_axes={"input": {0: "N"}},
        input_names=["input"],
    )
    outputs = wrap(path, pixels).classifier.run(pixels)
    assert outputs["logits"].dtype == outputs["features"].dtype == np.float32
    np.testing.assert_allclose(outputs["logits"], logits_of(net, normalised(pixels)), atol=0.05)


class ChannelsLast(nn.Module):
    """As exported from Keras: (N, H, W, C) in."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        return self.net(images.permute(0, 3, 1, 2))


def test_channels_last_is_read_from_the_graph(tmp_path, pixels):
    net = make()
    path = tmp_path / "nhwc.onnx"
    example = torch.from_numpy(normalised(pixels)).permute(0, 2, 3, 1)
    torch.onnx.export(
        ChannelsLast(net).eval(), (example,), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "N"}}
    )
    outputs = wrap(path, pixels).classifier.run(pixels)
    np.testing.assert_allclose(outputs["logits"], logits_of(net, normalised(pixels)), atol=1e-5)


def test_bgr_takes_mean_and_std_in_the_classifiers_own_order(tmp_path, pixels):
    net = make()
    path = export(tmp_path / "c.onnx", net, pixels)
    caffe = {"preprocess": None, "mean": (104.0, 117.0, 124.0), "std": (1.0,), "pixel_range": 255}
    outputs = wrap(path, pixels, **caffe, channel_order="bgr").classifier.run(pixels)
    fed = (pixels[..., ::-1] - np.array([104.0, 117.0, 124.0])).transpose(0, 3, 1, 2).astype(np.float32)
    np.testing.assert_allclose(outputs["logits"], logits_of(net, fed), rtol=1e-4, atol=1e-3)


class Flattening(nn.Module):
    """Repeats the number of images it was traced with, as `view(x.shape[0], -1)` does."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3 * SIDE * SIDE, CLASSES)

    def forward(self, images):
        return self.last(images.reshape(images.shape[0], -1))


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("dynamo", [False, True], ids=["legacy exporter", "dynamo exporter"])
def test_fixed_number_of_images_is_made_free(tmp_path, pixels, batch, dynamo):
    torch.manual_seed(0)
    net = Flattening().eval()
    path = export(tmp_path / "fixed.onnx", net, pixels, dynamo, batch=batch)
    assert onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0].dim_value == batch
    outputs = wrap(path, pixels).classifier.run(pixels)
    np.testing.assert_allclose(outputs["logits"], logits_of(net, normalised(pixels)), atol=1e-4)


def save(folder, nodes, shape, output, element=TensorProto.FLOAT, opset=17, inputs=("x",), **constants):
    """A graph made by hand, `x` to `output`."""
    graph = helper.make_graph(
        nodes,
        "by hand",
        [helper.make_tensor_value_info(name, element, shape) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, folder / "hand.onnx")
    return folder / "hand.onnx"


def linear(inputs, seed=0):
    return np.random.default_rng(seed).normal(size=(inputs, CLASSES)).astype(np.float32)


@pytest.mark.parametrize("names", [("image", "logits"), ("features", "probabilities")])
def test_owners_names_may_be_ours(tmp_path, names):
    taken, given = names
    weight = linear(4)
    nodes = [
        helper.make_node("Flatten", [taken], ["temperature"], axis=1),
        helper.make_node("MatMul", ["temperature", "front/1-cast"], [given]),
    ]
    path = save(tmp_path, nodes, ["N", 1, 2, 2], given, inputs=(taken,), **{"front/1-cast": weight})
    tiny = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    outputs = wrap(path, tiny, preprocess="raw").classifier.run(tiny)
    np.testing.assert_allclose(outputs["logits"], np.arange(8.0).reshape(2, 4) @ weight, rtol=1e-5)
    np.testing.assert_allclose(outputs["features"], np.arange(8.0).reshape(2, 4), rtol=1e-5)


@pytest.mark.parametrize(("shape", "size"), [(["N", 2, 2], None), (["N", 4], (1, 2, 2))], ids=["grey", "flat"])
def test_input_may_lack_the_channels_or_be_flat(tmp_path, shape, size):
    weight = linear(4)
    nodes = [helper.make_node("Flatten", ["x"], ["flat"], axis=1), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    path = save(tmp_path, nodes, shape, "y", w=weight)
    tiny = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    outputs = wrap(path, tiny, preprocess="raw", input_size=size).classifier.run(tiny)
    np.testing.assert_allclose(outputs["logits"], np.arange(8.0).reshape(2, 4) @ weight, rtol=1e-5)


def test_graph_that_takes_uint8_keeps_its_own_normalisation(tmp_path):
    weight = linear(4)
    nodes = [
        helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    path = save(tmp_path, nodes, ["N", 1, 2, 2], "y", element=TensorProto.UINT8, w=weight)
    tiny = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    outputs = wrap(path, tiny, preprocess=None).classifier.run(tiny)
    np.testing.assert_allclose(outputs["logits"], np.arange(8.0).reshape(2, 4) @ weight, rtol=1e-5)


def test_old_graph_is_converted_and_its_listed_weights_are_no_inputs(tmp_path):
    weight = linear(4)
    nodes = [helper.make_node("Flatten", ["x"], ["flat"], axis=1), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    path = save(tmp_path, nodes, ["N", 1, 2, 2], "y", opset=9, w=weight)
    model = onnx.load(path)
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, weight.shape))
    onnx.save(model, path)
    tiny = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    outputs = wrap(path, tiny, preprocess="raw").classifier.run(tiny)
    np.testing.assert_allclose(outputs["logits"], np.arange(8.0).reshape(2, 4) @ weight, rtol=1e-5)


def test_weights_in_a_file_of_their_own_are_taken_in(tmp_path, pixels):
    net = make()
    model = onnx.load(export(tmp_path / "c.onnx", net, pixels))
    outside = tmp_path / "outside"
    outside.mkdir()
    onnx.save(model, outside / "c.onnx", save_as_external_data=True, location="c.bin", size_threshold=0)
    outputs = wrap(outside / "c.onnx", pixels).classifier.run(pixels)
    np.testing.assert_allclose(outputs["logits"], logits_of(net, normalised(pixels)), atol=1e-5)
    (outside / "c.bin").unlink()
    with pytest.raises(ValueError, match=r"weights in another file: .*c\.bin"):
        wrap(outside / "c.onnx", pixels)


class TwoOutputs(nn.Module):
    """Scores and the maps they came from, both given out."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        maps = torch.relu(self.net.norm(self.net.first(images)))
        return self.net.last(maps.mean((2, 3))), maps


def test_one_of_several_outputs_is_named_and_maps_are_averaged_to_features(tmp_path, pixels):
    net = make()
    path = export(tmp_path / "two.onnx", TwoOutputs(net).eval(), pixels, outputs=("scores", "maps"))
    with pytest.raises(ValueError, match=r"2 outputs; give --output, one of scores, maps"):
        wrap(path, pixels)
    outputs = wrap(path, pixels, output="scores", features="maps").classifier.run(pixels)
    with torch.inference_mode():
        logits, maps = TwoOutputs(net)(torch.from_numpy(normalised(pixels)))
    np.testing.assert_allclose(outputs["logits"], logits, atol=1e-5)
    np.testing.assert_allclose(outputs["features"], maps.mean((2, 3)), atol=1e-5)


def test_deep_features_are_those_of_several_layers_one_beside_the_other(tmp_path, pixels):
    torch.manual_seed(1)
    first, second, last = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 7, 3), nn.Linear(7, CLASSES)
    net = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last).eval()
    outputs = wrap(export(tmp_path / "c.onnx", net, pixels), pixels, features="deep").classifier.run(pixels)
    with torch.inference_mode():
        maps = first(torch.from_numpy(normalised(pixels))).relu()
        before_last = second(maps).relu().mean((2, 3))
    # The image, which the first layer takes, is no feature.
    np.testing.assert_allclose(outputs["features"], torch.cat([before_last, maps.mean((2, 3))], 1), atol=1e-5)


def test_layers_that_do_not_hold_one_row_an_image_are_passed_over_and_channels_may_be_last(tmp_path):
    # Windows of images, as some transformers have: twice as many rows as images. Then channels last, (N, 1, 2, 2).
    nodes = [
        helper.make_node("Reshape", ["x", "four"], ["flat"]),
        helper.make_node("MatMul", ["flat", "inner"], ["wide"]),
        helper.make_node("Reshape", ["wide", "two"], ["windows"]),
        helper.make_node("MatMul", ["windows", "square"], ["turned"]),
        helper.make_node("Reshape", ["turned", "places"], ["channels_last"]),
        helper.make_node("MatMul", ["channels_last", "square"], ["mixed"]),
        helper.make_node("Reshape", ["mixed", "four"], ["joined"]),
        helper.make_node("MatMul", ["joined", "w"], ["y"]),
    ]
    shapes = {"four": np.array([-1, 4]), "two": np.array([-1, 2]), "places": np.array([-1, 1, 2, 2])}
    weights = {"inner": np.eye(4, dtype=np.float32), "square": np.eye(2, dtype=np.float32), "w": linear(4)}
    path = save(tmp_path, nodes, ["N", 1, 2, 2], "y", **shapes, **weights)
    tiny = np.array([0, 1, 2, 5, 6, 7, 8, 11], np.uint8).reshape(2, 2, 2, 1)
    outputs = wrap(path, tiny, preprocess="raw", features="deep").classifier.run(tiny)
    # The four numbers as they are; then the mean over places of each of two channels: (0 + 2) / 2 and (1 + 5) / 2.
    np.testing.assert_allclose(outputs["features"][0], [0, 1, 2, 5, 1, 3], rtol=1e-6)


def test_number_of_images_that_is_built_in_deeper_is_named_with_the_way_out(tmp_path):
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("Concat", ["token", "flat"], ["with_token"], axis=1),
        helper.make_node("MatMul", ["with_token", "w"], ["y"]),
    ]
    path = save(tmp_path, nodes, [1, 1, 2, 2], "y", token=np.ones((1, 1), np.float32), w=linear(5))
    with pytest.raises(ValueError, match=r"exported for exactly 1 image at a time.*export it with a free number"):
        wrap(path, np.zeros((3, 2, 2, 1), np.uint8), preprocess="raw")


def test_products_of_two_activations_are_no_layers(tmp_path):
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["hidden"]),
        helper.make_node("Transpose", ["hidden"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["turned", "hidden"], ["products"]),
        helper.make_node("MatMul", ["hidden", "products"], ["attended"]),
        helper.make_node("Sub", ["attended", "attended"], ["nothing"]),
        helper.make_node("Add", ["hidden", "nothing"], ["y"]),
    ]
    tiny = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    found = wrap(save(tmp_path, nodes, ["N", 1, 2, 2], "y", w=linear(4)), tiny, preprocess="raw").found
    assert "features: flat" in found


def test_tokens_are_averaged_to_features(tmp_path):
    nodes = [
        helper.make_node("Reshape", ["x", "tokens_of"], ["tokens"]),
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    path = save(tmp_path, nodes, ["N", 1, 2, 3], "y", tokens_of=np.array([-1, 2, 3]), w=linear(6))
    tiny = np.arange(12, dtype=np.uint8).reshape(2, 2, 3, 1)
    outputs = wrap(path, tiny, preprocess="raw", features="tokens").classifier.run(tiny)
    # Two tokens of three numbers an image: 0 1 2 and 3 4 5, then 6 7 8 and 9 10 11.
    np.testing.assert_allclose(outputs["features"], [[1.5, 2.5, 3.5], [7.5, 8.5, 9.5]], rtol=1e-6)


# By name: torch replaces both functions by others when its compiler is first used, maybe by a test before this one.
@pytest.mark.parametrize("way", ["traced", "scripted"])
def test_torchscript_answers_as_the_module(tmp_path, pixels, way):
    net = make()
    module = torch.jit.trace(net, torch.from_numpy(normalised(pixels))) if way == "traced" else torch.jit.script(net)
    module.save(tmp_path / "c.pt")
    outputs = wrap(tmp_path / "c.pt", pixels, input_size=(3, SIDE, SIDE)).classifier.run(pixels)
    np.testing.assert_allclose(outputs["logits"], logits_of(net, normalised(pixels)), atol=1e-5)
    assert outputs["features"].shape == (len(pixels), 6)


@pytest.mark.parametrize(("name", "side"), [("test_resnet", 64), ("test_vit", 64)])
def test_timm_checkpoint_answers_as_timm(tmp_path, name, side):
    torch.manual_seed(0)
    options = {"img_size": side} if name == "test_vit" else {}
    net = timm.create_model(name, num_classes=5, **options).eval()
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    standard = wrap(
        f"timm:{name}", pixels, tmp_path / "weights.pt", preprocess=f"timm:{name}", input_size=(3, side, side)
    )
    config = timm.data.resolve_data_config(model=net)
    fed = torch.from_numpy(normalised(pixels, config["mean"], config["std"]))
    with torch.inference_mode():
        features = net.forward_head(net.forward_features(fed), pre_logits=True)
        logits = net(fed)
    outputs = standard.classifier.run(pixels)
    np.testing.assert_allclose(outputs["logits"], logits, atol=1e-4)
    np.testing.assert_allclose(outputs["features"], features, atol=1e-4)


def test_fingerprint_is_of_the_answers_alone(tmp_path, pixels):
    path = export(tmp_path / "c.onnx", make(), pixels)
    first, second = (wrap(path, pixels).classifier.fingerprint for _ in range(2))
    other = wrap(path, pixels, preprocess="unit").classifier.fingerprint
    assert first == second != other


def torchscript_bytes():
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(make()), file)
    return file.getvalue()


MISTAKES = {
    "nothing there": ("gone.onnx", None, {}, "no such file"),
    "not a graph": ("c.onnx", b"hello", {}, "is no ONNX model"),
    "keras": ("c.keras", b"", {}, "make an ONNX graph of it first"),
    "torchscript of unknown size": ("c.pt", torchscript_bytes(), {}, "give --input-size"),
    "weights alone": ("c.pt", b"PK", {"input_size": (3, SIDE, SIDE)}, "weights alone have no network"),
    "timm without weights": ("timm:test_vit", None, {"preprocess": "timm:test_vit"}, "give --weights"),
}


@pytest.mark.parametrize(("name", "content", "options", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_what_cannot_be_read_is_named_with_the_way_out(tmp_path, pixels, name, content, options, message):
    path = name if name.startswith("timm:") else tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        wrap(path, pixels, **options)


def test_two_inputs_are_one_too_many(tmp_path, pixels):
    nodes = [helper.make_node("Add", ["x", "mask"], ["y"])]
    path = save(tmp_path, nodes, ["N", 3, SIDE, SIDE], "y", inputs=("x", "mask"))
    with pytest.raises(ValueError, match=r"2 inputs \(x, mask\); wanted one"):
        wrap(path, pixels)


def test_size_that_contradicts_the_graph_is_named(tmp_path, pixels):
    path = export(tmp_path / "c.onnx", make(), pixels)
    with pytest.raises(ValueError, match=r"--input-size 3 28 28 contradicts the graph, which takes 3 12 12"):
        wrap(path, pixels, input_size=(3, 28, 28))


def test_tensor_that_does_not_exist_is_named_with_those_that_do(tmp_path, pixels):
    path = export(tmp_path / "c.onnx", make(), pixels)
    with pytest.raises(ValueError, match=r"has no tensor pooled; the last ones are .*output"):
        wrap(path, pixels, features="pooled")


def test_classifier_exported_in_training_mode_is_found_out(tmp_path, pixels):
    net = make().train()
    net.norm.running_mean += 5
    with torch.no_grad():
        path = export(tmp_path / "c.onnx", net, pixels, training=torch.onnx.TrainingMode.TRAINING)
    with pytest.raises(ValueError, match=r"differently when others are in its batch"):
        wrap(path, pixels)


def test_single_score_is_no_class_for_each(tmp_path):
    nodes = [helper.make_node("Flatten", ["x"], ["flat"], axis=1), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    path = save(tmp_path, nodes, ["N", 1, 2, 2], "y", w=linear(4)[:, :1])
    with pytest.raises(ValueError, match=r"output y is 2 x 1 for 2 images; wanted one score for each"):
        wrap(path, np.zeros((2, 2, 2, 1), np.uint8), preprocess="raw")
