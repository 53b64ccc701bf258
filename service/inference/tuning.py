"""How the networks of a bundle run best here, found by a short measurement when it opens.

Each way is timed on one image and on a batch of many. Both count alike: the best way has the smallest geometric mean of
its two costs, so 10 % lost on single images must be made up by more than 10 % won on batches. The networks do not have
the cores for themselves: a batch costs no less than its share of all that the cores have to do for its answers.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

from service.inference.execution import Execution
from service.inference.timing import WORTH, Clock, Timed, seconds_after_pause, seconds_of

BUDGET_SECONDS = 0.8
"""For opening and timing further ways; a network that needs longer runs in the first, which suits any."""
REQUEST_SECONDS = 0.00025
"""Of a core that an answer takes beside its networks: receiving, decoding, sending."""
WAKE_SECONDS = 0.00015
"""What a single image waits for other threads to be woken, beyond what the comparison sees: there, little else runs."""
_LEAST_RUNS = 6
"""Of one image, to compare two ways: each is warmed up and timed twice."""
_MANY_SECONDS = 0.01
"""How long one batch of many may take: for slow networks the batch timed is smaller than the largest served."""


@dataclass(frozen=True)
class Plan:
    """One way to run the networks."""

    threads: int
    """CPU threads of each network."""
    parallel: bool
    """Both at once, or one after the other."""


T = TypeVar("T", bound=Timed)
Open = Callable[[Plan], T]


@dataclass(frozen=True)
class Choice(Generic[T]):
    """The best of the ways that were timed, open."""

    networks: T
    plan: Plan
    compared: int
    """Ways that were timed; 1: nothing was left open, or no time for others."""
    seconds: float
    """What comparing took."""
    alone: float | None
    """Seconds of one image; None: nothing was timed."""


def possible_plans(execution: Execution, networks: int, on_gpu: bool) -> list[Plan]:
    """The ways that the operator left open; the first suits any network, those of equal threads stand together."""
    cores = 1 if on_gpu else execution.cores
    ways = {"parallel": (True,), "in_turn": (False,), "auto": (True, False)}[execution.networks]
    if networks == 1 or (execution.networks == "auto" and cores == 1 and not on_gpu):
        ways = (False,)
    share = max(1, cores // networks)
    counts = [execution.threads] if execution.threads else dict.fromkeys([share, 1, cores])
    plans = [Plan(threads, parallel) for threads in counts for parallel in ways]
    # More threads than cores only wait for each other, unless somebody asked for them.
    return [plan for plan in plans if execution.threads or not plan.parallel or plan.threads <= share]


def choose_plan(
    plans: list[Plan], open_networks: Open[T], max_batch: int, cores: int, clock: Clock = time.perf_counter
) -> Choice[T]:
    """Opens and times one way after the other, within the budget; the networks of all but the best are closed.

    Args:
        plans: at least one; the first is taken where no time is left to compare.
        open_networks: called once a plan; those of equal threads may share what they open.
        max_batch: most images in one batch.
        cores: that the networks share with all else that an answer takes.
        clock: seconds.
    """
    started = clock()
    best, best_plan = open_networks(plans[0]), plans[0]
    opening = clock() - started
    if len(plans) == 1:
        return Choice(best, best_plan, 1, 0.0, None)
    compared_from = clock()
    best.run_blank(1)
    if _LEAST_RUNS * (first := clock() - compared_from) > BUDGET_SECONDS:
        return Choice(best, best_plan, 1, first, first)
    best_times = _times(best, max_batch, clock)
    best_cost = _cost(best_plan, best_times, cores)
    compared = 1
    for before, plan in pairwise(plans):
        next_seconds = (clock() - compared_from) / compared + (opening if plan.threads != before.threads else 0.0)
        if clock() - compared_from + next_seconds > BUDGET_SECONDS:
            break
        other = open_networks(plan)
        times = _times(other, max_batch, clock)
        compared += 1
        if (cost := _cost(plan, times, cores)) * WORTH < best_cost:
            best_cost = cost
            best, best_plan, best_times, other = other, plan, times, best
        other.close()
    return Choice(best, best_plan, compared, clock() - compared_from, best_times.alone)


@dataclass(frozen=True)
class _Times:
    """Seconds that an image takes."""

    alone: float
    among_many: float


def _cost(plan: Plan, times: _Times, cores: int) -> float:
    """Geometric mean of what an image costs alone and among many, in seconds."""
    threads = plan.threads * (2 if plan.parallel else 1)
    alone = times.alone + (WAKE_SECONDS if threads > 1 else 0.0)
    of_all_cores = (threads * times.among_many + REQUEST_SECONDS) / cores
    return math.sqrt(alone * max(times.among_many, of_all_cores))


def _times(networks: Timed, max_batch: int, clock: Clock) -> _Times:
    alone = seconds_after_pause(networks, clock)
    images = min(max_batch, max(1, int(_MANY_SECONDS / alone)))
    return _Times(alone, seconds_of(networks, images, clock) / images if images > 1 else alone)
