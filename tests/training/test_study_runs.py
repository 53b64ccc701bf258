"""The study on runs: what it opens, what it pools, what it leaves out and what it refuses."""

import json
import shutil

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from training.classifier.network import Classifier, build_backbone
from training.cli import app
from training.config import TrainingConfig
from training.run import Run
from training.steps import open_dataset
from training.study.bench import BASELINE, Bench
from training.study.classifiers import classifier_tables
from training.study.methods import method_tables
from training.study.options import StudyOptions
from training.study.oracle_tables import BASE, head_tables, label_tables, loss_tables
from training.study.study import run_study
from training.study.subject import open_subject
from trust.posthoc import max_softmax


def save_run(folder, data, *, folds=False, **options):
    """A run whose classifier was never trained, so that it is often wrong."""
    options = {"image_size": 28, "folds": 2, "device": "cpu"} | options
    config = TrainingConfig(data=f"imagefolder:{data}", run=folder, models=folder / "models", **options)
    run = Run(config)
    run.start()
    dataset = open_dataset(config, run)
    names = ["classifier", *(f"classifier-fold-{fold}" for fold in range(2) if folds)]
    for number, name in enumerate(names):
        torch.manual_seed(10 * config.seed + number)
        backbone = build_backbone("small_resnet", len(dataset.classes), channels=3)
        run.save_weights(name, Classifier(backbone, dataset.preprocess, config.classifier_dropout))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory, image_folder):
    """Images with test images of their own."""
    root = tmp_path_factory.mktemp("split")
    shutil.copytree(image_folder, root / "train")
    for number, path in enumerate(sorted(image_folder.rglob("*.png"))):
        if number % 3 == 0:
            (root / "test" / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / "test" / path.parent.name)
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data):
    return save_run(tmp_path_factory.mktemp("runs") / "first", data)


@pytest.fixture(scope="module")
def other_folder(tmp_path_factory, data):
    return save_run(tmp_path_factory.mktemp("runs") / "second", data, seed=1)


@pytest.fixture(autouse=True)
def _few_images_for_odin(monkeypatch):
    """Its 44 passes over each are most of what the study does with so small a run."""
    monkeypatch.setattr("training.study.passes.ODIN_IMAGES", 8)


def names(table):
    return [row.name for row in table.rows]


def test_subject_says_what_its_classifier_says_and_remembers_it(folder):
    subject = open_subject(folder)
    test = subject.dataset.test
    answers = subject.answers(test)
    images = torch.from_numpy(test.pixels(slice(0, 5))).permute(0, 3, 1, 2) / 255
    np.testing.assert_allclose(answers.outputs["logits"][:5], subject.classifier(images).numpy(), atol=1e-5)
    subject.classifier.forward = None  # whatever is asked again must come from disk
    assert np.array_equal(subject.answers(test).outputs["features"], answers.outputs["features"])


def test_rows_pool_classifiers_and_oracle_seeds(folder, other_folder):
    bench = Bench([open_subject(folder), open_subject(other_folder)], seeds=(0, 1))
    row = bench.oracle_row("steep slope", BASE)
    assert len(set(row.figures["auroc"].values)) == 4
    assert row.figures["accuracy"].values[0] == row.figures["accuracy"].values[1]
    assert bench.about.startswith("2 classifiers (seeds 0, 1), oracle seeds 0, 1 on each; mean ± sample")


def test_baseline_is_softmax_confidence_as_scikit_learn_measures_it(folder):
    subject = open_subject(folder)
    answers = subject.answers(subject.dataset.test)
    expected = roc_auc_score(answers.correct, max_softmax(answers.outputs["logits"]))
    row = Bench([subject], seeds=(0,)).baseline_row()
    assert row.figures["auroc"].mean == pytest.approx(expected)


def test_every_loss_has_a_row_and_the_published_broadcast_is_labelled(folder):
    tables = loss_tables(Bench([open_subject(folder)], seeds=(0,)))
    paper, ours, risks, separability = map(names, tables)
    assert paper == ours == risks == [BASELINE, *separability]
    assert len(separability) == 12
    assert {"steep slope", "ranking", "focal (paper-compat)"} < set(separability)


def test_every_head_has_a_row(folder):
    (table,) = head_tables(Bench([open_subject(folder)], seeds=(0,)))
    assert names(table) == [BASELINE, "signed distance", "linear", "mlp", "confidnet"]


