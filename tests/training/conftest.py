"""A small folder of real images, and a run trained on it once."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from training.cli import app
from training.config import TrainingConfig

FASHION = Path("/usr/share/datasets/fashion-mnist")
CLASSES = {1: "trouser", 5: "sandal", 8: "bag"}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """These batches are too small to share, and threads that spin for work crawl on a machine with other work."""
    torch.set_num_threads(1)


@dataclass(frozen=True)
class TrainedRun:
    """What `trustserve-train all` left behind, and its options."""

    options: list[str]
    config: TrainingConfig
    bundle: Path


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 real garments of three classes as PNG files, one folder a class."""
    root = tmp_path_factory.mktemp("garments")
    images = np.frombuffer(gzip.decompress((FASHION / "train-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
    targets = np.frombuffer(gzip.decompress((FASHION / "train-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
    for target, name in CLASSES.items():
        (root / name).mkdir()
        for number in np.flatnonzero(targets == target)[:150]:
            Image.fromarray(images.reshape(-1, 28, 28)[number]).save(root / name / f"{number}.png")
    return root


def train(folder: Path, image_folder: Path, name: str, *more: str, side: int = 28, **chosen: Any) -> TrainedRun:
    """Runs every step on the folder of images as the command line would."""
    options = ["--data", f"imagefolder:{image_folder}", "--name", name, "--image-size", str(side)]
    options += ["--run", str(folder / "run"), "--models", str(folder / "models"), "--classifier-epochs", "2"]
    options += ["--oracle-epochs", "1", "--oracle-seeds", "1", "--device", "cpu", "--batch-size", "32", *more]
    # So few images show nothing with 95 % confidence, and the oracle is what the tests are about.
    options += [] if "--no-force" in more else ["--force"]
    app(["all", *options], result_action="return_value")
    config = TrainingConfig(
        data=f"imagefolder:{image_folder}",
        name=name,
        image_size=side,
        run=folder / "run",
        models=folder / "models",
        classifier_epochs=2,
        oracle_epochs=1,
        oracle_seeds=1,
        device="cpu",
        batch_size=32,
        compare_paper="--no-compare-paper" not in more,
        force="--no-force" not in more,
        **chosen,
    )
    return TrainedRun(options, config, folder / "models" / name)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, image_folder: Path) -> TrainedRun:
    """The small residual network and both recipes' oracles, trained and exported."""
    return train(tmp_path_factory.mktemp("trained"), image_folder, "garments")
