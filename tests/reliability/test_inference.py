"""Networks that fail, hang or give what is no number: by onnxruntime's own doing, in a running service."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.exposition import series
from tests.reliability.bundles import NOT_FINITE, PLAIN, PLAIN_ANSWER, RAISES, busy, image
from tests.reliability.occupied import occupied
from tests.reliability.wire import Answer, ask, connect, get, predict_request, read_answer
from tests.service.server import Server
from tests.waiting import wait_until

HANG_SECONDS = 1.5


@pytest.fixture(scope="module")
def server(faulty_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("inference")
    with Server(folder, "--model", str(faulty_bundle), "--hang-seconds", str(HANG_SECONDS)) as server:
        yield server


def errors(server: Server, reason: str) -> float:
    return server.metrics()[series("trust_errors_total", reason=reason)]


def assert_problem(answer: Answer, status: int, kind: str) -> None:
    assert (answer.status, answer.json()["type"]) == (status, f"urn:trustserve:problem:{kind}"), answer


def assert_answered(answer: Answer) -> None:
    assert answer.status == 200, answer
    assert answer.json()["label"] == PLAIN_ANSWER.label
    assert answer.json()["trust_probability"] == pytest.approx(PLAIN_ANSWER.trust, abs=1e-5)


def ask_in_one_batch(server: Server, *images: bytes) -> list[Answer]:
    """Answers to images that queued behind one that keeps the networks busy until all of them have arrived."""
    with occupied(server, 0.5), ExitStack() as stack:
        connections = [stack.enter_context(connect(server.port)) for _ in images]
        for connection, data in zip(connections, images, strict=True):
            connection.sendall(predict_request(data))
        return [read_answer(connection) for connection in connections]


def test_what_is_no_number_is_an_error_and_never_a_trust(server):
    before = errors(server, "answer_invalid")
    answer = ask(server.port, image(NOT_FINITE))
    assert_problem(answer, 502, "answer-invalid")
    assert b"NaN" not in answer.body
    assert errors(server, "answer_invalid") == before + 1
    assert_answered(ask(server.port, PLAIN))


def test_what_is_no_number_costs_the_others_of_its_batch_nothing(server):
    plain, invalid, plain_too = ask_in_one_batch(server, PLAIN, image(NOT_FINITE), PLAIN)
    assert_problem(invalid, 502, "answer-invalid")
    assert_answered(plain)
    assert_answered(plain_too)


def test_what_is_no_number_enters_no_statistic(server):
    ask(server.port, image(NOT_FINITE))
    sums = [value for (name, _), value in server.metrics().items() if name.endswith("_sum")]
    assert all(value == value for value in sums)  # nan differs from itself


def test_image_that_the_networks_fail_on_fails_alone(server):
    before = errors(server, "inference_failed")
    plain, failed, plain_too = ask_in_one_batch(server, PLAIN, image(RAISES), PLAIN)
    assert_problem(failed, 503, "inference-failed")
    assert "Retry-After" in failed.headers
    assert_answered(plain)
    assert_answered(plain_too)
    assert errors(server, "inference_failed") == before + 1
    # What onnxruntime says of it is for the operator.
    assert b"Gather" not in failed.body
    assert "out of data bounds" in server.stderr()
    assert get(server.port, "/readyz").status == 200


def test_batch_that_hangs_makes_the_service_not_ready_until_it_ends(server):
    with connect(server.port) as hanging:
        # The service looks once a second; its look must come well before the batch's end.
        hanging.sendall(predict_request(busy(HANG_SECONDS + 3)))
        wait_until(lambda: get(server.port, "/readyz").status == 503)
        reason = get(server.port, "/readyz").json()["detail"]
        assert f"a batch runs for more than {HANG_SECONDS:g} s" in reason
        assert ask(server.port, PLAIN).status == 503
        assert get(server.port, "/healthz").status == 200
        assert read_answer(hanging).status == 503
    wait_until(lambda: get(server.port, "/readyz").status == 200)
    assert_answered(ask(server.port, PLAIN))
