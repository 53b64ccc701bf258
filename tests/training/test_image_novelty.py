"""What is fitted to clean images: uniform ranks of others like them, small ones of strange images."""

import shutil

import numpy as np
import pytest

from tests.tiny import edit_manifest
from training.bundle.image_reference import write_image_reference
from training.cli import app
from training.image_novelty import fit_image_novelty
from trust.image_statistics import image_novelty, log_statistics
from trust.manifest import REFERENCE, BundleError, read_manifest, verify_files


def images(count, seed):
    """Noise of random contrast on a random grey, (N, 12, 12, 1)."""
    draw = np.random.default_rng(seed)
    level, contrast = draw.uniform(60, 190, (2, count, 1, 1, 1)) * [[[[[1.0]]]], [[[[0.2]]]]]
    return np.clip(level + contrast * draw.normal(size=(count, 12, 12, 1)), 0, 255).astype(np.uint8)


@pytest.fixture
def older(trained, tmp_path):
    """The trained bundle as it was before there were image statistics."""
    bundle = shutil.copytree(trained.bundle, tmp_path / "garments")
    with np.load(bundle / REFERENCE) as arrays:
        rows = {name: arrays[name] for name in arrays if name != "image_novelty"}
    np.savez_compressed(bundle / REFERENCE, **rows)
    edit_manifest(bundle, image_statistics=None)
    return bundle


def test_clean_log_statistics_become_uncorrelated_and_of_unit_variance():
    fitting = images(2000, seed=0)
    clean, _ = fit_image_novelty([fitting], [fitting[:1]])
    whitened = (log_statistics(fitting) - clean.centre) @ np.array(clean.whitening)
    # Shrinkage towards a sphere, and the least scale, leave a little.
    spread = np.cov(whitened.T)
    assert np.abs(spread - np.diag(np.diag(spread))).max() < 0.05
    assert np.diag(spread).max() < 1.05


def test_novelties_are_those_of_the_images_that_are_ranked():
    clean, novelties = fit_image_novelty([images(100, 0), images(50, 1)], [images(20, 2), images(7, 3)])
    wanted = np.concatenate([image_novelty(clean, images(20, 2)), image_novelty(clean, images(7, 3))])
    np.testing.assert_allclose(novelties, wanted, rtol=1e-6)


def test_new_images_rank_evenly_among_the_reference_even_a_small_one():
    # 60 images to fit eleven and more numbers to: distances of the very images would be far too small.
    means = []
    for seed in range(40):
        clean, novelties = fit_image_novelty([images(60, 3 * seed)], [images(60, 3 * seed + 1)])
        live = image_novelty(clean, images(200, 3 * seed + 2))
        means.append((live[:, None] < novelties).mean())
    # A mean of such means has standard deviation sqrt(1/12 (1/60 + 1/200) / 40) or a little more.
    assert np.mean(means) == pytest.approx(0.5, abs=0.03)


def test_statistic_that_never_varies_does_not_decide_alone():
    black = np.zeros((50, 8, 8, 1), np.uint8)
    clean, novelties = fit_image_novelty([black], [black])
    assert novelties.max() == pytest.approx(0, abs=1e-3)
    assert np.isfinite(image_novelty(clean, black + 255)).all()


def test_bundle_has_image_novelty_of_its_reference(trained):
    manifest = read_manifest(trained.bundle)
    with np.load(trained.bundle / REFERENCE) as rows:
        assert rows["image_novelty"].shape == rows["trust"].shape
    assert len(manifest.image_statistics.centre) == 8 + 3  # RGB


def test_older_bundle_gets_what_a_new_one_has(trained, older, tmp_path, capsys):
    wanted = read_manifest(trained.bundle)
    app(["image-reference", str(older), "--cache", str(tmp_path / "cache")], result_action="return_value")
    found = read_manifest(older)
    verify_files(older, found)
    assert found.image_statistics == wanted.image_statistics
    assert (found.version, found.reference) == (wanted.version, wanted.reference)
    with np.load(older / REFERENCE) as rows, np.load(trained.bundle / REFERENCE) as wanted_rows:
        assert {*rows} == {*wanted_rows}
        for name in rows:
            np.testing.assert_array_equal(rows[name], wanted_rows[name])
    assert "has image statistics now" in capsys.readouterr().out


def test_other_images_than_it_was_made_with_leave_it_as_it_is(older, image_folder, tmp_path):
    elsewhere = shutil.copytree(image_folder, tmp_path / "elsewhere")
    next((elsewhere / "bag").iterdir()).unlink()
    before = (older / "manifest.json").read_bytes()
    with pytest.raises(BundleError, match=r"holds other images than .* was made with; give those with --moved-to"):
        write_image_reference(older, tmp_path / "cache", f"imagefolder:{elsewhere}")
    assert (older / "manifest.json").read_bytes() == before


def test_data_that_moved_is_found_where_it_is(older, image_folder, tmp_path):
    elsewhere = shutil.copytree(image_folder, tmp_path / "elsewhere")
    assert write_image_reference(older, tmp_path / "cache", f"imagefolder:{elsewhere}") > 0
