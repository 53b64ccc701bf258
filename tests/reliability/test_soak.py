"""Nothing grows: the program of `make soak`, for a short time, and whether it would notice."""

from array import array

import pytest

from benchmarks import soak
from tests.reliability.footprint import Footprint
from tests.reliability.load import Outcome

# Not the two minutes that one would like: all tests together are to end within ten. At a thousand requests a second,
# ten megabytes are 400 bytes a request: whatever keeps a request is found.
SECONDS, ROWS = 25, 7


@pytest.mark.serial
def test_nothing_grows(tmp_path):
    with soak.start_server(tmp_path) as server:
        capacity, rows = soak.soak(server, soak.bundle_examples(soak.BUNDLE, 128), SECONDS, ROWS)
    print(soak.table(capacity, rows))
    # Of latency three seconds tell too little, on a machine that may be busy.
    assert [found for found in soak.growth(rows) if not found.startswith("latency")] == []


def row(minute, seconds=0.01, resident_bytes=100_000_000, descriptors=20, threads=10, **outcome):
    answered = Outcome(elapsed=1.0, **outcome)
    answered.seconds[200] = array("d", [seconds] * 100)
    return soak.Row(minute, answered, Footprint(resident_bytes, descriptors, threads))


def test_rows_that_stay_as_they_are_have_no_growth():
    rows = [row(0, seconds=0.5, resident_bytes=80_000_000), *(row(minute) for minute in range(1, 10))]
    assert soak.growth(rows) == []


@pytest.mark.parametrize(
    ("growing", "found"),
    [
        (lambda minute: row(minute, resident_bytes=100_000_000 + 2_000_000 * minute), "resident_bytes grew"),
        (lambda minute: row(minute, descriptors=20 + minute), "descriptors grew"),
        (lambda minute: row(minute, threads=10 + minute), "threads grew"),
        (lambda minute: row(minute, seconds=0.01 * minute), "latency"),
        (lambda minute: row(minute, lost=["one"]), "10 requests got no answer, such as one"),
        (lambda minute: row(minute, wrong=["one"]), "10 requests got another image's answer"),
    ],
    ids=["memory", "descriptors", "threads", "latency", "lost", "wrong"],
)
def test_growth_is_noticed(growing, found):
    (finding,) = soak.growth([growing(minute) for minute in range(1, 11)])
    assert finding.startswith(found)
