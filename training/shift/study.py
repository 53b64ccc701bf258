"""The shift study: every cell of splits x seeds trained, calibrated and measured once, then told in a few figures.

A seed is one of the classifier, the oracle and the split of the data together. Each network's weights and each cell's
figures are files in the run's folder: what is there is not made again, so a study may be stopped and go on.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from training.config import TrainingConfig
from training.run import Run
from training.shift.cell import EPSILONS, CellConfig, Figures, measure_cell
from training.shift.mixes import DEFAULT, mix_of
from training.shift.other_data import OTHER_DATA
from training.shift.splits import RANDOM, SPLITS, UNSEEN_FAMILIES, kind_split
from training.steps import calibrate, open_dataset, train_classifier, train_oracles

Cells = dict[str, dict[str, Figures]]
"""Figures by condition, by `<split>/seed-<seed>`."""

GROUPS = {
    "random splits": [split.name for split in RANDOM],
    "unseen families": [split.name for split in UNSEEN_FAMILIES],
    **{name: [name] for name in SPLITS},
}
CLASSIFIER = "classifier.pt"


def run_study(
    config: TrainingConfig, splits: Sequence[str], seeds: Sequence[int], images: int, mixes: Sequence[str] = ()
) -> dict[str, Any]:
    """Trains and measures what is missing; leaves and returns `shift-study.json`.

    Args:
        config: of every cell; its seed and run folder are replaced.
        splits: names, as in `training.shift.splits`.
        seeds: of classifier and oracle.
        images: test images of each corrupted condition.
        mixes: other training mixes than the default, names as in `training.shift.mixes`, with the first seed alone.

    Raises:
        ValueError: unknown split or mix, or no split or seed at all.
    """
    if not splits or not seeds:
        raise ValueError(f"the study needs splits and seeds; got {list(splits)} and {list(seeds)}")
    for split in splits:
        kind_split(split)
    for mix in mixes:
        mix_of(mix)
    cells: Cells = {}
    for seed in seeds:
        for split in splits:
            cells[f"{split}/seed-{seed}"] = _cell(config, split, seed, images)
    study: dict[str, Any] = {"images": images, "summary": summarise_study(cells), "cells": cells, "mixes": {}}
    for mix in mixes:
        study["mixes"][mix] = {
            f"{split}/seed-{seeds[0]}": _cell(config, split, seeds[0], images, mix) for split in splits
        }
    Run(config).save_json("shift-study", study)
    return study


def summarise_study(cells: Cells) -> dict[str, dict[str, dict[str, float]]]:
    """{group of splits: {figure: {"mean", "sd", "cells"}}} over splits and seeds.

    Gains are in AUROC points against temperature-scaled softmax confidence and errors are |NetTrustScore estimated -
    true|, each the mean over a cell's unseen kinds and severities first; `sd` is over cells, over N - 1.
    """
    found = {}
    for group, splits in GROUPS.items():
        of_group = [figures for name, figures in cells.items() if name.split("/")[0] in splits]
        if of_group:
            rows = [cell_summary(figures) for figures in of_group]
            found[group] = {name: _spread([row[name] for row in rows]) for name in rows[0]}
    return found


def cell_summary(conditions: dict[str, Figures]) -> Figures:
    """The figures one asks a cell for first."""
    clean = conditions["clean"]
    attacks = [f"{attack}:{epsilon}" for attack in ("fgsm", "pgd") for epsilon in EPSILONS]
    unseen = [figures for name, figures in conditions.items() if ":" in name and name not in attacks]
    variants = sorted({name.removesuffix(" auroc") for name in clean if name.startswith("trust") and "auroc" in name})
    summary = {
        "clean accuracy": clean["accuracy"],
        "clean accuracy of the class head": clean["class head accuracy"],
        "clean auroc of softmax": 100 * clean["softmax auroc"],
        "clean auroc of the class head's own answers": 100 * clean["class head auroc of its own answers"],
        "clean gain sd of the bootstrap": 100 * clean["auroc gain sd"],
        "unseen accuracy": fmean(figures["accuracy"] for figures in unseen),
        "unseen accuracy of the class head": fmean(figures["class head accuracy"] for figures in unseen),
        "unseen auroc of softmax": 100 * fmean(figures["softmax auroc"] for figures in unseen),
        "unseen auroc of the class head's own answers": 100
        * fmean(figures["class head auroc of its own answers"] for figures in unseen),
    }
    for score in ("softmax", "class head", "logit", *variants):
        errors = [abs(figures[f"{score} net trust score"] - figures["net trust score"]) for figures in unseen]
        summary |= {
            f"clean gain of {score}": 100 * (clean[f"{score} auroc"] - clean["softmax auroc"]),
            f"clean ece of {score}": clean[f"{score} ece"],
            f"unseen gain of {score}": 100
            * fmean(figures[f"{score} auroc"] - figures["softmax auroc"] for figures in unseen),
            f"unseen ece of {score}": fmean(figures[f"{score} ece"] for figures in unseen),
            f"unseen net trust score error of {score}": fmean(errors),
            f"worst net trust score error of {score}": max(errors),
            f"mean on other data of {score}": fmean(conditions[kind][f"{score} mean"] for kind in OTHER_DATA),
        }
        summary |= {f"mean on {kind} of {score}": conditions[kind][f"{score} mean"] for kind in OTHER_DATA}
        for attack in attacks:
            summary[f"{attack} auroc of {score}"] = 100 * conditions[attack][f"{score} auroc"]
            summary[f"{attack} mean of {score}"] = conditions[attack][f"{score} mean"]
    return summary | {f"{attack} accuracy": conditions[attack]["accuracy"] for attack in attacks}


def _cell(config: TrainingConfig, split: str, seed: int, images: int, mix: str = DEFAULT.name) -> dict[str, Figures]:
    folder = config.run / split / (f"seed-{seed}" if mix == DEFAULT.name else f"seed-{seed}-{mix}")
    chosen = {name: value for name, value in vars(config).items() if name not in ("seed", "run")}
    cell = CellConfig(
        **chosen | {"oracle_seeds": 1, "compare_paper": False}, seed=seed, run=folder, split=split, mix=mix
    )
    run = Run(cell)
    if (folder / "cell.json").is_file():
        return dict(run.load_json("cell", "shift-study"))
    dataset = open_dataset(cell, run)
    if not (folder / CLASSIFIER).is_file():
        _share_classifier(config, seed, folder)
    if not any(folder.glob("oracle-*.pt")):
        train_oracles(cell, run, dataset)
    calibrate(cell, run, dataset)
    figures = measure_cell(cell, run, dataset, images)
    run.save_json("cell", figures)
    return figures


def _share_classifier(config: TrainingConfig, seed: int, folder: Path) -> None:
    """Trains a seed's classifier if no split has one yet, and links it into the cell's folder."""
    home = config.run / f"classifier-{seed}"
    chosen = CellConfig(**vars(config) | {"seed": seed, "run": home})
    run = Run(chosen)
    if not (home / CLASSIFIER).is_file():
        train_classifier(chosen, run, open_dataset(chosen, run))
    os.link(home / CLASSIFIER, folder / CLASSIFIER)


def _spread(values: Iterable[float]) -> dict[str, float]:
    column = list(values)
    return {"mean": fmean(column), "sd": stdev(column) if len(column) > 1 else 0.0, "cells": len(column)}
