"""One alarm: raised once, over when the answers are back, the same after a restart."""

import json

import pytest

from service.monitor.watch import Watch


def watch(mu0: float = 0.9, run_length: float = 1000, block: int = 10) -> Watch:
    return Watch("falling_trust", mu0, run_length, block)


def feed(watch: Watch, *values: float) -> int:
    return sum(watch.update(value, now=100.0) for value in values)


def test_good_answers_raise_nothing():
    quiet = watch()
    assert feed(quiet, *[0.95] * 5000) == 0
    assert (quiet.active, quiet.raised_at) == (False, None)


def test_trouble_raises_one_alarm_however_long_it_lasts():
    troubled = watch()
    assert feed(troubled, *[0.2] * 1000) == 1
    assert troubled.active
    assert troubled.raised_at == 100.0
    assert troubled.level >= 3


def test_alarm_is_over_with_the_first_whole_block_that_is_back():
    troubled = watch()
    feed(troubled, *[0.2] * 1000)
    while troubled.state_dict()["block"][1] > 0:
        feed(troubled, 0.2)
    # A block of ten, half of it bad: mean .6; then ten good ones.
    feed(troubled, *[0.2] * 5, *[1.0] * 5)
    assert troubled.active
    feed(troubled, *[0.9] * 9)
    assert troubled.active
    feed(troubled, 0.9)
    assert (troubled.active, troubled.level) == (False, 0)


def test_second_trouble_raises_a_second_alarm():
    troubled = watch()
    assert feed(troubled, *[0.2] * 100, *[1.0] * 20, *[0.2] * 100) == 2


@pytest.mark.parametrize(
    "values", [[0.5] * 3, [0.2] * 1000, [0.2] * 1000 + [0.9] * 3], ids=["quiet", "on", "on, block"]
)
def test_restart_changes_nothing(values):
    before, after = watch(), watch()
    feed(before, *values)
    after.restore(json.loads(json.dumps(before.state_dict())))
    assert after.state_dict() == before.state_dict()
    rest = [1.0] * 25 + [0.3] * 200
    assert feed(after, *rest) == feed(before, *rest)


@pytest.mark.parametrize("other", [{"mu0": 0.8}, {"run_length": 2000}])
def test_state_of_another_promise_is_not_taken_over(other):
    before, after = watch(), watch(**other)
    feed(before, *[0.2] * 1000)
    after.restore(before.state_dict())
    assert (after.active, after.level) == (False, 0)


@pytest.mark.parametrize(
    "spoil", [{"detector": None}, {"block": [5, 2]}, {"block": 3}, {"block": [0, 10]}, {"raised_at": "noon"}]
)
def test_what_is_no_state_is_refused_and_changes_nothing(spoil):
    alarm = watch()
    with pytest.raises(ValueError):  # noqa: PT011 - the detector's own words, or ours
        alarm.restore(alarm.state_dict() | spoil)
    assert alarm.state_dict() == watch().state_dict()
