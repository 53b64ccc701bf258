"""A small study from end to end: what it measures, and that nothing is made twice."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from training.cli import app
from training.commands.shift import shift_study
from training.config import TrainingConfig
from training.shift.cell import CellConfig, condition_figures
from training.shift.corruptions import NAMELESS_SHARES
from training.shift.mixes import MIXES
from training.shift.splits import kind_split
from training.shift.study import cell_summary, run_study, summarise_study
from training.shift.study_tables import study_tables, write_tables
from training.shift.transforms import NAMELESS
from trust.head import TrustHead

SPLIT = "noise-geometry-unseen"


@pytest.fixture(scope="module")
def study(tmp_path_factory, image_folder):
    """One cell, trained by the command, and the configuration it had."""
    folder = tmp_path_factory.mktemp("study")
    options = ["--data", f"imagefolder:{image_folder}", "--image-size", "28", "--run", str(folder), "--device", "cpu"]
    options += ["--classifier-epochs", "2", "--oracle-epochs", "1", "--batch-size", "32", "--images", "20"]
    app(
        ["shift-study", *options, "--splits", SPLIT, "--seeds", "4", "--mixes", "prototype"],
        result_action="return_value",
    )
    config = TrainingConfig(
        data=f"imagefolder:{image_folder}",
        image_size=28,
        run=folder,
        device="cpu",
        classifier_epochs=2,
        oracle_epochs=1,
        batch_size=32,
    )
    return config, json.loads((folder / "shift-study.json").read_text())


def test_cell_measures_clean_unseen_kinds_attacks_and_other_data(study):
    conditions = study[1]["cells"][f"{SPLIT}/seed-4"]
    kinds = {name.split(":")[0] for name in conditions if ":" in name}
    assert kinds == {*kind_split(SPLIT).unseen, "fgsm", "pgd"}
    assert {"clean", "digits", "photos", "inverted", "pgd:4", "rotate:3", "rotate:5"} <= set(conditions)
    assert conditions["digits"]["accuracy"] == 0


def test_nothing_is_made_twice(study):
    config, first = study
    files = {path: path.stat().st_mtime_ns for path in config.run.rglob("*.pt")}
    assert json.dumps(run_study(config, [SPLIT], [4], 20, ["prototype"])) == json.dumps(first)
    assert {path: path.stat().st_mtime_ns for path in config.run.rglob("*.pt")} == files


def test_cell_that_was_not_measured_is_measured_from_the_weights_that_are_there(study):
    config, first = study
    folder = config.run / SPLIT / "seed-4"
    weights = {path: path.stat().st_mtime_ns for path in folder.glob("oracle-*.pt")}
    (folder / "cell.json").unlink()
    assert json.dumps(run_study(config, [SPLIT], [4], 20, ["prototype"])) == json.dumps(first)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("oracle-*.pt")} == weights


def test_splits_and_seeds_are_named_one_after_the_other():
    command, bound, _ = app.parse_args(
        ["shift-study", "--splits", "random-0", SPLIT, "--seeds", "0", "1", "--mixes", "prototype"]
    )
    assert command is shift_study
    assert (bound.kwargs["splits"], bound.kwargs["seeds"]) == (("random-0", SPLIT), (0, 1))


def test_unknown_split_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ValueError, match="split of kinds 'random-9' is unknown"):
        run_study(TrainingConfig(run=tmp_path), ["random-0", "random-9"], [0], 10)
    assert not any(tmp_path.iterdir())


def test_study_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"the study needs splits and seeds; got \[\] and \[0\]"):
        run_study(TrainingConfig(run=tmp_path), [], [0], 10)


def test_oracle_of_a_cell_meets_no_unseen_kind():
    config = CellConfig(split=SPLIT)
    assert config.calibration_kinds == (*kind_split(SPLIT).trained, *NAMELESS_SHARES)
    assert config.oracle_recipe("paper").kinds == ()


def test_training_mix_changes_what_its_name_says():
    trained = kind_split(SPLIT).trained
    found = {mix: CellConfig(split=SPLIT, mix=mix).oracle_recipe("default") for mix in MIXES}
    assert found["no-outliers"] == replace(found["default"], outlier_share=0.0)
    assert found["named-alone"] == replace(found["default"], kinds=trained)
    assert found["nameless-alone"] == replace(found["default"], kinds=NAMELESS_SHARES)
    assert found["prototype"].kinds[: len(trained)] == trained
    assert found["prototype"].kinds[len(trained) :] == tuple(NAMELESS)[:5]
    assert found["prototype"].outlier_share == 0


def test_unknown_training_mix_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ValueError, match="training mix 'spicy' is unknown; wanted one of default, no-outliers"):
        run_study(TrainingConfig(run=tmp_path), ["random-0"], [0], 10, ["spicy"])
    assert not any(tmp_path.iterdir())


def test_training_mixes_are_told_side_by_side_on_the_same_cells(study):
    cell = study[1]["cells"][f"{SPLIT}/seed-4"]
    cells = {f"{SPLIT}/seed-4": cell, f"{SPLIT}/seed-5": cell}
    told = {"summary": summarise_study(cells), "cells": cells, "mixes": {"prototype": {f"{SPLIT}/seed-4": cell}}}
    rows = study_tables(told)["the training mix with one thing changed"][1:]
    # Seed 5, which the other mix has not, counts for neither.
    assert [row[:3] for row in rows] == [["unseen families", "default", "1"], ["unseen families", "prototype", "1"]]
    assert rows[0][3:] == rows[1][3:]


def test_figures_of_one_condition_by_hand():
    # Confidences 3/4 and 1/4 of 3 classes... two classes: softmax of log odds log 3 is (3/4, 1/4).
    sure, unsure = math.log(3), 0.0
    outputs = {
        "logits": np.array([[sure, 0], [0, sure], [sure, 0], [unsure, 0]], np.float32),
        "oracle_class_logits": np.array([[2, 0], [2, 0], [1, 0], [0, 1]], np.float32),
        "oracle_logit": np.array([1, -1, 2, -2], np.float32),
    }
    outputs["probabilities"] = np.exp(outputs["logits"]) / np.exp(outputs["logits"]).sum(1, keepdims=True)
    head = TrustHead(inputs=("oracle_logit",), weights=(1.0,), bias=0.0)
    figures = condition_figures(outputs, np.array([0, 0, 0, 1]), {"": head})
    # The classifier answers 0, 1, 0, 0: right on the first and third; the class head 0, 0, 0, 1: always right.
    assert (figures["accuracy"], figures["class head accuracy"]) == (0.5, 1.0)
    # Right answers at 3/4, wrong ones at 3/4 and 1/2: two ties and two wins of four pairs.
    assert figures["softmax auroc"] == pytest.approx((2 * 0.5 + 2) / 4)
    assert figures["trust auroc"] == figures["class head auroc"] == 1.0
    # Confidence where right, doubt where wrong: 3/4, 1/4, 3/4, 1/2.
    assert figures["net trust score"] == pytest.approx((0.75 + 0.25 + 0.75 + 0.5) / 4)


def test_summary_is_the_mean_over_conditions_then_over_cells():
    def condition(softmax, trust, estimate):
        scores = {"softmax": softmax, "class head": 0.5, "logit": 0.5, "trust": trust}
        figures = {f"{name} auroc": value for name, value in scores.items()}
        figures |= {f"{name} {of}": 0.1 for name in scores for of in ("ece", "mean", "net trust score")}
        figures |= dict.fromkeys(
            ("accuracy", "class head accuracy", "class head auroc of its own answers", "auroc gain sd"), 0.5
        )
        return figures | {"net trust score": 0.1 + estimate}

    def cell(*unseen):
        others = ["clean", "fgsm:4", "pgd:4"]
        others += ["digits", "photos", "uniform noise", "gaussian noise", "inverted"]
        shifted = {f"fog:{3 + number}": condition(*figures) for number, figures in enumerate(unseen)}
        return dict.fromkeys(others, condition(0.9, 0.9, 0.0)) | shifted

    one, other = cell((0.5, 0.7, 0.02), (0.5, 0.9, -0.04)), cell((0.6, 0.7, 0.0))
    assert cell_summary(one)["unseen gain of trust"] == pytest.approx(100 * (0.2 + 0.4) / 2)
    assert cell_summary(one)["unseen net trust score error of trust"] == pytest.approx((0.02 + 0.04) / 2)
    assert cell_summary(one)["worst net trust score error of trust"] == pytest.approx(0.04)
    summary = summarise_study({"random-0/seed-0": one, "random-1/seed-0": other})
    # 30 and 10: mean 20, standard deviation over N - 1 = sqrt(10^2 + 10^2).
    assert summary["random splits"]["unseen gain of trust"] == pytest.approx({"mean": 20, "sd": 200**0.5, "cells": 2})
    assert "unseen families" not in summary


def test_each_kind_is_a_row_over_the_cells_in_which_it_is_unseen_and_its_error_keeps_its_sign(study):
    cell = study[1]["cells"][f"{SPLIT}/seed-4"]
    one = cell | {"rotate:5": cell["rotate:5"] | {"net trust score": 0.5, "trust net trust score": 0.25}}
    for severity in (3, 4):
        one[f"rotate:{severity}"] = one["rotate:5"]
    # Of a split outside of both groups: not counted.
    cells = {f"{SPLIT}/seed-4": one, "alternating/seed-4": cell}
    tables = study_tables({"summary": summarise_study(cells), "cells": cells, "mixes": {}})
    (rows,) = (rows for title, rows in tables.items() if title == "each unseen kind")
    assert {row[0] for row in rows[1:]} == set(kind_split(SPLIT).unseen)
    (rotate,) = (row for row in rows if row[0] == "rotate")
    assert (rotate[1], rotate[-1]) == ("3", "-0.250")


def test_every_table_has_one_width(study):
    for rows in study_tables(study[1]).values():
        assert len(rows) > 1
        assert {len(row) for row in rows} == {len(rows[0])}


def test_tables_go_between_their_markers_and_leave_the_prose(study, tmp_path):
    document = tmp_path / "shift.md"
    document.write_text("Before <!-- attacks --> old <!-- /attacks --> after.\n")
    write_tables(study[1], document)
    text = document.read_text()
    assert text.startswith("Before <!-- attacks -->\n\n| splits | attack |")
    assert "old" not in text
    assert "<!-- /attacks --> after." in text
