"""What the threshold does: answers trusted and not, right and wrong, and how their trust is spread."""

from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from training.report.content import ReportContent
from training.report.drawing import BLUE, INK, ORANGE, PAPER, drawing, to_svg
from training.report.section import MISSING, Plot, Section, Table, percent

Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]

GROUPS = {
    "TP": "trusted and right",
    "FN": "not trusted, though right",
    "FP": "trusted, though wrong",
    "TN": "not trusted and wrong",
}
BINS = 40


def decision_groups(content: ReportContent) -> dict[str, Bools]:
    """Which answers are in each group, (N,); positive means trusted, true that trust was rightly given or withheld."""
    trusted, correct = content.trust >= content.threshold.value, content.correct
    return {"TP": trusted & correct, "FN": ~trusted & correct, "FP": trusted & ~correct, "TN": ~trusted & ~correct}


def decisions_section(content: ReportContent) -> Section:
    groups = decision_groups(content)
    edges = np.linspace(0, 1, BINS + 1)
    trust = np.clip(content.trust, 0, 1)
    counts = {key: np.histogram(trust[inside], edges)[0] for key, inside in groups.items()}
    threshold = content.threshold.value
    caption = (
        f"Answers by their trust, in bins of {1 / BINS:g}; right and wrong ones each on a scale of "
        f"their own. Solid bars are trusted, hatched ones are not; the dashed line is the threshold, {threshold:g}. "
        "A bin that the threshold divides holds both."
    )
    table = Table(
        "Answers by trust",
        ["trust from", "to", *(f"{key}, {words}" for key, words in GROUPS.items())],
        [
            [f"{edges[i]:.3f}", f"{edges[i + 1]:.3f}", *(f"{counts[key][i]:,}" for key in GROUPS)]
            for i in range(BINS)
            if any(counts[key][i] for key in GROUPS)
        ],
    )
    panels = [
        _panel("Right answers", ("TP", "FN"), counts, threshold, BLUE),
        _panel("Wrong answers", ("FP", "TN"), counts, threshold, ORANGE),
    ]
    plot = Plot("plot-histogram", "Trust of right and of wrong answers", panels, caption, table)
    numbers = {"counts": {key: int(inside.sum()) for key, inside in groups.items()}, "edges": edges.tolist()}
    return Section(
        "decisions",
        "What the threshold does",
        [
            content.threshold.statement,
            "On the test images: TP is trust rightly given, TN trust rightly withheld; FP is the dear mistake, FN the "
            "cheap one.",
        ],
        tables=[_confusion(groups)],
        plots=[plot],
        numbers=numbers | {"histogram": {key: of.tolist() for key, of in counts.items()}},
    )


def _confusion(groups: dict[str, Bools]) -> Table:
    total = len(groups["TP"])
    count = {key: int(inside.sum()) for key, inside in groups.items()}

    def cell(key: str) -> str:
        return f"{count[key]:,} {key} ({percent(count[key] / total)} %)"

    def share(part: str, rest: str) -> str:
        both = count[part] + count[rest]
        return f"{percent(count[part] / both) if both else MISSING} %"

    rows = [
        ["trusted", cell("TP"), cell("FP"), share("FP", "TP")],
        ["not trusted", cell("FN"), cell("TN"), share("TN", "FN")],
    ]
    return Table(
        "Decisions on the test images",
        ["", "right", "wrong", "wrong among these"],
        rows,
    )


def _panel(title: str, keys: tuple[str, str], counts: dict[str, Counts], threshold: float, colour: str) -> Markup:
    """Trusted and untrusted answers of one verdict, stacked."""
    edges = np.linspace(0, 1, BINS + 1)
    trusted, untrusted = (counts[key] for key in keys)
    trusted_label, untrusted_label = (f"{key}: {GROUPS[key]}" for key in keys)
    outline: dict[str, Any] = {"fill": True, "edgecolor": colour, "linewidth": 0.8}
    with drawing() as (figure, [ax]):
        ax.stairs(trusted, edges, facecolor=colour, label=trusted_label, **outline)
        hatched: dict[str, Any] = {"facecolor": PAPER, "hatch": "/////", "label": untrusted_label}
        ax.stairs(trusted + untrusted, edges, baseline=trusted, **hatched, **outline)
        ax.axvline(threshold, color=INK, linestyle="--", linewidth=1)
        ax.set(title=title, xlabel="trust, P(right)", ylabel="answers", xlim=(0, 1))
        ax.set_ylim(bottom=0)
        ax.grid(axis="x", visible=False)
        ax.legend(loc="upper left")
        totals = " and ".join(f"{counts[key].sum()} {GROUPS[key]}" for key in keys)
        return to_svg(figure, f"histogram-{keys[0]}", f"Histogram of trust of {title.lower()}: {totals}.")
