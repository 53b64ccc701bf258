"""The data sets that have names: Fashion-MNIST as it is, the others by torchvision's own readers on small files."""

import gzip
import hashlib
import pickle
import struct

import numpy as np
import pytest
import scipy.io
from torchvision.datasets import CIFAR10, CIFAR100, SVHN

from training.data import torchvision_sets
from training.data.imagenet import open_imagenet
from training.data.sources import load_dataset, open_labelled
from training.data.torchvision_sets import FASHION_CLASSES, FASHION_PREPROCESS
from trust.preprocess import Preprocess

SPEC = Preprocess(input_size=(3, 8, 8), mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.fixture(scope="module")
def fashion(tmp_path_factory):
    return load_dataset("fashion-mnist", SPEC, 0, tmp_path_factory.mktemp("cache"))


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
    for packed in torchvision_sets._DEBIAN_FOLDER.glob("*.gz"):
        (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    monkeypatch.setattr(torchvision_sets, "_DEBIAN_FOLDER", tmp_path / "nowhere")
    assert load_dataset("fashion-mnist", SPEC, 0, tmp_path).fingerprint() == fashion.fingerprint()


def test_set_that_cannot_be_downloaded_says_how_to_get_it(tmp_path, monkeypatch):
    # A mirror that is a file of this machine: it is asked, and has nothing.
    monkeypatch.setattr(CIFAR10, "url", f"file://{tmp_path}/cifar.tar.gz")
    with pytest.raises(ValueError, match=r"cifar10: .* cannot be downloaded \(.*\); unpack cifar-10-python.tar.gz of"):
        load_dataset("cifar10", SPEC, 0, tmp_path)


@pytest.mark.parametrize("name", ["fashion-mnist", "mnist", "cifar10", "cifar100", "svhn"])
def test_folder_that_does_not_hold_the_set_is_named_with_what_it_wants(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name}: {tmp_path} does not hold it; .*{name}:FOLDER that holds"):
        load_dataset(f"{name}:{tmp_path}", SPEC, 0, tmp_path)


def test_size_asked_for_is_the_sets_own_pictures_resized(tmp_path):
    write_mnist(tmp_path)
    dataset = load_dataset(f"mnist:{tmp_path}", SPEC, 0, tmp_path / "cache", side=14)
    assert dataset.train.pixels(slice(None)).shape[1:] == (14, 14, 1)
    assert dataset.preprocess.input_size == (1, 14, 14)
    assert (dataset.train.pixels(slice(None))[:, 0, 0, 0] == dataset.train.targets).all()


def test_classifier_from_elsewhere_is_shown_the_test_pictures_at_its_own_size(tmp_path):
    write_mnist(tmp_path)
    found = open_labelled(f"mnist:{tmp_path}", SPEC, tmp_path / "cache")
    assert found.images.pixels(slice(None)).shape == (10, 8, 8, 3)
    assert found.images.targets.tolist() == list(range(10))


def write_mnist(root):
    """40 pictures to learn from and 10 to test with, each filled with its class."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split, count in (("train", 40), ("t10k", 10)):
        targets = (np.arange(count) % 10).astype(np.uint8)
        pixels = np.broadcast_to(targets[:, None, None], (count, 28, 28))
        (raw / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, count, 28, 28) + pixels.tobytes())
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, count) + targets.tobytes())


@pytest.mark.parametrize(
    ("name", "reader", "label"), [("cifar10", CIFAR10, "labels"), ("cifar100", CIFAR100, "fine_labels")]
)
def test_cifar_is_read_with_its_class_names(name, reader, label, tmp_path, monkeypatch):
    def write(file, content):
        (tmp_path / reader.base_folder).mkdir(exist_ok=True)
        (tmp_path / reader.base_folder / file).write_bytes(pickle.dumps(content))
        return hashlib.md5(pickle.dumps(content)).hexdigest()

    def batch(count):
        # Channel after channel: red is the picture's number, green and blue are 100 and 200.
        planes = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None], (count, 1024))
        data = np.concatenate([planes, np.full_like(planes, 100), np.full_like(planes, 200)], 1)
        return {"data": data, label: [number % 2 for number in range(count)]}

    key = reader.meta["key"]
    meta = {"filename": "names", "key": key, "md5": write("names", {key: ["aeroplane", "bird"]})}
    monkeypatch.setattr(reader, "train_list", [["learn", write("learn", batch(40))]])
    monkeypatch.setattr(reader, "test_list", [["exam", write("exam", batch(3))]])
    monkeypatch.setattr(reader, "meta", meta)
    dataset = load_dataset(f"{name}:{tmp_path}", SPEC, 0, tmp_path / "cache")
    assert dataset.classes == ("aeroplane", "bird")
    assert dataset.test.pixels(slice(None))[:, 5, 7].tolist() == [[0, 100, 200], [1, 100, 200], [2, 100, 200]]
    assert (dataset.train.pixels(slice(None))[:, 0, 0, 0] % 2 == dataset.train.targets).all()
    assert dataset.preprocess.input_size == (3, 32, 32)


def test_svhn_is_read_upright_and_its_ten_is_a_zero(tmp_path, monkeypatch):
    parts = {}
    for split, count in (("train", 40), ("test", 10)):
        # Matlab's order: height, width, channels, pictures; digits are 1 to 10.
        pixels = np.zeros((32, 32, 3, count), np.uint8)
        pixels[31, 0, 2] = np.arange(count)
        file = tmp_path / f"{split}.mat"
        scipy.io.savemat(file, {"X": pixels, "y": np.arange(count).reshape(-1, 1) % 10 + 1})
        parts[split] = ["", file.name, hashlib.md5(file.read_bytes()).hexdigest()]
    monkeypatch.setattr(SVHN, "split_list", parts)
    dataset = load_dataset(f"svhn:{tmp_path}", SPEC, 0, tmp_path / "cache")
    assert dataset.test.targets.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert dataset.test.pixels(slice(None))[:, 31, 0, 2].tolist() == list(range(10))


def test_imagenet_to_test_with_needs_no_images_to_learn_from(tmp_path):
    for wnid in ("n01440764", "n01443537"):
        (tmp_path / "val" / wnid).mkdir(parents=True)
        (tmp_path / "val" / wnid / "one.JPEG").touch()
    found = open_imagenet(str(tmp_path), tmp_path)
    assert (found.classes, found.train) == (("n01440764", "n01443537"), None)
    assert found.test().targets.tolist() == [0, 1]
