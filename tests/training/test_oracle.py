"""The oracle starts from the classifier and learns correctness only where the recipe says it is known."""

import dataclasses

import numpy as np
import pytest
import torch

from training import steps
from training.classifier.network import Classifier, build_backbone
from training.config import TrainingConfig
from training.data.dataset import Dataset, Split
from training.oracle import lesson
from training.oracle.fit import fit_oracle
from training.oracle.heads import SignedDistance, slope_head
from training.oracle.jury import NOBODY, CrossFit, call_jury, fold_of_each
from training.oracle.loss_table import LOSSES, oracle_loss
from training.oracle.network import Oracle, empty_oracle
from training.oracle.recipes import RECIPES
from training.oracle.shared import SharedOracle, WithSharedOracle
from training.run import MissingStep, Run
from training.shift.outliers import make_outliers
from trust.preprocess import Preprocess

SPEC = Preprocess(input_size=(1, 16, 16), mean=(0.5,), std=(0.25,))
QUICK = dataclasses.replace(RECIPES["default"], epochs=1)
FROZEN = dataclasses.replace(
    RECIPES["confidnet"], epochs=1, finetune_epochs=0, head="linear", labels="heldout", heldout_repeats=1
)


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


def fitted(classifier, dataset, recipe, seed=0, **more):
    return fit_oracle(classifier, dataset, recipe, plan=recipe.plan(batch_size=16), seed=seed, title="test", **more)


def weights_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(module, before):
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def test_signed_distance_is_the_distance_from_the_plane():
    head = SignedDistance(2)
    head.weight.data, head.bias.data = torch.tensor([[3.0], [4.0]]), torch.tensor([5.0])
    # (3 * 1 + 4 * 2 + 5) / |(3, 4)| = 16 / 5
    assert head(torch.tensor([[1.0, 2.0]])).item() == pytest.approx(3.2)


def test_confidnet_head_has_the_five_published_layers():
    widths = [
        (layer.in_features, layer.out_features) for layer in slope_head("confidnet", 512) if hasattr(layer, "weight")
    ]
    assert widths == [(512, 400), (400, 400), (400, 400), (400, 400), (400, 1)]


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

    def spy(name, logits, verdicts, options):
        learned.append(len(verdicts.correct))
        return oracle_loss(name, logits, verdicts, options)

    monkeypatch.setattr(lesson, "oracle_loss", spy)
    fitted(classifier, dataset, dataclasses.replace(QUICK, labels=labels, heldout_repeats=repeats))
    assert sum(learned) == known_images


def test_classifier_stays_as_it_was(classifier, dataset):
    before = weights_of(classifier)
    fitted(classifier, dataset, QUICK)
    assert not moved(classifier, before)


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_backbone_of_the_oracle_learns_although_the_classifiers_is_frozen(classifier, dataset, recipe):
    oracle = fitted(classifier, dataset, dataclasses.replace(RECIPES[recipe], epochs=1))
    assert "backbone.stem.0.weight" in moved(oracle.network, weights_of(classifier))


@pytest.mark.parametrize("loss", LOSSES)
def test_any_loss_can_train_an_oracle(classifier, dataset, loss):
    oracle = fitted(classifier, dataset, dataclasses.replace(RECIPES["paper"], loss=loss))
    assert all(value.isfinite().all() for value in oracle.state_dict().values())


def test_seed_fixes_the_oracle(classifier, dataset):
    first, again = (fitted(classifier, dataset, QUICK, seed=4) for _ in range(2))
    assert not moved(first, again.state_dict())


def test_batch_without_a_known_verdict_teaches_nothing_and_breaks_nothing(classifier, dataset):
    recipe = dataclasses.replace(RECIPES["paper"], labels="heldout", heldout_repeats=1)
    # 80 images in batches of 2, 20 of them judged: most batches hold none.
    oracle = fit_oracle(classifier, dataset, recipe, plan=recipe.plan(batch_size=2), seed=0, title="test")
    assert all(value.isfinite().all() for value in oracle.state_dict().values())


def test_oracle_that_met_outliers_is_less_sure_of_them(classifier, dataset):
    recipe = dataclasses.replace(RECIPES["default"], epochs=4)
    exposed, unaware = (
        fitted(classifier, dataset, dataclasses.replace(recipe, outlier_share=share)) for share in (0.5, 0.0)
    )
    outliers = make_outliers(torch.rand(64, 1, 16, 16, generator=torch.Generator().manual_seed(9)), seed=9)
    with torch.inference_mode():
        confidence = [
            oracle(outliers)["oracle_class_logits"].softmax(1).amax(1).mean() for oracle in (exposed, unaware)
        ]
    assert confidence[0] < confidence[1]


