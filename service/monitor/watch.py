"""One alarm of the service: when it is raised, how long it stays, and what of it outlives a restart."""

from collections.abc import Mapping
from typing import Any

from service.monitor.alarm import EDetector, Floats


class Watch:
    """Watches one figure of the answers, on average at or above mu0 while all is well.

    The alarm is raised when the detector reaches its limit. From then on the detector rests, and the answers that
    follow are averaged in blocks: the first block whose mean is back at mu0 ends the alarm, and the detector begins
    anew. So an alarm counts once however long the trouble lasts, and its promise holds again from where it ended.

    Args:
        name: of the alarm.
        mu0: the least mean that is as promised, in (0, 1).
        run_length: values between two false alarms, on average, at least.
        block: values whose mean says that an alarm is over.
    """

    def __init__(self, name: str, mu0: float, run_length: float, block: int) -> None:
        self.name = name
        self.active = False
        self.raised_at: float | None = None
        """When it was raised last, seconds since the epoch."""
        self._detector = EDetector(mu0, run_length)
        self._block = block
        self._sum, self._count = 0.0, 0

    @property
    def mu0(self) -> float:
        return self._detector.mu0

    @property
    def level(self) -> float:
        """log10 of the detector's statistic; while the alarm is active, as it was when it was raised."""
        return self._detector.level

    def update(self, x: float, now: float) -> bool:
        """Takes one value in [0, 1]; True where it raises the alarm.

        Args:
            x: the figure of one answer.
            now: seconds since the epoch.
        """
        if self.active:
            self._sum += x
            self._count += 1
            if self._count == self._block:
                self._end_block()
            return False
        if not self._detector.update(x):
            return False
        self.active, self.raised_at = True, now
        return True

    def update_many(self, xs: Floats, at: Floats) -> int:
        """Takes values in their order; how often they raise the alarm. As `update` of each, and far cheaper.

        Args:
            xs: (N,) in [0, 1].
            at: (N,) seconds since the epoch.
        """
        raised = taken = 0
        while taken < len(xs):
            if self.active:
                block = xs[taken : taken + self._block - self._count]
                self._sum += float(block.sum())
                self._count += len(block)
                taken += len(block)
                if self._count == self._block:
                    self._end_block()
                continue
            first = self._detector.first_alarm(xs[taken:])
            if first is None:
                break
            self.active, self.raised_at = True, float(at[taken + first])
            taken += first + 1
            raised += 1
        return raised

    def _end_block(self) -> None:
        if self._sum >= self._detector.mu0 * self._block:
            self.active = False
            self._detector.restart()
        self._sum, self._count = 0.0, 0

    def state_dict(self) -> dict[str, Any]:
        """All there is to remember, fit for JSON."""
        return {
            "detector": self._detector.state_dict(),
            "active": self.active,
            "raised_at": self.raised_at,
            "block": [self._sum, self._count],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state_dict` left off; where mu0 or the run length is another now, it begins anew.

        Raises:
            ValueError: this is no state of an alarm; nothing was taken from it.
        """
        try:
            detector = EDetector.from_state(state["detector"])
            (total, count), active, raised_at = state["block"], bool(state["active"]), state["raised_at"]
            block = float(total), int(count)
            raised_at = None if raised_at is None else float(raised_at)
        except (KeyError, TypeError) as error:
            raise ValueError(f"state of alarm {self.name} lacks {error}") from error
        if not 0 <= block[0] <= block[1] < self._block:
            raise ValueError(f"state of alarm {self.name} has a block of sum {block[0]} and count {block[1]}")
        if (detector.mu0, detector.a) == (self._detector.mu0, self._detector.a):
            self._detector, self.active, self.raised_at = detector, active, raised_at
            self._sum, self._count = block


class LabelWatch(Watch):
    """Watches the answers that labels show to be right or wrong.

    Reviewers may prefer some answers, so each is shown to the detector as mu0 + (s / p) (correct - mu0), with p its
    sampling probability and s the smallest one before it: on average over the choice that is s (correct - mu0), alike
    for every answer, and the promise holds whatever the reviewers choose. Where every answer is labelled, s / p is 1.
    """

    def __init__(self, name: str, mu0: float, run_length: float, block: int) -> None:
        super().__init__(name, mu0, run_length, block)
        self._smallest = 1.0

    def update_labelled(self, correct: bool, sampling_probability: float, now: float) -> bool:
        """Takes one labelled answer; True where it raises the alarm."""
        share = min(1.0, self._smallest / sampling_probability)
        self._smallest = min(self._smallest, sampling_probability)
        return self.update(self.mu0 + share * (correct - self.mu0), now)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"smallest": self._smallest}

    def restore(self, state: Mapping[str, Any]) -> None:
        smallest = state.get("smallest")
        if not isinstance(smallest, float) or not 0 < smallest <= 1:
            raise ValueError(f"state of alarm {self.name} has smallest sampling probability {smallest!r}")
        super().restore(state)
        self._smallest = smallest
