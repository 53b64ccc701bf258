"""Classifiers trained for telling right from wrong: the correctness ranking loss by hand and against its own code."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from training.classifier.confidence import confidence
from training.classifier.correctness_ranking import CorrectnessCounts, CorrectnessRanking, correctness_ranking_loss
from training.classifier.fit import ClassifierLoss, classifier_plan, fit_classifier
from training.classifier.network import Classifier, build_backbone
from training.data.dataset import Split
from trust.preprocess import Preprocess

SPEC = Preprocess(input_size=(1, 16, 16), mean=(0.5,), std=(0.25,))


@pytest.fixture
def split():
    store = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 1), dtype=np.uint8)
    return Split(store, np.arange(24), np.arange(24) % 3)


def new_classifier(dropout=0.0):
    torch.manual_seed(0)
    return Classifier(build_backbone("small_resnet", classes=3, channels=1), SPEC, dropout)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("softmax", 0.6), ("margin", 0.6 - 0.3), ("entropy", sum(p * math.log(p) for p in (0.6, 0.3, 0.1)) / math.log(3))],
)
def test_each_confidence_by_hand(name, expected):
    logits = torch.tensor([[0.6, 0.3, 0.1]]).log()
    assert confidence(name, logits).item() == pytest.approx(expected, abs=1e-6)


def test_loss_by_hand_over_three_neighbours():
    # Pairs (.9, .8), (.8, .3), (.3, .9) with standing 1, 1, 0: nothing wanted; apart .5 of 1; -.6 of -1.
    loss = correctness_ranking_loss(torch.tensor([0.9, 0.8, 0.3]), torch.tensor([1.0, 1.0, 0.0]))
    assert loss.item() == pytest.approx((0 + (1 - 0.5) + (1 - 0.6)) / 3)


def test_loss_is_the_released_codes_margin_ranking_loss():
    generator = np.random.default_rng(0)
    confidences, standing = torch.from_numpy(generator.random(16)), torch.from_numpy(generator.integers(0, 4, 16) / 3)
    # As in daintlab/confidence-aware-learning, train.py: the margin goes into the second input, over the sign.
    other_standing = standing.roll(-1)
    target = (standing > other_standing).double() - (standing < other_standing).double()
    margin = (standing - other_standing).abs()
    divisor = torch.where(target == 0, 1.0, target)
    expected = nn.MarginRankingLoss(margin=0.0)(confidences, confidences.roll(-1) + margin / divisor, target)
    assert correctness_ranking_loss(confidences, standing).item() == pytest.approx(expected.item())


def test_standing_follows_the_released_codes_scale():
    counts = CorrectnessCounts(4)
    everything = np.arange(4)
    right = np.array([True, True, True, False])
    # The released code counts one epoch as done in both the first and the second.
    assert counts.standing(everything).tolist() == [0, 0, 0, 0]
    counts.update(everything, right)
    assert counts.standing(everything).tolist() == [1, 1, 1, 0]
    counts.update(everything, np.array([True, False, False, False]))
    # After two epochs: 2, 1, 1, 0 of 2.
    assert counts.standing(everything).tolist() == [1, 0.5, 0.5, 0]
    counts.update(everything, np.ones(4, bool))
    # After three: 3, 2, 2, 1 of 3, and the least is 1.
    assert counts.standing(everything).tolist() == [1, 0.5, 0.5, 0]


def test_images_that_are_always_right_rank_nowhere_instead_of_dividing_by_zero():
    counts = CorrectnessCounts(2)
    counts.update(np.arange(2), np.ones(2, bool))
    assert counts.standing(np.arange(2)).tolist() == [0, 0]


def test_answers_are_counted_after_they_were_ranked_at_the_positions_of_the_batch():
    counts = CorrectnessCounts(5)
    ranking = CorrectnessRanking(counts, "softmax")
    logits, batch = torch.tensor([[2.0, 0.0], [0.0, 2.0]]), np.array([3, 1])
    assert ranking(logits, batch, torch.tensor([0, 0])).item() == 0
    assert counts.right.tolist() == [0, 0, 0, 1, 0]
    # Now image 3 is to stand 1 above image 1; both have confidence e^2 / (e^2 + 1): each of the two pairs costs 1.
    assert ranking(logits, batch, torch.tensor([0, 0])).item() == pytest.approx(1)


def test_counts_go_on_from_a_checkpoint(tmp_path):
    counts, again = CorrectnessCounts(3), CorrectnessCounts(3)
    counts.update(np.array([0, 2]), np.array([True, True]))
    torch.save(counts.state_dict(), tmp_path / "state.pt")
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    counts.update(np.array([0]), np.array([True]))
    again.update(np.array([0]), np.array([True]))
    assert again.right.tolist() == counts.right.tolist() == [2, 0, 1]
    assert again.shown == counts.shown == 3


@pytest.mark.parametrize("name", ["cross_entropy", "crl", "fmfp"])
def test_each_loss_fits_a_classifier(split, name):
    classifier = new_classifier()
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    fit_classifier(classifier, split, ClassifierLoss(name), classifier_plan(name, 2, 8, 0.01), seed=0, title="test")
    after = classifier.state_dict()
    assert not torch.equal(after["backbone.head.weight"], before["backbone.head.weight"])
    assert all(value.isfinite().all() for value in after.values())


def test_ranking_weighs_in_as_told(split):
    def fitted(weight):
        classifier = new_classifier()
        loss = ClassifierLoss("crl", "margin", weight)
        fit_classifier(classifier, split, loss, classifier_plan("crl", 3, 8, 0.01), seed=0, title="test")
        return classifier.state_dict()["backbone.head.weight"]

    plain = new_classifier()
    plan = classifier_plan("cross_entropy", 3, 8, 0.01)
    fit_classifier(plain, split, ClassifierLoss(), plan, seed=0, title="test")
    assert torch.equal(fitted(0.0), plain.backbone.head.weight)
    assert not torch.equal(fitted(1.0), plain.backbone.head.weight)


def test_flat_minima_plan_is_the_published_one_scaled():
    plan = classifier_plan("fmfp", epochs=200, batch_size=128, learning_rate=0.1)
    # Impression2805/FMFP, main_fmfp.py: averaging from epoch 120 of 200 at .05.
    assert (plan.swa_from, plan.swa_learning_rate, plan.schedule) == (120 / 200, 0.05, "cosine")
    assert (plan.sam_radius, plan.nesterov, plan.weight_decay) == (0.05, False, 5e-4)


def test_dropout_before_the_last_layer_gives_monte_carlo_dropout_something_to_drop():
    classifier, images = new_classifier(dropout=0.5).eval(), torch.rand(4, 1, 16, 16)
    features = classifier.features(images)
    assert torch.equal(classifier(images), classifier.logits_of(features))
    classifier.dropout.train()
    assert not torch.equal(classifier.logits_of(features), classifier.logits_of(features))
    assert torch.equal(classifier.features(images), features)
