"""A classifier and labelled images brought together: the graph tried on them, its classes matched with theirs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training.data.dataset import Dataset
from training.data.sources import Labelled, open_labelled, split_labelled
from training.wrap.classes import match_classes
from training.wrap.diagnosis import check_fit
from training.wrap.frozen import FrozenClassifier
from training.wrap.options import WrapOptions
from training.wrap.preprocessing import InputSpec, PreprocessOptions, with_preset
from training.wrap.source import TIMM, decide_source_input, read_source
from training.wrap.standard import standardise
from trust.preprocess import Preprocess

Say = Callable[[str], None]

_TRIED_ON = 500
"""Labelled images on which graph and preprocessing are tried."""


@dataclass(frozen=True)
class Opened:
    """A classifier in the standard form, with labelled images it has never seen."""

    classifier: FrozenClassifier
    kind: str
    spec: InputSpec
    dataset: Dataset


def open_classifier(classifier: str, options: WrapOptions, how: PreprocessOptions, say: Say) -> Opened:
    """Reads, loads, tries and matches; says what it finds.

    Args:
        classifier: an .onnx file, a TorchScript file, or `timm:NAME`.
        options: labelled images and what is said of the classifier.
        how: it is shown its images.
        say: takes each thing found, one sentence.

    Raises:
        ValueError: whatever its owner can mend, with the way out.
    """
    if classifier.startswith(TIMM) and how.preprocess is None:
        how = replace(how, preprocess=classifier)
    how = with_preset(how)
    source = read_source(classifier, options.weights, how)
    spec = decide_source_input(source, how)
    say(f"{source.kind}; takes {spec.describe()}")
    if spec.assumed:
        say(f"assumed, because nothing says otherwise: {' '.join(spec.assumed)}")
    labelled = open_labelled(options.data, spec.preprocess, options.cache)
    if labelled.skipped:
        say(f"warning: {labelled.skipped}")
    images = labelled.images
    some = np.random.default_rng(options.seed).permutation(len(images))[:_TRIED_ON]
    standard = standardise(
        source,
        spec,
        images.pixels(some),
        output=options.output,
        gives=options.gives,
        features=options.features,
        threads=options.threads,
    )
    for sentence in standard.found:
        say(sentence)
    labelled = _matched(labelled, standard.classes, options.classes)
    targets = labelled.images.targets[some]
    for warning in check_fit(source, spec, standard.output, images.pixels(some), targets, labelled.classes):
        say(f"warning: {warning}")
    return Opened(standard.classifier, source.kind, spec, split_labelled(labelled, options.seed))


def open_dataset(options: WrapOptions, spec: Preprocess, scores: int) -> Dataset:
    """The labelled images of a wrapping as one preprocessing shows them, always split alike.

    Args:
        options: of the wrapping.
        spec: preprocessing.
        scores: number of the classifier's classes.

    Raises:
        ValueError: as `open_labelled`, `match_classes` and `split_labelled`.
    """
    labelled = _matched(open_labelled(options.data, spec, options.cache), scores, options.classes)
    return split_labelled(labelled, options.seed)


def _matched(labelled: Labelled, scores: int, file: Path | None) -> Labelled:
    """The same images, their targets counted as the classifier's scores are."""
    names, targets = match_classes(scores, labelled.classes, file, labelled.images.targets)
    return replace(labelled, classes=names, images=replace(labelled.images, targets=targets))
