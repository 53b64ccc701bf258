"""What one does with a bundle that exists: compare trust, choose its threshold, refit, hasten or complete it."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter, validators

from training.bundle.compare import compare_rows
from training.bundle.half import FLIPPED_SHARE, TRUST_TOLERANCE, write_half
from training.bundle.image_reference import write_image_reference
from training.bundle.recalibrate import recalibrate as refit
from training.bundle.reduced_jpeg import reducing, write_reduced_jpeg
from training.bundle.reference import ReferenceAnswers, read_reference
from training.bundle.rethreshold import describe_threshold, write_threshold
from training.bundle.served import bundle_dataset
from training.commands.screen import say, show_table
from training.threshold import (
    choose_threshold,
    choose_thresholds_by_class,
    threshold_at_cost,
    threshold_at_coverage,
    threshold_at_tpr,
)
from trust.manifest import Threshold, read_manifest
from trust.preprocess import ReducedJpeg

_RULES = Group("Another rule", validator=validators.mutually_exclusive)
_ALLOWED = ReducedJpeg()
_RULE = Parameter(group=_RULES, negative_iterable="", negative_bool="")


def compare(bundle: Path, *, resamples: int = 1000, seed: int = 0) -> None:
    """Measure trust against softmax confidence on a bundle's reference images, with 95 % intervals.

    Args:
        bundle: folder of the bundle.
        resamples: of the bootstrap.
        seed: of the resamples.
    """
    answers = read_reference(bundle)
    title = f"{bundle}: {len(answers.correct)} clean reference images, {(~answers.correct).sum()} answered wrong"
    show_table(compare_rows(answers, resamples, seed), title)


def threshold(
    bundle: Path,
    *,
    risk: float = 0.02,
    confidence: float = 0.95,
    coverage: Annotated[float | None, _RULE] = None,
    tpr: Annotated[float | None, _RULE] = None,
    cost: Annotated[tuple[float, float] | None, _RULE] = None,
    by_class: Annotated[bool, _RULE] = False,
    write: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Choose another threshold for a bundle, on its own reference images; by a promised error rate if not said else.

    Args:
        bundle: folder of the bundle.
        risk: error rate among trusted answers to stay below.
        confidence: probability that the promise holds.
        coverage: trust this share of the answers instead.
        tpr: trust this share of the correct answers instead.
        cost: least cost instead: of a wrong trust, and of a wrong distrust.
        by_class: keep the promise for each predicted class by itself, each with a threshold of its own.
        write: put it into the bundle's manifest and card.
    """
    answers = read_reference(bundle)
    if coverage is not None:
        chosen = threshold_at_coverage(answers.trust, _share("--coverage", coverage))
    elif tpr is not None:
        chosen = threshold_at_tpr(answers.trust, answers.correct, _share("--tpr", tpr))
    elif cost is not None:
        chosen = threshold_at_cost(answers.trust, answers.correct, *cost)
    else:
        classes = len(read_manifest(bundle).classes) if by_class else None
        chosen = _promised(answers, _share("--risk", risk), _share("--confidence", confidence), classes)
    say(chosen.statement)
    rows = describe_threshold(answers, chosen, confidence).items()
    show_table([["reference images", ""], *map(list, rows)], str(bundle))
    if write:
        write_threshold(bundle, chosen)
        say(f"written to {bundle}")


