"""A step's own time is what it took less what ran within it."""

import pytest

from benchmarks.serving.instrumented import STEPS, find
from benchmarks.serving.profile import as_table, own_times

CALLS = {"handler": 10, "reading the form": 10, "multipart": 10, "monitoring, in its own thread": 2}
NANOSECONDS = {
    "handler": 10 * 300_000,
    "reading the form": 10 * 40_000,
    "multipart": 10 * 25_000,
    # Two times for all ten requests.
    "monitoring, in its own thread": 2 * 50_000,
}


def test_own_times_of_the_steps_sum_to_the_request():
    own = {each.title: each.microseconds for each in own_times(450.0, CALLS, NANOSECONDS)}
    assert own == {
        "HTTP: sockets, parser, event loop, client": pytest.approx(150),
        "request id, admission, request metrics, headers": pytest.approx(260),
        "receiving the body": pytest.approx(15),
        "multipart": pytest.approx(25),
        "monitoring, in its own thread": pytest.approx(10),
    }


def test_what_runs_beside_the_request_is_no_part_of_its_sum():
    rows = as_table(own_times(450.0, CALLS, NANOSECONDS))
    assert rows[-2:] == [["**a request**", "**450**", ""], ["beside it: monitoring, in its own thread", "10", ""]]
    assert rows[1][1:] == ["150", "33 %"]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.title)
def test_clocked_step_is_a_function_of_the_service(step):
    owner, name = find(step)
    assert callable(getattr(owner, name)), f"{step.function} is called no longer; name in STEPS what does its work now"


def test_step_runs_within_one_that_is_clocked_too():
    titles = {step.title for step in STEPS}
    assert {step.within for step in STEPS if step.within} <= titles
