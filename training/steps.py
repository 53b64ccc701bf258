"""The steps of a run in the order the data flows: classifier, oracle, calibrate, evaluate, export."""

import numpy as np
import torch

from training.answers import Answers
from training.best_score import fit_best_score
from training.bundle.networks import Networks
from training.calibrate import fit_temperature, fit_trust_head
from training.classifier.fit import fit_classifier
from training.classifier.network import Classifier, build_backbone, data_config
from training.config import TrainingConfig
from training.data.dataset import Dataset, Split
from training.data.sources import load_dataset
from training.evaluation.conditions import Condition
from training.evaluation.scorers import BEST_SCORE, OracleRows, OutputsOf, Views, fit_scorers
from training.evaluation.table import Results, evaluate
from training.gate import ask_reference, pass_gate
from training.novelty import Novelty, fit_novelty
from training.oracle.fit import fit_oracle
from training.oracle.jury import CrossFit, fold_of_each
from training.oracle.network import AnyOracle, empty_oracle
from training.oracle.recipes import OracleRecipe
from training.outputs import OutputKey, OutputStore
from training.pair import ClassifierGraph, Pair
from training.predict import pick_device, predict
from training.run import Calibrated, Run
from training.shift.copies import chained_copies
from training.threshold import choose_threshold
from trust.head import TrustHead, trust_probability
from trust.manifest import Gate, Threshold


def open_dataset(config: TrainingConfig, run: Run) -> Dataset:
    """The run's images, split."""
    spec = data_config(config.backbone, config.image_size)
    limit_bytes = round(config.decoded_limit_gib * 2**30)
    dataset = load_dataset(config.data, spec, config.seed, run.cache, side=config.image_size, limit_bytes=limit_bytes)
    if dataset.skipped:
        print(dataset.skipped)
    return dataset


