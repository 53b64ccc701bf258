"""Trust under shift: several splits of the kinds of corruption, several seeds, told in a few tables."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from training.commands.screen import show_table
from training.config import TrainingConfig
from training.shift.splits import SPLITS
from training.shift.study import run_study
from training.shift.study_tables import study_tables, write_tables

_SEVERAL = Parameter(consume_multiple=True, negative_iterable="")


def shift_study(
    *,
    config: Annotated[TrainingConfig, Parameter(name="*")] = TrainingConfig(),  # noqa: B008
    splits: Annotated[tuple[str, ...], _SEVERAL] = tuple(SPLITS)[1:],
    seeds: Annotated[tuple[int, ...], _SEVERAL] = (0, 1, 2),
    images: int = 1000,
    mixes: Annotated[tuple[str, ...], _SEVERAL] = (),
    to: Path | None = None,
) -> None:
    """Train and measure classifier and oracle on several splits of the kinds of corruption, each with several seeds.

    Args:
        splits: of the kinds: alternating, random-0 to random-2, tone-overlay-unseen, noise-geometry-unseen.
        seeds: of classifier and oracle.
        images: test images of each corrupted condition.
        mixes: other training mixes to measure with the first seed: no-outliers, named-alone, nameless-alone, prototype.
        to: document whose tables are replaced, such as docs/shift.md.
    """
    study = run_study(config, splits, seeds, images, mixes)
    for title, rows in study_tables(study).items():
        show_table(rows, title)
    if to is not None:
        write_tables(study, to)
