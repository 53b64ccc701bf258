"""What `trustserve-train wrap` is told; the command line is made from it and the manifest records it."""

from dataclasses import dataclass
from pathlib import Path

from training.wrap.standard import DEEP, Gives


@dataclass(frozen=True)
class WrapOptions:
    """One wrapping, from a classifier and labelled images to a bundle."""

    data: str
    """Labelled images that the classifier was not trained on: imagefolder:PATH with one folder of images per class, or
    fashion-mnist (its test images)."""
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
    force: bool = False
    """Serve the heads even where the gate does not promote them; the manifest says so."""
