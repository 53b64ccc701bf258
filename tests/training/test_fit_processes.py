"""Two processes under torchrun do what one does."""

import json
import os
import subprocess
import sys

import pytest
import torch

from tests.training.small_fit import fit_small
from training.fit.plan import FitPlan
from training.fit.record import read_loss_curve

# 24 images in batches of 5: shards of 3 and 2, and of 2 and 2 at the end; in batches of 23 a last one of 1 and none.
PLANS = {
    "plain": ({"epochs": 2, "batch_size": 5, "learning_rate": 0.1}, False),
    "lonely": ({"epochs": 2, "batch_size": 23, "learning_rate": 0.1}, False),
    "normalised": ({"epochs": 2, "batch_size": 5, "learning_rate": 0.1}, True),
    "flat": ({"epochs": 4, "batch_size": 12, "learning_rate": 0.1, "sam_radius": 0.05, "swa_from": 0.5}, False),
    "accumulated": ({"epochs": 2, "batch_size": 12, "learning_rate": 0.1, "accumulation": 2}, False),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Folder with the weights of every plan and process."""
    folder = tmp_path_factory.mktemp("shared")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.training.small_fit", str(folder), json.dumps(PLANS)]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", PLANS)
def test_both_processes_end_with_the_same_weights(shared, name):
    first, second = (torch.load(shared / f"{name}-{process}.pt") for process in range(2))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.mark.parametrize("name", PLANS)
def test_two_processes_do_what_one_does_with_twice_the_micro_batches(shared, name):
    options, normalised = PLANS[name]
    plan = FitPlan(**options | {"accumulation": 2 * options.get("accumulation", 1)})
    one = fit_small(None, plan, normalised, remembers=False)[0]
    two = torch.load(shared / f"{name}-0.pt")
    for key, value in one.named_parameters():
        assert torch.allclose(two[key], value, atol=1e-6), key


def test_loss_shown_is_that_of_the_whole_batch(shared, tmp_path):
    fit_small(tmp_path, FitPlan(epochs=2, batch_size=5, learning_rate=0.1, accumulation=2), False, remembers=False)
    one, two = (read_loss_curve(folder, "small fit") for folder in (tmp_path, shared / "plain"))
    assert two[0] == one[0]
    assert two[1] == pytest.approx(one[1], abs=1e-6)
