"""What a section of the page is made of: words, tables, plots and example images, and its numbers for the JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from training.bootstrap import Comparison, Interval

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Cell:
    text: str
    interval: str = ""
    bold: bool = False
    title: str = ""
    """Explains the cell where a pointer rests on it; nothing a reader on paper needs."""


Row = Sequence[Cell | str]


@dataclass(frozen=True)
class Table:
    caption: str
    header: Row
    rows: Sequence[Row]
    """The first cell of each is its heading."""


@dataclass(frozen=True)
class Plot:
    """Panels side by side where there is room, the words below them, and the numbers they show."""

    id: str
    title: str
    panels: Sequence[Markup]
    caption: str
    table: Table
    open: bool = False
    """Whether the numbers are unfolded, on paper too."""


@dataclass(frozen=True)
class Example:
    """An image with what was said of it."""

    source: str
    """As a data: address."""
    alt: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Gallery:
    title: str
    words: str
    examples: Sequence[Example]


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    words: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    galleries: Sequence[Gallery] = ()
    points: Sequence[tuple[str, str]] = ()
    """Terms and what is meant by them."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """For report.json."""


def number(value: float, digits: int = 3, sign: bool = False) -> str:
    """For a reader; a dash where undefined.

    >>> number(0.5, 2), number(0.26, 1, sign=True), number(float("nan")) == MISSING
    ('0.50', '+0.3', True)
    """
    if not math.isfinite(value):
        return MISSING
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", MINUS)


def percent(share: float, digits: int = 1) -> str:
    """A share as per cent, without the unit.

    >>> percent(0.9252)
    '92.5'
    """
    return number(100 * share, digits)


def interval_cell(interval: Interval | Comparison, factor: float = 1, digits: int = 3, bold: bool = False) -> Cell:
    """A value with its interval below it; a difference carries its sign."""
    sign = isinstance(interval, Comparison)
    value = interval.difference if isinstance(interval, Comparison) else interval.value
    ends = [number(factor * end, digits, sign) for end in (interval.low, interval.high)]
    return Cell(number(factor * value, digits, sign), f"{ends[0]} to {ends[1]}" if MISSING not in ends else "", bold)


def interval_numbers(interval: Interval | Comparison) -> dict[str, float]:
    """An interval for the JSON."""
    if isinstance(interval, Comparison):
        return {"difference": interval.difference, "low": interval.low, "high": interval.high}
    return {"value": interval.value, "low": interval.low, "high": interval.high, "left_out": interval.left_out}


def joined(names: Sequence[str], most: int = 8) -> str:
    """Names as a list in a sentence.

    >>> joined(["fog", "noise", "blur"]), joined(["fog", "noise", "blur", "jpeg"], most=2)
    ('fog, noise and blur', 'fog, noise and 2 others')
    """
    names = [*names[:most], f"{len(names) - most} others"] if len(names) > most else list(names)
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
