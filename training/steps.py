"""The steps of a run in the order the data flows: classifier, oracle, calibrate, evaluate, export."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.calibrate import fit_temperature, fit_trust_head
from training.classifier.network import Classifier, build_backbone, data_config
from training.config import OracleRecipe, TrainingConfig
from training.data.dataset import Dataset, Positions, load_dataset
from training.data.images import flip_and_shift, to_images
from training.evaluate import evaluate, summarise
from training.fit import fit, pick_device, predict
from training.novelty import Novelty, fit_novelty
from training.oracle.fit import fit_oracle
from training.oracle.network import Oracle
from training.pair import ClassifierGraph, Pair
from training.run import Calibrated, Run
from training.scores.posthoc import fit_posthoc
from training.shift.mix import in_chains, twice_shuffled
from training.threshold import choose_threshold
from trust.head import trust_probability


def open_dataset(config: TrainingConfig, run: Run) -> Dataset:
    """The run's images, split."""
    spec = data_config(config.backbone, config.image_size)
    return load_dataset(config.data, spec, config.seed, run.cache)


def train_classifier(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    """Fits the classifier on the train split and leaves `classifier.pt`."""
    device = pick_device(config.device)
    torch.manual_seed(config.seed)
    classifier = _new_classifier(config, dataset).to(device)
    targets = torch.from_numpy(dataset.train.targets).to(device)

    def loss_of(batch: Positions, _: int) -> Tensor:
        images = flip_and_shift(to_images(dataset.train.pixels(batch), device))
        return F.cross_entropy(classifier(images), targets[batch])

    fit(
        classifier,
        loss_of,
        np.arange(len(dataset.train)),
        epochs=config.classifier_epochs,
        batch_size=config.batch_size,
        learning_rate=config.classifier_learning_rate,
        seed=config.seed,
        title="classifier",
    )
    run.save_weights("classifier", classifier)


def train_oracles(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    """Fits each recipe's oracles, one a seed, and leaves `oracle-<recipe>-<seed>.pt`."""
    classifier = _load_classifier(config, run, dataset)
    for name, recipe, seed in _oracles(config):
        oracle = fit_oracle(
            classifier, dataset, recipe, batch_size=config.batch_size, seed=seed, title=f"oracle {name}"
        )
        run.save_weights(f"oracle-{name}", oracle)


def calibrate(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    """Fits novelty, temperature, trust heads and threshold; leaves `novelty.pt` and `calibration.json`."""
    device = pick_device(config.device)
    classifier = _load_classifier(config, run, dataset)
    novelty = fit_novelty(classifier, dataset.oracle, len(dataset.classes), device)
    clean = dataset.calibration
    corrupted = twice_shuffled(clean, config.seed)
    logits = predict(lambda images: {"logits": classifier(images)}, clean.batches(), device)["logits"]
    temperature = fit_temperature(logits, clean.targets)
    pair = Pair(ClassifierGraph(classifier, novelty, temperature), _load_oracles(config, run, classifier), device)
    chains = in_chains(corrupted, config.calibration_kinds, config.seed)
    on_clean, on_corrupted = pair.outputs(clean.batches()), pair.outputs(chains)
    heads = {
        name: fit_trust_head(
            recipe.trust_inputs,
            (on_clean[name], on_clean[name]["logits"].argmax(1) == clean.targets),
            (on_corrupted[name], on_corrupted[name]["logits"].argmax(1) == corrupted.targets),
            config.clean_weight,
        )
        for name, recipe, _ in _oracles(config)
    }
    exported = next(iter(heads))
    outputs = pair.outputs(dataset.reference.batches())[exported]
    correct = outputs["logits"].argmax(1) == dataset.reference.targets
    trust = trust_probability(heads[exported], outputs)
    run.save_weights("novelty", novelty)
    calibrated = Calibrated(
        temperature=temperature,
        heads=heads,
        threshold=choose_threshold(trust, correct, config.risk, config.confidence),
        posthoc=fit_posthoc(logits, logits.argmax(1) == clean.targets),
    )
    run.save_calibration(calibrated)


def measure(config: TrainingConfig, run: Run, dataset: Dataset) -> dict[str, Any]:
    """Evaluates on the test images; leaves and returns `results.json`."""
    pair, calibrated = load_pair(config, run, dataset)
    table = evaluate(pair, calibrated, dataset, config)
    results = {"summary": summarise(table), "conditions": table}
    run.save_json("results", results)
    return results


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
