"""A shared-backbone oracle is fitted from arrays alone: features, logits and targets of whatever was answered."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from training.bundle.graphs import check_parity, write_graphs
from training.classifier.network import Classifier, build_backbone
from training.novelty import Novelty
from training.oracle.loss_table import LOSSES
from training.oracle.network import empty_oracle
from training.oracle.recipes import RECIPES
from training.oracle.shared import SharedOracle
from training.oracle.shared_fit import CachedAnswers, _count, _standardise, fit_shared_oracle
from training.oracle.verdicts import VerdictCounts
from training.pair import ClassifierGraph, Pair
from trust.preprocess import Preprocess

RECIPE = dataclasses.replace(RECIPES["shared"], epochs=5, class_head=False, corrupted_share=0.0)


def answers(images, seed=0):
    """Answers that are wrong where the first of eight features is above 1: one in six."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(images, 8)).astype(np.float32) * 5 + 3
    targets = generator.integers(0, 3, images)
    wrong = features[:, 0] > 8
    logits = 5 * np.eye(3, dtype=np.float32)[np.where(wrong, (targets + 1) % 3, targets)]
    return features, logits, targets


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_finds_the_feature_that_tells_wrong_from_right(loss):
    recipe = dataclasses.replace(RECIPE, loss=loss, learning_rate=1e-2, epochs=8)
    oracle = fit_shared_oracle(*answers(1000), recipe, seed=0, batch_size=128)
    features, logits, targets = answers(1000, seed=1)
    with torch.inference_mode():
        scores = oracle(torch.from_numpy(features))["oracle_logit"].numpy()
    assert roc_auc_score(logits.argmax(1) == targets, scores) > 0.95


def test_seed_fixes_the_oracle_and_memory_mapped_arrays_give_the_same(tmp_path):
    arrays = answers(300)
    mapped = []
    for number, array in enumerate(arrays):
        np.save(tmp_path / f"{number}.npy", array)
        mapped.append(np.load(tmp_path / f"{number}.npy", mmap_mode="r"))
    first = fit_shared_oracle(*arrays, RECIPE, seed=3, batch_size=64).state_dict()
    again = fit_shared_oracle(*mapped, RECIPE, seed=3, batch_size=64).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_corrupted_copies_are_learned_from_beside_the_clean_images():
    features, logits, targets = answers(600)
    # Clean, no feature tells anything: every tenth answer is wrong. In the copies the second one does.
    clean_logits = np.eye(3, dtype=np.float32)[(targets + (np.arange(600) % 10 == 0)) % 3]
    copies = np.roll(features, 1, axis=1)
    recipe = dataclasses.replace(RECIPE, epochs=30, learning_rate=3e-3)
    corrupted = CachedAnswers(copies, logits, targets)
    oracle = fit_shared_oracle(features, clean_logits, targets, recipe, seed=0, corrupted=corrupted, batch_size=128)
    with torch.inference_mode():
        scores = oracle(torch.from_numpy(copies))["oracle_logit"].numpy()
    assert roc_auc_score(logits.argmax(1) == targets, scores) > 0.9


def test_class_head_learns_the_class():
    features, logits, targets = answers(1000)
    features[:, 1:4] = np.eye(3)[targets] * 9
    recipe = dataclasses.replace(RECIPE, class_head=True, learning_rate=1e-2, epochs=10)
    oracle = fit_shared_oracle(features, logits, targets, recipe, seed=0, batch_size=64)
    with torch.inference_mode():
        predicted = oracle(torch.from_numpy(features))["oracle_class_logits"].argmax(1).numpy()
    assert (predicted == targets).mean() > 0.99


def test_features_are_standardised_and_one_that_never_moves_stays_harmless():
    features = np.array([[1.0, 7.0], [3.0, 7.0]], np.float32)
    oracle = SharedOracle(2, 3, RECIPE)
    _standardise(oracle, features)
    assert oracle.mean.tolist() == [2, 7]
    assert oracle.std.tolist() == [1, 1]


def test_verdicts_are_counted_over_more_rows_than_are_read_at_a_time():
    features, logits, targets = answers(25_000)
    wrong = int((features[:, 0] > 8).sum())
    assert _count(CachedAnswers(features, logits, targets)) == VerdictCounts(25_000 - wrong, wrong)


def test_verdicts_of_one_kind_are_refused():
    features, _, targets = answers(50)
    with pytest.raises(ValueError, match="all 50 verdicts that the oracle would learn from are correct"):
        fit_shared_oracle(features, np.eye(3, dtype=np.float32)[targets], targets, RECIPE, seed=0)


def test_arrays_that_do_not_belong_together_are_refused():
    features, logits, targets = answers(50)
    with pytest.raises(ValueError, match="50 features, 49 logits and 50 targets"):
        fit_shared_oracle(features, logits[1:], targets, RECIPE, seed=0)
    narrow = CachedAnswers(features[:, :4], logits, targets)
    with pytest.raises(ValueError, match="differ in D"):
        fit_shared_oracle(features, logits, targets, RECIPE, seed=0, corrupted=narrow)


def test_shared_oracle_is_served_by_the_classifiers_graph_alone(tmp_path):
    torch.manual_seed(0)
    spec = Preprocess(input_size=(1, 16, 16), mean=(0.5,), std=(0.25,))
    classifier = Classifier(build_backbone("small_resnet", classes=3, channels=1), spec).eval().requires_grad_(False)
    graph = ClassifierGraph(classifier, Novelty.empty(classifier.feature_count, 3), temperature=1.0)
    pair = Pair(graph, {"shared-0": empty_oracle(classifier, RECIPES["shared"]).eval()}, torch.device("cpu"))
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), dtype=np.uint8)
    outputs = write_graphs(tmp_path, pair, pixels[:2])
    assert outputs.keys() == {"classifier.onnx"}
    assert outputs["classifier.onnx"][-2:] == ("oracle_logit", "oracle_class_logits")
    assert check_parity(tmp_path, pair, pixels)["oracle_logit"] < 1e-4