def test_verdicts_of_one_kind_are_refused_before_anything_is_fitted(classifier, dataset):
    classifier.last_layer.bias.data = torch.tensor([-1e3, 1e3, -1e3])
    says_one = Split(dataset.train.store, dataset.train.rows, np.full(60, 1))
    with pytest.raises(ValueError, match=r"all 60 verdicts .* are correct; wanted both kinds: take labels heldout"):
        fitted(classifier, dataclasses.replace(dataset, train=says_one), RECIPES["paper"])


def test_frozen_backbone_leaves_all_but_the_heads(classifier, dataset):
    oracle = fitted(classifier, dataset, FROZEN)
    # Batch statistics included: the encoder stands still in evaluation mode.
    assert not moved(oracle.network, weights_of(classifier))
    untrained = Oracle(classifier, FROZEN)
    assert set(oracle.state_dict()) == set(untrained.state_dict())


def test_confidnets_second_step_moves_the_encoder_but_not_its_batch_statistics(classifier, dataset):
    recipe = dataclasses.replace(FROZEN, finetune_epochs=1, finetune_learning_rate=1e-3)
    learned = moved(fitted(classifier, dataset, recipe).network, weights_of(classifier))
    assert "backbone.stem.0.weight" in learned
    assert not any("running" in name for name in learned)


def test_dropout_of_the_encoder_is_off_in_confidnets_second_step():
    torch.manual_seed(0)
    dropping = Classifier(build_backbone("small_resnet", 3, 1), SPEC, dropout=0.9).eval()
    oracle = Oracle(dropping, dataclasses.replace(FROZEN, class_head=True)).train()
    oracle.free_encoder()
    images = torch.rand(4, 1, 16, 16)
    assert oracle.training
    assert torch.equal(oracle(images)["oracle_class_logits"], dropping(images))


def test_oracle_of_another_architecture_normalises_and_resizes_by_itself(classifier):
    recipe = dataclasses.replace(RECIPES["default"], architecture="test_vit", image_size=32)
    oracle = Oracle(classifier, recipe).eval()
    images = torch.rand(2, 1, 16, 16)
    outputs = oracle(images)
    assert outputs["oracle_logit"].shape == (2,)
    assert outputs["oracle_class_logits"].shape == (2, 3)
    # timm's test_vit is made for mean and std .5; 16 pixels become 32.
    assert oracle.network.mean.flatten().tolist() == [0.5]
    larger = torch.nn.functional.interpolate(images, size=(32, 32), mode="bilinear")
    assert torch.equal(oracle(larger)["oracle_logit"], outputs["oracle_logit"])


def test_oracle_of_another_architecture_can_start_from_a_local_checkpoint(classifier, dataset, tmp_path):
    start = build_backbone("test_resnet", classes=7, channels=1)
    torch.save(start.state_dict(), tmp_path / "start.pt")
    recipe = dataclasses.replace(FROZEN, architecture="test_resnet", image_size=32)
    oracle = fitted(classifier, dataset, recipe, weights=tmp_path / "start.pt")
    assert torch.equal(oracle.network.backbone.conv1[0].weight, start.conv1[0].weight)


def test_empty_oracle_takes_the_weights_of_a_trained_one(classifier, dataset):
    for recipe in (QUICK, dataclasses.replace(RECIPES["shared"], epochs=1)):
        oracle = fitted(classifier, dataset, recipe)
        again = empty_oracle(classifier, recipe)
        again.load_state_dict(oracle.state_dict())
        assert not moved(again, oracle.state_dict())


@pytest.mark.parametrize("corrupted_share", [0.0, 0.5])
def test_shared_oracle_trains_heads_alone_and_serves_in_the_classifiers_graph(classifier, dataset, corrupted_share):
    before = weights_of(classifier)
    recipe = dataclasses.replace(
        RECIPES["shared"], epochs=1, corrupted_share=corrupted_share, kinds=("brightness", "contrast"), class_head=True
    )
    oracle = fitted(classifier, dataset, recipe)
    assert isinstance(oracle, SharedOracle)
    assert not moved(classifier, before)

    class Named(torch.nn.Module):
        def forward(self, images):
            return {"features": classifier.features(images)}

    images = torch.rand(2, 1, 16, 16)
    outputs = WithSharedOracle(Named(), oracle)(images)
    assert list(outputs) == ["features", "oracle_logit", "oracle_class_logits"]
    assert torch.equal(outputs["oracle_logit"], oracle(classifier.features(images))["oracle_logit"])


@pytest.mark.parametrize(
    ("labels", "judges"),
    [("heldout", [NOBODY] * 4 + [0] * 2), ("training", [0] * 6), ("crossfit", [1, 2, 2, 1, 0, 0])],
)
def test_jury_lets_none_judge_what_it_has_seen_unless_told_to(classifier, labels, judges):
    crossfit = CrossFit([classifier, classifier], np.array([0, 1, 1, 0]))
    assert call_jury(classifier, seen=4, heldout=2, labels=labels, crossfit=crossfit).judge_of.tolist() == judges


