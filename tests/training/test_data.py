"""Splits are disjoint, seeded and whole; folders of images survive what is not an image."""

import os

import numpy as np
import pytest
from PIL import Image

from training.data.sources import load_dataset, open_labelled, split_labelled
from training.data.splits import split_unseen
from trust.preprocess import Preprocess

SPEC = Preprocess(input_size=(3, 8, 8), mean=(0.5,) * 3, std=(0.25,) * 3)
SPLITS = ("train", "oracle", "calibration", "reference", "test")


def write_folder(root, classes, count):
    """Class number n has `count` images of 8 x 8 pixels, their red n, their green the image's number."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for image in range(count):
            Image.new("RGB", (8, 8), (number, image, 0)).save(root / name / f"{image:03}.png")
    return root


@pytest.fixture
def folder(tmp_path):
    """Class `dark` has grey value 10 times its number, class `light` 200 plus it; 20 images each."""
    for base, step, name in ((0, 10, "dark"), (200, 1, "light")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(20):
            grey = base + step * number
            Image.new("L", (8, 8), grey).save(tmp_path / "data" / name / f"{number:02}.png")
    return tmp_path / "data"


@pytest.fixture
def unseen(tmp_path):
    """300 images: 200 of `cat`, 100 of `dog`."""
    root = write_folder(tmp_path / "val", ("cat", "dog"), 100)
    for number in range(100):
        Image.new("RGB", (8, 8), (0, 100 + number, 0)).save(root / "cat" / f"{100 + number}.png")
    return root


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
    for split in (getattr(dataset, name) for name in SPLITS):
        assert ((split.pixels(slice(None))[:, 0, 0, 0] >= 200) == (split.targets == 1)).all()
    assert len(dataset.test) == round(0.15 * 40)


@pytest.mark.parametrize("name", ["test", "val"])
def test_own_test_folder_is_used_as_it_is(name, folder, tmp_path):
    (tmp_path / "both").mkdir()
    folder.rename(tmp_path / "both" / "train")
    for of_class, grey in (("dark", 7), ("light", 255)):
        (tmp_path / "both" / name / of_class).mkdir(parents=True)
        Image.new("L", (8, 8), grey).save(tmp_path / "both" / name / of_class / "only.png")
    dataset = load_dataset(f"imagefolder:{tmp_path / 'both'}", SPEC, 0, tmp_path / "cache")
    assert dataset.test.pixels(slice(None))[:, 0, 0, 0].tolist() == [7, 255]
    assert len(dataset.train + dataset.oracle) == round(0.83 * 40)


def test_class_that_is_only_tested_is_refused(tmp_path):
    write_folder(tmp_path / "both" / "train", ("cat", "dog"), 20)
    write_folder(tmp_path / "both" / "test", ("cat", "dog", "emu"), 1)
    with pytest.raises(ValueError, match=r"test has folders that .*train has not: emu"):
        load_dataset(f"imagefolder:{tmp_path / 'both'}", SPEC, 0, tmp_path / "cache")


def test_broken_and_foreign_files_are_skipped_counted_and_listed(folder, tmp_path):
    (folder / "dark" / "broken.png").write_bytes(b"not a picture")
    (folder / "dark" / "thumbs.db").write_bytes(b"")
    (folder / "labels.txt").write_text("dark\nlight\n")
    dataset = load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache")
    assert sum(len(getattr(dataset, name)) for name in SPLITS) == 40
    assert str(dataset.skipped).startswith("3 files skipped: ")
    (listing,) = dataset.skipped.listings
    listed = listing.read_text().splitlines()
    assert listed[0] == "path,reason"
    assert listed[1:3] == [
        f"{folder / 'labels.txt'},lies in no class folder",
        f"{folder / 'dark' / 'thumbs.db'},no image by its suffix .db",
    ]
    assert listed[3].startswith(f'{folder / "dark" / "broken.png"},"not an image in a known format')


def test_more_broken_images_than_whole_ones_are_refused_and_named(folder, tmp_path):
    broken = sorted(folder.rglob("*.png"))[:21]
    for path in broken:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=rf"21 of 40 images cannot be read: 21 files skipped: {broken[0]} \(image is"):
        load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache")


def test_class_without_a_readable_image_is_refused(folder, tmp_path):
    (folder / "none").mkdir()
    (folder / "none" / "notes.txt").write_text("to come")
    with pytest.raises(ValueError, match="data has no readable image of 1 of 3 classes: none; add some"):
        load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache")


def test_folder_without_any_image_is_refused(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
    with pytest.raises(ValueError, match="there is no image to read"):
        load_dataset(f"imagefolder:{tmp_path / 'data'}", SPEC, 0, tmp_path / "cache")


def test_one_class_alone_is_refused(tmp_path):
    write_folder(tmp_path / "data", ("cat",), 40)
    with pytest.raises(ValueError, match="data has 1 class folders; wanted at least 2"):
        load_dataset(f"imagefolder:{tmp_path / 'data'}", SPEC, 0, tmp_path / "cache")


def test_second_load_reads_the_decoded_pixels(folder, tmp_path):
    first = load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache")
    for path in folder.rglob("*.png"):
        state = path.stat()
        path.write_bytes(b"x" * state.st_size)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    again = load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache")
    assert again.fingerprint() == first.fingerprint()
    assert (again.test.pixels(slice(None)) == first.test.pixels(slice(None))).all()


def test_changed_image_is_decoded_anew(folder, tmp_path):
    first = load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache")
    Image.new("L", (9, 9), 77).save(folder / "dark" / "00.png")
    assert load_dataset(f"imagefolder:{folder}", SPEC, 0, tmp_path / "cache").fingerprint() != first.fingerprint()


def test_images_for_a_classifier_from_elsewhere_are_split_by_class_and_none_is_for_training(unseen, tmp_path):
    dataset = split_labelled(open_labelled(f"imagefolder:{unseen}", SPEC, tmp_path / "cache"), 0)
    assert [len(getattr(dataset, name)) for name in SPLITS] == [0, 120, 75, 60, 45]
    rows = np.concatenate([getattr(dataset, name).rows for name in SPLITS])
    assert sorted(rows) == list(range(300))
    for name, share in zip(SPLITS[1:], (0.40, 0.25, 0.20, 0.15), strict=True):
        split = getattr(dataset, name)
        assert np.abs(np.bincount(split.targets) - share * np.array([200, 100])).max() <= 1
        assert (split.pixels(slice(None))[:, 0, 0, 0] == split.targets).all()


def test_rare_classes_are_not_all_in_one_split(unseen, tmp_path):
    images = open_labelled(f"imagefolder:{unseen}", SPEC, tmp_path / "cache").images
    singles = type(images)(images.store, images.rows, np.arange(300))
    sizes = {name: len(split) for name, split in split_unseen("singles", singles, 0).items()}
    assert sizes == {"oracle": 120, "calibration": 75, "reference": 60, "test": 45, "train": 0}


def test_only_the_test_images_are_unseen_where_a_set_has_some(tmp_path):
    write_folder(tmp_path / "both" / "train", ("cat", "dog"), 3)
    write_folder(tmp_path / "both" / "val", ("cat", "dog"), 100)
    found = open_labelled(f"imagefolder:{tmp_path / 'both'}", SPEC, tmp_path / "cache")
    assert (found.name, len(found.images)) == ("both", 200)


def test_too_few_images_to_judge_a_classifier_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="data has 40 labelled images; wanted at least 200"):
        split_labelled(open_labelled(f"imagefolder:{folder}", SPEC, tmp_path / "cache"), 0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("celeba", "data 'celeba' is unknown; wanted imagefolder:PATH, csv:FILE or one of imagenet, fashion-mnist"),
        ("imagefolder", "data 'imagefolder' needs a path; wanted imagefolder:PATH"),
        ("imagefolder:/nowhere", "/nowhere has 0 class folders"),
        ("csv:/nowhere.csv", "/nowhere.csv is no file; wanted csv:FILE with the columns path,label"),
        ("imagenet:/nowhere", "ImageNet is not in /nowhere; register at image-net.org"),
    ],
)
def test_source_that_cannot_be_read_says_what_was_wanted(source, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_dataset(source, SPEC, 0, tmp_path)
