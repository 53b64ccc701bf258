"""The study's tables: rows of figures, each over several trials or with an interval; as text and as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

Measures = Mapping[str, float]
"""What one trial came to, by measure."""


@dataclass(frozen=True)
class Figure:
    """One measure of one row."""

    values: tuple[float, ...]
    """Of each trial."""
    interval: tuple[float, float] | None = None
    """From where to where a single value may lie."""

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Sample standard deviation over trials; one says nothing of the spread.

        >>> Figure((1.0, 2.0, 3.0)).sd
        1.0
        """
        return stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Column:
    """A measure as a table shows it."""

    key: str
    title: str
    unit: float = 100
    """What a value is multiplied with: 100 for per cent."""
    digits: int = 1

    def cell(self, figure: Figure) -> str:
        """The figure as text.

        >>> auroc = Column("auroc", "AUROC")
        >>> auroc.cell(Figure((0.91, 0.92, 0.93))), auroc.cell(Figure((0.925,), (0.918, 0.932)))
        ('92.0 ± 1.0', '92.5 [91.8, 93.2]')
        """
        if not math.isfinite(figure.mean):
            return "-"
        text = self._number(figure.mean)
        if figure.interval is not None:
            return f"{text} [{', '.join(map(self._number, figure.interval))}]"
        return text if figure.sd is None else f"{text} ± {self._number(figure.sd)}"

    def _number(self, value: float) -> str:
        return f"{self.unit * value:.{self.digits}f}"


@dataclass(frozen=True)
class Row:
    """A method, and its figures by key; a key that is not there leaves its cell empty."""

    name: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class StudyTable:
    """A table of the study."""

    title: str
    first: str
    """What the rows are."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    """What must be known to read it."""

    def cells(self) -> list[list[str]]:
        """Header and rows, as text."""
        header = [self.first, *(column.title for column in self.columns)]
        return [header, *([row.name, *self._cells_of(row)] for row in self.rows)]

    def figures(self) -> dict[str, Any]:
        """All numbers, unrounded."""
        return {
            "title": self.title,
            "note": self.note,
            "rows": {row.name: {key: _plain(figure) for key, figure in row.figures.items()} for row in self.rows},
        }

    def _cells_of(self, row: Row) -> list[str]:
        return [column.cell(row.figures[column.key]) if column.key in row.figures else "" for column in self.columns]


def row_of(name: str, trials: Sequence[Measures]) -> Row:
    """The row of several trials of one thing."""
    return Row(name, {key: Figure(tuple(trial[key] for trial in trials)) for key in trials[0]})


def _plain(figure: Figure) -> dict[str, Any]:
    plain: dict[str, Any] = {"mean": figure.mean, "sd": figure.sd, "values": list(figure.values)}
    return plain if figure.interval is None else plain | {"low": figure.interval[0], "high": figure.interval[1]}
