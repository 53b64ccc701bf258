"""Every caller gets the answer to their own image, whatever is batched together."""

import pytest

from tests.reliability.examples import tiny_examples
from tests.reliability.load import Load, run

REQUESTS = 50_000
CONNECTIONS = 64


@pytest.mark.serial
def test_fifty_thousand_answers_are_those_of_their_own_images(serve_process, tiny_bundle):
    server = serve_process(tiny_bundle)
    outcome = run(Load(server.port, tiny_examples(4_096)).closed(CONNECTIONS, requests=REQUESTS))
    assert (outcome.statuses, outcome.wrong, outcome.lost) == ({200: REQUESTS}, [], [])
    # Images were answered together: else there was nothing to mix up.
    found = server.metrics()
    batches = next(value for (name, _), value in found.items() if name == "trust_batch_size_count")
    assert batches < 0.9 * REQUESTS
