"""The committed bundle keeps what its card says, on the real test images, through the service's own code."""

import json
from pathlib import Path

import numpy as np
import pytest

from service.inference.bundle import open_bundle
from service.monitor.novelty import NoveltyReference
from training.config import TrainingConfig
from training.data.sources import load_dataset
from training.data.torchvision_sets import FASHION_PREPROCESS
from training.metrics.calibration import ece
from training.metrics.ranking import auroc
from training.shift.corruptions import TRAINED_KINDS, UNSEEN_KINDS
from trust.head import trust_probability
from trust.image_statistics import image_novelty
from trust.manifest import REFERENCE, read_manifest
from trust.score import net_trust_score

BUNDLE = Path(__file__).parent.parent / "models/fashion-mnist"
RESULTS = json.loads((BUNDLE / "results.json").read_text())
TRUST = RESULTS["conditions"]["clean"]["methods"]["trust probability"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset("fashion-mnist", FASHION_PREPROCESS, 0, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def answers(dataset):
    """Trust, confidence and correctness of the 10,000 test images, as the service gives them."""
    test = dataset.test
    bundle = open_bundle(BUNDLE)
    parts = [bundle.sessions.run(np.ascontiguousarray(pixels)) for pixels in test.batches()]
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    correct = outputs["logits"].argmax(1) == test.targets
    return trust_probability(bundle.manifest.trust_head, outputs), outputs["probabilities"].max(1), correct


def test_accuracy_is_the_cards(answers):
    assert answers[2].mean() == pytest.approx(RESULTS["conditions"]["clean"]["accuracy"], abs=0.0005)
    assert answers[2].mean() >= 0.92


def test_trust_ranks_and_calibrates_as_the_card_says(answers):
    trust, _, correct = answers
    # One seed of the three that the card averages: three of their standard deviations, and arithmetic elsewhere.
    for name, measure in (("auroc", auroc), ("ece", ece)):
        assert measure(trust, correct) == pytest.approx(TRUST[name]["mean"], abs=3 * TRUST[name]["sd"] + 0.002)


def test_label_free_net_trust_score_is_near_the_true_one(answers):
    trust, confidence, correct = answers
    assert net_trust_score(confidence, trust) == pytest.approx(net_trust_score(confidence, correct), abs=0.02)


def test_trusted_answers_keep_the_promise_on_images_it_was_not_made_on(answers):
    trust, _, correct = answers
    threshold = read_manifest(BUNDLE).threshold
    assert threshold.risk == TrainingConfig().risk
    trusted = correct[trust >= threshold.value]
    # The promise is about the population; 10,000 images add their own noise.
    noise = 2 * (threshold.risk * (1 - threshold.risk) / len(trusted)) ** 0.5
    assert 1 - trusted.mean() <= threshold.risk + noise


def test_image_novelty_is_that_of_the_reference_images_and_test_images_rank_evenly_among_them(dataset):
    clean = read_manifest(BUNDLE).image_statistics
    with np.load(BUNDLE / REFERENCE) as rows:
        stored = rows["image_novelty"]
        np.testing.assert_array_equal(rows["target"], dataset.reference.targets)
    found = np.concatenate([image_novelty(clean, pixels) for pixels in dataset.reference.batches()])
    np.testing.assert_allclose(found, stored, rtol=1e-4)
    test = np.concatenate([image_novelty(clean, pixels) for pixels in dataset.test.batches()])
    reference = NoveltyReference(stored)
    assert reference.mean_lower <= reference.p_values(test).mean() <= 0.51


def test_goals_set_beforehand_are_met():
    clean, trained, unseen = (RESULTS["summary"][group] for group in ("clean", "trained", "unseen"))
    assert clean["auroc_gain"] >= -0.25
    assert trained["auroc_gain"] >= 8
    assert unseen["auroc_gain"] >= 12
    assert clean["ece"] <= 0.015
    assert clean["net_trust_score_error"] <= 0.02
    assert trained["net_trust_score_error"] <= 0.02
    assert unseen["net_trust_score_error"] <= 0.05


def test_unseen_kinds_were_in_no_recipe():
    provenance = read_manifest(BUNDLE).provenance
    assert not set(provenance["recipe"]["kinds"]) & set(UNSEEN_KINDS)
    assert tuple(provenance["trained_kinds"]) == TRAINED_KINDS


def test_graphs_agree_with_torch_to_a_ten_thousandth():
    provenance = read_manifest(BUNDLE).provenance
    assert provenance["parity_images"] == 500
    assert max(provenance["parity"][name] for name in ("logits", "oracle_logit", "oracle_class_logits")) <= 1e-4


def test_bundle_is_small_enough_to_be_committed():
    assert sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file()) <= 5_000_000
