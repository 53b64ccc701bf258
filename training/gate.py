"""The gate: an oracle is served only where it was shown to be better than the classifier's own softmax confidence.

Asked on the reference images, which fitted and calibrated nothing: ranked by AUROC, trust must not be worse on the
clean images and must be better, on average, on copies of them under kinds of corruption that no step has trained on;
both by paired bootstrap at 95 %.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from training.answers import Answers, Bools, Outputs
from training.bootstrap import Comparison, bootstrap_mean_paired
from training.data.dataset import Split
from training.evaluation.conditions import Condition
from training.metrics.ranking import auroc
from training.outputs import CLEAN
from training.shift.corruptions import UNSEEN_KINDS
from trust.head import TrustHead, trust_probability
from trust.manifest import Difference, Gate
from trust.posthoc import max_softmax
from trust.preprocess import Pixels

RESAMPLES = 1000


def ask_reference(
    outputs_of: Callable[[Iterable[Pixels]], Outputs], reference: Split, seed: int
) -> tuple[Answers, list[Answers]]:
    """Answers to the reference images as they are, and to copies of them under each kind that nothing trained on.

    Args:
        outputs_of: what the networks say about batches of pixels.
        reference: images that neither fitted nor calibrated anything.
        seed: of the corruptions.
    """

    def answers(kind: str) -> Answers:
        condition = Condition(reference, kind, seed)
        return Answers(outputs_of(condition.batches()), condition.targets)

    return answers(CLEAN), [answers(kind) for kind in UNSEEN_KINDS]


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
