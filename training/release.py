"""Makes a bundle of a run: what it serves, by the gate; what it says of itself, in manifest, card and report."""

import dataclasses
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.bundle.export import PARITY_IMAGES, Release, export_bundle
from training.bundle.networks import TorchNetworks
from training.config import TrainingConfig, provenance
from training.data.dataset import Dataset
from training.evaluation.conditions import Condition
from training.evaluation.content import Served, report_content
from training.evaluation.scorers import BEST_SCORE
from training.fit.record import read_loss_curve
from training.report.tables import card
from training.run import Run
from training.scores.methods import TRUST
from training.steps import choose_served, load_pair, oracle_names, remembered
from trust.head import fused_logit, sigmoid


def release_run(config: TrainingConfig, run: Run, dataset: Dataset) -> tuple[Path, Release]:
    """Writes the bundle of a run that was evaluated; returns its folder and what it says.

    Raises:
        MissingStep: an earlier step was not run.
        ExportError: onnxruntime says anything but what torch says.
    """
    # On the CPU wherever it was trained: parity is with onnxruntime's CPU arithmetic.
    pair, calibrated = load_pair(dataclasses.replace(config, device="cpu"), run, dataset)
    results, answers = run.load_json("results", "evaluate"), run.load_answers()
    compared = dataset.test.pixels(slice(PARITY_IMAGES))
    head, threshold, gate = choose_served(config, TorchNetworks(pair, compared), calibrated, dataset.reference)
    clean_test = remembered(pair, run)(Condition(dataset.test))
    description = f"{config.backbone} and its oracle, trained on {dataset.name}"
    served = Served(
        name=config.name,
        description=description,
        facts=_facts(config, dataset),
        threshold=threshold,
        gate=gate,
        row=TRUST if gate.serves == "oracle" else BEST_SCORE,
        uncalibrated=sigmoid(fused_logit(head, next(iter(clean_test.values())))),
        losses=_loss_curves(config, run),
    )
    release = Release(
        name=config.name,
        description=description,
        head=head,
        threshold=threshold,
        gate=gate,
        results=results,
        card=card(config, dataset, head, threshold, gate, results),
        report=report_content(results, answers, dataset, served),
        provenance=provenance(config),
    )
    networks = TorchNetworks(pair, compared, with_oracle=gate.serves == "oracle")
    return export_bundle(config.models, release, networks, dataset, config.seed), release


def _facts(config: TrainingConfig, dataset: Dataset) -> dict[str, str]:
    splits = ("train", "oracle", "calibration", "reference", "test")
    return {
        "classifier": config.backbone,
        "oracle": f"{config.recipe} recipe, {config.oracle_seeds} seeds, the first of them served",
        "data": dataset.name,
        "images": ", ".join(f"{name} {len(getattr(dataset, name)):,}" for name in splits),
        "seed": str(config.seed),
    }


def _loss_curves(config: TrainingConfig, run: Run) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Mean loss of each epoch, by network and line; a fit whose events are gone is left out."""
    fits = [("classifier", "classifier", config.classifier_epochs)]
    fits += [("oracle", name, recipe.epochs) for name, recipe, _ in oracle_names(config)]
    curves: dict[str, dict[str, NDArray[np.float64]]] = defaultdict(dict)
    for network, name, epochs in fits:
        try:
            _, losses = read_loss_curve(run.folder, name if network == "classifier" else f"oracle {name}")
        except FileNotFoundError:
            continue
        if len(losses) >= epochs:
            curves[network][name] = np.array([part.mean() for part in np.array_split(np.array(losses), epochs)])
    return dict(curves)
