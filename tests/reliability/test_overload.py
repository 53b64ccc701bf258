"""Ten times more than it can do: everybody is answered, and what is computed is not computed in vain."""

import pytest

from benchmarks import overload
from tests.reliability.bundles import write_faulty_bundle
from tests.reliability.examples import tiny_examples

MEMORY_BYTES = 20_000_000


@pytest.mark.serial
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
    # A queue longer than the deadline would compute nearly everything in vain. How fast that goes is for the minute of
    # docs/reliability.md, which is held to .9 of capacity: here the machine may be busy with other things.
    assert outcome.statuses[200] > 0.5 * measured.computed
    assert measured.peak_resident_bytes - measured.resident_bytes < MEMORY_BYTES
