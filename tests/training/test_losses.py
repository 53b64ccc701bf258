"""Each loss against its formula, worked out by hand."""

import math

import pytest
import torch

from training.oracle.losses import Verdicts, focal_loss, judge, oracle_loss, steep_slope_loss

LOGITS = (-2.0, -0.5, 0.0, 0.5, 2.0)
# s = -2/3, -1/3, 0, 1/3, 2/3; correct: e^-s - e^-1; incorrect: e^3s - e^-3.
CORRECT = (1.579855, 1.027733, 0.632121, 0.348652, 0.145538)
INCORRECT = (0.085548, 0.318092, 0.950213, 2.668495, 7.339269)


@pytest.mark.parametrize(("correct", "costs"), [(True, CORRECT), (False, INCORRECT)], ids=["correct", "incorrect"])
def test_cost_of_each_logit_is_the_formulas(correct, costs):
    for logit, cost in zip(LOGITS, costs, strict=True):
        loss = steep_slope_loss(torch.tensor([logit]), torch.tensor([correct]), slope_correct=1.0, slope_incorrect=3.0)
        assert loss.item() == pytest.approx(cost, abs=1e-5)


def test_loss_is_the_mean_over_the_batch():
    loss = steep_slope_loss(torch.tensor(LOGITS[:2]), torch.tensor([True, False]))
    assert loss.item() == pytest.approx((CORRECT[0] + INCORRECT[1]) / 2, abs=1e-5)


@pytest.mark.parametrize(("correct", "logit"), [(True, 50.0), (False, -50.0)], ids=["trusted", "distrusted"])
def test_confident_and_right_oracle_costs_almost_nothing(correct, logit):
    loss = steep_slope_loss(torch.tensor([logit]), torch.tensor([correct]))
    assert 0 <= loss.item() < 0.01


@pytest.mark.parametrize("correct", [True, False], ids=["correct", "incorrect"])
def test_gradient_pushes_the_logit_to_the_right_side(correct):
    logit = torch.tensor([0.3], requires_grad=True)
    steep_slope_loss(logit, torch.tensor([correct])).backward()
    assert (logit.grad.item() < 0) == correct


def test_judgement_of_a_right_and_a_wrong_answer():
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]]))
    verdicts = judge(logits, torch.tensor([0, 0]))
    assert verdicts.correct.tolist() == [True, False]
    assert verdicts.target_probability.tolist() == pytest.approx([0.7, 0.3])
    assert verdicts.predicted_probability.tolist() == pytest.approx([0.7, 0.6])


# One right answer (p .7) at logit 0 and one wrong (.3 against .6) at logit log 3: sigmoid 1/2 and 3/4.
@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("steep_slope", (CORRECT[2] + math.exp(3 * math.log(3) / (1 + math.log(3))) - math.exp(-3)) / 2),
        ("cross_entropy", (math.log(2) + math.log(4)) / 2),
        ("focal", (0.25 * math.log(2) + 0.75**2 * math.log(4)) / 2),
        ("tcp", ((0.5 - 0.7) ** 2 + (0.75 - 0.3) ** 2) / 2),
        ("tcp_normalised", ((0.5 - 1) ** 2 + (0.75 - 0.5) ** 2) / 2),
    ],
)
def test_each_loss_by_hand(name, cost):
    verdicts = Verdicts(torch.tensor([True, False]), torch.tensor([0.7, 0.3]), torch.tensor([0.7, 0.6]))
    loss = oracle_loss(name, torch.tensor([0.0, math.log(3)]), verdicts)
    assert loss.item() == pytest.approx(cost, abs=1e-5)


def test_focal_loss_without_focus_is_cross_entropy():
    logits, correct = torch.randn(20), torch.rand(20) < 0.5
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, correct.float())
    assert focal_loss(logits, correct, gamma=0.0).item() == pytest.approx(expected.item(), abs=1e-6)


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\) != correct \(3,\)"):
        steep_slope_loss(torch.zeros(2), torch.zeros(3, dtype=torch.bool))
