"""Methods by measures: the tables one reads first."""

from training.report.content import ReportContent
from training.report.measures import DECISION, PROBABILITY, RANKING, SELECTIVE, SEPARABILITY, Column, MeasureTable
from training.report.section import Cell, Row, Section, Table, interval_cell, interval_numbers

_GROUPS: dict[str, dict[str, Column]] = {
    "Ranking: are right answers scored above wrong ones?": RANKING,
    "Selection: what does it cost and bring to accept the best-scored answers only?": SELECTIVE,
    "Probability and decision: can the score be taken at its word, and what does its threshold do?": {
        **PROBABILITY,
        **DECISION,
    },
    "Separability: how far apart lie the scores of right and of wrong answers?": SEPARABILITY,
}


def comparison_section(content: ReportContent, table: MeasureTable) -> Section:
    """Four tables, the served method first, then by falling AUROC."""
    wrong = int((~content.correct).sum())
    words = [
        f"{len(content.methods)} trust scores of the same {len(content.target):,} answers, {wrong:,} of them wrong. "
        f"Small figures are 95 % bootstrap intervals ({table.resamples:,} resamples). The served score stands first, "
        "the others by falling AUROC.",
        "Bold is the best value of a column and every value that is not significantly worse than it: the 95 % interval "
        "of the paired difference from the best holds zero. Where that is all of them, or where a column has no better "
        "and worse of its own (TPR trades against TNR, separability changes with the scale), nothing is bold.",
    ]
    return Section(
        "methods",
        "Every method by every measure",
        words,
        tables=[_table(title, columns, content, table) for title, columns in _GROUPS.items()],
        numbers={
            name: {
                measure: {**interval_numbers(interval), "bold": name in table.leaders[measure]}
                for measure, interval in row.items()
            }
            for name, row in table.intervals.items()
        },
    )


def ranked(content: ReportContent, table: MeasureTable) -> list[str]:
    """Names of the methods: the served one, the others by falling AUROC, undefined last."""

    def place(name: str) -> tuple[bool, float]:
        auroc = table.intervals[name]["auroc"].value
        return name != content.served, -auroc if auroc == auroc else 1.0

    return sorted((method.name for method in content.methods), key=place)


def _table(title: str, columns: dict[str, Column], content: ReportContent, table: MeasureTable) -> Table:
    header: list[Cell | str] = ["score"]
    for column in columns.values():
        way = "↑" if column.measure.higher_is_better else "↓"
        # Kept together where the heading breaks.
        mark = "\N{NO-BREAK SPACE}".join(filter(None, [column.unit, way]))
        header.append(Cell(f"{column.title} {mark}", title=column.explanation))
    return Table(title, header, [_row(name, columns, content, table) for name in ranked(content, table)])


def _row(name: str, columns: dict[str, Column], content: ReportContent, table: MeasureTable) -> Row:
    method = content.method(name)
    role = "served" if name == content.served else "baseline" if name == content.baseline else ""
    heading = Cell(name, interval=", ".join(filter(None, [role, method.note])))
    cells = [
        interval_cell(table.intervals[name][key], column.factor, column.digits, bold=name in table.leaders[key])
        for key, column in columns.items()
    ]
    return [heading, *cells]
