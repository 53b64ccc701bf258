"""The table's rows are named after what they are, and its measures are the arithmetic of the answers."""

import dataclasses
import json

import numpy as np
import pytest

from tests.training.conftest import train
from training.data.skipped import Skipped
from training.evaluation.table import CleanAnswers, _mean_and_sd, measures
from training.report.tables import skipped_line
from training.run import Run
from training.scores.methods import CLASSIFIER_METHODS
from training.steps import open_dataset
from trust.manifest import RESULTS


def rows(bundle, condition="clean"):
    return json.loads((bundle / RESULTS).read_text())["conditions"][condition]["methods"]


def test_every_method_that_one_pass_allows_has_a_row_on_clean_and_corrupted_images(trained):
    once = [method.name for method in CLASSIFIER_METHODS if method.needs <= {"logits", "probabilities", "features"}]
    oracles = ["steep slope logit", "class head alone", "trust probability", "steep slope logit (paper recipe)"]
    oracles += ["best post-hoc score"]
    assert {"softmax confidence", "SIRC (softmax, L1 norm)", "ViM", "Trust Score"} <= set(once)
    assert list(rows(trained.bundle)) == once + oracles
    assert list(rows(trained.bundle, "fog")) == once + oracles


def test_gain_is_the_difference_of_the_rows_with_its_interval(trained):
    condition = json.loads((trained.bundle / RESULTS).read_text())["conditions"]["fog"]
    trust, softmax = (
        condition["methods"][row]["auroc"]["mean"] for row in ("trust probability", "temperature-scaled softmax")
    )
    gain = condition["gains"]["trust probability"]
    assert gain["value"] == pytest.approx(trust - softmax, abs=2e-5)
    assert gain["low"] <= gain["value"] <= gain["high"]


def test_trust_on_images_of_none_of_the_classes_is_measured(trained):
    other = json.loads((trained.bundle / RESULTS).read_text())["other_data"]
    assert list(other) == ["digits", "photos", "uniform noise", "gaussian noise", "inverted"]
    for found in other.values():
        assert list(found["trust"]) == ["best post-hoc score", "trust probability"]
        for mean in (found["confidence"], *found["trust"].values()):
            assert 0 <= mean["low"] <= mean["value"] <= mean["high"] <= 1
    assert "| inverted |" in (trained.bundle / "README.md").read_text()


def test_card_counts_the_files_that_held_no_image(trained):
    dataset = open_dataset(trained.config, Run(trained.config))
    assert skipped_line(dataset) == ""
    broken = dataclasses.replace(
        dataset, skipped=Skipped((("cat/a.png", "broken"), ("b.txt", "no image by its suffix")))
    )
    assert skipped_line(broken) == "2 files that held no image were left out.\n"


def test_clean_answers_come_back_as_they_were_saved(tmp_path):
    answers = CleanAnswers(
        target=np.array([0, 1]),
        predicted=np.array([0, 0]),
        confidence=np.array([0.9, 0.6]),
        scores={"b": np.array([0.2, 0.1]), "a": np.array([0.3, 0.4])},
        thresholds={"b": 0.15, "a": 0.35},
    )
    answers.save(tmp_path / "answers.npz")
    again = CleanAnswers.load(tmp_path / "answers.npz")
    assert (list(again.scores), again.thresholds) == (["b", "a"], {"b": 0.15, "a": 0.35})
    assert again.scores["a"].tolist() == [0.3, 0.4]
    assert again.target.tolist() == [0, 1]


def test_another_loss_gives_its_name_to_its_row(tmp_path, image_folder):
    run = train(tmp_path, image_folder, "focal", "--loss", "focal", "--no-compare-paper", loss="focal")
    assert "focal logit" in rows(run.bundle)
    assert json.loads((run.bundle / "manifest.json").read_text())["provenance"]["recipe"]["loss"] == "focal"


def test_measures_by_hand():
    score, correct = np.array([0.9, 0.8, 0.3, 0.2]), np.array([True, False, True, False])
    found = measures(score, correct, confidence=np.array([1.0, 0.5, 0.5, 0.5]), threshold=0.5)
    assert found["auroc"] == pytest.approx(3 / 4)
    assert (found["tpr"], found["tnr"]) == (0.5, 0.5)
    assert (found["risk"], found["coverage"]) == (0.5, 0.5)
    assert found["net_trust_score"] == pytest.approx((1 + 0.5 + 0.5 + 0.5) / 4)
    # t C + (1 - t)(1 - C): .9, and one half wherever C is one half.
    assert found["net_trust_score_estimate"] == pytest.approx((0.9 + 0.5 + 0.5 + 0.5) / 4)


def test_spread_over_seeds_is_the_sample_standard_deviation():
    # Deviations -1, 0, 1: their squares over N - 1 = 2 make 1.
    assert _mean_and_sd([{"auroc": 1.0}, {"auroc": 2.0}, {"auroc": 3.0}]) == {"auroc": {"mean": 2.0, "sd": 1.0}}
    assert _mean_and_sd([{"auroc": 0.9}]) == {"auroc": {"mean": 0.9, "sd": 0.0}}


def test_nothing_trusted_risks_nothing():
    assert measures(np.array([0.1, 0.2]), np.array([True, False]), np.ones(2), threshold=0.9)["risk"] == 0.0
