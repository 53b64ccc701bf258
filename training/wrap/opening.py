"""A classifier and labelled images brought together: the graph tried on them, its classes matched with theirs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from training.data.dataset import Dataset
from training.data.sources import open_labelled, split_labelled
from training.wrap.classes import match_classes
from training.wrap.diagnosis import check_fit
from training.wrap.frozen import FrozenClassifier
from training.wrap.options import WrapOptions
from training.wrap.preprocessing import InputSpec, PreprocessOptions, with_preset
from training.wrap.source import TIMM, decide_source_input, read_source
from training.wrap.standard import standardise

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
    names, targets = match_classes(standard.classes, labelled.classes, options.classes, images.targets)
    for warning in check_fit(source, spec, standard.output, images.pixels(some), targets[some], names):
        say(f"warning: {warning}")
    labelled = replace(labelled, classes=names, images=replace(images, targets=targets))
    return Opened(standard.classifier, source.kind, spec, split_labelled(labelled, options.seed))
