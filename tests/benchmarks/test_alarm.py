"""The document of the alarm tells what its benchmark measures."""

import numpy as np
import pytest

from benchmarks import alarm


@pytest.mark.parametrize("title", ["Mean falls by .05 at once", "Mean falls by .10 at once"])
def test_delays_of_the_alarm_stand_in_the_document_as_measured(title, monkeypatch):
    ours = next(iter(alarm.CONTENDERS))
    monkeypatch.setattr(alarm, "CONTENDERS", {ours: alarm.CONTENDERS[ours]})
    # Without the last column: another bundle's trust is another distribution, until the benchmark runs again.
    measured = alarm.delays(*alarm.CHANGES[title]).splitlines()[-1].rsplit("|", 2)[0]
    assert measured in alarm.DOCUMENT.read_text().split(title)[1].split("Mean")[0]


@pytest.mark.parametrize("name", alarm.DISTRIBUTIONS)
@pytest.mark.parametrize("mean", [alarm.MEAN - 0.10, alarm.MU0, alarm.MEAN])
def test_streams_have_the_mean_they_are_named_after(name, mean):
    generator, means = np.random.default_rng(0), np.full(100_000, mean)
    values = alarm.DISTRIBUTIONS[name](generator, means)
    assert 0 <= values.min() <= values.max() <= 1
    assert values.mean() == pytest.approx(mean, abs=4 * values.std() / 100_000**0.5)