def test_crossfitted_labels_are_measured_only_where_there_are_classifiers_of_folds(folder, data, tmp_path):
    (without,) = label_tables(Bench([open_subject(folder)], seeds=(0,)))
    assert not any("cross-fit" in name for name in names(without))
    assert {"held-out: steep slope", "held-out, as many steps: steep slope", "training: steep slope"} < {
        *names(without)
    }
    assert "Cross-fitted labels are left out" in without.note
    with_folds = save_run(tmp_path / "run", data, folds=True)
    (table,) = label_tables(Bench([open_subject(with_folds)], seeds=(0,)))
    assert "cross-fit: steep slope" in names(table)
    assert "left out" not in table.note


def test_ensemble_needs_a_classifier_from_another_seed(folder, other_folder):
    first, second = open_subject(folder), open_subject(other_folder)
    (alone,) = method_tables([first], [], resamples=5)
    assert "Not measured, for want of weights: MC dropout" in alone.note
    assert "deep ensemble (trained)" not in names(alone)
    assert "kNN (reference data)" in names(alone)
    assert alone.rows[0].figures["auroc"].interval is not None
    (together,) = method_tables([first, second], [], resamples=5)
    assert "deep ensemble (trained)" in names(together)
    assert all(len(row.figures["auroc"].values) == 2 for row in together.rows)


def test_another_classifier_with_dropout_adds_a_table_of_what_it_alone_allows(folder, data, tmp_path):
    dropping = open_subject(save_run(tmp_path / "run", data, seed=2, classifier_dropout=0.5))
    plain, dropped = method_tables([open_subject(folder)], [dropping], resamples=5)
    assert "Not measured, for want of weights: deep ensemble." in plain.note
    assert names(dropped) == [
        "softmax confidence (none)",
        "MC dropout (second pass)",
        "MC dropout (entropy) (second pass)",
        "MC dropout (mutual information) (second pass)",
    ]


def test_classifier_with_dropout_gets_its_rows_and_is_no_member_of_anothers_ensemble(folder, data, tmp_path):
    dropping = open_subject(save_run(tmp_path / "run", data, seed=2, classifier_dropout=0.5))
    (table,) = method_tables([dropping], [open_subject(folder)], resamples=5)
    assert "MC dropout (mutual information) (second pass)" in names(table)
    assert "deep ensemble (trained)" not in names(table)


def test_classifiers_are_told_apart_by_what_they_were_trained_with(folder, other_folder, data, tmp_path):
    ranking = save_run(tmp_path / "run", data, seed=2, classifier_loss="crl")
    (table,) = classifier_tables([open_subject(path) for path in (folder, other_folder, ranking)])
    assert names(table) == ["cross entropy (2)", "correctness ranking (1)"]
    assert table.rows[0].figures["accuracy"].sd is not None


def test_command_writes_its_tables_the_same_every_time(folder, tmp_path):
    for document in ("one.md", "two.md"):
        tokens = ["study", "--run", str(folder), "--parts", "heads", "gradients", "--oracle-seeds", "1"]
        app([*tokens, "--to", str(tmp_path / document)], result_action="return_value")
    one, two = ((tmp_path / document).read_text() for document in ("one.md", "two.md"))
    assert one == two
    assert f"`trustserve-train study --runs {folder} --oracle-seeds 1 --parts heads`: one classifier (seed 0)" in one
    assert json.loads((tmp_path / "one.json").read_text()).keys() == {"heads", "gradients"}


def test_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere holds no run: config\.json is missing"):
        run_study(StudyOptions(runs=(tmp_path / "nowhere",)), print)


def test_runs_that_hold_out_other_test_images_are_refused(image_folder, tmp_path):
    runs = tuple(save_run(tmp_path / str(seed), image_folder, seed=seed) for seed in (0, 1))
    with pytest.raises(ValueError, match="test on different images"):
        run_study(StudyOptions(runs=runs, parts=("methods",)), print)


def test_bundle_that_is_not_there_is_missed_before_anything_is_measured(folder, tmp_path):
    options = StudyOptions(runs=(folder,), parts=("slopes", "timing"), to=tmp_path / "results.md")
    with pytest.raises(ValueError, match=r"holds no classifier\.onnx to time; name a bundle with --bundle"):
        run_study(options, print)
    assert not (tmp_path / "results.md").exists()
