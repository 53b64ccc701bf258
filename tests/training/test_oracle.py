"""The oracle starts from the classifier and learns correctness only where the recipe says it is known."""

import dataclasses

import numpy as np
import pytest
import torch

from training.classifier.network import Classifier, build_backbone
from training.config import RECIPES
from training.data.dataset import Dataset, Split
from training.oracle import fit as oracle_fit
from training.oracle.fit import fit_oracle
from training.oracle.losses import oracle_loss
from training.oracle.network import Oracle, SignedDistance
from training.shift.outliers import make_outliers
from trust.preprocess import Preprocess

SPEC = Preprocess(input_size=(1, 16, 16), mean=(0.5,), std=(0.25,))


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return Classifier(build_backbone("small_resnet", classes=3, channels=1), SPEC).eval().requires_grad_(False)


@pytest.fixture
def dataset():
    store = np.random.default_rng(0).integers(0, 256, (100, 16, 16, 1), dtype=np.uint8)
    targets = np.arange(100) % 3
    parts = np.split(np.arange(100), [60, 80, 90, 95])
    return Dataset("noise", ("a", "b", "c"), SPEC, *(Split(store, rows, targets[rows]) for rows in parts))


def test_signed_distance_is_the_distance_from_the_plane():
    head = SignedDistance(2)
    head.weight.data, head.bias.data = torch.tensor([[3.0], [4.0]]), torch.tensor([5.0])
    # (3 * 1 + 4 * 2 + 5) / |(3, 4)| = 16 / 5
    assert head(torch.tensor([[1.0, 2.0]])).item() == pytest.approx(3.2)


def test_class_head_starts_as_the_classifiers(classifier):
    images = torch.rand(4, 1, 16, 16)
    oracle = Oracle(classifier, RECIPES["default"]).eval()
    with torch.inference_mode():
        assert torch.equal(oracle(images)["oracle_class_logits"], classifier(images))


def test_published_recipe_has_no_class_head(classifier):
    assert set(Oracle(classifier, RECIPES["paper"]).eval()(torch.rand(2, 1, 16, 16))) == {"oracle_logit"}


@pytest.mark.parametrize(
    ("labels", "repeats", "known_images"), [("heldout", 2, 2 * 20), ("training", 0, 60)], ids=["default", "paper"]
)
def test_correctness_is_learned_only_where_it_is_honest(
    classifier, dataset, monkeypatch, labels, repeats, known_images
):
    learned = []

    def spy(name, logits, verdicts, *slopes):
        learned.append(len(verdicts.correct))
        return oracle_loss(name, logits, verdicts, *slopes)

    monkeypatch.setattr(oracle_fit, "oracle_loss", spy)
    recipe = dataclasses.replace(RECIPES["default"], labels=labels, heldout_repeats=repeats, epochs=1)
    fit_oracle(classifier, dataset, recipe, batch_size=16, seed=0, title="test")
    assert sum(learned) == known_images


def test_classifier_stays_as_it_was(classifier, dataset):
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    fit_oracle(
        classifier, dataset, dataclasses.replace(RECIPES["default"], epochs=1), batch_size=16, seed=0, title="test"
    )
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_backbone_of_the_oracle_learns_although_the_classifiers_is_frozen(classifier, dataset, recipe):
    quick = dataclasses.replace(RECIPES[recipe], epochs=1)
    oracle = fit_oracle(classifier, dataset, quick, batch_size=16, seed=0, title="test")
    own = dict(oracle.network.backbone.named_parameters())
    moved = [name for name, old in classifier.backbone.named_parameters() if not torch.equal(own[name], old)]
    assert "stem.0.weight" in moved


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "tcp", "tcp_normalised"])
def test_any_loss_can_train_an_oracle(classifier, dataset, loss):
    recipe = dataclasses.replace(RECIPES["paper"], loss=loss)
    oracle = fit_oracle(classifier, dataset, recipe, batch_size=16, seed=0, title="test")
    assert all(value.isfinite().all() for value in oracle.state_dict().values())


def test_seed_fixes_the_oracle(classifier, dataset):
    recipe = dataclasses.replace(RECIPES["default"], epochs=1)
    first, again = (fit_oracle(classifier, dataset, recipe, batch_size=16, seed=4, title="test") for _ in range(2))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())


def test_batch_without_a_known_verdict_teaches_nothing_and_breaks_nothing(classifier, dataset):
    recipe = dataclasses.replace(RECIPES["paper"], labels="heldout", heldout_repeats=0)
    oracle = fit_oracle(classifier, dataset, recipe, batch_size=16, seed=0, title="test")
    assert all(value.isfinite().all() for value in oracle.state_dict().values())


def test_oracle_that_met_outliers_is_less_sure_of_them(classifier, dataset):
    recipe = dataclasses.replace(RECIPES["default"], epochs=4)
    exposed, unaware = (
        fit_oracle(
            classifier,
            dataset,
            dataclasses.replace(recipe, outlier_share=share),
            batch_size=16,
            seed=0,
            title="test",
        )
        for share in (0.5, 0.0)
    )
    outliers = make_outliers(torch.rand(64, 1, 16, 16, generator=torch.Generator().manual_seed(9)), seed=9)
    with torch.inference_mode():
        confidence = [
            oracle(outliers)["oracle_class_logits"].softmax(1).amax(1).mean() for oracle in (exposed, unaware)
        ]
    assert confidence[0] < confidence[1]
