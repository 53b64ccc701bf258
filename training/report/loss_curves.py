"""Loss curves: how each fit went, epoch by epoch."""

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from training.report.content import ReportContent
from training.report.drawing import LINES, drawing, to_svg
from training.report.section import MISSING, Plot, Section, Table, number

Floats = NDArray[np.float64]
MARKERS = "os^Dv"


def loss_section(content: ReportContent) -> Section | None:
    """A panel a network; None where no losses were kept."""
    curves = {
        fit: {line: np.asarray(values, float) for line, values in lines.items()}
        for fit, lines in content.losses.items()
        if lines
    }
    if not curves:
        return None
    plot = Plot(
        "plot-losses",
        "Loss curves",
        [_panel(f"losses-{number}", fit, lines) for number, (fit, lines) in enumerate(curves.items())],
        "Mean loss of each epoch, each network on the scale of its own loss.",
        _table(curves),
    )
    numbers = {fit: {line: values.tolist() for line, values in lines.items()} for fit, lines in curves.items()}
    return Section("losses", "How the fits went", plots=[plot], numbers=numbers)


def _panel(name: str, fit: str, lines: Mapping[str, Floats]) -> Markup:
    with drawing(height=2.9) as (figure, [ax]):
        for place, (line, values) in enumerate(lines.items()):
            colour, dash = LINES[place % len(LINES)]
            epochs = np.arange(1, len(values) + 1)
            marker = MARKERS[place % len(MARKERS)] if len(values) <= 30 else None
            ax.plot(epochs, values, color=colour, linestyle=dash, marker=marker, markersize=4, label=line)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(title=fit, xlabel="epoch", ylabel="mean loss")
        if len(lines) > 1:
            ax.legend(loc="upper right", handlelength=3)
        ends = ", ".join(f"{line} from {values[0]:.3f} to {values[-1]:.3f}" for line, values in lines.items())
        return to_svg(figure, name, f"Line chart of the mean loss of {fit} by epoch: {ends}.")


def _table(curves: Mapping[str, Mapping[str, ArrayLike]]) -> Table:
    columns = {f"{fit}: {line}": np.asarray(values) for fit, lines in curves.items() for line, values in lines.items()}
    longest = max(len(values) for values in columns.values())
    rows = [
        [str(epoch + 1), *(number(v[epoch], 4) if epoch < len(v) else MISSING for v in columns.values())]
        for epoch in range(longest)
    ]
    return Table("Mean loss by epoch", ["epoch", *columns], rows)