def train_classifier(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    """Fits the classifier on the train split and leaves `classifier.pt`; with 0 epochs it stays as it starts."""
    run.save_weights("classifier", _fitted_classifier(config, run, dataset.train, dataset, "classifier"))


def train_folds(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    """Fits a classifier without each fold of the train split and leaves `classifier-fold-<k>.pt`."""
    fold_of = fold_of_each(len(dataset.train), config.folds, config.seed)
    for fold in range(config.folds):
        rest = dataset.train.take(np.flatnonzero(fold_of != fold))
        title = f"classifier-fold-{fold}"
        run.save_weights(title, _fitted_classifier(config, run, rest, dataset, title))


def train_oracles(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    """Fits each recipe's oracles, one a seed, and leaves `oracle-<recipe>-<seed>.pt`."""
    classifier = load_classifier(config, run, dataset)
    crossfit = load_crossfit(config, run, dataset) if config.needs_folds else None
    for name, recipe, seed in oracle_names(config):
        oracle = fit_oracle(
            classifier,
            dataset,
            recipe,
            plan=recipe.plan(config.batch_size, config.accumulation, config.precision),
            seed=seed,
            title=f"oracle {name}",
            crossfit=crossfit,
            weights=config.oracle_weights if recipe.architecture else None,
            record=run.record,
        )
        run.save_weights(f"oracle-{name}", oracle)


def calibrate(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    """Fits novelty, temperature, trust heads and post-hoc scores; leaves `novelty.pt` and `calibration.json`."""
    device = pick_device(config.device)
    classifier = load_classifier(config, run, dataset)
    novelty = fit_novelty(classifier, dataset.oracle, len(dataset.classes), device)
    clean = dataset.calibration
    corrupted, corrupted_targets = chained_copies(clean, 2, config.seed, config.calibration_kinds)
    logits = predict(lambda images: {"logits": classifier(images)}, clean.batches(), device)["logits"]
    temperature = fit_temperature(logits, clean.targets)
    pair = Pair(ClassifierGraph(classifier, novelty, temperature), _load_oracles(config, run, classifier), device)
    on_clean, on_corrupted = pair.outputs(clean.batches()), pair.outputs(corrupted)
    heads = {
        name: fit_trust_head(
            recipe.trust_inputs,
            (on_clean[name], on_clean[name]["logits"].argmax(1) == clean.targets),
            (on_corrupted[name], on_corrupted[name]["logits"].argmax(1) == corrupted_targets),
            config.clean_weight,
        )
        for name, recipe, _ in oracle_names(config)
    }
    run.save_weights("novelty", novelty)
    calibrated = Calibrated(
        temperature=temperature,
        heads=heads,
        fallback=fit_best_score(Answers({"logits": logits}, clean.targets), temperature),
    )
    run.save_calibration(calibrated)


def measure(config: TrainingConfig, run: Run, dataset: Dataset) -> Results:
    """Evaluates on the test images; leaves `results.json` and `answers.npz`, and returns the former."""
    pair, calibrated = load_pair(config, run, dataset)
    outputs_of = remembered(pair, run)
    rows = {name: oracle_rows(config, name, head) for name, head in calibrated.heads.items()}
    rows[BEST_SCORE] = OracleRows(calibrated.fallback, trust=BEST_SCORE)
    scorers = fit_scorers(outputs_of, rows, dataset, config.risk, config.confidence)
    results, answers = evaluate(outputs_of, scorers, dataset.test, config.seed)
    run.save_json("results", results)
    run.save_answers(answers)
    return results


def oracle_rows(config: TrainingConfig, oracle: str, head: TrustHead) -> OracleRows:
    """What an oracle's rows are called; a recipe trained for comparison stands there with its logit alone."""
    recipe = next(name for name in config.recipes if oracle.startswith(f"{name}-"))
    logit = f"{config.oracle_recipe(recipe).loss_label} logit"
    exported = recipe == config.recipe
    return OracleRows(head, logit if exported else f"{logit} ({recipe} recipe)", whole=exported)


def choose_served(
    config: TrainingConfig, networks: Networks, calibrated: Calibrated, reference: Split
) -> tuple[TrustHead, Threshold, Gate]:
    """What a bundle serves as trust, by the gate, and from which trust on it trusts; asked on the reference images."""
    clean, shifted = ask_reference(networks.outputs, reference, config.seed)
    oracle = next(iter(calibrated.heads.values()))
    head, gate = pass_gate(oracle, calibrated.fallback, clean, shifted, config.force)
    trust = trust_probability(head, clean.outputs)
    return head, choose_threshold(trust, clean.correct, config.risk, config.confidence), gate


def remembered(pair: Pair, run: Run) -> OutputsOf:
    """What the networks say under a condition, computed once for these networks and images.

    Beside each oracle's view there is that of the classifier alone, which the best post-hoc score reads.
    """
    store, fingerprint = OutputStore(run.folder / "outputs"), pair.fingerprint()

    def outputs_of(condition: Condition) -> Views:
        key = OutputKey(fingerprint, condition.split.fingerprint(), condition.name)
        found = store.get(key, condition.batches(), len(condition.split), pair.run)
        return {**pair.views(found), BEST_SCORE: pair.alone(found)}

    return outputs_of


def load_pair(config: TrainingConfig, run: Run, dataset: Dataset) -> tuple[Pair, Calibrated]:
    """Everything trained so far, the exported oracle first, and how it was calibrated."""
    device = pick_device(config.device)
    classifier = load_classifier(config, run, dataset)
    calibrated = run.load_calibration()
    features = classifier.backbone.get_classifier().in_features  # type: ignore[operator]
    novelty = Novelty.empty(features, len(dataset.classes))
    run.load_weights("novelty", novelty, device, "calibrate")
    oracles = _load_oracles(config, run, classifier)
    return Pair(ClassifierGraph(classifier, novelty, calibrated.temperature), oracles, device), calibrated


def load_classifier(config: TrainingConfig, run: Run, dataset: Dataset, name: str = "classifier") -> Classifier:
    """The run's classifier, frozen, on its device; or another that was trained like it, by the name of its weights."""
    classifier = _new_classifier(config, dataset, bare=True)
    run.load_weights(name, classifier, pick_device(config.device), "folds" if "fold" in name else "classifier")
    return classifier


def load_crossfit(config: TrainingConfig, run: Run, dataset: Dataset) -> CrossFit:
    """The classifiers that the folds step left."""
    names = [f"classifier-fold-{fold}" for fold in range(config.folds)]
    fold_of = fold_of_each(len(dataset.train), config.folds, config.seed)
    return CrossFit([load_classifier(config, run, dataset, name) for name in names], fold_of)


def oracle_names(config: TrainingConfig) -> list[tuple[str, OracleRecipe, int]]:
    """Name, recipe and seed of every oracle of the run, the exported one first."""
    seeds = range(config.seed, config.seed + config.oracle_seeds)
    return [(f"{name}-{seed}", config.oracle_recipe(name), seed) for name in config.recipes for seed in seeds]


def _fitted_classifier(config: TrainingConfig, run: Run, split: Split, dataset: Dataset, title: str) -> Classifier:
    torch.manual_seed(config.seed)
    classifier = _new_classifier(config, dataset).to(pick_device(config.device))
    if config.classifier_epochs:
        loss, plan = config.chosen_classifier_loss, config.classifier_plan
        fit_classifier(classifier, split, loss, plan, seed=config.seed, title=title, record=run.record)
    return classifier


def _new_classifier(config: TrainingConfig, dataset: Dataset, bare: bool = False) -> Classifier:
    channels, side, _ = dataset.preprocess.input_size
    pretrained, weights = (False, None) if bare else (config.pretrained, config.weights)
    backbone = build_backbone(config.backbone, len(dataset.classes), channels, side, pretrained, weights)
    return Classifier(backbone, dataset.preprocess, config.classifier_dropout)


def _load_oracles(config: TrainingConfig, run: Run, classifier: Classifier) -> dict[str, AnyOracle]:
    oracles = {}
    for name, recipe, _ in oracle_names(config):
        oracles[name] = empty_oracle(classifier, recipe)
        run.load_weights(f"oracle-{name}", oracles[name], pick_device(config.device), "oracle")
    return oracles
