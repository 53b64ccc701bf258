"""Refits a trust head to labelled live traffic, and leaves it as it was where the traffic says nothing.

Logistic regression whose prior is the head that served: live traffic may hold no novel image at all, and a head fitted
to it alone would forget what the novelty gate was for.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from training.bundle.feedback import Feedback
from training.calibrate import MARGIN, Bools, fit_calibration
from trust.head import Calibration, Floats, TrustHead, calibrated, logit_of_inputs, novelty_gate, sigmoid

PRIOR_VARIANCE = 1.0
"""Of each weight around its old value: some dozens of labels that say otherwise outweigh it."""
FOLDS = 5
"""Of the cross-validation that chooses between logistic curve and isotonic map: with few labels the map is the worse
one (Niculescu-Mizil and Caruana, "Predicting good probabilities with supervised learning", ICML 2005)."""
_BEYOND = np.geomspace(0.05, 24, 24)
"""How far outside of the logits seen the map gets further knots."""


def refit_trust_head(head: TrustHead, feedback: Feedback) -> TrustHead:
    """The head with new weights and a new calibration; its inputs and the place of its gate stay.

    Args:
        head: the one that served.
        feedback: right and wrong answers; each counts by its weight.
    """
    weight = feedback.weight / feedback.weight.mean()
    fitted = _fit_weights(head, feedback, weight)
    logit = logit_of_inputs(fitted, feedback.head_inputs, feedback.novelty)
    return fitted.model_copy(update={"calibration": _choose_calibration(logit, feedback.correct, weight)})


def _fit_weights(head: TrustHead, feedback: Feedback, weight: Floats) -> TrustHead:
    """Maximum a posteriori under a normal prior around the old weights."""
    design, old, correct = _design(head, feedback), _numbers(head), feedback.correct.astype(float)

    def loss(numbers: Floats) -> tuple[float, Floats]:
        logit, moved = design @ numbers, numbers - old
        value = weight @ (np.logaddexp(0, logit) - correct * logit) + moved @ moved / (2 * PRIOR_VARIANCE)
        return float(value), design.T @ (weight * (sigmoid(logit) - correct)) + moved / PRIOR_VARIANCE

    return _with_numbers(head, minimize(loss, old, jac=True, method="L-BFGS-B").x)


def _design(head: TrustHead, feedback: Feedback) -> Floats:
    """The head's logit as columns: those of the familiar weights, of the novel ones and their bias, and the bias."""
    inputs, ones = feedback.head_inputs, np.ones((len(feedback), 1))
    if head.gate is None:
        return np.hstack([inputs, ones])
    gate = novelty_gate(feedback.novelty, head.gate.midpoint, head.gate.steepness)[:, None]
    return np.hstack([(1 - gate) * inputs, gate * inputs, gate, ones])


def _numbers(head: TrustHead) -> Floats:
    gate = (*head.gate.weights, head.gate.bias) if head.gate else ()
    return np.array([*head.weights, *gate, head.bias])


def _with_numbers(head: TrustHead, numbers: NDArray[np.float64]) -> TrustHead:
    found, count = numbers.tolist(), len(head.inputs)
    gate = head.gate
    if gate is not None:
        gate = gate.model_copy(update={"weights": tuple(found[count : 2 * count]), "bias": found[2 * count]})
    return head.model_copy(update={"weights": tuple(found[:count]), "gate": gate, "bias": found[-1]})


def _choose_calibration(logit: Floats, correct: Bools, weight: Floats) -> Calibration | None:
    """The isotonic map where it is likelier than the logistic curve on labels that did not fit it, else None."""
    fold = np.arange(len(logit)) % FOLDS
    by_map = np.empty(len(logit))
    for k in range(FOLDS):
        fit, rest = fold != k, fold == k
        by_map[rest] = calibrated(_fit_map(logit[fit], correct[fit], weight[fit]), logit[rest])
    if _mean_nll(by_map, correct, weight) < _mean_nll(sigmoid(logit), correct, weight):
        return _fit_map(logit, correct, weight)
    return None


def _mean_nll(trust: Floats, correct: Bools, weight: Floats) -> float:
    return float(np.average(-np.log(np.where(correct, trust, 1 - trust)), weights=weight))


def _fit_map(logit: Floats, correct: Bools, weight: Floats) -> Calibration:
    return _continue_outside(fit_calibration(logit, correct, weight))


def _continue_outside(seen: Calibration) -> Calibration:
    """Beyond the logits that were seen the logistic curve goes on, where the isotonic map would stay flat.

    Else trust could not fall below that of the most doubtful answer in the feedback, however bad an image.
    """
    below, above = seen.logits[0] - _BEYOND[::-1], seen.logits[-1] + _BEYOND
    low = np.clip(sigmoid(below), MARGIN, max(seen.trust[0], MARGIN))
    high = np.clip(sigmoid(above), min(seen.trust[-1], 1 - MARGIN), 1 - MARGIN)
    return seen.model_copy(
        update={
            "logits": (*below.tolist(), *seen.logits, *above.tolist()),
            "trust": (*low.tolist(), *seen.trust, *high.tolist()),
        }
    )
