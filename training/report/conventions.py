"""What the figures mean, in words: where the field has several conventions, which one was taken."""

from training.report.measures import COLUMNS, MeasureTable
from training.report.section import Section
from training.report.verdict import verdict_rules

_CONVENTIONS = {
    "Which AURC": (
        "That of fd-shifts (Jaeger et al., 2022): trapezoids between the coverages of distinct scores, so that the "
        "order of ties does not matter. Others average the risks at 1/N, 2/N .. 1, which ties can move much. E-AURC "
        "subtracts the ideal of many answers, r + (1 - r) ln(1 - r) at error rate r. AUGRC is that of Traub et al., "
        "2024."
    ),
    "AUPR-Error": (
        "Wrong answers are the positives, ranked by negated confidence, the least trusted first. Average precision, "
        "without interpolation. Some published code forgets to negate."
    ),
    "ECE and reliability": (
        "15 bins of equal width; a bin holds its lower edge, the last one both. ECE is biased upwards, the more so the "
        "fewer answers a bin holds."
    ),
    "Ties": (
        "Tied answers are accepted together: a threshold accepts all answers at or above it. In AUROC a tie counts one "
        "half. The order of the answers changes nothing."
    ),
    "Undefined": (
        "Where all answers are right, or all wrong, there is nothing to rank: such cells hold a dash. Resamples on "
        "which a measure is undefined are left out of its interval."
    ),
    "Significant": (
        "A value is significantly worse than the best of its column where the 95 % interval of the paired difference, "
        "on the same resamples, lies on one side of zero. There is no correction for the number of comparisons."
    ),
    "TP, FP, TN, FN": (
        "Positive means trusted. TP: trusted and right. FP: trusted, though wrong. TN: not trusted and wrong. FN: not "
        "trusted, though right. TPR is TP / (TP + FN), TNR is TN / (TN + FP), of each method at its own threshold."
    ),
    "NetTrustScore": (
        "Mean question-answer trust with reward and penalty exponent 1; classes count as often as they occur. The "
        "estimate puts trust in place of the verdict and needs no target. The spectrum is by true class; by predicted "
        "class it is another figure, and named so."
    ),
}


def conventions_section(table: MeasureTable) -> Section:
    intervals = (
        f"95 % percentile bootstrap over the test answers, {table.resamples:,} resamples, the same ones for all "
        "methods. They are about other images of the same kind, not about another training run, and too narrow where "
        "wrong answers are few (under about 50)."
    )
    points = [(column.title, column.explanation) for column in COLUMNS.values()]
    points += [*_CONVENTIONS.items(), ("Intervals", intervals), ("Verdict", verdict_rules())]
    return Section("conventions", "Conventions", points=points, numbers=dict(points))
