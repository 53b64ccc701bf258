"""What is served: a small pair, the bundle of the repository, ResNet-18 in three forms; and what is sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.peers.pair import Pair
from benchmarks.serving.process import Expected
from benchmarks.serving.servers import ROOT

if TYPE_CHECKING:
    from benchmarks.serving.bundles import Kind

CACHE = ROOT / ".cache/bench"
FASHION = ROOT / "models/fashion-mnist"


@dataclass(frozen=True)
class Subject:
    """A bundle, its images, and the servers that are measured with it."""

    title: str
    bundle: Callable[[], Path]
    images: Callable[[], Sequence[Path]]
    servers: tuple[str, ...]
    seconds: float
    """Of load, for each number of connections: the slower an answer, the more it takes for a p99."""
    most_connections: int = 32
    """More would only wait longer."""
    alone: bool = True
    """onnxruntime is measured without a server too."""


def _small_images() -> Sequence[Path]:
    return sorted((FASHION / "samples").glob("*.png"))


def _small() -> Path:
    # Only here: torch takes seconds to import.
    from benchmarks.serving.bundles import small_bundle

    return small_bundle(CACHE)


# Imported only where ResNet-18 is measured: scikit-image and torch take seconds.
def _photographs() -> Sequence[Path]:
    from benchmarks.serving.photographs import write_photographs

    return write_photographs(CACHE / "images", 640, 480)


def _resnet18(kind: "Kind") -> Callable[[], Path]:
    def bundle() -> Path:
        from benchmarks.serving.bundles import resnet18_bundle

        return resnet18_bundle(CACHE, kind)

    return bundle


_BY_HAND = ("naive", "tuned", "tuned-2")
_LITSERVE = ("litserve", "litserve-plain", "litserve-batch", "litserve-2")
_EMPTY = ("empty-upload", "empty-raw", "bare")
_SMALL = ("trustserve", "trustserve-2", *_BY_HAND, *_LITSERVE, "bentoml", *_EMPTY)
_FASHION = ("trustserve", "trustserve-2", "tuned", "tuned-2")
_OURS = ("trustserve", "trustserve-2", "trustserve-thread")
_LARGE = (*_OURS, *_BY_HAND, "litserve-2", "litserve-cores", "bentoml", "bentoml-cores")

SUBJECTS: Mapping[str, Subject] = {
    "small": Subject(
        "small pair: 28 x 28 PNG",
        _small,
        _small_images,
        _SMALL,
        seconds=2,
        most_connections=128,
    ),
    "fashion-mnist": Subject("models/fashion-mnist: 28 x 28 PNG", lambda: FASHION, _small_images, _FASHION, seconds=2),
    "resnet18": Subject(
        "ResNet-18 pair: 224 x 224 of a 640 x 480 JPEG", _resnet18("pair"), _photographs, _LARGE, seconds=6
    ),
    "label": Subject(
        "ResNet-18 by itself",
        _resnet18("label"),
        _photographs,
        ("trustserve", "trustserve-thread"),
        seconds=6,
        alone=False,
    ),
    "shared": Subject(
        "ResNet-18 with the oracle on its features",
        _resnet18("shared"),
        _photographs,
        ("trustserve",),
        seconds=6,
        alone=False,
    ),
}


def expected_answers(bundle: Path, images: Sequence[Path]) -> dict[Path, Expected]:
    """What every server must say of each image, by onnxruntime in this process."""
    pair = Pair(bundle, threads=1)
    said = [pair.answer(np.expand_dims(pair.decode(image.read_bytes()), 0))[0] for image in images]
    return {image: Expected(each["label"], each["trust_probability"]) for image, each in zip(images, said, strict=True)}
