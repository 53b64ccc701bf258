"""The alarm keeps its promise, whatever the distribution, and finds a fall as fast as its formula says it must."""

import json
import math
from itertools import chain, repeat

import numpy as np
import pytest

from service.monitor.alarm import BETS, EDetector

MEAN = 0.9
RUN_LENGTH = 200
STREAMS = 300


def bernoulli(generator, size):
    """Discrete: right or wrong."""
    return generator.binomial(1, MEAN, size).astype(float)


def bimodal(generator, size):
    """Two humps, as trust has on hard images: around .96 and around .36."""
    sure = generator.uniform(size=size) < 0.9
    return np.where(sure, generator.beta(96, 4, size), generator.beta(36, 64, size))


def beta(generator, size):
    """One hump that leans on 1."""
    return generator.beta(9, 1, size)


def four_values(generator, size):
    """Discrete with ties: trust after an isotonic calibration map."""
    return generator.choice([1.0, 0.95, 0.8, 0.35], p=[0.5, 0.3, 0.1, 0.1], size=size)


def dependent(generator, size):
    """In turns of 50 nearly constant and as spread out as can be: the past tells the spread, not the mean."""
    wide = (np.arange(size[-1]) // 50) % 2 == 1
    return np.where(wide, bernoulli(generator, size), 0.88 + 0.04 * generator.uniform(size=size))


NULLS = [bernoulli, bimodal, beta, four_values, dependent]


def run_length(values, mu0=MEAN, a=RUN_LENGTH):
    """How many values it takes to the alarm, or all of them."""
    detector = EDetector(mu0, a)
    return next((count for count, value in enumerate(values, 1) if detector.update(value)), len(values))


@pytest.fixture(scope="module", params=NULLS, ids=lambda null: null.__name__)
def run_lengths(request):
    """Of many streams whose mean is exactly the least that is promised, each followed for ten times the run length."""
    streams = request.param(np.random.default_rng(0), (STREAMS, 10 * RUN_LENGTH))
    return np.array([run_length(stream) for stream in streams.tolist()])


def test_average_run_length_is_as_promised(run_lengths):
    # Followed no longer than to the end of the stream, the mean is too low if anything.
    assert run_lengths.mean() >= RUN_LENGTH


def test_average_run_length_is_not_kept_by_hardly_ever_alarming(run_lengths):
    assert run_lengths.mean() < 2 * RUN_LENGTH


@pytest.mark.parametrize("n", [20, 50, 100])
def test_alarm_within_n_values_is_at_most_n_over_run_length_likely(run_lengths, n):
    bound = n / RUN_LENGTH
    assert (run_lengths <= n).mean() <= bound + 3 * math.sqrt(bound * (1 - bound) / STREAMS)


@pytest.mark.parametrize("null", NULLS, ids=lambda null: null.__name__)
def test_mean_above_the_promised_one_never_alarms_in_practice(null):
    streams = null(np.random.default_rng(1), (10, 5000))
    assert [run_length(stream, mu0=MEAN - 0.03, a=100_000) for stream in streams.tolist()] == [5000] * 10


@pytest.mark.parametrize("null", [bernoulli, bimodal, beta, four_values], ids=lambda null: null.__name__)
@pytest.mark.parametrize("drop", [0.05, 0.10])
def test_drop_is_found_as_fast_as_the_best_of_its_bets_must(null, drop):
    mu0, a = MEAN - 0.02, 10_000
    streams = null(np.random.default_rng(2), (40, 6000)) * (1 - drop / MEAN)
    lengths = [run_length(stream, mu0, a) for stream in streams.tolist()]
    # Each sum is at least the product of its factors, and a sum at 6a raises the alarm. Wald: the logarithm of the
    # product is on average at most log 6a and one more step when it gets there.
    stakes = np.array(BETS) / (1 - mu0)
    growth = np.array([np.log1p(stake * (mu0 - streams)).mean() for stake in stakes])
    bounds = (np.log(len(BETS) * a) + np.log1p(stakes * mu0)) / growth
    assert np.mean(lengths) <= bounds[growth > 0].min()


def test_statistic_is_its_formula():
    values = [0.9, 0.2, 1.0, 0.0, 0.7]
    detector = EDetector(0.8, 1e6)
    for value in values:
        detector.update(value)
    # Written out: the sum over every start of the product of what came after it.
    factors = [[1 + bet / (1 - 0.8) * (0.8 - value) for value in values] for bet in BETS]
    expected = np.mean([sum(math.prod(row[start:]) for start in range(5)) for row in factors])
    assert detector.statistic == pytest.approx(expected)
    assert detector.level == pytest.approx(math.log10(expected))


def test_alarm_is_on_from_the_value_that_brings_the_statistic_to_the_run_length():
    detector = EDetector(0.9, 100)
    alarms = [(detector.update(0.5), detector.statistic >= 100, detector.alarming) for _ in range(20)]
    assert [alarm for alarm, _, _ in alarms] == [at for _, at, _ in alarms] == [on for _, _, on in alarms]
    assert alarms[0][0] is False
    assert alarms[-1][0] is True


def test_a_million_bad_answers_do_not_overflow_and_good_ones_end_the_alarm():
    detector = EDetector(0.9, 1000)
    for value in repeat(0.0, 10_000):
        detector.update(value)
    assert detector.statistic == 6 * 1000
    assert detector.level == pytest.approx(math.log10(6000))
    lasting = sum(detector.update(1.0) for _ in range(10_000))
    assert 0 < lasting < 1000
    assert not detector.alarming


def test_cap_does_not_move_the_alarm():
    stream = bimodal(np.random.default_rng(3), 1000) * 0.9
    stakes, sums, uncapped = np.array(BETS) / (1 - 0.88), np.zeros(len(BETS)), []
    for value in stream:
        sums = (sums + 1) * (1 + stakes * (0.88 - value))
        uncapped.append(sums.mean())
    assert max(uncapped) > 1e6 > 10_000 * len(BETS)
    assert run_length(stream.tolist(), 0.88, 10_000) == 1 + np.argmax(np.array(uncapped) >= 10_000)


def test_restart_begins_anew():
    detector = EDetector(0.9, 100)
    for value in repeat(0.0, 5):
        detector.update(value)
    detector.restart()
    assert (detector.statistic, detector.level, detector.alarming) == (0, 0, False)


def test_detector_goes_on_after_a_restart_of_the_service_as_if_there_had_been_none():
    first, second = np.split(bimodal(np.random.default_rng(4), 1000), 2)
    whole, before = EDetector(0.88, 500), EDetector(0.88, 500)
    for value in chain(first, second):
        whole.update(value)
    for value in first:
        before.update(value)
    after = EDetector.from_state(json.loads(json.dumps(before.state_dict())))
    for value in second:
        after.update(value)
    assert after.state_dict() == whole.state_dict()


SOUND = {"mu0": 0.9, "a": 100.0, "sums": [1.0] * 6}


@pytest.mark.parametrize(
    "damage",
    [
        {"sums": [1.0] * 5},
        {"sums": [math.nan] * 6},
        {"sums": [math.inf] * 6},
        {"sums": [-1.0] * 6},
        {"sums": None},
        {"sums": ["many"] * 6},
        {"mu0": 1.5},
        {"a": None},
    ],
    ids=str,
)
def test_damaged_state_is_refused(damage):
    assert EDetector.from_state(SOUND).statistic == 1
    with pytest.raises(ValueError):  # noqa: PT011
        EDetector.from_state(SOUND | damage)


def test_state_without_sums_is_refused():
    with pytest.raises(ValueError, match="wants mu0, a and sums"):
        EDetector.from_state({"mu0": 0.9, "a": 100.0})


@pytest.mark.parametrize("value", [math.nan, -0.01, 1.01, math.inf])
def test_value_that_would_spoil_the_statistic_is_refused_and_leaves_it_as_it_was(value):
    detector = EDetector.from_state(SOUND)
    with pytest.raises(ValueError, match=r"numbers in \[0, 1\]"):
        detector.update(value)
    assert detector.state_dict() == SOUND


@pytest.mark.parametrize("mu0", [0.0, 1.0, -0.1, math.nan])
def test_mean_that_cannot_fall_or_be_exceeded_is_refused(mu0):
    with pytest.raises(ValueError, match="mu0 is"):
        EDetector(mu0)


@pytest.mark.parametrize("a", [0, -1, math.inf, math.nan])
def test_run_length_that_is_none_is_refused(a):
    with pytest.raises(ValueError, match="average run length"):
        EDetector(0.9, a)


@pytest.mark.parametrize("mean", [0.95, 0.85, 0.3], ids=["as promised", "a little lower", "far lower"])
@pytest.mark.parametrize("mu0", [0.5, 0.9, 0.999])
def test_many_values_at_once_are_as_each_by_itself(mu0, mean):
    values = np.random.default_rng(0).binomial(20, mean, 2000) / 20
    by_one, at_once = EDetector(mu0, 1000), EDetector(mu0, 1000)
    alarm = next((index for index, value in enumerate(values) if by_one.update(value)), None)
    assert at_once.first_alarm(values) == alarm
    assert at_once.state_dict()["sums"] == pytest.approx(by_one.state_dict()["sums"], rel=1e-9)


def test_many_values_of_which_one_is_no_number_are_refused_whole():
    detector = EDetector(0.9, 1000)
    for wrong in (math.nan, -0.1, 1.1):
        with pytest.raises(ValueError, match="takes numbers in"):
            detector.first_alarm(np.array([0.2, wrong]))
    assert detector.statistic == 0
