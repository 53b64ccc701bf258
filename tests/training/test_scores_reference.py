"""Scores that compare features with those of training: by hand, and against scipy, scikit-learn and published code."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax
from scipy.stats import entropy
from sklearn.covariance import EmpiricalCovariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from training.answers import Answers
from training.scores.mahalanobis import fit_mahalanobis
from training.scores.neighbours import KNN, fit_knn, fit_trust_score
from training.scores.sirc import SIRC, feature_norm, fit_negative_residual, fit_sirc, log_entropy, log_error
from training.scores.vim import fit_residual, fit_vim

CLASSES, WIDTH = 3, 6
DRAW = np.random.default_rng(0)
WEIGHT, BIAS = DRAW.normal(0, 1, (CLASSES, WIDTH)), DRAW.normal(0, 1, CLASSES)
CENTRES = DRAW.normal(0, 2, (CLASSES, WIDTH))


def answers(count, seed):
    """Features around their classes' centres, and logits of a linear last layer."""
    draw = np.random.default_rng(seed)
    targets = draw.integers(0, CLASSES, count)
    features = (CENTRES[targets] + draw.normal(0, 1, (count, WIDTH))).astype(np.float32)
    logits = (features @ WEIGHT.T + BIAS).astype(np.float32)
    return Answers({"features": features, "logits": logits}, targets)


REFERENCE, QUERIES = answers(400, 1), answers(50, 2)
FEATURES, KNOWN = QUERIES.outputs["features"].astype(float), REFERENCE.outputs["features"].astype(float)
LOGITS = QUERIES.outputs["logits"].astype(float)


def at(features, logits):
    return {"features": np.array(features, np.float32), "logits": np.array(logits, np.float32)}


def test_mahalanobis_is_scipys_with_scikit_learns_shared_covariance():
    shared = LinearDiscriminantAnalysis(solver="lsqr", store_covariance=True).fit(KNOWN, REFERENCE.targets)
    distances = cdist(FEATURES, shared.means_, "mahalanobis", VI=np.linalg.inv(shared.covariance_))
    assert fit_mahalanobis(REFERENCE)(QUERIES.outputs) == pytest.approx(-(distances**2).min(1), rel=1e-4)


def test_feature_that_never_fires_changes_no_mahalanobis_distance():
    def silent(answers):
        dead = np.zeros((len(answers.targets), 1), np.float32)
        return Answers({"features": np.hstack([answers.outputs["features"], dead])}, answers.targets)

    plain = fit_mahalanobis(REFERENCE)(QUERIES.outputs)
    assert fit_mahalanobis(silent(REFERENCE))(silent(QUERIES).outputs) == pytest.approx(plain)


def published_vim(dimensions):
    """The authors' steps, from the last layer's own weights: residuals of the queries, and scores."""
    origin = -np.linalg.pinv(WEIGHT) @ BIAS
    covariance = EmpiricalCovariance(assume_centered=True).fit(KNOWN - origin).covariance_
    values, vectors = np.linalg.eig(covariance)
    complement = vectors[:, np.argsort(-values)[dimensions:]]
    residual = np.linalg.norm((FEATURES - origin) @ complement, axis=1)
    in_training = np.linalg.norm((KNOWN - origin) @ complement, axis=1)
    scale = REFERENCE.outputs["logits"].max(1).mean() / in_training.mean()
    return residual, logsumexp(LOGITS, axis=1) - scale * residual


