"""What is monitored: one bundle under the settings in force, and the answers to its reference images."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from service.inference.bundle import Bundle, read_reference
from service.monitor.alarms import Alarms
from service.monitor.labels import OTHER
from service.monitor.novelty import NoveltyReference
from service.monitor.window import Observations, Sums
from service.settings import Settings
from trust.head import decide
from trust.manifest import REFERENCE, BundleError, Manifest, Threshold
from trust.score import question_answer_trust

_COLUMNS = {"trust", "confidence", "predicted"}


@dataclass(frozen=True)
class Subject:
    """One bundle as it is monitored."""

    manifest: Manifest
    threshold: Threshold
    """In force: the operator's, else the bundle's."""
    reward: float
    penalty: float
    names: tuple[str, ...]
    """Of the classes that are told apart; where there are more, the last is all the others."""
    reference: Sums
    """Answers to clean images that fitted nothing, summed as the live ones are."""
    novelties: tuple[float, ...]
    """Of the reference images; none where the bundle measures none."""
    image_novelties: tuple[float, ...]
    """The same by their pixels alone."""
    tolerated_drop: float
    run_length: int

    @classmethod
    def of(cls, bundle: Bundle, threshold: Threshold, settings: Settings) -> Self:
        """Reads the reference.

        Raises:
            BundleError: it is no file of arrays, or lacks one.
        """
        classes, limit = bundle.manifest.classes, settings.class_series_limit
        names = classes if len(classes) <= limit else (*classes[:limit], OTHER)
        rows = read_reference(bundle)
        if absent := _COLUMNS - rows.keys():
            raise BundleError(f"{bundle.path / REFERENCE} lacks {sorted(absent)}; export the bundle again")
        trust, confidence = rows["trust"].astype(float), rows["confidence"].astype(float)
        predicted = rows["predicted"].astype(int)
        observations = Observations(
            at=np.zeros(len(trust)),
            class_index=np.minimum(predicted, len(names) - 1),
            trusted=decide(trust, threshold.of(predicted)),
            trust=trust,
            confidence=confidence,
            question_answer=question_answer_trust(confidence, trust, settings.reward, settings.penalty),
            p_value=np.full(len(trust), math.nan),
            image_p_value=np.full(len(trust), math.nan),
        )
        return cls(
            manifest=bundle.manifest,
            threshold=threshold,
            reward=settings.reward,
            penalty=settings.penalty,
            names=names,
            reference=Sums.of(len(names), observations),
            novelties=_column(rows, "novelty"),
            # Live images have none without the statistics of clean ones.
            image_novelties=() if bundle.manifest.image_statistics is None else _column(rows, "image_novelty"),
            tolerated_drop=settings.tolerated_drop,
            run_length=settings.alarm_run_length,
        )

    @cached_property
    def novelty(self) -> NoveltyReference | None:
        """What live novelties are ranked among."""
        return NoveltyReference(self.novelties) if self.novelties else None

    @cached_property
    def image_novelty(self) -> NoveltyReference | None:
        """What live image novelties are ranked among."""
        return NoveltyReference(self.image_novelties) if self.image_novelties else None

    def new_alarms(self) -> Alarms:
        """Its alarms, none raised."""
        return Alarms(
            self.manifest.reference,
            self.reference,
            self.novelty,
            self.image_novelty,
            self.threshold,
            self.tolerated_drop,
            self.run_length,
        )


def _column(rows: Mapping[str, NDArray[Any]], name: str) -> tuple[float, ...]:
    return tuple(rows[name].tolist()) if name in rows else ()
