"""The gate: which oracle it lets through, what serves instead, and what the bundle says of it."""

import numpy as np
import pytest

from service.inference.bundle import open_bundle
from tests.training.conftest import train
from training.answers import Answers
from training.best_score import fit_best_score
from training.config import TrainingConfig
from training.gate import pass_gate
from training.run import Run
from training.steps import load_pair, open_dataset
from trust.head import TrustHead, trust_probability
from trust.manifest import read_manifest
from trust.posthoc import max_softmax

ORACLE = TrustHead(inputs=("oracle_logit",), weights=(1.0,), bias=0.0)
FALLBACK = TrustHead(inputs=("margin",), weights=(1.0,), bias=0.0)


def answers(knows, seed=0, count=2000):
    """Answers right as often as softmax says; the oracle's logit adds so much of the truth to the log-odds."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 1.5, (count, 2)).astype(np.float32)
    correct = draw.random(count) < max_softmax(logits)
    targets = np.where(correct, logits.argmax(1), 1 - logits.argmax(1))
    odds = np.abs(logits[:, 0] - logits[:, 1])
    return Answers({"logits": logits, "oracle_logit": odds + knows * (2.0 * correct - 1)}, targets)


@pytest.mark.parametrize(
    ("on_clean", "under_shift", "promoted"),
    [(0.0, 1.0, True), (1.0, 1.0, True), (-1.0, 1.0, False), (0.0, 0.0, False), (1.0, -1.0, False)],
    ids=["equal-clean-better-shifted", "better", "worse-clean", "equal-shifted", "worse-shifted"],
)
def test_oracle_passes_only_where_it_is_not_worse_on_clean_and_better_under_shift(on_clean, under_shift, promoted):
    shifted = [answers(under_shift, seed) for seed in (1, 2)]
    head, gate = pass_gate(ORACLE, FALLBACK, answers(on_clean), shifted)
    assert gate.promoted == promoted
    assert head is (ORACLE if promoted else FALLBACK)
    assert gate.serves == ("oracle" if promoted else "margin")


def test_forced_oracle_is_served_and_the_statement_says_so():
    head, gate = pass_gate(ORACLE, FALLBACK, answers(-1.0), [answers(1.0, 1)], force=True)
    assert head is ORACLE
    assert (gate.promoted, gate.forced) == (False, True)
    assert gate.statement.startswith("The oracle was not promoted, and is served because it was forced.")


def test_oracle_that_passes_needs_no_force():
    assert pass_gate(ORACLE, FALLBACK, answers(0.0), [answers(1.0, 1)], force=True)[1].forced is False


def test_difference_is_that_of_the_two_areas_under_the_curve():
    # One wrong answer among four. Softmax ranks it above two right ones, the oracle above none: 1 - 1/3.
    logits = np.array([[4.0, 0], [3, 0], [2, 0], [1, 0]], np.float32)
    four = Answers({"logits": logits, "oracle_logit": np.array([4.0, -5, 2, 1])}, np.array([0, 1, 0, 0]))
    gate = pass_gate(ORACLE, FALLBACK, four, [four])[1]
    assert gate.clean.value == pytest.approx(2 / 3)
    assert gate.shifted.value == pytest.approx(2 / 3)


def test_classifier_without_errors_shows_nothing():
    right = answers(0.0)
    right = Answers(right.outputs, right.outputs["logits"].argmax(1))
    gate = pass_gate(ORACLE, FALLBACK, right, [right])[1]
    assert not gate.promoted
    assert gate.clean is None


def test_best_score_is_the_one_that_ranks_best():
    # Wrong answers have larger logits at the same softmax: only the largest logit, turned round, could tell, and
    # no score is turned round; scores of the probabilities know nothing, the p-norm neither.
    draw = np.random.default_rng(0)
    correct = draw.random(1000) < 0.7
    logits = np.where(correct[:, None], [5.0, 3.0], [3.0, 1.0]) + draw.normal(0, 0.1, (1000, 2))
    targets = np.where(correct, logits.argmax(1), 1 - logits.argmax(1))
    head = fit_best_score(Answers({"logits": logits.astype(np.float32)}, targets), temperature=2.0)
    assert head.inputs[0] in ("max_logit", "energy")
    trust = trust_probability(head, {"logits": logits})
    assert trust.mean() == pytest.approx(correct.mean(), abs=0.02)


def test_softmax_confidence_is_taken_where_nothing_ranks_better():
    # With two classes entropy, margin and Doctor order as confidence does.
    logits = np.array([[3.0, 0], [2, 0], [1, 0], [0.5, 0]], np.float32)
    head = fit_best_score(Answers({"logits": logits}, np.array([0, 0, 0, 1])), temperature=1.5)
    assert head.inputs == ("confidence_log_odds",)


def test_run_whose_oracle_is_not_promoted_exports_a_bundle_without_it(tmp_path, image_folder):
    trained = train(tmp_path, image_folder, "plain", "--no-force", "--recipe", "paper", recipe="paper")
    manifest = read_manifest(trained.bundle)
    assert manifest.gate is not None
    assert not manifest.gate.promoted
    assert not (trained.bundle / "oracle.onnx").exists()
    assert manifest.gate.statement in (trained.bundle / "README.md").read_text()
    bundle = open_bundle(trained.bundle)
    run = Run(trained.config)
    dataset = open_dataset(trained.config, run)
    wanted = trust_probability(
        manifest.trust_head, load_pair(trained.config, run, dataset)[0].served([pixels(dataset)])
    )
    found = trust_probability(manifest.trust_head, bundle.sessions.run(pixels(dataset)))
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_force_is_recorded_in_the_manifest(trained):
    gate = read_manifest(trained.bundle).gate
    assert gate.promoted or gate.forced
    assert gate.serves == "oracle"
    assert TrainingConfig().force is False


def pixels(dataset):
    return dataset.test.pixels(slice(8))
