"""Feedback on the tiny bundle whose right answer is known: P(correct) is a logistic function of the head's inputs."""

import numpy as np

from training.bundle.feedback import Feedback
from trust.head import TrustHead, sigmoid, trust_of_inputs

HEAD = TrustHead(inputs=("confidence_log_odds", "oracle_logit"), weights=(0.5, 1.0), bias=-0.5)
"""That of the tiny bundle."""
WORLD = TrustHead(inputs=HEAD.inputs, weights=(1.0, 0.3), bias=0.4)
"""How probable it really is, since the world changed."""


def simulate(count, world=WORLD, seed=0, sampling=None, head=HEAD):
    """Answers of the tiny bundle with labels drawn by the world's probability, and that probability.

    `sampling` gives each answer's chance of being labelled, from its trust; only labelled ones come back.
    """
    draw = np.random.default_rng(seed)
    inputs = np.column_stack([draw.normal(1.5, 1.5, count), draw.uniform(-1, 3, count)]).astype(np.float32)
    novelty = draw.uniform(0, 1, count)
    trust = trust_of_inputs(head, inputs, novelty)
    probability = trust_of_inputs(world, inputs, novelty)
    predicted = draw.integers(0, 3, count)
    target = np.where(draw.random(count) < probability, predicted, (predicted + 1) % 3)
    chance = np.ones(count) if sampling is None else sampling(trust)
    feedback = Feedback(
        head_inputs=inputs.astype(float),
        novelty=novelty,
        predicted=predicted,
        target=target,
        confidence=sigmoid(inputs[:, 0]),
        trust=trust,
        sampling_probability=chance,
    )
    labelled = np.flatnonzero(draw.random(count) < chance)
    return feedback.rows(labelled), probability[labelled]


def write(path, feedback, model="tiny", version="1.0.0", **changes):
    """The feedback as a file of arrays, as the service writes it."""
    names = ("head_inputs", "novelty", "predicted", "target", "confidence", "trust", "sampling_probability")
    arrays = {name: getattr(feedback, name) for name in names} | {"model": model, "version": version} | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path
