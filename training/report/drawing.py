"""One look for all figures: matplotlib to inline SVG whose colours the page's style sheet decides.

Colours are those of Okabe and Ito (2008), told apart by all forms of colour vision; no figure says anything by colour
alone: lines differ in dash and marker, areas in hatch. Ink takes the colour of the text around it, so that figures
are legible on light and dark pages and on paper.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, FAINT, PAPER = "#1b1e23", "#6a717b", "#d4d8dd", "#fefefd"
BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7"

LINES = [(BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PURPLE, (0, (1, 1.2))), (ORANGE, (0, (5, 1, 1, 1, 1, 1)))]
"""Colour and dash of the lines of a figure, in the order they are to be noticed."""

PIXELS_A_POINT = 4 / 3
LONGEST_NAME = 28

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    FAINT: "--faint",
    PAPER: "--paper",
    BLUE: "--blue",
    ORANGE: "--orange",
    GREEN: "--green",
    VERMILION: "--vermilion",
    PURPLE: "--purple",
}
_STYLE: dict[Any, Any] = {
    # Text stays text: it can be selected, searched and read aloud, and takes the page's font.
    "svg.fonttype": "none",
    # A dollar in a class's name is a dollar.
    "text.parse_math": False,
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "hatch.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "axes.unicode_minus": True,
}


@contextmanager
def drawing(
    width: float = 4.6, height: float = 3.2, heights: Sequence[float] = (1,)
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure and its axes, one below the other with these shares of the height, above one horizontal axis.

    Args:
        width, height: in inches.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
        yield figure, list(axes[:, 0])


def to_svg(figure: Figure, name: str, alt: str) -> Markup:
    """The figure as an SVG element for the page.

    Args:
        figure: drawn inside of `drawing`.
        name: unique on the page; ids inside begin with it.
        alt: what the figure shows, in words, for who does not see it.
    """
    file = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    width, height = (float(size) for size in re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2])
    svg = svg[svg.index(">", svg.index("<svg")) + 1 :]
    # What would reach beyond this element, or is the page's to say.
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r' d="[^"]*"', lambda path: _rounded(path[0]), svg)
    opening = f'<svg role="img" aria-label="{escape(alt)}" viewBox="0 0 {width:g} {height:g}"'
    return Markup(f'{opening} style="max-width: {width * PIXELS_A_POINT:.0f}px">{svg}')


def shortened(name: str) -> str:
    """A name that leaves room for the plot beside it.

    >>> shortened("Arabian camel, dromedary, Camelus dromedarius")
    'Arabian camel, dromedary...'
    """
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3].rstrip(" ,") + "..."


def _rounded(path: str) -> str:
    """A path with coordinates to a hundredth of a point, on one line."""
    return " " + re.sub(r"(\.\d\d)\d+", r"\1", " ".join(path.split()))
