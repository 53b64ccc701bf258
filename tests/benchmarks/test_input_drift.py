"""The alarms on the images keep their promise on the committed bundle's own reference, and see what is far from it."""

import numpy as np
import pytest

from benchmarks import input_drift
from trust.manifest import REFERENCE


@pytest.mark.parametrize("column", input_drift.ALARMS.values())
def test_false_alarms_are_as_rare_as_promised_on_images_like_the_reference(column):
    with np.load(input_drift.BUNDLE / REFERENCE) as rows:
        lengths = input_drift.run_lengths(rows[column].astype(float), streams=40)
    # Three standard errors of 40 shares, on the safe side.
    assert lengths.mean() >= input_drift.RUN_LENGTH
    assert (lengths <= input_drift.SHORT).mean() <= 0.1 + 3 * (0.1 * 0.9 / 40) ** 0.5


@pytest.mark.parametrize("severity", input_drift.SEVERITIES)
def test_every_kind_stands_in_the_document(severity):
    table = input_drift.DOCUMENT.read_text().split(f"Severity {severity} of 5:")[1].split("\n\n")[1]
    found = {line.split("|")[1].strip() for line in table.splitlines()[2:]}
    assert found == set(input_drift.NAMED)
