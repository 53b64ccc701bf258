"""The alarm: tells from a stream of numbers in [0, 1] that their mean fell, and says how often it may be wrong.

A Shiryaev-Roberts e-detector (Shin, Ramdas, Rinaldo, "E-detectors", NEJSDS 2024, arXiv:2203.03532) with the bets of
Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSSB 2024, arXiv:2010.09686.
"""

import math
from collections.abc import Mapping
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

BETS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Stakes against the mean being as promised, as shares of the most that may be staked: small ones see small drops."""

AVERAGE_RUN_LENGTH = 100_000

STRIDE = 256
"""Values that `first_alarm` takes at once: the product of so many factors, none below 1 - 0.8, is 1e-179 or more."""

Floats: TypeAlias = NDArray[np.float64]


class EDetector:
    """Watches whether the mean of what it is shown stays at mu0 or above.

        M_k <- (M_k + 1) (1 + l_k (mu0 - x)),   l_k = bet_k / (1 - mu0),   alarm where mean_k M_k >= a

    While E[x | past] >= mu0, M_k less the number of values seen falls on average, so the average run length to an alarm
    is at least `a` and P(alarm within n values) <= n / a: whatever the distribution, also where values depend on
    each other. Of several detectors, each shown a share of the answers, the second holds for all of them together.

    Args:
        mu0: the least mean that is as promised, in (0, 1).
        a: wanted average run length in values, above 0.

    >>> detector = EDetector(mu0=0.9, a=100)    # after one 0 each sum is 1 + 9 bet, on average 1 + 9 (1.57 / 6)
    >>> detector.update(0.0), round(detector.statistic, 3)
    (False, 3.355)
    >>> detector.update(0.0), detector.update(0.0)    # three answers that could not be trusted less
    (False, True)
    """

    __slots__ = ("_cap", "_stakes", "_sums", "a", "mu0")

    def __init__(self, mu0: float, a: float = AVERAGE_RUN_LENGTH) -> None:
        if not 0 < mu0 < 1:
            raise ValueError(f"mu0 is {mu0}; a mean that may fall and that values may exceed lies in (0, 1)")
        if not 0 < a < math.inf:
            raise ValueError(f"average run length is {a}; wanted a finite number above 0")
        self.mu0, self.a = mu0, a
        self._stakes = tuple(bet / (1 - mu0) for bet in BETS)
        self._sums = [0.0] * len(BETS)
        # One sum at the cap brings the mean to `a` alone: the cap moves no alarm, and nothing overflows after one.
        self._cap = a * len(BETS)

    @property
    def statistic(self) -> float:
        """Mean of the sums, not negative; the alarm is at `a`, beyond six times `a` it does not grow."""
        return sum(self._sums) / len(BETS)

    @property
    def level(self) -> float:
        """log10 of the statistic, 0 where that is below 1; the alarm is at log10 of `a`."""
        return math.log10(max(1.0, self.statistic))

    @property
    def alarming(self) -> bool:
        """Whether the statistic is at `a` or above."""
        return self.statistic >= self.a

    def update(self, x: float) -> bool:
        """Takes one value; True where the alarm is on.

        It comes back off by itself as good values follow, slowly; `restart` begins anew at once.

        Raises:
            ValueError: x is not in [0, 1], or not a number: it would silence the detector for ever.
        """
        if not 0.0 <= x <= 1.0:
            raise ValueError(f"the alarm takes numbers in [0, 1], not {x}")
        gap, cap, total = self.mu0 - x, self._cap, 0.0
        sums = self._sums
        for index, stake in enumerate(self._stakes):
            grown = (sums[index] + 1.0) * (1.0 + stake * gap)
            sums[index] = grown = grown if grown < cap else cap
            total += grown
        return total >= cap

    def first_alarm(self, xs: Floats) -> int | None:
        """Takes values up to the one that raises the alarm: its index, or None where none does and all were taken.

        As `update` of each, to rounding. With P_n the product of the factors 1 + l (mu0 - x_i) up to n, each sum is

            M_n = P_n (M_0 + sum_{i <= n} 1 / P_{i-1}),   P_0 = 1,

        as long as no sum is cut at the cap; before that, the alarm is on.

        >>> detector = EDetector(mu0=0.9, a=100)
        >>> detector.first_alarm(np.zeros(10))    # the third of them, see above
        2

        Raises:
            ValueError: a value is not in [0, 1], or not a number; none was taken.
        """
        if not ((xs >= 0.0) & (xs <= 1.0)).all():
            raise ValueError(f"the alarm takes numbers in [0, 1], not {xs.min()} to {xs.max()}")
        for start in range(0, len(xs), STRIDE):
            gaps = self.mu0 - xs[start : start + STRIDE]
            product = np.ones((len(gaps) + 1, len(BETS)))
            # Beyond the alarm it may grow out of all bounds.
            with np.errstate(over="ignore"):
                np.cumprod(1.0 + np.outer(gaps, self._stakes), axis=0, out=product[1:])
                sums = product[1:] * (self._sums + np.cumsum(1.0 / product[:-1], axis=0))  # (STRIDE, 6)
            on = sums.sum(axis=1) >= self._cap
            last = int(on.argmax()) if on.any() else len(gaps) - 1
            self._sums = np.minimum(sums[last], self._cap).tolist()
            if on[last]:
                return start + last
        return None

    def restart(self) -> None:
        """Forgets the past; the promise counts from here."""
        self._sums = [0.0] * len(BETS)

    def state_dict(self) -> dict[str, Any]:
        """All there is to remember, fit for JSON."""
        return {"mu0": self.mu0, "a": self.a, "sums": list(self._sums)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The detector as it was; what it was not shown in between leaves its promise whole.

        Raises:
            ValueError: this is no state of a detector.
        """
        try:
            detector = cls(float(state["mu0"]), float(state["a"]))
            sums = [float(value) for value in state["sums"]]
        except (KeyError, TypeError) as error:
            raise ValueError(f"state of an alarm wants mu0, a and sums, got {state!r}") from error
        if len(sums) != len(BETS) or not all(0 <= value <= detector._cap for value in sums):
            raise ValueError(f"state of an alarm wants {len(BETS)} sums in [0, {detector._cap:g}], got {sums}")
        detector._sums = sums
        return detector
