"""Each score has a name, each folder a score, and a classifier shown the wrong thing is told so."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from training.wrap.classes import match_classes, read_class_names
from training.wrap.diagnosis import check_fit
from training.wrap.preprocessing import PreprocessOptions, decide_input, with_preset
from training.wrap.source import Source

TARGETS = np.array([0, 1, 1])


def test_folders_in_sorted_order_are_the_classes_where_no_file_says_otherwise():
    names, targets = match_classes(2, ("cat", "dog"), None, TARGETS)
    assert names == ("cat", "dog")
    assert targets.tolist() == [0, 1, 1]


def test_targets_are_counted_as_the_file_counts(tmp_path):
    (tmp_path / "names.txt").write_text("dog\nfox\ncat\n")
    names, targets = match_classes(3, ("cat", "dog"), tmp_path / "names.txt", TARGETS)
    assert names == ("dog", "fox", "cat")
    assert targets.tolist() == [2, 0, 0]


@pytest.mark.parametrize(
    "read",
    [["cat", "dog"], {"0": "cat", "1": "dog"}, {"dog": 1, "cat": 0}, {"0": ["n02", "cat"], "1": ["n01", "dog"]}],
    ids=["list", "by number", "by name", "ImageNet's"],
)
def test_json_of_names_comes_in_four_forms(tmp_path, read):
    (tmp_path / "names.json").write_text(json.dumps(read))
    assert [of_class[-1] for of_class in read_class_names(tmp_path / "names.json")] == ["cat", "dog"]


def test_folders_may_have_imagenets_numbers(tmp_path):
    (tmp_path / "names.json").write_text('{"0": ["n02", "cat"], "1": ["n01", "dog"]}')
    names, targets = match_classes(2, ("n01", "n02"), tmp_path / "names.json", TARGETS)
    assert names == ("cat", "dog")
    assert targets.tolist() == [1, 0, 0]


def test_number_of_classes_that_differs_is_named_with_the_way_out():
    with pytest.raises(ValueError, match=r"has 10 classes, the labelled set 2 \(cat, dog\); give .* --classes FILE"):
        match_classes(10, ("cat", "dog"), None, TARGETS)


def test_folder_that_is_no_class_is_named_with_the_nearest(tmp_path):
    (tmp_path / "names.txt").write_text("cats\ndog\n")
    with pytest.raises(ValueError, match=r"1 of 2 folders are not in .*: cat; near 'cat': 'cats'"):
        match_classes(2, ("cat", "dog"), tmp_path / "names.txt", TARGETS)


@pytest.mark.parametrize(
    ("text", "message"),
    [("cat\ndog\ncat\n", "some twice: cat"), ("cat\n", "names 1 classes; wanted 2")],
    ids=["twice", "one"],
)
def test_file_of_names_with_a_mistake_is_named(tmp_path, text, message):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_class_names(tmp_path / "names.txt")


def nearest_colour(order=(0, 1, 2)):
    """Names the channel that stands out of the pixels / 255, if all of them are between 0 and 1; class 0 if not."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["colour"], axis=1),
        helper.make_node("Clip", ["colour", "none", "one"], ["seen"]),
        helper.make_node("Gather", ["seen", "order"], ["y"], axis=1),
    ]
    constants = {"none": np.array(0.0, np.float32), "one": np.array(1.0, np.float32), "order": np.array(order)}
    graph = helper.make_graph(
        nodes,
        "nearest colour",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return Source(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "ONNX")


@pytest.fixture
def colours():
    """90 images, each mainly red, green or blue."""
    rng = np.random.default_rng(0)
    targets = np.arange(90) % 3
    pixels = rng.integers(40, 90, (90, 4, 4, 3), dtype=np.uint8)
    pixels[np.arange(90), :, :, targets] += 120
    return pixels, targets


def check(source, colours, targets=None, **given):
    options = with_preset(PreprocessOptions(**given))
    spec = decide_input(options, (3, 4, 4), "nchw", plain=False)
    pixels, true = colours
    return check_fit(source, spec, "y", pixels, true if targets is None else targets, ("red", "green", "blue"))


def test_classifier_that_is_shown_what_it_knows_gets_no_warning(colours):
    assert check(nearest_colour(), colours, preprocess="unit", channel_order="rgb") == ()


def test_wrong_range_of_the_pixels_is_found(colours):
    with pytest.raises(ValueError, match=r"accuracy is 33.3% .*, but 100.0% with --preprocess unit"):
        check(nearest_colour(), colours, preprocess="raw")


def test_wrong_order_of_the_channels_is_found(colours):
    with pytest.raises(ValueError, match=r"accuracy is 33.3% .*, but 100.0% with --channel-order bgr"):
        check(nearest_colour((2, 1, 0)), colours, preprocess="unit")


def test_wrong_order_of_the_classes_is_found(colours):
    # Scores stand for green, blue, red.
    with pytest.raises(
        ValueError, match=r"but 100.0% with --classes FILE with the names in this order: green, blue, red"
    ):
        check(nearest_colour((1, 2, 0)), colours, preprocess="unit")


def test_answers_that_nothing_explains_stop_the_wrapping(colours):
    targets = np.random.default_rng(1).integers(0, 3, 90)
    with pytest.raises(ValueError, match=r"none of these helps: .*--preprocess raw"):
        check(nearest_colour(), colours, targets, preprocess="unit")
