"""Trust on images gone bad: what each kind of shift does to softmax confidence, to trust and to its NetTrustScore."""

from collections.abc import Sequence

import numpy as np

from training.report.content import CLEAN, ReportContent, ShiftRow
from training.report.section import (
    Cell,
    Plot,
    Row,
    Section,
    Table,
    interval_cell,
    interval_numbers,
    joined,
    number,
    percent,
)
from training.report.shift_figures import auroc_panel, gain_panel, net_trust_panel


def shift_section(content: ReportContent) -> Section | None:
    """The shift table with its dot plots; None where shift was not measured."""
    if not content.shift:
        return None
    rows = in_order(content.shift)
    caption = (
        "Each kind by group, the largest gain first. AUROC of softmax confidence (ring) and of trust (dot); the gain, "
        "which is their difference, with its 95 % interval by paired bootstrap; NetTrustScore as it is (ring) and as "
        "trust estimates it without targets (dot): the closer, the better."
    )
    panels = [auroc_panel(rows), gain_panel(rows), net_trust_panel(rows)]
    return Section(
        "shift",
        "Under shift",
        [_words(rows)],
        tables=[_groups(rows)],
        plots=[Plot("plot-shift", "Shift, kind by kind", panels, caption, _kinds(rows), open=True)],
        numbers={row.kind: vars(row) | {"gain": interval_numbers(row.gain)} for row in rows},
    )


def in_order(rows: Sequence[ShiftRow]) -> list[ShiftRow]:
    """Groups in the order they come, within each the largest gain first, undefined last."""
    groups = list(dict.fromkeys(row.group for row in rows))
    return sorted(rows, key=lambda row: (groups.index(row.group), -np.nan_to_num(row.gain.difference, nan=-np.inf)))


def _words(rows: Sequence[ShiftRow]) -> str:
    kinds = [row for row in rows if row.kind != CLEAN]
    better = [row.title for row in kinds if row.gain.low > 0]
    worse = [row.title for row in kinds if row.gain.high < 0]
    return (
        f"The test images through {len(kinds)} kinds of shift. Trust ranks better than softmax confidence in "
        f"{len(better)} of them, worse in {len(worse) or 'none'}{f' ({joined(worse)})' if worse else ''}; in the rest "
        "the 95 % interval of the difference in AUROC holds zero."
    )


def _groups(rows: Sequence[ShiftRow]) -> Table:
    header = ["group", "kinds", "accuracy, %", "AUROC softmax, %", "AUROC trust, %", "gain, points", "worst gain"]
    by_group: dict[str, list[ShiftRow]] = {}
    for row in rows:
        by_group.setdefault(row.group, []).append(row)
    cells = [_group(name, inside) for name, inside in by_group.items()]
    title = "Shift, mean over the kinds of each group"
    return Table(title, [*header, "NetTrustScore off by", "worst"], cells)


def _group(name: str, rows: Sequence[ShiftRow]) -> Row:
    gains = np.array([row.gain.difference for row in rows])
    errors = np.array([abs(row.error) for row in rows])
    means = [np.mean([getattr(row, key) for row in rows]) for key in ("accuracy", "auroc_softmax", "auroc_trust")]
    # Undefined gains sort last either way: the worst is one that is known, if any is.
    worst_gain, worst_error = rows[int(np.argsort(gains)[0])], rows[int(np.argmax(errors))]
    return [
        name,
        str(len(rows)),
        *(percent(float(mean)) for mean in means),
        number(100 * float(np.mean(gains)), 1, sign=True),
        Cell(number(100 * worst_gain.gain.difference, 1, sign=True), worst_gain.title),
        number(float(np.mean(errors))),
        Cell(number(abs(worst_error.error)), worst_error.title),
    ]


def _kinds(rows: Sequence[ShiftRow]) -> Table:
    header = ["kind", "group", "accuracy, %", "AUROC softmax, %", "AUROC trust, %", "gain, points"]
    cells: list[Row] = [
        [
            row.title,
            row.group,
            percent(row.accuracy),
            percent(row.auroc_softmax),
            percent(row.auroc_trust),
            interval_cell(row.gain, 100, 1),
            number(row.net_trust_score),
            number(row.estimate),
            number(row.error, sign=True),
        ]
        for row in rows
    ]
    return Table("Shift table", [*header, "NetTrustScore", "estimated", "off by"], cells)
