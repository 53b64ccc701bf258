"""`trustserve predict` and `trustserve inspect`, in this process."""

import json

import numpy as np
import pytest

from service import cli
from tests.tiny import edit_manifest, expected_answer, png, quadrants
from trust.manifest import read_manifest
from trust.preprocess import ReducedJpeg


@pytest.fixture
def trustserve(monkeypatch, capsys):
    """Runs the command line; gives back exit status, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setenv("COLUMNS", "200")
        status = 0
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as error:
            status = error.code
        captured = capsys.readouterr()
        if isinstance(status, str):  # sys.exit with a sentence: the interpreter prints it and exits with 1
            return 1, captured.out, status
        return status or 0, captured.out, captured.err

    return run


@pytest.fixture
def images(tmp_path):
    """Five image files and their arrays; the third is broken."""
    arrays = [quadrants(*row) for row in np.random.default_rng(2).integers(0, 256, (5, 4))]
    files = [tmp_path / f"{i}.png" for i in range(5)]
    for file, array in zip(files, arrays, strict=True):
        file.write_bytes(png(array))
    files[2].write_bytes(b"broken")
    return files, arrays


def test_predict_prints_one_json_object_a_line(trustserve, tiny_bundle, images, monkeypatch):
    monkeypatch.setenv("TRUSTSERVE_MAX_BATCH", "2")
    files, arrays = images
    status, out, _ = trustserve("predict", *files, "--model", tiny_bundle, "--json")
    assert status == 1
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["file"] for row in rows] == [str(file) for file in files]
    assert "not an image" in rows.pop(2)["error"]
    for row, array in zip(rows, arrays[:2] + arrays[3:], strict=True):
        expected = expected_answer(array)
        assert (row["label"], row["decision"]) == (expected.label, expected.decision)
        assert row["trust_probability"] == pytest.approx(expected.trust, abs=1e-6)


def test_predict_prints_a_table(trustserve, tiny_bundle, images, tmp_path):
    files, arrays = images
    status, out, _ = trustserve("predict", files[0], tmp_path / "absent.png", "--model", tiny_bundle)
    assert status == 1
    assert f"{expected_answer(arrays[0]).trust:.4f}" in out
    assert "No such file or directory" in out


def test_predict_exits_with_0_where_every_file_is_answered(trustserve, tiny_bundle, images):
    assert trustserve("predict", images[0][0], "--model", tiny_bundle)[0] == 0


def test_predict_takes_the_bundle_from_the_environment(trustserve, tiny_bundle, images, monkeypatch):
    monkeypatch.setenv("TRUSTSERVE_MODEL", str(tiny_bundle))
    assert trustserve("predict", images[0][0])[0] == 0


@pytest.mark.parametrize("command", [("predict", "x.png", "--model"), ("inspect",)])
def test_missing_bundle_is_one_sentence(trustserve, tmp_path, command):
    status, _, err = trustserve(*command, tmp_path / "nowhere")
    assert status == 1
    assert err.startswith("trustserve: no bundle at")


def test_inspect_shows_manifest_and_replay(trustserve, tiny_bundle):
    status, out, _ = trustserve("inspect", tiny_bundle)
    assert status == 0
    for word in (
        "tiny 1.0.0",
        "4 x 4, grey",
        "0.6: chosen by hand",
        "7 match",
        "CPUExecutionProvider",
        "oracle run",
        "oracle_logit",
    ):
        assert word in out


def test_inspect_shows_how_far_jpeg_files_are_reduced(trustserve, own_bundle):
    spec = read_manifest(own_bundle).preprocess
    edit_manifest(own_bundle, preprocess=spec.model_copy(update={"reduced_jpeg": ReducedJpeg(margin=2.5)}))
    status, out, _ = trustserve("inspect", own_bundle)
    assert status == 0
    assert "JPEG files reduced to 2.5 times that or more" in out


def test_inspect_shows_the_differences_even_where_they_are_too_large(trustserve, own_bundle):
    edit_manifest(own_bundle, golden_tolerance=1e-12)
    status, out, err = trustserve("inspect", own_bundle)
    assert status == 1
    assert "allowed: 1e-12" in out
    assert "answers differently here" in err


@pytest.mark.parametrize("command", ["serve", "predict", "inspect", "recalibrate"])
def test_every_option_of_every_command_has_a_help_text(trustserve, command):
    status, out, _ = trustserve(command, "--help")
    assert status == 0
    for line in out.splitlines():
        if "--" in line and line.startswith("│"):
            assert len(line.strip("│ ").split("  ", 1)) == 2, line
