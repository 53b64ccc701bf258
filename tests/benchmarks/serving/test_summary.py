"""Medians, ratios and verdicts, by rounds small enough to reckon in the head."""

import pytest

from benchmarks.serving.rounds import Plan
from benchmarks.serving.summary import Term, left_out, not_answered, of_rounds, ratio
from benchmarks.serving.table import connection_table, server_table, target_table

# The machine slows down to a third in the second round, for everybody.
ROUNDS = [
    {"small": {"trustserve": {"rate@32": 3000.0, "p50@1": 0.4}, "tuned": {"rate@32": 1000.0}}},
    {"small": {"trustserve": {"rate@32": 1000.0, "p50@1": 1.2}, "tuned": {"rate@32": 400.0}}},
    {"small": {"trustserve": {"rate@32": 2800.0, "p50@1": 0.5}, "tuned": {"rate@32": 700.0}}},
]
OURS = Term("small", ("trustserve",), "rate@32")


def test_ratio_is_taken_within_each_round():
    assert ratio(ROUNDS, OURS, Term("small", ("tuned",), "rate@32")) == pytest.approx(3.0)  # of 3.0, 2.5, 4.0


def test_figure_is_the_median_over_rounds():
    assert of_rounds(ROUNDS, OURS.of) == 2800.0


def test_best_of_several_is_the_most_answers_and_the_least_time():
    found = {"small": {"plain": {"rate@8": 5.0, "p50@1": 2.0}, "batching": {"rate@8": 9.0, "p50@1": 3.0}}}
    both = ("plain", "batching")
    assert Term("small", both, "rate@8").of(found) == 9.0
    assert Term("small", both, "p50@1").of(found) == 2.0


def test_what_was_not_measured_has_no_figure():
    assert of_rounds(ROUNDS, Term("small", ("bentoml",), "rate@32").of) is None
    assert ratio(ROUNDS, OURS, Term("resnet18", ("tuned",), "rate@32")) is None


def test_requests_that_failed_are_counted_over_all_rounds():
    rounds = [{"small": {"naive": {"failed@1": 0.0, "failed@32": 2.0}, "tuned": {"failed@1": 0.0}}}] * 3
    assert not_answered(rounds) == {"small: naive": 6}


def test_server_that_failed_in_one_round_is_named():
    plan = Plan({"small": ("trustserve", "tuned")}, connections=(1, 32), rounds=2)
    assert left_out(plan, ROUNDS) == []
    assert left_out(plan, [*ROUNDS, {"small": {"tuned": {}}}]) == ["small: trustserve"]


def test_verdict_says_which_targets_were_reached_and_which_not_measured():
    header, *rows = target_table(ROUNDS)
    verdicts = {row[0]: row[1:] for row in rows}
    assert header[0] == "target"
    assert verdicts["small pair, 32 connections: tuned naive, 1 process each"] == [">= 3x", "3.00x", "met"]
    assert verdicts["small pair, 1 connection: p50 in ms"] == ["<= 1", "0.50", "met"]
    assert verdicts["small pair, 32 connections: BentoML"] == [">= 6x", "-", "not measured"]


def test_target_that_is_missed_is_said_to_be():
    slow = [{"small": {"trustserve": {"p50@1": 1.01}}}]
    assert ["small pair, 1 connection: p50 in ms", "<= 1", "1.01", "NOT met"] in target_table(slow)


def test_table_shows_the_servers_that_were_measured():
    titles = [row[0] for row in server_table(ROUNDS)[1:]]
    assert titles == ["tuned naive, 1 intra-op thread", "trustserve"]


def test_growth_with_connections_leaves_out_what_was_not_measured():
    found = [{"small": {"tuned": {"rate@1": 900.0, "p99@1": 2.0}, "onnxruntime": {"rate": 30_000.0}}}]
    assert connection_table(found, "small", (1, 8))[1:] == [["tuned naive, 1 intra-op thread", "900, 2.0", "-"]]