def recalibrate(
    bundle: Path,
    *,
    feedback: Path,
    to: Path,
    risk: float | None = None,
    confidence: float | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    seed: int = 0,
) -> None:
    """Refit trust head and threshold to labelled live traffic, as a new version; exit status 1 if it is no better.

    Args:
        bundle: folder of the bundle that answered.
        feedback: file of arrays that `trustserve recalibrate` wrote.
        to: folder of the new version.
        risk: error rate among trusted answers to stay below; unset: that of the bundle's promise.
        confidence: probability that the promise holds; unset: that of the bundle's promise.
        force: write the new version even if it is no better, on the record.
        seed: of the split into labels that fit and labels that judge.
    """
    for option, value in (("--risk", risk), ("--confidence", confidence)):
        if value is not None:
            _share(option, value)
    verdict, chosen = refit(bundle, feedback, to, risk, confidence, force, seed)
    rows = [
        [name, f"{verdict.old[name]:.4f}", f"{verdict.new[name]:.4f}", f"[{found.low:+.4f}, {found.high:+.4f}]"]
        for name, found in verdict.differences.items()
    ]
    show_table([["measure", "old", "new", "difference, 95 %"], *rows], f"{verdict.labels} labels that fitted neither")
    say(verdict.statement)
    say(chosen.statement)
    if not verdict.served:
        say("Nothing was written; --force writes it all the same, on the record.")
        sys.exit(1)
    say(f"Bundle {to}. Serve it: make serve MODEL={to}")


def half(
    bundle: Path,
    *,
    to: Path,
    on: str | None = None,
    tolerance: float = TRUST_TOLERANCE,
    flipped_share: float = FLIPPED_SHARE,
    cache: Path = Path("runs/.cache"),
) -> None:
    """Write a bundle that computes in half precision, for GPUs; only if it answers the same on the reference images.

    Args:
        bundle: folder of the bundle.
        to: folder of the new version.
        on: labelled images to compare on, such as imagefolder:PATH; what it was made with if not given.
        tolerance: largest difference of trust that is allowed, on any image.
        flipped_share: largest share of images whose class or decision may change.
        cache: folder for decoded images and downloads.
    """
    images = bundle_dataset(read_manifest(bundle), on, cache).reference
    say(write_half(bundle, to, images.batches(), tolerance, flipped_share).statement)
    say(f"Bundle {to}. Serve it: make serve MODEL={to}")


def reduced_jpeg(
    bundle: Path,
    *,
    to: Path,
    on: str | None = None,
    margin: float = _ALLOWED.margin,
    tolerance: float = _ALLOWED.trust_tolerance,
    changed_labels: float = _ALLOWED.label_tolerance,
    cache: Path = Path("runs/.cache"),
) -> None:
    """Write a bundle that decodes large JPEG files at a half, a quarter or an eighth; only if it answers the same.

    Args:
        bundle: folder of the bundle.
        to: folder of the new version.
        on: labelled images to compare on, such as imagefolder:PATH; what it was made with if not given.
        margin: least pixels decoded, across and down, for each that the networks see; at least 2.
        tolerance: largest mean difference of trust that is allowed.
        changed_labels: largest share of images whose label may change.
        cache: folder for decoded images and downloads.
    """
    allowed = ReducedJpeg(margin=margin, trust_tolerance=tolerance, label_tolerance=changed_labels)
    manifest = read_manifest(bundle)
    full, reduced = (
        bundle_dataset(manifest.model_copy(update={"preprocess": reducing(manifest.preprocess, each)}), on, cache)
        for each in (None, allowed)
    )
    say(write_reduced_jpeg(bundle, to, full, reduced).statement)
    say(f"Bundle {to}. Serve it: make serve MODEL={to}")


def image_reference(bundle: Path, *, moved_to: str | None = None, cache: Path = Path("runs/.cache")) -> None:
    """Give a bundle made before there were image statistics its own, so that the service can watch them.

    Args:
        bundle: folder of the bundle; its weights, trust and version stay.
        moved_to: where the data is now that it was made with, if not where it was, such as imagefolder:PATH.
        cache: folder for decoded images and downloads.
    """
    images = write_image_reference(bundle, cache, moved_to)
    say(f"{bundle} has image statistics now, of {images} reference images.")


def _promised(answers: ReferenceAnswers, risk: float, confidence: float, classes: int | None) -> Threshold:
    trust, correct = answers.trust, answers.correct
    if classes is None:
        return choose_threshold(trust, correct, risk, confidence)
    return choose_thresholds_by_class(trust, correct, answers.predicted, classes, risk, confidence)


def _share(option: str, value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{option} is {value:g}; wanted a share between 0 and 1")
    return value
