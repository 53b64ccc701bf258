"""The study's formulas and its book-keeping, by hand arithmetic."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from training.oracle.loss_table import LossOptions
from training.study.document import write_part
from training.study.gradients import RIGHT, WRONG, gradient_magnitudes, gradient_tables
from training.study.measures import measure_confidence, measure_logit
from training.study.methods import GAIN, measure_scores
from training.study.options import StudyOptions
from training.study.table import Column, Figure, Row, StudyTable, row_of
from training.study.timing import time_in_turn, timing_row, timing_tables

RIGHT_RIGHT_WRONG_WRONG = np.array([True, True, False, False])


def table(title="Slopes.", value=0.5):
    return StudyTable(title, "slopes", (Column("auroc", "AUROC"),), (Row("(1, 3)", {"auroc": Figure((value,))}),))


@pytest.mark.parametrize(
    ("loss", "verdict", "z", "expected"),
    [
        # s = z / (1 + |z|), ds/dz = 1 / (1 + |z|)^2: slopes 1 and 3 at 0; at 1, s = 1/2 and ds/dz = 1/4.
        ("steep_slope", RIGHT, 0.0, 1.0),
        ("steep_slope", WRONG, 0.0, 3.0),
        ("steep_slope", RIGHT, 1.0, math.exp(-0.5) / 4),
        ("steep_slope", WRONG, 1.0, 3 * math.exp(1.5) / 4),
        # 1 - p and p, with p = sigmoid(ln 3) = 3/4.
        ("cross_entropy", RIGHT, math.log(3), 0.25),
        ("cross_entropy", WRONG, math.log(3), 0.75),
        # p = 1/2: ((1 - p)^2 / p - 2 (1 - p) ln p) p (1 - p)
        ("focal", RIGHT, 0.0, (0.5 + math.log(2)) / 4),
        # 2 |p - target| p (1 - p): targets .9, .2 and .2 / .7
        ("tcp", RIGHT, 0.0, 0.4 / 2),
        ("tcp", WRONG, 0.0, 0.3 / 2),
        ("tcp_normalised", RIGHT, 0.0, 0.5 / 2),
        ("tcp_normalised", WRONG, 0.0, (0.5 - 0.2 / 0.7) / 2),
    ],
)
def test_gradient_of_each_loss_is_that_of_its_formula(loss, verdict, z, expected):
    # Beside other logits, for the loss is a mean over them.
    found = gradient_magnitudes(loss, np.array([z, 5.0, -5.0]), verdict, LossOptions())
    assert found[0] == pytest.approx(expected, rel=1e-6)


def test_slopes_change_the_steep_slope_curves_alone():
    rows = {row.name: row.figures["0"].mean for row in gradient_tables()[0].rows}
    slopes = {name: value for name, value in rows.items() if name.startswith("steep slope")}
    assert slopes == {
        "steep slope (1, 3), right": 1,
        "steep slope (1, 3), wrong": 3,
        "steep slope (2, 5), right": 2,
        "steep slope (2, 5), wrong": 5,
    }
    assert rows["cross entropy, right"] == rows["cross entropy, wrong"] == 0.5


def test_logit_that_separates_perfectly_is_measured_so():
    logit = np.array([2.0, 1.0, -1.0, -2.0])
    found = measure_logit(logit, np.array([0.9, 0.9, 0.1, 0.1]), RIGHT_RIGHT_WRONG_WRONG)
    assert found["accuracy"] == 0.5
    assert found["auroc"] == found["tpr"] == found["tnr"] == found["aupr_error"] == found["aupr_success"] == 1
    assert found["fpr_at_95_tpr"] == found["risk_at_0.5"] == 0
    # Three of four are not yet 80 %: it takes all, two of them wrong.
    assert found["risk_at_0.8"] == 0.5
    # (1 - AUROC) a (1 - a) + (1 - a)^2 / 2
    assert found["augrc"] == pytest.approx(0.125)
    assert found["ece_scaled"] == pytest.approx(0.1)
    # N(1.5, 1/4) and N(-1.5, 1/4): 9 / (4 1/2); (2 (1/4 + 9) / 1/4) / 4 - 1/2
    assert found["bhattacharyya"] == pytest.approx(4.5)
    assert found["kl"] == pytest.approx(18)


def test_logit_trusts_from_zero_on_and_confidence_from_one_half_on():
    logit, confidence = np.array([1.0, -1.0, 0.5, -0.5]), np.array([0.6, 0.4, 0.7, 0.3])
    of_logit = measure_logit(logit, confidence, RIGHT_RIGHT_WRONG_WRONG)
    of_confidence = measure_confidence(confidence, confidence, RIGHT_RIGHT_WRONG_WRONG)
    assert (of_logit["tpr"], of_logit["tnr"]) == (of_confidence["tpr"], of_confidence["tnr"]) == (0.5, 0.5)
    assert "kl" not in of_confidence


def test_gain_is_paired_so_that_a_score_in_the_same_order_gains_exactly_nothing():
    generator = np.random.default_rng(0)
    correct = generator.random(200) < 0.8
    confidence = np.clip(generator.normal(0.5 + 0.1 * correct, 0.1), 0, 1)
    found = measure_scores({"softmax": confidence, "halved": confidence / 2}, correct, "softmax", resamples=50)
    assert found["halved"][GAIN] == Figure((0.0,), (0.0, 0.0))
    assert found["halved"]["auroc"] == found["softmax"]["auroc"]
    low, high = found["softmax"]["auroc"].interval
    assert low < found["softmax"]["auroc"].mean < high
    assert GAIN not in found["softmax"]


def test_gain_is_the_difference_of_the_aurocs():
    # All four pairs in order; three of four.
    scores = {"softmax": np.array([0.4, 0.2, 0.3, 0.1]), "better": np.array([0.4, 0.3, 0.2, 0.1])}
    found = measure_scores(scores, RIGHT_RIGHT_WRONG_WRONG, "softmax", resamples=20)
    assert found["better"][GAIN].mean == pytest.approx(0.25)


def test_calls_are_timed_in_turns():
    now, order = [0.0], []

    def call(name, seconds):
        order.append(name)
        now[0] += seconds

    calls = {"classifier": lambda: call("classifier", 1.0), "oracle": lambda: call("oracle", 2.5)}
    taken = time_in_turn(calls, repeats=3, clock=lambda: now[0])
    assert {name: list(seconds) for name, seconds in taken.items()} == {"classifier": [1.0] * 3, "oracle": [2.5] * 3}
    assert order == ["classifier", "oracle"] * 3


def test_timing_row_tells_median_quartiles_and_how_many_classifiers_it_takes():
    row = timing_row("oracle", np.array([5.0, 1.0, 2.0, 4.0, 3.0]), base=np.array([1.0, 1.5, 9.0]))
    assert row.figures == {"seconds": Figure((3.0,), (2.0, 4.0)), "ratio": Figure((2.0,))}


def test_graphs_of_a_bundle_are_timed_alone_and_together(tiny_bundle):
    (found,) = timing_tables(tiny_bundle, repeats=3)
    names = ["classifier", "oracle", "one after the other", "both at the same time"]
    assert [row.name for row in found.rows] == [f"{name}, batch of {size}" for size in (1, 32) for name in names]
    assert all(row.figures["seconds"].mean > 0 for row in found.rows)
    assert found.rows[0].figures["ratio"].mean == 1


def test_bundle_without_an_oracle_graph_says_that_nothing_runs_beside(own_bundle):
    (own_bundle / "oracle.onnx").unlink()
    (found,) = timing_tables(own_bundle, repeats=3)
    assert [row.name for row in found.rows] == ["classifier, batch of 1", "classifier, batch of 32"]
    assert "nothing to run beside the classifier" in found.note


def test_row_of_several_trials_shows_mean_and_sample_deviation():
    row = row_of("focal", [{"auroc": 0.90}, {"auroc": 0.92}, {"auroc": 0.94}])
    assert Column("auroc", "AUROC").cell(row.figures["auroc"]) == "92.0 ± 2.0"
    assert Column("auroc", "AUROC", 1, 3).cell(Figure((0.5,))) == "0.500"
    assert Column("auroc", "AUROC").cell(Figure((0.5, math.nan))) == "-"


def test_measure_that_a_row_lacks_leaves_its_cell_empty():
    columns = (Column("auroc", "AUROC"), Column("kl", "mean KL"))
    cells = StudyTable("", "loss", columns, (Row("softmax", {"auroc": Figure((0.5,))}),)).cells()
    assert cells == [["loss", "AUROC", "mean KL"], ["softmax", "50.0", ""]]


def test_part_is_replaced_between_its_markers_and_prose_stays(tmp_path):
    document = tmp_path / "results.md"
    document.write_text("Before.\n\n<!-- slopes -->\nold\n<!-- /slopes -->\n\nAfter, with a \\1 in it.\n")
    write_part(document, "slopes", "trustserve-train study", "one classifier", [table()])
    text = document.read_text()
    assert text.startswith("Before.\n\n<!-- slopes -->\n\n`trustserve-train study`: one classifier.\n\n**Slopes.**")
    assert text.endswith("| (1, 3) | 50.0 |\n\n<!-- /slopes -->\n\nAfter, with a \\1 in it.\n")
    assert "old" not in text


def test_part_written_twice_is_there_once_and_other_parts_keep_their_figures(tmp_path):
    document = tmp_path / "docs" / "results.md"
    write_part(document, "slopes", "first", "one classifier", [table(value=0.25)])
    write_part(document, "heads", "second", "one classifier", [table("Heads.")])
    write_part(document, "slopes", "third", "one classifier", [table(value=0.75)])
    text, figures = document.read_text(), json.loads((tmp_path / "docs" / "results.json").read_text())
    assert text.count("<!-- slopes -->") == text.count("75.0") == text.count("<!-- heads -->") == 1
    assert "25.0" not in text
    assert figures["slopes"]["command"] == "third"
    assert figures["slopes"]["tables"][0]["rows"]["(1, 3)"]["auroc"] == {"mean": 0.75, "sd": None, "values": [0.75]}
    assert figures["heads"]["command"] == "second"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"runs": ()}, "--runs names no run"),
        ({"oracle_seeds": 0}, "--oracle-seeds is 0; wanted at least 1"),
        ({"resamples": 0}, "--resamples is 0; wanted at least 1"),
    ],
)
def test_option_that_cannot_work_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        StudyOptions(**options)


def test_command_of_a_part_names_what_differs_from_the_defaults():
    options = StudyOptions(classifiers=(Path("runs/crl"),), bundle=Path("models/a b"), resamples=50)
    expected = "trustserve-train study --runs runs/fashion-mnist --classifiers runs/crl --bundle 'models/a b'"
    assert options.command("timing") == f"{expected} --resamples 50 --parts timing"
