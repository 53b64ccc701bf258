"""What `trustserve-train wrap` is told; the command line is made from it and the manifest records it."""

import re
from dataclasses import dataclass
from pathlib import Path

from training.wrap.layers import DEEP
from training.wrap.standard import Gives
from trust.manifest import NAME_PATTERN


@dataclass(frozen=True)
class WrapOptions:
    """One wrapping, from a classifier and labelled images to a bundle."""

    data: str
    """Labelled images that the classifier was not trained on: imagefolder:PATH with one folder of images per class
    (of PATH/train and PATH/test or val the latter), csv:FILE of path,label, or the test images of a known set:
    fashion-mnist, mnist, cifar10, cifar100, svhn, imagenet:PATH."""
    name: str | None = None
    """Name of the bundle; that of the classifier's file where not given."""
    classes: Path | None = None
    """Class names in the order of the classifier's scores, one a line or JSON; the sorted folders where not given."""
    weights: Path | None = None
    """Checkpoint of a timm backbone, for timm:NAME."""
    output: str | None = None
    """The output with the scores, for a graph with several."""
    gives: Gives | None = None
    """What that output holds; seen in the scores themselves where not given."""
    features: str = DEEP
    """What an oracle's heads read of the graph's inside: deep for the inputs of some layers, last for that of the last
    one, names of tensors with commas between them, or none for no heads."""
    oracle: str | None = None
    """Train a second network beside the classifier too, small_resnet or timm's by name; it takes minutes to hours."""
    oracle_weights: Path | None = None
    """Checkpoint that the second network starts from, where its backbone is timm's."""
    oracle_epochs: int | None = None
    """Passes of the second network over four copies of its images; 15 where not given."""
    models: Path = Path("models")
    """Folder into which the bundle is written."""
    cache: Path = Path("runs/.cache")
    """Folder for decoded images and downloads."""
    seed: int = 0
    """Of the splits, the corruptions and the heads."""
    threads: int = 1
    """CPU threads of the classifier; more pay for large ones."""
    clean_weight: float = 10.0
    """What a clean image counts against a corrupted one when the trust head is fitted."""
    risk: float = 0.02
    """Error rate among trusted answers that the threshold promises to stay below."""
    confidence: float = 0.95
    """Probability, over draws of the reference images, that the promise holds."""
    reduced_jpeg: float | None = None
    """Decode large JPEG files at a half, a quarter or an eighth of their size, which is faster, as long as so many
    pixels, across and down, are left for each that the classifier sees: 2, or more to change less. Only if on
    calibration and reference images trust changes by at most 0.01 on average, and at most 0.5 % of the labels do; else
    the bundle does without, and the exit status is 1."""
    force: bool = False
    """Serve the heads even where the gate does not promote them; the manifest says so."""

    def __post_init__(self) -> None:
        # Now, not after the wrapping.
        for option in ("risk", "confidence"):
            if not 0 < getattr(self, option) < 1:
                raise ValueError(f"--{option} is {getattr(self, option):g}; wanted a share between 0 and 1")
        if self.reduced_jpeg is not None and not self.reduced_jpeg >= 2:
            raise ValueError(f"--reduced-jpeg is {self.reduced_jpeg:g}; wanted 2 pixels or more for each that is seen")
        if self.name is not None and not re.fullmatch(NAME_PATTERN, self.name):
            raise ValueError(f"--name {self.name!r} cannot name a folder of bundles; wanted letters, digits, . _ -")
