"""Splits are disjoint, seeded and whole; folders of images survive what is not an image."""

import gzip

import numpy as np
import pytest
from PIL import Image

from training.data import dataset
from training.data.dataset import FASHION_CLASSES, FASHION_PREPROCESS, load_dataset
from trust.preprocess import Preprocess

SPEC = Preprocess(input_size=(3, 8, 8), mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.fixture(scope="module")
def fashion(tmp_path_factory):
    return load_dataset("fashion-mnist", FASHION_PREPROCESS, 0, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def folder(tmp_path):
    """Class `dark` has grey value 10 times its number, class `light` 200 plus it; 20 images each."""
    for base, step, name in ((0, 10, "dark"), (200, 1, "light")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(20):
            grey = base + step * number
            Image.new("L", (8, 8), grey).save(tmp_path / "data" / name / f"{number:02}.png")
    return tmp_path / "data"


def test_fashion_mnist_is_60000_images_in_four_disjoint_splits_and_10000_for_test(fashion):
    splits = [fashion.train, fashion.oracle, fashion.calibration, fashion.reference]
    rows = np.concatenate([split.rows for split in splits])
    assert sorted(rows) == list(range(60_000))
    assert len(fashion.test) == 10_000
    assert fashion.test.store is not fashion.train.store


def test_fashion_mnist_has_every_class_equally_often(fashion):
    targets = np.concatenate(
        [s.targets for s in (fashion.train, fashion.oracle, fashion.calibration, fashion.reference)]
    )
    assert np.bincount(targets).tolist() == [6000] * len(FASHION_CLASSES)
    assert np.bincount(fashion.test.targets).tolist() == [1000] * len(FASHION_CLASSES)


def test_fashion_mnist_mean_and_deviation_are_what_preprocessing_says(fashion):
    pixels = fashion.train.pixels(slice(None)) / 255
    assert pixels.mean() == pytest.approx(FASHION_PREPROCESS.mean[0], abs=0.001)
    assert pixels.std() == pytest.approx(FASHION_PREPROCESS.std[0], abs=0.001)


def test_without_debians_package_the_images_are_torchvisions(fashion, tmp_path, monkeypatch):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in dataset._DEBIAN_FOLDER.glob("*.gz"):
        (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    monkeypatch.setattr(dataset, "_DEBIAN_FOLDER", tmp_path / "nowhere")
    assert load_dataset("fashion-mnist", FASHION_PREPROCESS, 0, tmp_path).fingerprint() == fashion.fingerprint()


def test_images_that_cannot_be_had_say_how_to_get_them(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no network")

    monkeypatch.setattr(dataset, "_DEBIAN_FOLDER", tmp_path / "nowhere")
    monkeypatch.setattr(dataset, "FashionMNIST", refuse)
    with pytest.raises(ValueError, match=r"cannot be downloaded \(no network\); on Debian: apt-get install"):
        load_dataset("fashion-mnist", FASHION_PREPROCESS, 0, tmp_path)


def test_too_few_images_are_refused(folder, tmp_path):
    for path in list(folder.rglob("1*.png")):
        path.unlink()
    with pytest.raises(ValueError, match="data has 17 images to learn from; wanted at least 30"):
        load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache")


def test_seed_fixes_the_split(folder, tmp_path):
    first, again, other = (load_dataset(f"imagefolder:{folder}", SPEC, seed, tmp_path / "cache") for seed in (1, 1, 2))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


def test_image_folder_keeps_pixels_and_targets_together(folder, tmp_path):
    dataset = load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache")
    assert dataset.classes == ("dark", "light")
    for split in (dataset.train, dataset.oracle, dataset.calibration, dataset.reference, dataset.test):
        assert ((split.pixels(slice(None))[:, 0, 0, 0] >= 200) == (split.targets == 1)).all()
    assert len(dataset.test) == round(0.15 * 40)


def test_own_test_folder_is_used_as_it_is(folder, tmp_path):
    (tmp_path / "both").mkdir()
    folder.rename(tmp_path / "both" / "train")
    for name, grey in (("dark", 7), ("light", 255)):
        (tmp_path / "both" / "test" / name).mkdir(parents=True)
        Image.new("L", (8, 8), grey).save(tmp_path / "both" / "test" / name / "only.png")
    dataset = load_dataset(f"imagefolder:{tmp_path / 'both'}", SPEC, 0, tmp_path / "cache")
    assert dataset.test.pixels(slice(None))[:, 0, 0, 0].tolist() == [7, 255]
    assert len(dataset.train + dataset.oracle) == round(0.83 * 40)


def test_broken_image_is_named_and_skipped(folder, tmp_path, capsys):
    (folder / "dark" / "broken.png").write_bytes(b"not a picture")
    dataset = load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache")
    sizes = [len(s) for s in (dataset.train, dataset.oracle, dataset.calibration, dataset.reference, dataset.test)]
    assert sum(sizes) == 40
    assert "broken.png" in capsys.readouterr().out


def test_second_load_reads_the_decoded_pixels(folder, tmp_path, monkeypatch):
    first = load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache")
    monkeypatch.setattr("training.data.dataset.preprocess", None)
    again = load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache")
    assert again.fingerprint() == first.fingerprint()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("imagenet", "data 'imagenet' is unknown; wanted fashion-mnist or imagefolder:PATH"),
        ("imagefolder:/nowhere", "/nowhere has 0 class folders"),
    ],
)
def test_source_that_cannot_be_read_says_what_was_wanted(source, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_dataset(source, SPEC, 0, tmp_path)
