"""The training loop, held against plain torch and hand arithmetic."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from training.fit.loop import fit
from training.fit.plan import FitPlan
from training.fit.record import Record, read_loss_curve
from training.seeds import draw_seed

POINTS = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 5))).float()
TARGETS = torch.arange(20) % 2
PLAIN = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "schedule": "constant"}


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 2))


def loss_of(model, batch, _):
    return nn.functional.cross_entropy(model(POINTS[batch]), TARGETS[batch])


class Point(nn.Module):
    """Weights and nothing else, for hand arithmetic."""

    def __init__(self, *values):
        super().__init__()
        self.at = nn.Parameter(torch.tensor(values))


def path_of(plan, *values, loss=lambda model, *_: model.at.sum()):
    """Where the weights were at each step, and are at last; the plain sum's gradient is 1 everywhere."""
    point, path = Point(*values), []

    def watched(model, batch, draw):
        path.append(model.at.tolist())
        return loss(model, batch, draw)

    fit(point, watched, np.arange(1), plan, seed=0, title="test")
    return [*path, point.at.tolist()]


def test_default_is_sgd_with_nesterov_momentum_under_one_cycle():
    model, reference = network(), network()
    fit(model, loss_of, np.arange(20), FitPlan(epochs=2, batch_size=8, learning_rate=0.1), seed=7, title="test")
    optimizer = torch.optim.SGD(reference.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=6, pct_start=0.2)
    for epoch in range(2):
        order = np.random.default_rng((7, epoch)).permutation(20)
        for step in range(3):
            torch.manual_seed(draw_seed(7, epoch, step))
            optimizer.zero_grad()
            loss_of(reference, order[8 * step : 8 * step + 8], None).backward()
            optimizer.step()
            schedule.step()
    assert all(torch.equal(mine, its) for mine, its in zip(model.parameters(), reference.parameters(), strict=True))


def test_sam_descends_with_the_gradient_uphill():
    # Half the squared length: the gradient at (3, 4) is (3, 4), 5 long. Half a step uphill stands at (3.3, 4.4), whose
    # gradient takes a tenth of itself from (3, 4).
    plan = FitPlan(epochs=1, batch_size=1, learning_rate=0.1, sam_radius=0.5, **PLAIN)
    path = path_of(plan, 3.0, 4.0, loss=lambda model, *_: model.at.square().sum() / 2)
    assert np.allclose(path, [(3, 4), (3.3, 4.4), (2.67, 3.56)])


def test_sam_leaves_batch_normalisation_the_statistics_met_before_the_ascent():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    model[0].weight.data.fill_(1.0)
    inputs = torch.tensor([[1.0], [2.0], [3.0], [6.0]])
    plan = FitPlan(epochs=1, batch_size=4, learning_rate=0.1, sam_radius=0.5, **PLAIN)
    fit(model, lambda model, *_: model[0].weight.sum() + model(inputs).sum(), np.arange(4), plan, seed=0, title="test")
    # A tenth of the way from 0 to the mean of 3, once.
    assert model[1].running_mean.item() == pytest.approx(0.3)
    assert model[1].num_batches_tracked == 1


def test_averaged_weights_are_the_mean_over_the_last_epochs():
    # From 1, a tenth down an epoch: .9 .8 .7 .6; the last half's mean is .65.
    plan = FitPlan(epochs=4, batch_size=1, learning_rate=0.1, swa_from=0.5, **PLAIN)
    assert path_of(plan, 1.0)[-1] == pytest.approx([0.65])


