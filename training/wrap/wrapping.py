"""From a frozen classifier and labelled images to a bundle, in the order the data flows."""

import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from training.answers import Answers
from training.bundle.export import Release, export_bundle
from training.bundle.reduced_jpeg import ReductionParity, reducing, write_reduced_jpeg
from training.data.dataset import Dataset
from training.evaluation.content import Served, report_content
from training.gate import ask_reference, pass_gate
from training.shift.corruptions import TRAINED_KINDS, UNSEEN_KINDS
from training.threshold import choose_threshold
from training.wrap.candidates import (
    PARITY_IMAGES,
    SECOND_NETWORK,
    Calibrated,
    Candidate,
    calibrate_scores,
    fit_heads,
    fit_second_network,
)
from training.wrap.card import wrapped_card
from training.wrap.measure import measure_wrapped
from training.wrap.opening import Opened, Say, open_classifier, open_dataset
from training.wrap.options import WrapOptions
from training.wrap.preprocessing import PreprocessOptions
from training.wrap.surgery import FEATURES
from trust.head import trust_probability
from trust.manifest import Gate, read_manifest
from trust.preprocess import ReducedJpeg


def wrap(classifier: str, options: WrapOptions, how: PreprocessOptions, say: Say) -> tuple[Path, dict[str, Any]]:
    """Writes a bundle that serves this classifier with the best trust there is for it.

    Args:
        classifier: an .onnx file, a TorchScript file, or `timm:NAME`.
        options: labelled images, and what the bundle should promise.
        how: the classifier is shown its images.
        say: takes each thing that was found or decided, one sentence.

    Returns:
        The bundle's folder, and what was measured on the test images.

    Raises:
        ValueError: whatever its owner can mend, with the way out.
        ExportError: the bundle's graph says anything but what was wrapped.
    """
    opened = open_classifier(classifier, options, how, say)
    dataset = opened.dataset
    calibrated = calibrate_scores(opened.classifier, dataset.calibration)
    score = calibrated.candidate(dataset.test.pixels(slice(PARITY_IMAGES)))
    candidate, served, gate = _choose(calibrated, score, dataset, options)
    say(gate.statement)
    reference = Answers(served.networks.outputs(dataset.reference.batches()), dataset.reference.targets)
    trust = trust_probability(served.head, reference.outputs)
    threshold = choose_threshold(trust, reference.correct, options.risk, options.confidence)
    say(threshold.statement)
    results, answers = measure_wrapped(candidate, served.head, dataset, options)
    name = options.name or bundle_name(classifier)
    wrapped = f"`{Path(classifier).name}` ({opened.kind})"
    description = f"{wrapped.replace('`', '')}, wrapped with {options.data}"
    said = Served(name, description, _facts(wrapped, opened, options), threshold, gate)
    release = Release(
        name=name,
        description=description,
        head=served.head,
        threshold=threshold,
        gate=gate,
        results=results,
        card=wrapped_card(name, wrapped, opened.spec, dataset, served.head, threshold, gate, results),
        report=report_content(results, answers, dataset, said),
        provenance=_provenance(opened, options, wrapped),
    )
    return export_bundle(options.models, release, served.networks, dataset, options.seed), results


def reduce_jpeg(bundle: Path, options: WrapOptions, margin: float) -> ReductionParity:
    """Lets a wrapped bundle decode JPEG files at a reduced size, within what is allowed if nobody says otherwise.

    Args:
        bundle: folder of the bundle, changed whole or not at all.
        options: it was wrapped with.
        margin: least pixels decoded, across and down, for each that the classifier sees.

    Raises:
        ReductionRefused: the answers to the labelled images do not stay the same, or there are too few to tell.
    """
    manifest = read_manifest(bundle)
    full, reduced = (
        open_dataset(options, reducing(manifest.preprocess, allowed), len(manifest.classes))
        for allowed in (None, ReducedJpeg(margin=margin))
    )
    return write_reduced_jpeg(bundle, bundle, full, reduced)


def bundle_name(classifier: str) -> str:
    """A bundle's name for a classifier that nobody named.

    >>> bundle_name("exports/My net v2.onnx"), bundle_name("timm:resnet50")
    ('My-net-v2', 'resnet50')
    """
    stem = Path(classifier).stem if Path(classifier).suffix else classifier.rpartition(":")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64] or "wrapped"


def _choose(
    calibrated: Calibrated, score: Candidate, dataset: Dataset, options: WrapOptions
) -> tuple[Candidate, Candidate, Gate]:
    """The best of the oracles, if there can be one; what is served, that or the score; and why."""
    if FEATURES not in calibrated.classifier.output_names:
        if options.oracle:
            raise ValueError(f"--oracle {options.oracle} needs the classifier's features, to know what is novel to it")
        name = score.head.inputs[0]
        statement = f"There is no oracle, as no features were taken: {name.replace('_', ' ')} serves as trust."
        return score, score, Gate(promoted=False, serves=name, statement=statement)
    passed = [_ask(oracle, score, dataset, options) for oracle in _oracles(calibrated, dataset, options)]
    return max(passed, key=_gain)


def _oracles(calibrated: Calibrated, dataset: Dataset, options: WrapOptions) -> Iterator[Candidate]:
    yield fit_heads(calibrated, dataset, options.clean_weight, options.seed)
    if options.oracle:
        epochs = options.oracle_epochs or SECOND_NETWORK.epochs
        recipe = replace(SECOND_NETWORK, architecture=options.oracle, epochs=epochs)
        weights, clean_weight = options.oracle_weights, options.clean_weight
        yield fit_second_network(calibrated, dataset, recipe, weights, clean_weight, options.seed)


def _ask(
    oracle: Candidate, score: Candidate, dataset: Dataset, options: WrapOptions
) -> tuple[Candidate, Candidate, Gate]:
    asked = ask_reference(oracle.networks.outputs, dataset.reference, options.seed)
    head, gate = pass_gate(oracle.head, score.head, *asked, options.force)
    return oracle, oracle if head is oracle.head else score, gate


def _gain(passed: tuple[Candidate, Candidate, Gate]) -> tuple[bool, float]:
    """A promoted oracle before one that is not, then the one that gains most under shift."""
    _, _, gate = passed
    return gate.promoted, gate.shifted.value if gate.shifted else -1.0


def _facts(wrapped: str, opened: Opened, options: WrapOptions) -> dict[str, str]:
    splits = ("oracle", "calibration", "reference", "test")
    return {
        "classifier": wrapped.replace("`", ""),
        "takes": opened.spec.describe(),
        "data": options.data,
        "images": ", ".join(f"{name} {len(getattr(opened.dataset, name)):,}" for name in splits),
        "seed": str(options.seed),
    }


def _provenance(opened: Opened, options: WrapOptions, wrapped: str) -> dict[str, Any]:
    """What a bundle records of its wrapping: every option but paths of this machine."""
    paths = ("models", "cache", "weights", "classes", "oracle_weights")
    return {
        "wrapped": wrapped,
        "classifier_sha256": opened.classifier.fingerprint,
        "input": {"channel_order": opened.spec.channel_order, "layout": opened.spec.layout},
        "assumed": list(opened.spec.assumed),
        "config": {key: value for key, value in asdict(options).items() if key not in paths},
        "trained_kinds": list(TRAINED_KINDS),
        "unseen_kinds": list(UNSEEN_KINDS),
    }
