"""The alarms of a bundle: what each watches, and from where on it is wrong."""

import json
import math
import threading
from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np

from service.monitor.estimates import ratio_estimate
from service.monitor.novelty import NoveltyReference
from service.monitor.schemas import Alarm
from service.monitor.watch import LabelWatch, Watch
from service.monitor.window import Floats, Observations, Sums
from trust.manifest import ReferenceSummary, Threshold

WATCHES = {
    "falling_trust": "mean trust, against the lower end of the reference's interval less the tolerated drop",
    "untrusted": "share of trusted answers, against the lower end of the reference's interval less the tolerated drop",
    "input": "mean p-value of novelty, 1/2 while the images are like the reference's",
    "image": "mean p-value of image novelty, by pixels alone, 1/2 while the images are like the reference's",
    "correctness": "share of right ones among trusted answers with a label, against the threshold's promise",
}
ANSWERS_A_BLOCK, LABELS_A_BLOCK = 1000, 100
"""How many must be back, on average, for an alarm to be over."""


class Alarms:
    """All alarms of one worker; any thread may call them.

    Args:
        summary, reference: of the bundle; the answers to its reference images, summed.
        novelty, image_novelty: what live ones are ranked among, or None.
        threshold: in force.
        tolerated_drop: see `Settings`.
        run_length: answers between two false alarms of one kind, on average, at least.
    """

    def __init__(
        self,
        summary: ReferenceSummary,
        reference: Sums,
        novelty: NoveltyReference | None,
        image_novelty: NoveltyReference | None,
        threshold: Threshold,
        tolerated_drop: float,
        run_length: int,
    ) -> None:
        self._run_length = run_length
        # Answers and labels come from several threads, and no half of a state is saved.
        self._lock = threading.Lock()

        def watch(name: str, mu0: float, kind: type[Watch] = Watch, block: int = ANSWERS_A_BLOCK) -> Watch | None:
            # A mean that cannot fall below its least value cannot be watched.
            return kind(name, mu0, run_length, block) if 0 < mu0 < 1 else None

        rate = ratio_estimate(reference.total("answers", trusted=True), reference.total("answers"))
        assert rate is not None, "a reference has images"
        self._trust = watch("falling_trust", summary.mean_trust_lower - tolerated_drop)
        self._untrusted = watch("untrusted", rate.low - tolerated_drop)
        self._input = None if novelty is None else watch("input", novelty.mean_lower)
        self._image = None if image_novelty is None else watch("image", image_novelty.mean_lower)
        self._correctness = None
        if threshold.risk is not None and 0 < threshold.risk < 1:
            self._correctness = LabelWatch("correctness", 1 - threshold.risk, run_length, LABELS_A_BLOCK)
        every = (self._trust, self._untrusted, self._input, self._image, self._correctness)
        self.watches: dict[str, Watch] = {watch.name: watch for watch in every if watch is not None}

    @property
    def threshold(self) -> float:
        """Level at which an alarm is raised, log10."""
        return math.log10(self._run_length)

    def observe(self, observations: Observations) -> list[str]:
        """Takes answers in their order; names the alarms that they raise, once for each time."""
        shown: list[tuple[Watch | None, Floats]] = [
            (self._trust, observations.trust),
            (self._untrusted, observations.trusted.astype(float)),
            (self._input, observations.p_value),
            (self._image, observations.image_p_value),
        ]
        raised: list[str] = []
        with self._lock:
            for watch, values in shown:
                if watch is not None:
                    measured = ~np.isnan(values)
                    raised += [watch.name] * watch.update_many(values[measured], observations.at[measured])
        return raised

    def observe_label(self, correct: bool, trusted: bool, sampling_probability: float, now: float) -> list[str]:
        """Takes one labelled answer; names the alarms that it raises."""
        watch = self._correctness
        if watch is None or not trusted:
            return []
        with self._lock:
            return [watch.name] if watch.update_labelled(correct, sampling_probability, now) else []

    def to_json(self) -> str:
        with self._lock:
            return json.dumps({name: watch.state_dict() for name, watch in self.watches.items()})

    def restore(self, saved: str) -> None:
        """Goes on where `to_json` left off; an alarm that is new, or promises something else now, begins anew.

        Raises:
            ValueError: this is no state of alarms.
        """
        states = json.loads(saved)
        if not isinstance(states, dict) or not all(isinstance(state, dict) for state in states.values()):
            raise ValueError(f"alarms are {saved[:64]!r}; wanted an object of objects")
        for name, watch in self.watches.items():
            if name in states:
                watch.restore(states[name])

    def report(self, others: Iterable["Alarms"]) -> dict[str, Alarm]:
        """Each alarm as that worker has it where it stands worst."""
        workers = [self, *others]
        return {
            name: self._report(max((alarms.watches[name] for alarms in workers), key=_badness)) for name in self.watches
        }

    def _report(self, watch: Watch) -> Alarm:
        return Alarm(
            active=watch.active,
            level=watch.level,
            threshold=self.threshold,
            raised_at=None if watch.raised_at is None else datetime.fromtimestamp(watch.raised_at, UTC),
            watches=WATCHES[watch.name],
            least_mean=watch.mu0,
        )


def _badness(watch: Watch) -> tuple[bool, float]:
    return watch.active, watch.level
