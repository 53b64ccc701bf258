"""Labels of the series: which values they take, and how many at most.

Figures about answers carry the model and version that gave them, so that a new version starts its own series. No value
ever comes from a caller.
"""

from collections.abc import Sequence
from typing import TypeAlias

ModelLabels: TypeAlias = tuple[str, str]
MODEL = ("model", "version")
DECISIONS = {True: "trust", False: "untrust"}
CORRECT = {True: "true", False: "false"}
UNIT_BINS = tuple(i / 20 for i in range(1, 21))
"""Upper edges, for trust and confidence alike; the reference's shares are cumulated over the same."""
OTHER = "(other)"


def class_labels(classes: Sequence[str], limit: int) -> list[str]:
    """One label value a class: its name, and "(other)" for all beyond the limit.

    >>> class_labels(["cat", "dog", "eel", "fox"], limit=2)
    ['cat', 'dog', '(other)', '(other)']
    """
    return [name if index < limit else OTHER for index, name in enumerate(classes)]