def test_batch_normalisation_has_the_statistics_of_the_averaged_weights():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    model[0].weight.data.fill_(1.0)
    inputs = torch.tensor([[1.0], [2.0], [3.0], [6.0]])

    def falls_with_the_weight(model, batch, _):
        return model[0].weight.sum() + 0 * model(inputs[batch]).sum()

    plan = FitPlan(epochs=4, batch_size=2, learning_rate=0.05, swa_from=0.5, **PLAIN)
    fit(model, falls_with_the_weight, np.arange(4), plan, seed=0, title="test")
    # Two steps of .05 an epoch: the weight is .65 as above, the inputs' mean 3.
    assert model[1].running_mean.item() == pytest.approx(0.65 * 3)


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"schedule": "constant"}, [0.1, 0.1, 0.1, 0.1]),
        ({"schedule": "step", "milestones": (0.5, 0.75)}, [0.1, 0.1, 0.01, 0.001]),
        ({"schedule": "cosine"}, [0.05 * (1 + math.cos(math.pi * step / 4)) for step in range(4)]),
        ({"schedule": "constant", "swa_from": 0.5, "swa_learning_rate": 0.02}, [0.1, 0.1, 0.1, 0.02]),
    ],
    ids=["constant", "step", "cosine", "averaging"],
)
def test_schedule_sets_the_learning_rate(options, rates):
    path = path_of(FitPlan(epochs=4, batch_size=1, learning_rate=0.1, **PLAIN | options), 1.0)
    # After averaging the last place is the mean; the step before it is seen in the loss's own path.
    steps = -np.diff(np.ravel(path))[: 3 if "swa_from" in options else 4]
    assert steps == pytest.approx(rates[: len(steps)], abs=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_first_step_of_adam_is_the_learning_rate_long(optimizer):
    plan = FitPlan(epochs=1, batch_size=1, learning_rate=0.1, optimizer=optimizer, **PLAIN)
    assert path_of(plan, 1.0)[-1] == pytest.approx([0.9], abs=1e-6)


@pytest.mark.parametrize("images", [20, 17], ids=["even", "a last batch of one image"])
def test_micro_batches_add_up_to_the_batch(images):
    whole, parts = network().eval(), network().eval()
    whole[2].p = parts[2].p = 0.0
    for model, accumulation in ((whole, 1), (parts, 3)):
        plan = FitPlan(epochs=2, batch_size=8, learning_rate=0.1, accumulation=accumulation)
        fit(model, loss_of, np.arange(images), plan, seed=1, title="test")
    for first, second in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.allclose(first, second, atol=1e-6)


def test_same_seed_same_weights():
    first, again = network(), network()
    for model in (first, again):
        fit(model, loss_of, np.arange(20), FitPlan(epochs=2, batch_size=8, learning_rate=0.1), seed=5, title="test")
        torch.rand(3)  # What is drawn in between must make no difference.
    assert all(torch.equal(mine, its) for mine, its in zip(first.parameters(), again.parameters(), strict=True))


def test_low_precision_is_for_the_network_alone():
    model, seen = network(), []

    def watched(model, batch, _):
        inner = model[0](POINTS[batch])
        outputs = model(POINTS[batch])
        seen.append((inner.dtype, outputs.dtype))
        return nn.functional.cross_entropy(outputs, TARGETS[batch])

    plan = FitPlan(epochs=1, batch_size=20, learning_rate=0.1, precision="bf16")
    fit(model, watched, np.arange(20), plan, seed=0, title="test")
    assert seen == [(torch.bfloat16, torch.float32)]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model(POINTS).dtype == torch.float32


def test_loss_that_is_not_finite_stops_at_once_and_says_where():
    model = network()

    def breaks_down(model, batch, draw):
        loss = loss_of(model, batch, draw)
        return loss * math.nan if draw == draw_seed(0, 1, 1) else loss

    plan = FitPlan(epochs=3, batch_size=10, learning_rate=0.1, schedule="constant")
    message = (
        r"oracle 4: the loss is nan in epoch 2 of 3, step 2 of 2, at learning rate 0.1; the last finite loss was \d"
    )
    with pytest.raises(ValueError, match=message):
        fit(model, breaks_down, np.arange(20), plan, seed=0, title="oracle 4")


def test_half_precision_on_a_cpu_is_refused():
    plan = FitPlan(epochs=1, batch_size=10, learning_rate=0.1, precision="fp16")
    with pytest.raises(ValueError, match="precision is fp16 and the device cpu; wanted a GPU, or bf16 or fp32"):
        fit(network(), loss_of, np.arange(20), plan, seed=0, title="test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs is 0; wanted at least 1"),
        ({"learning_rate": math.nan}, "learning_rate is nan; wanted more than 0"),
        ({"swa_from": 1.0}, "swa_from is 1; wanted a share"),
        ({"swa_learning_rate": 0.1}, "swa_learning_rate is given without swa_from"),
        ({"sam_radius": 0.1, "precision": "fp16"}, "take bf16 or fp32"),
    ],
)
def test_plan_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FitPlan(**{"epochs": 1, "batch_size": 1, "learning_rate": 0.1} | options)


def test_log_and_events_tell_how_the_loss_went(tmp_path):
    losses = iter([3.0, 2.0, 1.0, 0.5])
    record = Record(tmp_path, tmp_path / "checkpoints")
    plan = FitPlan(epochs=2, batch_size=1, learning_rate=0.25, schedule="constant")
    point = Point(1.0)
    fit(point, lambda m, *_: 0 * m.at.sum() + next(losses), np.arange(2), plan, seed=0, title="a b", record=record)
    assert read_loss_curve(tmp_path, "a b") == ([1, 2, 3, 4], [3.0, 2.0, 1.0, 0.5])
    lines = [line.split("  ")[1] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert lines == [
        "a b: 4 steps",
        "a b: epoch 1/2, step 2/2, loss 2.0000, learning rate 0.25",
        "a b: epoch 2/2, step 2/2, loss 0.5000, learning rate 0.25",
    ]
    with pytest.raises(FileNotFoundError, match="has no loss curve of 'c'; there are: a-b"):
        read_loss_curve(tmp_path, "c")


def test_checkpoint_of_another_fit_is_not_resumed(tmp_path):
    def start(**options):
        plan = FitPlan(**{"epochs": 1, "batch_size": 10, "learning_rate": 0.1} | options)
        record = Record(tmp_path, tmp_path / "checkpoints", resume=True)
        fit(network(), loss_of, np.arange(20), plan, seed=0, title="test", record=record)

    start()
    with pytest.raises(ValueError, match=r"test\.pt is of another fit: learning_rate was 0\.1 and is 0\.2; start anew"):
        start(learning_rate=0.2)
