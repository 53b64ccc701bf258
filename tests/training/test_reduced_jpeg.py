"""Reduced sizes of JPEG files: the same answers, or none of it."""

import re

import numpy as np
import pytest
from PIL import Image

from service.inference.bundle import open_bundle
from service.inference.decoding import Decoder
from tests.tiny import CLASSES, THRESHOLD, expected_answer, quadrants
from training.bundle.export import version_of
from training.bundle.half import write_half
from training.bundle.reduced_jpeg import ReductionRefused, compare_decodings, reducing
from training.bundle.served import ServedGraphs
from training.cli import app
from training.data.dataset import Split
from trust.manifest import FileDigest, read_manifest, verify_files
from trust.preprocess import ReducedJpeg, preprocess

IMAGES = 240
COMPARED = 60 + 48
"""Calibration and reference have 25 and 20 % of them."""


def folder_of(images, root, **options):
    """JPEG files of 64 x 64 pixels, one folder a class, and `imagefolder:PATH`."""
    for number, image in enumerate(images):
        place = root / CLASSES[number % len(CLASSES)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.jpg", quality=100, **options)
    return f"imagefolder:{root}"


def enlarged(image):
    """64 x 64 of 4 x 4."""
    return np.kron(image, np.ones((16, 16))).astype(np.uint8)


def slopes(count=IMAGES):
    """Quadrants 30 levels apart at least, each pixel of the input a slope of 8 levels in 16 pixels.

    The nearest of the 16 is the one at 8, of level 4; that of two means of eight is the second, of level 5.5.
    """
    draw = np.random.default_rng(0)
    slope = np.tile(np.arange(16, dtype=np.uint8) // 2, 4)
    for _ in range(count):
        yield enlarged(quadrants(*draw.permutation([40, 80, 120, 180]))) + slope


def checkers(count=IMAGES):
    """Brightest top left, but only in every other pixel, of which the nearest is one."""
    board = np.indices((64, 64)).sum(axis=0) % 2 == 0
    corner = np.indices((64, 64)).max(axis=0) < 32
    for _ in range(count):
        yield np.where(corner, 255 * board, enlarged(quadrants(0, 200, 20, 100))).astype(np.uint8)


def reduce(bundle, folder, data, *more):
    """Runs the command, and returns the new version's folder."""
    options = ["--to", str(folder / "reduced"), "--cache", str(folder / "cache"), "--on", data]
    app(["reduced-jpeg", str(bundle), *options, *more], result_action="return_value")
    return folder / "reduced"


@pytest.fixture
def wrapped(own_bundle):
    """The tiny bundle, with what every bundle that was made here says of its making."""
    manifest = read_manifest(own_bundle)
    made = manifest.model_copy(update={"provenance": {"config": {"seed": 0, "data": "imagefolder:gone"}}})
    (own_bundle / "manifest.json").write_text(made.model_dump_json())
    return own_bundle


def test_bundle_that_answers_the_same_is_written_with_its_figures(wrapped, tmp_path, capsys):
    written = reduce(wrapped, tmp_path, folder_of(slopes(), tmp_path / "images"))
    found = read_manifest(written)
    verify_files(written, found)
    assert found.preprocess.reduced_jpeg == ReducedJpeg(margin=2.0, trust_tolerance=0.01, label_tolerance=0.005)
    record = found.provenance["reduced_jpeg"]
    assert (record["images"], record["compared"], record["labels"]) == (COMPARED, COMPARED, 0)
    # All quadrants are 1 or 2 levels brighter: the classifier's logits keep their distances, but for the rounding of
    # JPEG; the oracle's is larger by 4 * 1.5 / 255 = .024, trust by at most a quarter of that.
    assert 0 < record["mean"] <= record["percentile"] <= record["largest"] < 0.25 * 4 * 3 / 255
    assert record["statement"] in " ".join(capsys.readouterr().out.split())
    assert record["statement"] in (written / "README.md").read_text()
    assert (record["from_version"], found.version != "1.0.0") == ("1.0.0", True)


def test_graphs_golden_batch_and_reference_stay(wrapped, tmp_path):
    before = read_manifest(wrapped)
    found = read_manifest(reduce(wrapped, tmp_path, folder_of(slopes(), tmp_path / "images")))
    unchanged = before.files.keys() - {"README.md"}
    assert {name: found.files[name] for name in unchanged} == {name: before.files[name] for name in unchanged}
    assert found.reference == before.reference


def test_written_bundle_is_served_with_reduced_files(wrapped, tmp_path):
    bundle = open_bundle(reduce(wrapped, tmp_path, folder_of(slopes(), tmp_path / "images")))
    bundle.sessions.close()
    data = next((tmp_path / "images").rglob("*.jpg")).read_bytes()
    pixels = Decoder(bundle.manifest.preprocess, max_pixels=5000).decode(data)
    full = preprocess(data, read_manifest(wrapped).preprocess, max_pixels=5000)
    assert np.abs(pixels.astype(int) - full - 1.5).max() <= 1.5


def test_classifier_that_looks_at_what_reduction_destroys_is_refused(wrapped, tmp_path):
    # In full 255 top left, reduced 127 or 128: the label becomes that of 200, top right.
    in_full, reduced = (expected_answer(quadrants(level, 200, 20, 100)) for level in (255, 128))
    assert (in_full.label, reduced.label) == ("up-left", "up-right")
    words = rf"{COMPARED} of {COMPARED} images .* {COMPARED} \(100.00%\) get another label .* for 99 % of them"
    with pytest.raises(ReductionRefused, match=words) as refused:
        reduce(wrapped, tmp_path, folder_of(checkers(), tmp_path / "images"))
    said = float(re.search(r"trust differs by ([\d.]+) on average", str(refused.value))[1])
    assert said == pytest.approx(abs(in_full.trust - reduced.trust), abs=2e-3)
    assert not (tmp_path / "reduced").exists()


def test_trust_that_differs_by_more_than_allowed_is_refused(wrapped, tmp_path):
    data = folder_of(slopes(), tmp_path / "images")
    with pytest.raises(ReductionRefused, match=r"0 \(0.00%\) get another label .* Allowed are 0.001 on average"):
        reduce(wrapped, tmp_path, data, "--tolerance", "0.001")


def test_what_is_refused_may_be_allowed(wrapped, tmp_path):
    data = folder_of(checkers(), tmp_path / "images")
    written = read_manifest(reduce(wrapped, tmp_path, data, "--tolerance", "1", "--changed-labels", "1"))
    assert written.preprocess.reduced_jpeg == ReducedJpeg(margin=2.0, trust_tolerance=1.0, label_tolerance=1.0)
    assert written.provenance["reduced_jpeg"]["labels"] == COMPARED


def test_images_too_small_to_be_reduced_tell_nothing(wrapped, tmp_path):
    # 64 pixels for 4 are 16 for each: less than two times 8.01.
    data = folder_of(slopes(), tmp_path / "images")
    with pytest.raises(ReductionRefused, match=rf"None of {COMPARED} images is a JPEG file so large .* full as before"):
        reduce(wrapped, tmp_path, data, "--margin", "8.01")
    assert not (tmp_path / "reduced").exists()


def test_fewer_than_a_hundred_images_that_are_reduced_are_too_few(wrapped, tmp_path):
    data = folder_of(slopes(200), tmp_path / "images")
    # 50 + 40 for calibration and reference.
    with pytest.raises(ReductionRefused, match=r"90 of 90 images have other pixels.*At least 100 are needed"):
        reduce(wrapped, tmp_path, data)


def test_figures_are_those_of_the_images_that_differ(tiny_bundle):
    # Of other images two quadrants may be equally bright.
    draw = np.random.default_rng(3)
    full, reduced = draw.integers(0, 256, (2, 600, 4, 4, 1), np.uint8)
    reduced[100:] = full[100:]
    rows, targets = np.arange(600), np.zeros(600, int)
    manifest = read_manifest(tiny_bundle)
    graphs = ServedGraphs(tiny_bundle, manifest)
    parity = compare_decodings(graphs, manifest, *(Split(each, rows, targets) for each in (full, reduced)))
    one, other = ([expected_answer(image[..., 0]) for image in each[:100]] for each in (full, reduced))
    pairs = list(zip(one, other, strict=True))
    trust = sorted(abs(a.trust - b.trust) for a, b in pairs)
    assert (parity.images, parity.compared) == (600, 100)
    assert parity.mean == pytest.approx(sum(trust) / 100, abs=1e-5)
    # 99 of 100 are not larger than the last but one.
    assert (parity.percentile, parity.largest) == pytest.approx((trust[-2], trust[-1]), abs=1e-5)
    assert parity.labels == sum(a.label != b.label for a, b in pairs) > 0
    assert parity.decisions == sum((a.trust >= THRESHOLD) != (b.trust >= THRESHOLD) for a, b in pairs) > 0


def test_files_that_changed_meanwhile_are_not_compared(tiny_bundle):
    pixels, manifest = np.zeros((9, 4, 4, 1), np.uint8), read_manifest(tiny_bundle)
    splits = [Split(pixels, np.arange(start, start + 8), np.zeros(8, int)) for start in (0, 1)]
    with pytest.raises(ValueError, match="something changed them"):
        compare_decodings(ServedGraphs(tiny_bundle, manifest), manifest, *splits)


def test_version_is_another_with_reduced_files_and_the_old_one_without(tiny_bundle):
    manifest = read_manifest(tiny_bundle)
    digests = {"classifier.onnx": FileDigest(sha256="a" * 64, bytes=1)}
    versions = {
        version_of(digests, manifest.trust_head, reducing(manifest.preprocess, allowed))
        for allowed in (None, ReducedJpeg(margin=2), ReducedJpeg(margin=3))
    }
    assert len(versions) == 3


def test_bundle_in_half_precision_keeps_its_reduced_files(wrapped, tmp_path):
    written = reduce(wrapped, tmp_path, folder_of(slopes(), tmp_path / "images"))
    batches = [np.random.default_rng(1).integers(0, 256, (40, 4, 4, 1), np.uint8)]
    write_half(written, tmp_path / "half", batches)
    found = read_manifest(tmp_path / "half")
    assert found.preprocess == read_manifest(written).preprocess
    assert {"reduced_jpeg", "half_precision"} < found.provenance.keys()
