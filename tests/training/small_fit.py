"""A small fit with all that could go astray, for processes that are killed and processes that share it.

Run by torchrun it writes each process's weights of the plans asked for.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.fit.loop import fit
from training.fit.plan import FitPlan
from training.fit.record import Record

IMAGES = 24
POINTS = torch.from_numpy(np.random.default_rng(0).normal(size=(IMAGES, 6))).float()
TARGETS = torch.arange(IMAGES) % 3


class Seen:
    """How often each image was looked at: what a loss may remember from step to step."""

    def __init__(self):
        self.counts = torch.zeros(IMAGES)

    def state_dict(self):
        return {"counts": self.counts}

    def load_state_dict(self, state):
        self.counts = state["counts"]


def network(normalised):
    """Dropout, and batch normalisation where wanted."""
    torch.manual_seed(0)
    layers = [nn.Linear(6, 8), nn.BatchNorm1d(8)] if normalised else [nn.Linear(6, 8)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


def fit_small(folder, plan, normalised=True, remembers=True, die_at=None):
    """The fitted network and what its loss remembers; the process kills itself when it asks for loss `die_at`."""
    model, seen, asked = network(normalised), Seen(), 0

    def loss_of(model, batch, _):
        nonlocal asked
        asked += 1
        if asked == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        # Remembered images count a little more: a loss that forgot them would give other weights.
        weights = 1 + 0.1 * seen.counts[batch]
        loss = (nn.functional.cross_entropy(model(POINTS[batch]), TARGETS[batch], reduction="none") * weights).mean()
        if remembers and torch.is_grad_enabled():
            seen.counts[batch] += 1
        return loss

    record = folder and Record(folder, folder / "checkpoints", resume=True, checkpoint_seconds=0.0)
    fit(model, loss_of, np.arange(IMAGES), plan, seed=3, title="small fit", record=record, state={"seen": seen})
    return model, seen


def fit_and_save(folder, plan, die_at=None):
    """In a process of its own."""
    torch.set_num_threads(1)
    model, seen = fit_small(folder, plan, die_at=die_at)
    torch.save(model.state_dict() | seen.state_dict(), folder / "weights.pt")


def main():
    """Each plan's weights, as `<plan>-<process>.pt`."""
    torch.set_num_threads(1)
    folder, plans = Path(sys.argv[1]), json.loads(sys.argv[2])
    for name, (plan, normalised) in plans.items():
        model = fit_small(folder / name, FitPlan(**plan), normalised, remembers=False)[0]
        torch.save(model.state_dict(), folder / f"{name}-{os.environ['RANK']}.pt")


if __name__ == "__main__":
    main()
