"""A fit killed at any moment goes on and ends with the very weights of one that was not."""

import multiprocessing
import signal

import pytest
import torch

from tests.training.small_fit import fit_and_save, fit_small
from training.fit.plan import FitPlan
from training.fit.record import read_loss_curve

PLAIN = FitPlan(epochs=3, batch_size=5, learning_rate=0.1)
FLAT = FitPlan(
    epochs=4,
    batch_size=5,
    learning_rate=0.01,
    optimizer="adamw",
    schedule="cosine",
    sam_radius=0.05,
    swa_from=0.5,
    swa_learning_rate=0.005,
    accumulation=2,
)


@pytest.fixture(scope="module")
def processes():
    """Starts processes that have torch loaded already, and have not used it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "tests.training.small_fit"])
    return context


# 5 steps an epoch: in the first epoch before any checkpoint, in the second, at the first step of the third. With
# micro-batches and SAM a step asks for four losses: in a second pass, between two micro-batches, and in the pass for
# the statistics of the averaged weights, which comes after 4 * 5 * 4 = 80 losses.
@pytest.mark.parametrize(("plan", "deaths"), [(PLAIN, [1, 3, 6, 5]), (FLAT, [7, 20, 54, 8, 3])], ids=["plain", "flat"])
def test_killed_fit_ends_with_the_weights_of_one_that_was_not(tmp_path, processes, plan, deaths):
    for die_at in [*deaths, None]:
        process = processes.Process(target=fit_and_save, args=(tmp_path, plan, die_at))
        process.start()
        process.join(timeout=60)
        assert process.exitcode == (0 if die_at is None else -signal.SIGKILL)
    found = torch.load(tmp_path / "weights.pt")
    model, seen = fit_small(None, plan)
    for name, value in (model.state_dict() | seen.state_dict()).items():
        assert torch.equal(found[name], value), name


def test_loss_curve_of_a_killed_fit_has_every_step_once(tmp_path, processes):
    for die_at in (8, None):
        process = processes.Process(target=fit_and_save, args=(tmp_path / "killed", PLAIN, die_at))
        process.start()
        process.join(timeout=60)
    fit_small(tmp_path / "whole", PLAIN)
    steps, losses = read_loss_curve(tmp_path / "killed", "small fit")
    assert steps == list(range(1, 16))
    assert losses == read_loss_curve(tmp_path / "whole", "small fit")[1]
