"""Trust scores, one for each method of the table: network outputs in, (N,) in [0, 1] out, higher reads "trust"."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from training.scores.posthoc import PostHoc
from trust.head import Floats, TrustHead, log_odds, sigmoid, trust_probability
from trust.posthoc import max_softmax

Outputs = Mapping[str, NDArray[np.float32]]

SOFTMAX = "softmax confidence"
TEMPERATURE_SCALED = "temperature-scaled softmax"
ORACLE_LOGIT = "oracle logit"
CLASS_HEAD = "class head alone"
TRUST = "trust probability"


def trust_scores(outputs: Outputs, head: TrustHead, posthoc: PostHoc) -> dict[str, Floats]:
    """Each method's score of the classifier's answers; a method whose outputs are absent is left out.

    Args:
        outputs: of both networks, by name.
        head: fitted on this oracle's outputs.
        posthoc: fitted on this classifier's logits.
    """
    scores = {
        SOFTMAX: max_softmax(outputs["logits"]),
        TEMPERATURE_SCALED: outputs["probabilities"].max(1).astype(float),
        **posthoc(outputs["logits"]),
        ORACLE_LOGIT: sigmoid(outputs["oracle_logit"]),
    }
    if "oracle_class_logits" in outputs:
        scores[CLASS_HEAD] = sigmoid(log_odds(outputs["oracle_class_logits"], outputs["logits"].argmax(1)))
    scores[TRUST] = trust_probability(head, outputs)
    return scores
