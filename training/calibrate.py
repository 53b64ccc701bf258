"""Makes probabilities of what the networks say: the classifier's temperature, and the trust head.

The trust head is fitted on clean images and on corrupted copies of the calibration split; fusion by logistic
regression, then an isotonic map. Its novelty gate keeps the ranking of clean images, where the classifier's own
confidence is hard to beat, and hands over to the oracle where images are unlike clean ones.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from trust.head import Calibration, Floats, NoveltyGate, TrustHead, TrustInput, fused_logit, novelty_gate, trust_inputs

Bools = NDArray[np.bool_]
Outputs = Mapping[str, NDArray[np.float32]]

GATE_MIDPOINT, GATE_STEEPNESS = 2.0, 3.0
"""Two standard deviations from clean, and a hand-over within about one."""
_BLEND = 0.02
MARGIN = 0.001
"""Not even a long run of right answers shows a probability of one."""
_INVERSE_REGULARISATION = 10.0


def fit_temperature(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Temperature T that makes softmax(logits / T) likeliest (Guo et al., 2017, arXiv:1706.04599).

    Logits that say 3 : 1 of classes that come as 3 : 1 are right as they are:

    >>> logits, targets = np.log(np.array([[0.75, 0.25]] * 4, np.float32)), np.array([0, 0, 0, 1])
    >>> round(fit_temperature(logits, targets), 2), round(fit_temperature(4 * logits, targets), 2)
    (1.0, 4.0)
    """
    rows = np.arange(len(targets))

    def nll(log_temperature: float) -> float:
        return -float(log_softmax(logits.astype(float) / np.exp(log_temperature), axis=1)[rows, targets].mean())

    return float(np.exp(minimize_scalar(nll, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-6}).x))


def fit_score_head(score: TrustInput, outputs: Outputs, correct: Bools, **parameters: float) -> TrustHead:
    """The head that makes a probability of one score alone, in the score's own order.

    Args:
        score: which.
        outputs: by name, of clean images that did not fit the classifier.
        correct: (N,) of the same images.
        parameters: of the score, `temperature` or `norm_order`.

    Raises:
        ValueError: all answers are correct, or none is.
    """
    _need_both(correct)
    draft = TrustHead(inputs=(score,), weights=(1.0,), bias=0.0, **parameters)
    column = trust_inputs(draft, outputs)
    # Fitted on standardised scores: the optimiser wants one scale.
    mean, spread = float(column.mean()), float(column.std()) + 1e-12
    fitted = LogisticRegression(C=_INVERSE_REGULARISATION).fit((column - mean) / spread, correct)
    # A score that ranks worse than chance keeps its direction: turned round it would be another score.
    weight = max(float(fitted.coef_[0, 0]), 1e-6) / spread
    head = draft.model_copy(update={"weights": (weight,), "bias": float(fitted.intercept_[0]) - weight * mean})
    return _calibrated(head, outputs, correct, np.ones(len(correct)))


def fit_trust_head(
    inputs: tuple[TrustInput, ...],
    clean: tuple[Outputs, Bools],
    corrupted: tuple[Outputs, Bools],
    clean_weight: float,
) -> TrustHead:
    """The gated head that turns these inputs into P(correct).

    Args:
        inputs: which of the networks' outputs it reads.
        clean, corrupted: outputs by name and correctness (N,), of images that fitted neither network.
        clean_weight: what a clean image counts against a corrupted one.

    Raises:
        ValueError: all answers are correct, or none is: nothing tells them apart.
    """
    outputs = {name: np.concatenate([clean[0][name], corrupted[0][name]]) for name in clean[0]}
    correct = np.concatenate([clean[1], corrupted[1]])
    _need_both(correct)
    weight = np.repeat([clean_weight, 1.0], [len(clean[1]), len(corrupted[1])])
    columns = trust_inputs(TrustHead(inputs=inputs, weights=(0.0,) * len(inputs), bias=0.0), outputs)
    gate = novelty_gate(outputs["novelty"], GATE_MIDPOINT, GATE_STEEPNESS)[:, None]
    design = np.hstack([(1 - gate) * columns, gate * columns, gate])
    fusion = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=1000).fit(design, correct, sample_weight=weight)
    numbers, count = [float(number) for number in fusion.coef_[0]], len(inputs)
    head = TrustHead(
        inputs=inputs,
        weights=tuple(numbers[:count]),
        bias=float(fusion.intercept_[0]),
        gate=NoveltyGate(
            midpoint=GATE_MIDPOINT,
            steepness=GATE_STEEPNESS,
            weights=tuple(numbers[count : 2 * count]),
            bias=numbers[-1],
        ),
    )
    return _calibrated(head, outputs, correct, weight)


def fit_calibration(logit: Floats, correct: Bools, weight: Floats) -> Calibration:
    """Isotonic map from fused logits to P(correct), never 0 or 1; (N,) each."""
    isotonic = IsotonicRegression(y_min=MARGIN, y_max=1 - MARGIN, out_of_bounds="clip")
    isotonic.fit(logit, correct, sample_weight=weight)
    knots, first = np.unique(isotonic.X_thresholds_, return_index=True)
    values = isotonic.y_thresholds_[first]
    return Calibration(logits=tuple(knots.tolist()), trust=tuple(values.tolist()), blend=_BLEND)


def _need_both(correct: Bools) -> None:
    if correct.all() or not correct.any():
        raise ValueError(f"all {len(correct)} calibration answers are {'right' if correct[0] else 'wrong'}; give more")


def _calibrated(head: TrustHead, outputs: Outputs, correct: Bools, weight: Floats) -> TrustHead:
    return head.model_copy(update={"calibration": fit_calibration(fused_logit(head, outputs), correct, weight)})