def test_crossfit_verdict_is_that_of_the_fold_that_never_saw_the_image():
    def always(answer):
        says = Classifier(build_backbone("small_resnet", 3, 1), SPEC).eval().requires_grad_(False)
        says.last_layer.weight.data.zero_()
        says.last_layer.bias.data = torch.eye(3)[answer]
        return says

    jury = call_jury(always(0), 4, 2, "crossfit", CrossFit([always(1), always(2)], np.array([0, 1, 1, 0])))
    batch = np.array([5, 0, 1, 3])
    # Held out: the classifier says 0; folds 0, 1, 0 were left out by those that say 1, 2, 1.
    verdicts = jury.verdicts(torch.rand(4, 1, 16, 16), batch, torch.tensor([0, 1, 2, 2]))
    assert verdicts.correct.tolist() == [True, True, True, False]


def test_crossfit_without_folds_names_the_step_that_makes_them(classifier, dataset):
    with pytest.raises(ValueError, match="run `trustserve-train folds` first"):
        fitted(classifier, dataset, dataclasses.replace(QUICK, labels="crossfit"))


def test_crossfit_oracle_learns_from_every_image(classifier, dataset, monkeypatch):
    learned = []

    def spy(name, logits, verdicts, options):
        learned.append(len(verdicts.correct))
        return oracle_loss(name, logits, verdicts, options)

    monkeypatch.setattr(lesson, "oracle_loss", spy)
    crossfit = CrossFit([classifier] * 3, fold_of_each(60, folds=3, seed=0))
    fitted(classifier, dataset, dataclasses.replace(QUICK, labels="crossfit"), crossfit=crossfit)
    assert sum(learned) == 60 + 2 * 20


@pytest.mark.parametrize("folds", [1, 61])
def test_impossible_folds_are_refused(folds):
    with pytest.raises(ValueError, match=f"{folds} folds of 60 images"):
        fold_of_each(60, folds, seed=0)


@pytest.mark.parametrize(
    ("recipe", "change", "message"),
    [
        ("paper", {"slope_correct": 0.0}, "slope_correct is 0; wanted more than 0"),
        ("paper", {"paper_compat": True}, "paper_compat with loss steep_slope"),
        ("default", {"heldout_repeats": 0}, "no verdict would be known"),
        ("default", {"kinds": ()}, "without kinds of corruption"),
        ("default", {"corrupted_share": 1.5}, "corrupted_share is 1.5; wanted a share from 0 to 1"),
        ("default", {"outlier_share": -0.1}, "outlier_share is -0.1; wanted a share from 0 to 1"),
        ("default", {"finetune_epochs": 1}, "wanted frozen"),
        ("shared", {"architecture": "resnet50"}, "leave it out or take backbone frozen"),
    ],
)
def test_recipe_that_contradicts_itself_is_refused(recipe, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPES[recipe], **change)


def test_published_recipe_asked_for_heldout_labels_shows_the_heldout_images():
    recipe = TrainingConfig(recipe="paper", labels="heldout", scheme="frozen").oracle_recipe("paper")
    assert (recipe.labels, recipe.heldout_repeats, recipe.backbone) == ("heldout", 1, "frozen")


def test_row_made_with_the_published_broadcast_says_so():
    recipe = dataclasses.replace(RECIPES["paper"], loss="cross_entropy", paper_compat=True)
    assert recipe.loss_label == "cross entropy (paper-compat)"


def test_steps_fit_the_folds_and_then_the_oracle_they_judge_for(dataset, tmp_path):
    config = TrainingConfig(
        run=tmp_path,
        device="cpu",
        batch_size=16,
        classifier_epochs=1,
        classifier_loss="crl",
        classifier_dropout=0.1,
        labels="crossfit",
        folds=2,
        oracle_epochs=1,
        oracle_seeds=1,
        compare_paper=False,
    )
    run = Run(config)
    steps.train_classifier(config, run, dataset)
    with pytest.raises(MissingStep, match=r"classifier-fold-0.pt not found; run `trustserve-train folds`"):
        steps.train_oracles(config, run, dataset)
    steps.train_folds(config, run, dataset)
    steps.train_oracles(config, run, dataset)
    written = {path.name for path in tmp_path.glob("*.pt")}
    assert written == {"classifier.pt", "classifier-fold-0.pt", "classifier-fold-1.pt", "oracle-default-0.pt"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folds": 1}, "--folds is 1; wanted at least 2"),
        ({"classifier_dropout": 1.0}, "--classifier-dropout is 1.0; wanted a share from 0 to below 1"),
        ({"oracle_image_size": 64}, "--oracle-backbone is None; wanted a name, for --oracle-pretrained"),
        ({"paper_compat": True}, "paper_compat with loss steep_slope"),
        ({"recipe": "shared", "oracle_backbone": "resnet50"}, "leave it out or take backbone frozen"),
    ],
)
def test_option_of_an_oracle_that_cannot_be_is_refused_at_once(options, words):
    with pytest.raises(ValueError, match=words):
        TrainingConfig(**options)
