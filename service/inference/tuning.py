"""How the networks of a bundle run best here, found by a short measurement when it opens.

Each way is timed on one image and on a batch of many. Both count alike: the best way has the smallest geometric mean of
its two times, so 10 % lost on single images must be made up by more than 10 % won on batches.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, Protocol, TypeVar

from service.inference.execution import Execution

Clock = Callable[[], float]

BUDGET_SECONDS = 0.8
"""For opening and timing further ways; a network that needs longer runs in the first, which suits any."""
WORTH = 1.05
"""How many times better a later way, or a larger batch, must be: less is noise."""
_LEAST_RUNS = 6
"""Of one image, to compare two ways: each is warmed up and timed twice."""
_REPEATS = 10
_REPEAT_SECONDS = 0.01
_BATCH_SECONDS = 0.01
"""How long one batch of many may take: for slow networks the batch timed is smaller than the largest served."""


@dataclass(frozen=True)
class Plan:
    """One way to run the networks."""

    threads: int
    """CPU threads of each network."""
    parallel: bool
    """Both at once, or one after the other."""


class Timed(Protocol):
    """Networks that can be timed."""

    def run_blank(self, images: int) -> object:
        """Runs one batch of so many images."""

    def close(self) -> None: ...


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
    plans: list[Plan], open_networks: Open[T], max_batch: int, clock: Clock = time.perf_counter
) -> Choice[T]:
    """Opens and times one way after the other, within the budget; the networks of all but the best are closed.

    Args:
        plans: at least one; the first is taken where no time is left to compare.
        open_networks: called once a plan; those of equal threads may share what they open.
        max_batch: most images in one batch.
        clock: seconds.
    """
    started = clock()
    best, best_plan = open_networks(plans[0]), plans[0]
    opening = clock() - started
    if len(plans) == 1:
        return Choice(best, best_plan, 1, 0.0)
    compared_from = clock()
    best.run_blank(1)
    if _LEAST_RUNS * (clock() - compared_from) > BUDGET_SECONDS:
        return Choice(best, best_plan, 1, clock() - compared_from)
    best_cost = _cost(best, max_batch, clock)
    compared = 1
    for before, plan in pairwise(plans):
        next_seconds = (clock() - compared_from) / compared + (opening if plan.threads != before.threads else 0.0)
        if clock() - compared_from + next_seconds > BUDGET_SECONDS:
            break
        other = open_networks(plan)
        cost = _cost(other, max_batch, clock)
        compared += 1
        if cost * WORTH < best_cost:
            best, best_plan, best_cost, other = other, plan, cost, best
        other.close()
    return Choice(best, best_plan, compared, clock() - compared_from)


def largest_batch(networks: Timed, max_batch: int, clock: Clock = time.perf_counter) -> int:
    """The batch up to which images/s still grow; on a GPU more of them only wait longer, or exhaust its memory.

    >>> class Saturated:                       # 1 ms for up to 8 images at once
    ...     now = 0.0
    ...     def run_blank(self, images):
    ...         self.now += 0.001 * max(1, images / 8)
    ...     def close(self): ...
    >>> networks = Saturated()
    >>> largest_batch(networks, 128, clock=lambda: networks.now)
    8
    """
    best, best_rate = 1, 0.0
    for images in _doubling(max_batch):
        try:
            rate = images / _seconds(networks, images, clock)
        except Exception:  # noqa: BLE001 - onnxruntime has no class of its own for memory that is exhausted
            break
        if rate < best_rate * WORTH:
            break
        best, best_rate = images, rate
    return best


def _cost(networks: Timed, max_batch: int, clock: Clock) -> float:
    """Geometric mean of the seconds that an image takes alone and in a batch of many."""
    alone = _seconds(networks, 1, clock)
    images = min(max_batch, max(1, int(_BATCH_SECONDS / alone)))
    among_many = _seconds(networks, images, clock) / images if images > 1 else alone
    return math.sqrt(alone * among_many)


def _seconds(networks: Timed, images: int, clock: Clock) -> float:
    """What a batch takes at its best: whatever else runs here can only make it slower. The first run warms up."""
    networks.run_blank(images)
    times: list[float] = []
    while len(times) < 2 or (len(times) < _REPEATS and sum(times) < _REPEAT_SECONDS):
        started = clock()
        networks.run_blank(images)
        times.append(clock() - started)
    # No clock is finer than this; a fake one may stand still.
    return max(min(times), 1e-9)


def _doubling(limit: int) -> Iterator[int]:
    """1, 2, 4, ... and the limit itself."""
    images = 1
    while images < limit:
        yield images
        images *= 2
    yield limit
