"""The best of the post-hoc scores, which serves as trust where no oracle is worth serving."""

import numpy as np

from training.answers import Answers
from training.calibrate import fit_score_head
from training.metrics.ranking import auroc
from training.scores.posthoc import fit_p_norm
from trust.head import Floats, TrustHead, TrustInput
from trust.posthoc import POSTHOC_SCORES, max_softmax


def fit_best_score(calibration: Answers, temperature: float) -> TrustHead:
    """The post-hoc score that ranks the calibration images best, as a trust head of its own.

    Softmax confidence comes first: another is taken only where it ranks better.

    Args:
        calibration: clean images that did not fit the classifier; at least one answer right and one wrong.
        temperature: of the classifier.
    """
    scores = _candidates(calibration, temperature)
    best = max(scores, key=lambda name: auroc(scores[name][0], calibration.correct))
    return fit_score_head(best, calibration.outputs, calibration.correct, **scores[best][1])


def _candidates(calibration: Answers, temperature: float) -> dict[TrustInput, tuple[Floats, dict[str, float]]]:
    """Every score of these answers, (N,), with its parameters."""
    logits = np.asarray(calibration.outputs["logits"], float)
    scaled = max_softmax(logits / temperature)
    candidates: dict[TrustInput, tuple[Floats, dict[str, float]]] = {
        "confidence_log_odds": (max_softmax(logits), {}),
        "scaled_confidence_log_odds": (scaled, {"temperature": temperature}),
        **{name: (score(logits), {}) for name, score in POSTHOC_SCORES.items()},
    }
    p_norm = fit_p_norm(calibration.outputs["logits"], calibration.correct)
    if p_norm.order is not None:
        candidates["p_norm_max_logit"] = p_norm(logits), {"norm_order": p_norm.order}
    return candidates
