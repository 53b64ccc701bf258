"""Decoded on disk or anew each time: the same pixels, and never something half-done."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from PIL import Image

from training.data.decoding import open_images
from training.data.stores import DecodedStore, LazyStore
from training.data.undecoded import ImageArray, ImageFiles
from trust.preprocess import Preprocess

SPEC = Preprocess(input_size=(3, 8, 8), mean=(0.5,) * 3, std=(0.25,) * 3, crop_pct=0.875)


@pytest.fixture
def files(tmp_path):
    """20 noisy images of 30 x 20 pixels, and a broken one in the middle."""
    rng = np.random.default_rng(0)
    paths = tuple(f"{number:02}.png" for number in range(21))
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(tmp_path / path)
    (tmp_path / paths[10]).write_bytes(b"broken")
    return ImageFiles(tmp_path, paths, np.arange(21) % 2)


@pytest.fixture
def both(files, tmp_path):
    """The same images, decoded and lazy."""
    decoded, lazy = (open_images(files, SPEC, tmp_path / f"cache {limit}", limit)[0] for limit in (10**6, 0))
    assert isinstance(decoded.store, DecodedStore)
    assert isinstance(lazy.store, LazyStore)
    return decoded, lazy


def test_both_ways_give_the_same_pixels_in_any_order(both):
    decoded, lazy = both
    order = np.array([3, 19, 0, 3])
    for one, other in ((decoded, lazy), (decoded.take(order), lazy.take(order)), (decoded + decoded, lazy + lazy)):
        assert (one.targets == other.targets).all()
        for mine, others in zip(one.batches(7), other.batches(7), strict=True):
            assert (mine == others).all()
        assert one.fingerprint() == other.fingerprint()
    assert lazy.take(np.arange(0)).pixels(slice(None)).shape == (0, 8, 8, 3)


def test_both_ways_leave_out_what_is_broken(both):
    for split in both:
        assert len(split) == 20
        assert split.targets.tolist() == [n % 2 for n in range(21) if n != 10]


def test_set_too_large_to_keep_leaves_no_pixels_on_disk(files, tmp_path):
    open_images(files, SPEC, tmp_path / "cache", 0)
    assert not list((tmp_path / "cache").rglob("pixels.npy"))


def test_fingerprint_is_of_pixels_and_order_wherever_they_are(both):
    decoded, _ = both
    in_memory = type(decoded)(decoded.pixels(slice(None)), np.arange(20), decoded.targets)
    assert in_memory.fingerprint() == decoded.fingerprint()
    assert decoded.take(np.arange(20)[::-1]).fingerprint() != decoded.fingerprint()
    assert decoded.take(np.arange(19)).fingerprint() != decoded.fingerprint()


def test_image_that_changes_meanwhile_is_refused(both, files):
    Image.new("RGB", (8, 8)).save(files.root / "00.png")
    with pytest.raises(ValueError, match=r"00\.png has changed since it was first read"):
        both[1].pixels(np.array([0]))


def test_missing_file_is_skipped_with_its_reason(files, tmp_path):
    (tmp_path / "03.png").unlink()
    split, skipped = open_images(files, SPEC, tmp_path / "cache")
    assert len(split) == 19
    assert [path for path, _ in skipped.files] == [str(tmp_path / "03.png"), str(tmp_path / "10.png")]
    assert "No such file" in skipped.files[0][1]


def test_small_pictures_that_fit_are_taken_as_they_are(tmp_path):
    pixels = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8, 1)
    spec = Preprocess(input_size=(1, 8, 8), mean=(0.5,), std=(0.5,))
    split, _ = open_images(ImageArray(pixels, np.arange(4)), spec, tmp_path)
    assert split.store is pixels


def test_small_pictures_are_brought_to_the_classifiers_size_and_channels(tmp_path):
    pixels = np.full((4, 4, 4, 1), 9, np.uint8)
    split, _ = open_images(ImageArray(pixels, np.arange(4)), SPEC, tmp_path)
    assert split.pixels(slice(None)).tolist() == np.full((4, 8, 8, 3), 9).tolist()


class _Hanging(ImageFiles):
    """Stops at its last image, for ever."""

    def read(self, position, spec):
        if position == 20:
            (self.root / "reached").touch()
            time.sleep(60)
        return super().read(position, spec)


def test_killed_decoding_leaves_nothing_half_taken(files, tmp_path):
    hanging = _Hanging(files.root, files.paths, files.targets)
    process = multiprocessing.get_context("fork").Process(target=open_images, args=(hanging, SPEC, tmp_path / "cache"))
    process.start()
    until = time.monotonic() + 30
    while not (tmp_path / "reached").exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert list((tmp_path / "cache").glob("*.partial"))
    split, _ = open_images(files, SPEC, tmp_path / "cache")
    assert len(split) == 20
    assert split.pixels(slice(None)).any((1, 2, 3)).all()
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_processes_that_decode_at_once_do_not_spoil_each_other(files, tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=open_images, args=(files, SPEC, tmp_path / "cache")) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    together, alone = (open_images(files, SPEC, tmp_path / name)[0] for name in ("cache", "another"))
    assert (together.pixels(slice(None)) == alone.pixels(slice(None))).all()
