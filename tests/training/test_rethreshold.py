"""Another threshold for a bundle that exists, by each rule, through the command line."""

import json
import shutil

import numpy as np
import pytest

from service.inference.bundle import open_bundle
from training.bundle.reference import ReferenceAnswers, read_reference
from training.bundle.rethreshold import describe_threshold
from training.cli import app
from training.threshold import threshold_at_cost, threshold_at_coverage, threshold_at_tpr
from trust.manifest import BundleError, Threshold, read_manifest

TRUST = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
CORRECT = np.array([True, True, False, True, False])


@pytest.fixture
def bundle(trained, tmp_path):
    return shutil.copytree(trained.bundle, tmp_path / "garments")


def run(*arguments):
    app(["threshold", *map(str, arguments)], result_action="return_value")


@pytest.mark.parametrize(("coverage", "value"), [(0.2, 0.9), (0.6, 0.7), (0.61, 0.6), (0.999, 0.5)])
def test_coverage_is_reached_and_no_more(coverage, value):
    assert threshold_at_coverage(TRUST, coverage).value == value


@pytest.mark.parametrize(("tpr", "value"), [(1 / 3, 0.9), (0.5, 0.8), (0.99, 0.6)])
def test_share_of_correct_answers_is_reached_and_no_more(tpr, value):
    assert threshold_at_tpr(TRUST, CORRECT, tpr).value == value


@pytest.mark.parametrize(
    ("wrong_trust", "wrong_distrust", "value", "cost"),
    # Trusting down to .8 leaves one correct answer out; down to .6 takes one wrong one in; nothing costs 3.
    [(10, 1, 0.8, 1 / 5), (1, 10, 0.6, 1 / 5), (0, 1, 0.6, 0)],
)
def test_cost_is_the_least(wrong_trust, wrong_distrust, value, cost):
    found = threshold_at_cost(TRUST, CORRECT, wrong_trust, wrong_distrust)
    assert found.value == value
    assert f": {cost:.4f} an answer" in found.statement


def test_trusting_nothing_is_an_answer():
    assert threshold_at_cost([0.9, 0.8], [False, False], wrong_trust=1, wrong_distrust=1).value == 1.0


def test_rule_without_a_promise_says_so():
    found = threshold_at_coverage(TRUST, 0.6)
    assert (found.risk, found.coverage) == (None, 0.6)
    assert "No error rate is promised" in found.statement


def test_no_correct_answer_has_no_true_positive_rate():
    with pytest.raises(ValueError, match="none of the 2 answers is correct"):
        threshold_at_tpr([0.5, 0.6], [False, False], 0.9)


def test_description_is_the_arithmetic_of_the_answers():
    answers = ReferenceAnswers(TRUST, TRUST, CORRECT, np.zeros(5, int))
    rows = describe_threshold(answers, Threshold(value=0.7, statement=""), confidence=0.95)
    assert rows["trusted"] == "3 of 5 (60.0%)"
    assert rows["wrong among trusted"] == "1 (33.33%)"
    assert rows["correct ones trusted (TPR)"] == "66.7%"
    assert rows["wrong ones distrusted (TNR)"] == "50.0%"


def test_trusted_answers_are_counted_by_the_threshold_of_their_class():
    # .9, .8 and .5 are of class 1, whose threshold is .85: one trusted; .7 and .6 of class 0 both are.
    answers = ReferenceAnswers(TRUST, TRUST, CORRECT, np.array([1, 1, 0, 0, 1]))
    rows = describe_threshold(answers, Threshold(value=0.5, statement="", by_class=(0.5, 0.85)), confidence=0.95)
    assert rows["trusted"] == "3 of 5 (60.0%)"
    assert rows["wrong among trusted"] == "1 (33.33%)"


def test_thresholds_by_class_are_served(bundle):
    run(bundle, "--by-class", "--risk", 0.3, "--confidence", 0.6, "--write")
    written = open_bundle(bundle).manifest.threshold
    assert len(written.by_class) == 3
    assert written.statement in (bundle / "README.md").read_text()


def test_written_threshold_is_served(bundle):
    before = read_manifest(bundle)
    run(bundle, "--coverage", 0.5, "--write")
    assert read_manifest(bundle).image_statistics == before.image_statistics
    opened = open_bundle(bundle)
    trust = read_reference(bundle).trust
    assert opened.manifest.threshold.value == pytest.approx(np.sort(trust)[::-1][-(-len(trust) // 2) - 1])
    assert opened.manifest.reference.trust_rate == pytest.approx((trust >= opened.manifest.threshold.value).mean())
    assert f"**Threshold {opened.manifest.threshold.value:g}.**" in (bundle / "README.md").read_text()


def test_bundle_stays_as_it_is_unless_told_to_write(bundle):
    before = json.loads((bundle / "manifest.json").read_text())
    run(bundle, "--cost", 10, 1)
    assert json.loads((bundle / "manifest.json").read_text()) == before


def test_promise_that_few_images_cannot_keep_is_said(bundle, capsys):
    run(bundle, "--risk", 0.001)
    assert "No threshold keeps at most 0.1% wrong" in " ".join(capsys.readouterr().out.split())
    assert read_manifest(bundle).threshold.risk != 0.001


def test_reference_of_another_bundle_is_refused(bundle):
    (bundle / "reference.npz").write_bytes(b"other")
    with pytest.raises(BundleError, match="is not the file that was exported"):
        read_reference(bundle)
