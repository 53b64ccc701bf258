"""Each loss against its formula, worked out by hand."""

import itertools
import math
from typing import get_args

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from training.oracle.balance import VerdictWeights, effective_number_weights, inverse_frequency_weights
from training.oracle.loss_table import LOSSES, LossName, LossOptions, oracle_loss, verdict_weights
from training.oracle.losses import focal_loss, steep_slope_loss
from training.oracle.ranking import ranking_loss
from training.oracle.verdicts import VerdictCounts, Verdicts, judge

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


def test_table_holds_every_name_the_command_line_takes():
    assert set(get_args(LossName)) == LOSSES.keys()


# One right answer (p .7) at logit 0 and one wrong (.3 against .6) at logit log 3: sigmoid 1/2 and 3/4.
# Three right answers for one wrong: with beta .999 E(3) = 1 + .999 + .999^2 and E(1) = 1; inverse frequency 4/6, 4/2.
EFFECTIVE = 1 + 0.999 + 0.999**2
BALANCED = (2 / (1 + EFFECTIVE), 2 * EFFECTIVE / (1 + EFFECTIVE))
STEEP = (CORRECT[2], math.exp(3 * math.log(3) / (1 + math.log(3))) - math.exp(-3))
ENTROPY = (math.log(2), math.log(4))
FOCAL = (0.25 * math.log(2), 0.75**2 * math.log(4))


@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("steep_slope", sum(STEEP) / 2),
        ("cross_entropy", sum(ENTROPY) / 2),
        ("focal", sum(FOCAL) / 2),
        ("tcp", ((0.5 - 0.7) ** 2 + (0.75 - 0.3) ** 2) / 2),
        ("tcp_normalised", ((0.5 - 1) ** 2 + (0.75 - 0.5) ** 2) / 2),
        # The wrong answer comes first: 1 - precision 1/2, plus twice the difference of the logits.
        ("ranking", 0.5 + 2 * math.log(3)),
        ("class_balanced_steep_slope", np.dot(BALANCED, STEEP) / 2),
        ("class_balanced_cross_entropy", np.dot(BALANCED, ENTROPY) / 2),
        ("class_balanced_focal", np.dot(BALANCED, FOCAL) / 2),
        ("weighted_cross_entropy", (4 / 6 * math.log(2) + 4 / 2 * math.log(4)) / 2),
    ],
)
def test_each_loss_by_hand(name, cost):
    verdicts = Verdicts(torch.tensor([True, False]), torch.tensor([0.7, 0.3]), torch.tensor([0.7, 0.6]))
    options = LossOptions(weights=verdict_weights(name, VerdictCounts(correct=3, incorrect=1)))
    loss = oracle_loss(name, torch.tensor([0.0, math.log(3)]), verdicts, options)
    assert loss.item() == pytest.approx(cost, abs=1e-5)


def test_focal_loss_without_focus_is_cross_entropy():
    logits, correct = torch.randn(20), torch.rand(20) < 0.5
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, correct.float())
    assert focal_loss(logits, correct, gamma=0.0).item() == pytest.approx(expected.item(), abs=1e-6)


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\) != correct \(3,\)"):
        steep_slope_loss(torch.zeros(2), torch.zeros(3, dtype=torch.bool))


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "weighted_cross_entropy"])
def test_published_broadcast_averages_over_every_pair_of_logit_and_verdict(name):
    torch.manual_seed(0)
    logits, correct = torch.randn(5), torch.tensor([True, True, False, True, False])
    options = LossOptions(weights=VerdictWeights(0.5, 2.0), paper_compat=True)
    # As the published code has it: logits (B, 1), verdicts (B,), gamma 2.
    z, right = logits[:, None].sigmoid(), correct.float()
    focus = 2 if name == "focal" else 0
    w_right, w_wrong = (0.5, 2.0) if name == "weighted_cross_entropy" else (1.0, 1.0)
    matrix = -right * w_right * (1 - z) ** focus * z.log() - (1 - right) * w_wrong * z**focus * (1 - z).log()
    assert matrix.shape == (5, 5)
    verdicts = Verdicts(correct, torch.ones(5), torch.ones(5))
    assert oracle_loss(name, logits, verdicts, options).item() == pytest.approx(matrix.mean().item(), abs=1e-6)


