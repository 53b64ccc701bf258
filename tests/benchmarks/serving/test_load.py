"""What wrk says is read as it was meant; the text is wrk 4.1's own, of runs against BentoML."""

import pytest

from benchmarks.serving.load import LoadFailed, read_load

ANSWERED = """Running 2s test @ http://127.0.0.1:9104/predict
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    83.56ms   30.41ms 153.99ms   61.05%
    Req/Sec    47.45     23.61   110.00     75.00%
  95 requests in 2.01s, 22.96KB read
Requests/sec:     47.34
Transfer/sec:     11.44KB
{"answers": 95, "microseconds": 2006759, "p50": 83605, "p99": 153991, "mean": 83557.1, "not_2xx": 0, "broken": 0}
"""
REFUSED = """Running 1s test @ http://127.0.0.1:9104/nothing
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     9.60ms    9.48ms  53.92ms   88.61%
    Req/Sec   483.20    273.07     1.02k    80.00%
  484 requests in 1.01s, 62.39KB read
  Non-2xx or 3xx responses: 484
Requests/sec:    481.06
Transfer/sec:     62.01KB
{"answers": 484, "microseconds": 1006112, "p50": 6432, "p99": 47894, "mean": 9599.2, "not_2xx": 484, "broken": 0}
"""


def test_rate_and_latencies_are_those_that_wrk_prints_itself():
    load = read_load(ANSWERED)
    assert load.rate == pytest.approx(47.34, abs=0.01)
    assert load.mean == pytest.approx(83.56, abs=0.01)
    assert load.p99 == pytest.approx(153.99, abs=0.01)
    assert (load.answers, load.failed) == (95, 0)


def test_refused_requests_are_failures_not_answers():
    load = read_load(REFUSED)
    assert (load.answers, load.rate, load.failed) == (0, 0.0, 484)


def test_output_without_figures_is_told_from_one_of_zero():
    with pytest.raises(LoadFailed, match="unable to connect"):
        read_load("unable to connect to 127.0.0.1:1 Connection refused\n")
