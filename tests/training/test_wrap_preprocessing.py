"""What the wrapped classifier is shown: from flags, presets and files, with everything assumed said aloud."""

import json

import pytest
import timm

from training.wrap.preprocessing import PreprocessOptions, decide_input, with_preset

FREE = (None, None, None)


def decide(size=(3, 24, 24), layout="nchw", plain=False, **given):
    return decide_input(with_preset(PreprocessOptions(**given)), size, layout, plain)


def test_preset_fills_in_what_no_flag_says():
    spec = decide(preprocess="imagenet", std=(0.5,))
    assert spec.preprocess.mean == (0.485, 0.456, 0.406)
    assert spec.preprocess.std == (0.5, 0.5, 0.5)
    assert (spec.preprocess.interpolation, spec.preprocess.crop_pct) == ("bilinear", 0.875)


def test_raw_pixels_are_those_from_0_to_255():
    # (x / 255 - 0) / (1 / 255) = x
    assert decide(preprocess="raw").preprocess.std == pytest.approx((1 / 255,) * 3)


def test_numbers_of_a_bgr_classifier_are_turned_to_rgb():
    spec = decide(mean=(51.0, 102.0, 153.0), std=(255.0,), pixel_range=255, channel_order="bgr")
    assert spec.preprocess.mean == pytest.approx((0.6, 0.4, 0.2))
    assert spec.preprocess.std == pytest.approx((1.0, 1.0, 1.0))


def test_timm_preset_is_what_timm_says():
    config = timm.data.resolve_data_config(model=timm.create_model("test_resnet"))
    spec = decide(size=FREE, preprocess="timm:test_resnet")
    assert spec.preprocess.input_size == config["input_size"]
    assert (spec.preprocess.mean, spec.preprocess.std) == (config["mean"], config["std"])
    assert (spec.preprocess.interpolation, spec.preprocess.crop_pct) == (config["interpolation"], config["crop_pct"])


@pytest.mark.parametrize("suffix", [".json", ".toml"])
def test_file_says_the_same_as_flags(tmp_path, suffix):
    path = tmp_path / f"how{suffix}"
    toml = 'input_size = [3, 32, 48]\nmean = [0.5]\nstd = [0.25]\ninterpolation = "bicubic"\nlayout = "nhwc"\n'
    values = {"input_size": [3, 32, 48], "mean": [0.5], "std": [0.25], "interpolation": "bicubic", "layout": "nhwc"}
    path.write_text(toml if suffix == ".toml" else json.dumps(values))
    how = PreprocessOptions(input_size=(3, 32, 48), mean=(0.5,), std=(0.25,), interpolation="bicubic", layout="nhwc")
    from_file = with_preset(PreprocessOptions(preprocess=str(path)))
    assert decide_input(from_file, FREE, None, plain=False) == decide_input(how, FREE, None, plain=False)


def test_file_may_build_on_a_preset(tmp_path):
    (tmp_path / "how.json").write_text('{"preprocess": "imagenet", "crop_pct": 1.0}')
    spec = decide(preprocess=str(tmp_path / "how.json"))
    assert (spec.preprocess.mean[0], spec.preprocess.crop_pct) == (0.485, 1.0)


def test_what_nobody_said_is_named_as_the_flags_that_would_say_it():
    assert decide().assumed == ("--preprocess imagenet", "--channel-order rgb")
    assert decide(size=(1, 28, 28)).assumed == ("--preprocess unit",)
    assert decide(layout=None, preprocess="unit", channel_order="rgb").assumed == ("--layout nchw",)
    assert decide(preprocess="unit", channel_order="rgb").assumed == ()


def test_graph_that_normalises_by_itself_needs_no_numbers():
    assert decide(plain=True).assumed == ()


MISTAKES = {
    "unknown preset": (
        {"preprocess": "imgnet"},
        r"imgnet is unknown; wanted unit, imagenet, raw, symmetric, timm:NAME",
    ),
    "no such file": ({"preprocess": "gone.toml"}, r"gone.toml: no such file"),
    "two channels": ({"size": (2, 24, 24)}, r"takes 2 channels; wanted 1 \(grey\) or 3"),
    "size unknown": ({"size": (3, None, None)}, r"\(3 \? \?\); give --input-size"),
    "layout": ({"layout": "nhwc", "preprocess": "unit", "size": FREE}, r"give --input-size"),
    "two means": ({"mean": (0.5, 0.5), "std": (1.0,)}, r"mean has 2 numbers; the classifier takes 3"),
    "mean of bytes": ({"mean": (123.7,), "std": (58.0,)}, r"above 1; give --pixel-range 255"),
    "std of zero": ({"mean": (0.5,), "std": (0.0,)}, r"std 0 must be above 0"),
}


@pytest.mark.parametrize(("given", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_what_does_not_fit_is_named_with_the_way_out(given, message):
    with pytest.raises(ValueError, match=message):
        decide(**given)


def test_layout_that_contradicts_the_graph_is_an_error():
    options = PreprocessOptions(preprocess="unit", layout="nhwc")
    with pytest.raises(ValueError, match="--layout nhwc contradicts the graph, whose input is NCHW"):
        decide_input(with_preset(options), (3, 24, 24), "nchw", plain=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"mena": [0.5]}', r"mena: .*it may hold input_size, mean, std"), ("{", r"is no JSON")],
    ids=["unknown name", "not JSON"],
)
def test_file_with_a_mistake_is_named(tmp_path, text, message):
    path = tmp_path / "how.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        decide(preprocess=str(path))
