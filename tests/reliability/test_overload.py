"""Ten times more than it can do: everybody is answered, as many with an answer as at capacity, the others at once."""

from benchmarks import overload
from tests.reliability.bundles import write_faulty_bundle
from tests.reliability.examples import tiny_examples

MEMORY_BYTES = 20_000_000


def test_ten_times_capacity_is_answered_as_promised(tmp_path):
    bundle = write_faulty_bundle(tmp_path / "busy", overload.SECONDS_AN_IMAGE)
    with overload.start_server(tmp_path, bundle) as server:
        measured = overload.overload(server, tiny_examples(1_024), seconds=6, capacity_seconds=2)
    print(overload.table(measured))
    outcome = measured.outcome
    assert (outcome.lost, outcome.wrong) == ([], [])
    assert outcome.statuses.keys() <= {200, 503, 504}
    assert sum(outcome.statuses.values()) == int(measured.offered * 6)
    assert outcome.statuses[503] > outcome.statuses[200]
    # The minute of docs/reliability.md is held to .9 and to the deadline itself: here the machine may be busy.
    assert outcome.rate > 0.7 * measured.capacity
    assert outcome.quantile(0.99) < 1.5 * overload.DEADLINE_SECONDS
    assert measured.peak_resident_bytes - measured.resident_bytes < MEMORY_BYTES
