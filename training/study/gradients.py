"""How hard each loss pulls at an oracle's logit, for an answer that is right and for one that is wrong.

Luo et al. (2021) explain with these curves why the steep slope loss does not give up on wrong answers that the oracle
trusts: cross entropy pulls hardest there and never lets go, focal loss and TCP fade out, the steep slope loss pulls
hardest around 0. Nothing is measured here; the formulas alone decide.
"""

import numpy as np
import torch
from torch import Tensor

from training.oracle.loss_table import LossName, LossOptions, oracle_loss
from training.oracle.verdicts import Verdicts
from training.study.table import Column, Figure, Row, StudyTable
from trust.head import Floats

LOGITS = (-8.0, -4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0)

RIGHT = Verdicts(torch.tensor(True), torch.tensor(0.9), torch.tensor(0.9))
WRONG = Verdicts(torch.tensor(False), torch.tensor(0.2), torch.tensor(0.7))
"""A right and a wrong answer as TCP sees them: what the classifier gave the true class, and what its answer."""

CURVES: tuple[tuple[str, LossName, LossOptions], ...] = (
    ("steep slope (1, 3)", "steep_slope", LossOptions()),
    ("steep slope (2, 5)", "steep_slope", LossOptions(slope_correct=2.0, slope_incorrect=5.0)),
    ("cross entropy", "cross_entropy", LossOptions()),
    ("focal", "focal", LossOptions()),
    ("TCP", "tcp", LossOptions()),
    ("TCP^r", "tcp_normalised", LossOptions()),
)


def gradient_magnitudes(loss: LossName, oracle_logits: Floats, verdict: Verdicts, options: LossOptions) -> Floats:
    """|dl / dz| of one sample at each logit, (N,).

    >>> at_zero = gradient_magnitudes("cross_entropy", np.array([0.0]), RIGHT, LossOptions())    # 1 - sigmoid(0)
    >>> at_zero.tolist()
    [0.5]

    Args:
        loss: any but ranking, which knows pairs alone.
        oracle_logits: (N,).
        verdict: on the sample, one.
        options: slopes.
    """
    logits = torch.tensor(oracle_logits, dtype=torch.float64, requires_grad=True)
    many = Verdicts(*(_repeat(value, len(logits)) for value in vars(verdict).values()))
    # The loss is a mean over the samples.
    (len(logits) * oracle_loss(loss, logits, many, options)).backward()
    assert logits.grad is not None
    return np.asarray(logits.grad.abs().numpy())


def gradient_tables() -> list[StudyTable]:
    """|dl / dz| at some logits, of each loss that has a value for one sample."""
    columns = tuple(Column(f"{z:g}", f"z = {z:g}", 1, 3) for z in LOGITS)
    rows = []
    for title, loss, options in CURVES:
        for verdict, name in ((RIGHT, "right"), (WRONG, "wrong")):
            values = gradient_magnitudes(loss, np.array(LOGITS), verdict, options)
            figures = {f"{z:g}": Figure((float(value),)) for z, value in zip(LOGITS, values, strict=True)}
            rows.append(Row(f"{title}, {name}", figures))
    note = (
        "Weights of a balanced loss multiply its curve and change nothing else; the ranking loss knows pairs alone. "
        "For TCP the true class has probability .9 where right; .2, and the answer .7, where wrong."
    )
    return [StudyTable("Magnitude of the gradient by the logit z.", "loss, answer", columns, tuple(rows), note)]


def _repeat(value: Tensor, count: int) -> Tensor:
    return value.double().expand(count) if value.is_floating_point() else value.expand(count)
