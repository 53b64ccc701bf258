"""trustserve-train study: the tables of docs/results.md, measured on finished runs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from training.commands.screen import say
from training.study.options import DEFAULT_DOCUMENT, DEFAULT_RUN, PARTS, PartName, StudyOptions
from training.study.study import run_study

EXAMPLES = """
Examples:

`trustserve-train study --runs runs/fashion-mnist`

`trustserve-train study --runs runs/a runs/b runs/c --classifiers runs/crl runs/fmfp --parts methods classifiers`
"""

_SEVERAL = Parameter(consume_multiple=True, negative_iterable="")


def study(
    *,
    runs: Annotated[tuple[Path, ...], Parameter(name=("--runs", "--run")), _SEVERAL] = (DEFAULT_RUN,),
    classifiers: Annotated[tuple[Path, ...], _SEVERAL] = (),
    parts: Annotated[tuple[PartName, ...], _SEVERAL] = PARTS,
    bundle: Path | None = None,
    oracle_seeds: int = 3,
    resamples: int = 1000,
    to: Path = DEFAULT_DOCUMENT,
) -> None:
    """Measure losses, heads, labels, slopes, scores and times on finished runs, and write the tables down.

    Args:
        runs: folders of finished runs that differ in their seed alone; what is measured on each is pooled.
        classifiers: further runs whose classifiers are compared, or join the ensemble where trained alike.
        parts: which tables to make; all where not given.
        bundle: whose graphs are timed; the first run's where not given.
        oracle_seeds: oracles fitted for each row.
        resamples: of the bootstrap.
        to: document whose tables are replaced; the figures go beside it as JSON.
    """
    run_study(StudyOptions(runs, classifiers, parts, bundle, oracle_seeds, resamples, to), say)
    say(f"Tables: {to}; figures: {to.with_suffix('.json')}")
