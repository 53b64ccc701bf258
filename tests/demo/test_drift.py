"""The demo as a user runs it, only shorter."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from demo.images import haze, labelled_images
from trust.manifest import read_manifest

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models/fashion-mnist"
CLASSES = read_manifest(MODEL).classes


def test_demo_shows_figures_raises_an_alarm_after_the_haze_and_ends_by_itself():
    command = [sys.executable, "-m", "demo.drift", "--clean", "8", "--haze", "12"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert shown.returncode == 0, shown.stderr
    before, after = shown.stdout.split("In short:")
    assert "NetTrustScore, estimated" in before
    events = [line.split(": ")[1].strip() for line in after.strip().splitlines()]
    assert events[0] == "haze begins"
    assert any(event.startswith("alarm ") for event in events)


def test_haze_hides_an_image_more_and_more():
    image = np.array([[0, 200]], np.uint8)
    hidden = haze(image, 1.0, np.random.default_rng(0))
    half = haze(image, 0.5, np.random.default_rng(0))
    assert haze(image, 0.0, np.random.default_rng(0)) is image
    # Half of the light and half of the image, cut to whole grey levels.
    assert np.abs(half - (image / 2 + hidden / 2)).max() <= 1


def test_without_the_data_set_the_samples_of_the_bundle_are_replayed(tmp_path):
    pixels, targets = labelled_images(CLASSES, MODEL / "samples", tmp_path)
    assert pixels.shape == (30, 28, 28)
    # Three of each class, files in alphabetical order: ankle boots, the last class, first.
    assert (targets[0], targets.count(0)) == (9, 3)


def test_no_images_at_all_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no images to replay: neither"):
        labelled_images(CLASSES, tmp_path, tmp_path)