def test_vim_is_the_published_one_without_being_given_the_last_layer():
    residual, score = published_vim(WIDTH // 2)
    assert fit_residual(REFERENCE)(QUERIES.outputs) == pytest.approx(residual, rel=1e-4)
    assert fit_vim(REFERENCE)(QUERIES.outputs) == pytest.approx(score, rel=1e-4)


def flat_answers():
    """Features that vary along two of six axes, through the origin: a plane."""
    flat = np.zeros((200, WIDTH), np.float32)
    flat[:, :2] = np.random.default_rng(3).normal(0, 1, (200, 2))
    return Answers(at(flat, flat[:, :2] - flat[:, 1::-1]), np.zeros(200, int))


def test_residual_is_nothing_in_the_principal_space_and_the_distance_outside_it():
    residual = fit_residual(flat_answers(), dimensions=2)
    assert residual(at([[5, -7, 0, 0, 0, 0]], [[0]])) == pytest.approx([0], abs=1e-6)
    assert residual(at([[5, -7, 3, 0, -4, 0]], [[0]])) == pytest.approx([5])


def test_vim_is_the_energy_where_features_never_leave_the_principal_space():
    outputs = at([[1, 0, 0, 0, 0, 0]], [[0.0, 0.0]])
    assert fit_vim(flat_answers())(outputs) == pytest.approx([np.log(2)])


def test_sirc_costs_what_the_paper_writes():
    sirc = fit_sirc(log_error, feature_norm, REFERENCE)
    norms = np.abs(KNOWN).sum(1)
    a, b = norms.mean() - 3 * norms.std(), 1 / norms.std()
    cost = (1 - softmax(LOGITS, axis=1).max(1)) * (1 + np.exp(-b * (np.abs(FEATURES).sum(1) - a)))
    assert np.exp(-sirc(QUERIES.outputs)) == pytest.approx(cost, rel=1e-4)


def test_sirc_of_entropy_and_residual_costs_what_the_paper_writes():
    sirc = fit_sirc(log_entropy, fit_negative_residual(REFERENCE), REFERENCE)
    residual = fit_residual(REFERENCE)
    known = residual(REFERENCE.outputs)
    a, b = -known.mean() - 3 * known.std(), 1 / known.std()
    cost = entropy(softmax(LOGITS, axis=1), axis=1) * (1 + np.exp(-b * (-residual(QUERIES.outputs) - a)))
    assert np.exp(-sirc(QUERIES.outputs)) == pytest.approx(cost, rel=1e-4)


def test_sirc_orders_as_its_confidence_where_all_features_are_alike():
    sirc = SIRC(log_error, lambda outputs: np.full(len(outputs["logits"]), 7.0), a=2.0, b=1.0)
    assert np.array_equal(np.argsort(sirc(QUERIES.outputs)), np.argsort(-log_error(LOGITS)))


def test_sirc_takes_trust_away_from_an_unfamiliar_image_with_the_same_confidence():
    sirc = SIRC(log_error, feature_norm, a=4.0, b=1.0)
    familiar, unfamiliar = sirc(at([[10, 0], [1, 0]], [[3, 0], [3, 0]]))
    assert familiar > unfamiliar


def test_sure_answers_are_told_apart_where_softmax_says_1_of_all():
    # 1 - p = e^-50 and e^-60 (two classes): both round to p = 1.
    assert log_error([[50.0, 0.0], [60.0, 0.0]]) == pytest.approx([-50, -60])
    # Entropy of (1 - e, e) is e (1 - log e) for small e: e^-50 * 51.
    assert log_entropy([[50.0, 0.0]]) == pytest.approx([-50 + np.log(51)])


def test_entropy_in_logarithms_is_scipys():
    assert np.exp(log_entropy(LOGITS)) == pytest.approx(entropy(softmax(LOGITS, axis=1), axis=1))


def test_trust_score_is_the_ratio_of_all_distances():
    by_class = [cdist(FEATURES, KNOWN[REFERENCE.targets == name]).min(1) for name in range(CLASSES)]
    distances, answered = np.stack(by_class, 1), LOGITS.argmax(1)
    own = distances[np.arange(len(LOGITS)), answered]
    other = np.where(np.arange(CLASSES) == answered[:, None], np.inf, distances).min(1)
    assert np.exp(fit_trust_score(REFERENCE)(QUERIES.outputs)) == pytest.approx(other / own, rel=1e-4)


def test_trust_score_of_a_class_without_reference_images_is_lowest():
    score = fit_trust_score(Answers(at([[0.0], [1.0]], [[0]] * 2), np.array([0, 1])))
    unseen, wrong, right = score(at([[0.2]] * 3, [[0, 0, 9], [0, 9, 0], [9, 0, 0]]))
    assert unseen < wrong < right
    assert np.isfinite(unseen)


def test_trust_score_leaves_out_the_share_of_images_in_sparse_regions():
    # Class 0 at 0, 1, 2 and far out at 10: with alpha 1/4 the last goes, and 11 is 9 from the class, not 1.
    line = Answers(at([[0], [1], [2], [10], [20]], [[0]] * 5), np.array([0, 0, 0, 0, 1]))
    query = at([[11.0]], [[1.0, 0.0]])
    assert np.exp(fit_trust_score(line, k=2, alpha=0.0)(query)) == pytest.approx([9 / 1])
    assert np.exp(fit_trust_score(line, k=2, alpha=0.25)(query)) == pytest.approx([9 / 9])


def test_trust_score_refuses_to_leave_out_everything():
    with pytest.raises(ValueError, match="alpha is 1"):
        fit_trust_score(REFERENCE, alpha=1)


@pytest.mark.parametrize("k", [1, 5, 50])
def test_knn_is_scipys_distance_between_directions(k):
    distances = cdist(
        FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True), KNOWN / np.linalg.norm(KNOWN, axis=1, keepdims=True)
    )
    assert fit_knn(REFERENCE, k)(QUERIES.outputs) == pytest.approx(-np.sort(distances, 1)[:, k - 1], abs=1e-4)


def test_knn_sees_directions_not_lengths():
    knn: KNN = fit_knn(REFERENCE)
    longer = {"features": 3 * QUERIES.outputs["features"]}
    assert knn(longer) == pytest.approx(knn(QUERIES.outputs), abs=1e-5)


def test_knn_with_few_reference_images_takes_the_farthest_of_them():
    few = fit_knn(Answers(at([[1, 0], [0, 1]], [[0]] * 2), np.array([0, 1])), k=50)
    assert few(at([[1, 0]], [[0]])) == pytest.approx([-np.sqrt(2)])
