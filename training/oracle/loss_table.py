"""Every loss an oracle can be trained with, by name: a new one is a formula and one entry here."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from training.oracle.balance import VerdictWeights, effective_number_weights, inverse_frequency_weights
from training.oracle.losses import cross_entropy_loss, focal_loss, steep_slope_loss, tcp_loss
from training.oracle.ranking import ranking_loss
from training.oracle.verdicts import VerdictCounts, Verdicts

LossName = Literal[
    "steep_slope",
    "cross_entropy",
    "focal",
    "tcp",
    "tcp_normalised",
    "ranking",
    "class_balanced_steep_slope",
    "class_balanced_cross_entropy",
    "class_balanced_focal",
    "weighted_cross_entropy",
]


@dataclass(frozen=True)
class LossOptions:
    """What a loss may need beside logits and verdicts."""

    slope_correct: float = 1.0
    slope_incorrect: float = 3.0
    weights: VerdictWeights | None = None
    """Of a balanced loss, from `verdict_weights`."""
    paper_compat: bool = False
    """Average over the (B, B) matrix that the published code's broadcast makes."""


@dataclass(frozen=True)
class OracleLoss:
    """A formula, how its samples are weighted, and whether the published code broadcasts it."""

    formula: Callable[[Tensor, Verdicts, LossOptions, Tensor | None], Tensor]
    balance: Callable[[VerdictCounts], VerdictWeights] | None = None
    broadcast_as_published: bool = False


def oracle_loss(name: LossName, oracle_logits: Tensor, verdicts: Verdicts, options: LossOptions) -> Tensor:
    """The named loss, a scalar.

    With `paper_compat` the logits (B, 1) meet the verdicts (B,) as in the code published with Luo et al.: every logit
    is paired with every verdict of the batch, so that the loss hardly depends on which belongs to which.

    >>> verdicts = Verdicts(torch.tensor([True, False]), torch.ones(2), torch.ones(2))
    >>> z = torch.tensor([9.0, -9.0])
    >>> round(oracle_loss("cross_entropy", z, verdicts, LossOptions()).item(), 4)    # log(1 + e^-9)
    0.0001
    >>> round(oracle_loss("cross_entropy", z, verdicts, LossOptions(paper_compat=True)).item(), 4)    # half of 9 more
    4.5001

    Args:
        name: of `LOSSES`.
        oracle_logits: (B,).
        verdicts: of the same batch.
        options: slopes, weights of a balanced loss, the published broadcast.
    """
    loss = LOSSES[name]
    weights = None
    if loss.balance is not None:
        assert options.weights is not None, f"{name} needs the weights of its verdicts"
        weights = torch.where(verdicts.correct, options.weights.correct, options.weights.incorrect)
    if options.paper_compat:
        logits, correct = torch.broadcast_tensors(oracle_logits[:, None], verdicts.correct)  # (B, B)
        return loss.formula(logits, replace(verdicts, correct=correct), options, weights)
    return loss.formula(oracle_logits, verdicts, options, weights)


def verdict_weights(name: LossName, counts: VerdictCounts) -> VerdictWeights | None:
    """Weights of a balanced loss, from how often each verdict occurs; none for any other.

    Raises:
        ValueError: only one kind of verdict occurs.
    """
    balance = LOSSES[name].balance
    return None if balance is None else balance(counts)


def _steep_slope(logits: Tensor, verdicts: Verdicts, options: LossOptions, weights: Tensor | None) -> Tensor:
    return steep_slope_loss(logits, verdicts.correct, options.slope_correct, options.slope_incorrect, weights)


def _cross_entropy(logits: Tensor, verdicts: Verdicts, _: LossOptions, weights: Tensor | None) -> Tensor:
    return cross_entropy_loss(logits, verdicts.correct, weights)


def _focal(logits: Tensor, verdicts: Verdicts, _: LossOptions, weights: Tensor | None) -> Tensor:
    return focal_loss(logits, verdicts.correct, weights=weights)


def _tcp(logits: Tensor, verdicts: Verdicts, *_: object) -> Tensor:
    return tcp_loss(logits, verdicts.target_probability)


def _tcp_normalised(logits: Tensor, verdicts: Verdicts, *_: object) -> Tensor:
    return tcp_loss(logits, verdicts.target_probability / verdicts.predicted_probability)


def _ranking(logits: Tensor, verdicts: Verdicts, *_: object) -> Tensor:
    return ranking_loss(logits, verdicts.correct)


LOSSES: dict[LossName, OracleLoss] = {
    "steep_slope": OracleLoss(_steep_slope),
    "cross_entropy": OracleLoss(_cross_entropy, broadcast_as_published=True),
    "focal": OracleLoss(_focal, broadcast_as_published=True),
    "tcp": OracleLoss(_tcp),
    "tcp_normalised": OracleLoss(_tcp_normalised),
    "ranking": OracleLoss(_ranking),
    "class_balanced_steep_slope": OracleLoss(_steep_slope, effective_number_weights),
    "class_balanced_cross_entropy": OracleLoss(_cross_entropy, effective_number_weights, True),
    "class_balanced_focal": OracleLoss(_focal, effective_number_weights, True),
    "weighted_cross_entropy": OracleLoss(_cross_entropy, inverse_frequency_weights, True),
}
