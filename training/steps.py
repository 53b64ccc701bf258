"""The steps of a run in the order the data flows: classifier, oracle, calibrate, evaluate, export."""

import dataclasses

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.answers import Answers
from training.best_score import fit_best_score
from training.bundle.networks import Networks
from training.calibrate import fit_temperature, fit_trust_head
from training.classifier.network import Classifier, build_backbone, data_config
from training.config import OracleRecipe, TrainingConfig
from training.data.dataset import Dataset, Positions, Split
from training.data.images import flip_and_shift, to_images
from training.data.sources import load_dataset
from training.evaluation.conditions import Condition
from training.evaluation.scorers import OracleRows, OutputsOf, Views, fit_scorers
from training.evaluation.table import Results, evaluate
from training.fit.loop import fit
from training.fit.plan import FitPlan
from training.gate import ask_reference, pass_gate
from training.novelty import Novelty, fit_novelty
from training.oracle.fit import fit_oracle
from training.oracle.network import Oracle
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
    """Fits the classifier on the train split and leaves `classifier.pt`."""
    device = pick_device(config.device)
    torch.manual_seed(config.seed)
    classifier = _new_classifier(config, dataset).to(device)
    targets = torch.from_numpy(dataset.train.targets).to(device)

    def loss_of(model: nn.Module, batch: Positions, _: int) -> Tensor:
        images = flip_and_shift(to_images(dataset.train.pixels(batch), device))
        return F.cross_entropy(model(images), targets[batch])

    plan = FitPlan(
        config.classifier_epochs,
        config.batch_size,
        config.classifier_learning_rate,
        accumulation=config.accumulation,
        precision=config.precision,
    )
    everything = np.arange(len(dataset.train))
    fit(classifier, loss_of, everything, plan, seed=config.seed, title="classifier", record=run.record)
    run.save_weights("classifier", classifier)


def train_oracles(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    """Fits each recipe's oracles, one a seed, and leaves `oracle-<recipe>-<seed>.pt`."""
    classifier = _load_classifier(config, run, dataset)
    for name, recipe, seed in _oracles(config):
        oracle = fit_oracle(
            classifier,
            dataset,
            recipe,
            plan=recipe.plan(config.batch_size, config.accumulation, config.precision),
            seed=seed,
            title=f"oracle {name}",
            record=run.record,
        )
        run.save_weights(f"oracle-{name}", oracle)


def calibrate(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    """Fits novelty, temperature, trust heads and post-hoc scores; leaves `novelty.pt` and `calibration.json`."""
    device = pick_device(config.device)
    classifier = _load_classifier(config, run, dataset)
    novelty = fit_novelty(classifier, dataset.oracle, len(dataset.classes), device)
    clean = dataset.calibration
    corrupted, corrupted_targets = chained_copies(clean, 2, config.seed)
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
        for name, recipe, _ in _oracles(config)
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
    outputs_of = _remembered(pair, run)
    rows = {name: oracle_rows(config, name, head) for name, head in calibrated.heads.items()}
    scorers = fit_scorers(outputs_of, rows, dataset, config.risk, config.confidence)
    results, answers = evaluate(outputs_of, scorers, dataset.test, config.seed)
    run.save_json("results", results)
    run.save_answers(answers)
    return results


def oracle_rows(config: TrainingConfig, oracle: str, head: TrustHead) -> OracleRows:
    """What an oracle's rows are called; a recipe trained for comparison stands there with its logit alone."""
    recipe = next(name for name in config.recipes if oracle.startswith(f"{name}-"))
    logit = f"{config.oracle_recipe(recipe).loss.replace('_', ' ')} logit"
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


def _remembered(pair: Pair, run: Run) -> OutputsOf:
    """What the networks say under a condition, computed once for these networks and images."""
    store, fingerprint = OutputStore(run.folder / "outputs"), pair.fingerprint()

    def outputs_of(condition: Condition) -> Views:
        key = OutputKey(fingerprint, condition.split.fingerprint(), condition.name)
        return pair.views(store.get(key, condition.batches(), len(condition.split), pair.run))

    return outputs_of


def load_pair(config: TrainingConfig, run: Run, dataset: Dataset) -> tuple[Pair, Calibrated]:
    """Everything trained so far, the exported oracle first, and how it was calibrated."""
    device = pick_device(config.device)
    classifier = _load_classifier(config, run, dataset)
    calibrated = run.load_calibration()
    features = classifier.backbone.get_classifier().in_features  # type: ignore[operator]
    novelty = Novelty.empty(features, len(dataset.classes))
    run.load_weights("novelty", novelty, device, "calibrate")
    oracles = _load_oracles(config, run, classifier)
    return Pair(ClassifierGraph(classifier, novelty, calibrated.temperature), oracles, device), calibrated


def _new_classifier(config: TrainingConfig, dataset: Dataset) -> Classifier:
    channels, side, _ = dataset.preprocess.input_size
    backbone = build_backbone(
        config.backbone, len(dataset.classes), channels, side, pretrained=config.pretrained, weights=config.weights
    )
    return Classifier(backbone, dataset.preprocess)


def _load_classifier(config: TrainingConfig, run: Run, dataset: Dataset) -> Classifier:
    bare = dataclasses.replace(config, pretrained=False, weights=None)
    classifier = _new_classifier(bare, dataset)
    run.load_weights("classifier", classifier, pick_device(config.device), "classifier")
    return classifier


def _load_oracles(config: TrainingConfig, run: Run, classifier: Classifier) -> dict[str, Oracle]:
    oracles = {}
    for name, recipe, _ in _oracles(config):
        oracles[name] = Oracle(classifier, recipe)
        run.load_weights(f"oracle-{name}", oracles[name], pick_device(config.device), "oracle")
    return oracles


def _oracles(config: TrainingConfig) -> list[tuple[str, OracleRecipe, int]]:
    """Name, recipe and seed of every oracle of the run, the exported one first."""
    seeds = range(config.seed, config.seed + config.oracle_seeds)
    return [(f"{name}-{seed}", config.oracle_recipe(name), seed) for name in config.recipes for seed in seeds]
