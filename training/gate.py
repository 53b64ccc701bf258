"""The gate: an oracle is served only where it was shown to be better than the classifier's own softmax confidence.

Asked on the reference images, which fitted and calibrated nothing: ranked by AUROC, trust must not be worse on the
clean images and must be better, on average, on copies of them under kinds of corruption that no step has trained on;
both by paired bootstrap at 95 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.bootstrap import Comparison, bootstrap_mean_paired
from training.calibrate import fit_score_head
from training.metrics.ranking import auroc
from trust.head import TrustHead, TrustInput, trust_probability
from trust.manifest import Difference, Gate
from trust.posthoc import POSTHOC_SCORES, max_softmax, p_norm_max_logit

Outputs = Mapping[str, NDArray[np.float32]]
Bools = NDArray[np.bool_]

NORM_ORDERS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
RESAMPLES = 1000


@dataclass(frozen=True)
class Answers:
    """What the networks say about some images, and whether the classifier was right."""

    outputs: Outputs
    targets: NDArray[np.int64]  # (N,)

    @property
    def correct(self) -> Bools:
        return np.asarray(self.outputs["logits"].argmax(1) == self.targets)


def pass_gate(
    head: TrustHead, fallback: TrustHead, clean: Answers, shifted: Sequence[Answers], force: bool = False
) -> tuple[TrustHead, Gate]:
    """The head to serve, the oracle's or the fallback, and why.

    Args:
        head: of the oracle.
        fallback: of the best post-hoc score.
        clean: reference images.
        shifted: copies of them, one a kind of corruption, all in one order of the images.
        force: serve the oracle whatever is found.
    """
    on_clean, on_shifted = _compare(head, [clean]), _compare(head, shifted)
    # A few images, or a classifier without errors on them, leave every difference undefined: then nothing is shown.
    promoted = bool(on_clean.high >= 0 and on_shifted.low > 0)
    served = head if promoted or force else fallback
    gate = Gate(
        promoted=promoted,
        forced=force and not promoted,
        serves="oracle" if served is head else served.inputs[0],
        statement=_statement(promoted, force, served, on_clean, on_shifted),
        clean=_difference(on_clean),
        shifted=_difference(on_shifted),
    )
    return served, gate


def fit_best_score(calibration: Answers, temperature: float) -> TrustHead:
    """The post-hoc score that ranks the calibration images best, as a trust head of its own.

    The later of two in `candidates` must rank better than the first to be taken: softmax confidence comes first.

    Args:
        calibration: clean images that did not fit the classifier; at least one answer right and one wrong.
        temperature: of the classifier.
    """
    scores = candidates(calibration, temperature)
    best = max(scores, key=lambda name: auroc(scores[name][0], calibration.correct))
    return fit_score_head(best, calibration.outputs, calibration.correct, **scores[best][1])


def candidates(
    calibration: Answers, temperature: float
) -> dict[TrustInput, tuple[NDArray[np.float64], dict[str, float]]]:
    """Every post-hoc score of these answers, (N,), with its parameters."""
    logits = calibration.outputs["logits"]
    order = max(NORM_ORDERS, key=lambda order: auroc(p_norm_max_logit(logits, order), calibration.correct))
    return {
        "confidence_log_odds": (max_softmax(logits), {}),
        "scaled_confidence_log_odds": (
            max_softmax(np.asarray(logits, float) / temperature),
            {"temperature": temperature},
        ),
        **{name: (score(logits), {}) for name, score in POSTHOC_SCORES.items()},
        "p_norm_max_logit": (p_norm_max_logit(logits, order), {"norm_order": order}),
    }


def _compare(head: TrustHead, conditions: Sequence[Answers]) -> Comparison:
    def scores(answers: Answers) -> tuple[NDArray[np.float64], NDArray[np.float64], Bools]:
        return trust_probability(head, answers.outputs), max_softmax(answers.outputs["logits"]), answers.correct

    return bootstrap_mean_paired(auroc, [scores(answers) for answers in conditions], RESAMPLES)


def _difference(found: Comparison) -> Difference | None:
    if not np.isfinite([found.difference, found.low, found.high]).all():
        return None
    return Difference(value=found.difference, low=found.low, high=found.high)


def _statement(promoted: bool, force: bool, served: TrustHead, clean: Comparison, shifted: Comparison) -> str:
    figures = (
        f"AUROC of its trust less that of softmax confidence, in points with 95 % intervals: {_points(clean)} on clean "
        f"images, {_points(shifted)} on corrupted ones"
    )
    if promoted:
        return f"The oracle was promoted. {figures}."
    if force:
        return f"The oracle was not promoted, and is served because it was forced. {figures}."
    return f"The oracle was not promoted: {served.inputs[0].replace('_', ' ')} serves as trust. {figures}."


def _points(found: Comparison) -> str:
    return f"{100 * found.difference:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"