def test_published_broadcast_does_not_care_which_answer_was_wrong():
    logits, verdicts = torch.tensor([3.0, 1.0, -2.0]), torch.tensor([True, True, False])
    costs = {
        oracle_loss(
            "cross_entropy",
            logits,
            Verdicts(verdicts[list(order)], torch.ones(3), torch.ones(3)),
            LossOptions(paper_compat=True),
        )
        for order in itertools.permutations(range(3))
    }
    assert torch.stack(list(costs)).std() < 1e-6


def most_violating_ranking(logits, correct):
    """Largest 1 - AP + score over every ranking there is, by trying them all."""
    best = 0.0
    pairs = correct.sum() * (~correct).sum()
    for order in itertools.permutations(range(len(logits))):
        rank = np.empty(len(logits))
        rank[list(order)] = np.arange(len(logits))[::-1]
        gain = sum(
            -2 * (logits[right] - logits[wrong]) / pairs
            for right in np.flatnonzero(correct)
            for wrong in np.flatnonzero(~correct)
            if rank[wrong] > rank[right]
        )
        hits = correct[list(order)]
        average_precision = (hits.cumsum() / np.arange(1, len(hits) + 1))[hits].mean()
        best = max(best, 1 - average_precision + gain)
    return best


@pytest.mark.parametrize("seed", range(6))
def test_ranking_loss_is_the_most_violating_of_all_rankings(seed):
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 0.5, 6)
    correct = np.isin(np.arange(6), generator.choice(6, 1 + seed % 5, replace=False))
    loss = ranking_loss(torch.from_numpy(logits), torch.from_numpy(correct))
    assert loss.item() == pytest.approx(most_violating_ranking(logits, correct))


def test_ranking_loss_bounds_one_minus_average_precision_from_above():
    generator = np.random.default_rng(0)
    logits, correct = generator.normal(size=200), generator.random(200) < 0.8
    loss = ranking_loss(torch.from_numpy(logits), torch.from_numpy(correct)).item()
    assert loss >= 1 - average_precision_score(correct, logits)


def test_ranking_with_a_margin_costs_nothing_and_one_kind_teaches_nothing():
    logits = torch.tensor([9.0, 8.0, -8.0], requires_grad=True)
    assert ranking_loss(logits, torch.tensor([True, True, False])).item() == 0
    one_kind = ranking_loss(logits, torch.tensor([True, True, True]))
    one_kind.backward()
    assert one_kind.item() == 0
    assert logits.grad.tolist() == [0, 0, 0]


def test_effective_number_weights_lie_between_none_and_inverse_frequency():
    counts = VerdictCounts(correct=900, incorrect=100)
    assert effective_number_weights(counts, beta=0.0) == VerdictWeights(1.0, 1.0)
    almost = effective_number_weights(counts, beta=1 - 1e-9)
    inverse = inverse_frequency_weights(counts)
    assert almost.incorrect / almost.correct == pytest.approx(inverse.incorrect / inverse.correct, rel=1e-5)
    assert inverse.incorrect / inverse.correct == pytest.approx(9)


@pytest.mark.parametrize("weights", [inverse_frequency_weights, effective_number_weights])
@pytest.mark.parametrize(
    ("counts", "message"),
    [(VerdictCounts(48, 0), "all 48 verdicts .* are correct; .* heldout"), (VerdictCounts(0, 7), "all 7 .* incorrect")],
)
def test_verdicts_of_one_kind_have_no_weights(weights, counts, message):
    with pytest.raises(ValueError, match=message):
        weights(counts)


def test_beta_of_one_is_refused():
    with pytest.raises(ValueError, match="beta is 1; wanted"):
        effective_number_weights(VerdictCounts(2, 1), beta=1.0)
