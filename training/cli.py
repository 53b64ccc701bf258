"""trustserve-train: the steps of a run, each by itself or all in order."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter, validators
from rich.console import Console

from training.bundle.compare import compare_rows
from training.bundle.export import export_bundle
from training.bundle.graphs import ExportError
from training.bundle.reference import read_reference
from training.bundle.rethreshold import describe_threshold, write_threshold
from training.config import TrainingConfig
from training.data.dataset import Dataset
from training.report import tables
from training.run import MissingStep, Run
from training.shift.corruptions import TRAINED_KINDS, UNSEEN_KINDS
from training.shift.splits import SPLITS
from training.shift.study import run_study
from training.shift.study_tables import study_tables
from training.steps import calibrate, load_pair, measure, open_dataset, train_classifier, train_oracles
from training.threshold import choose_threshold, threshold_at_cost, threshold_at_coverage, threshold_at_tpr
from trust.manifest import BundleError

Config = Annotated[TrainingConfig, Parameter(name="*")]
Step = Callable[[TrainingConfig, Run, Dataset], Any]

_RULE = Parameter(group=Group("Instead of a promise", validator=validators.mutually_exclusive), negative_iterable="")

app = App(
    name="trustserve-train",
    help="Train an oracle beside a frozen classifier, measure both, export the pair as a bundle.",
)
console = Console()
if not console.is_terminal:
    # In a log nobody wants columns cut at 80.
    console = Console(width=160)


@app.command(name="classifier")
def run_classifier(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Fit the classifier on the train split."""
    _run(config, train_classifier)


@app.command(name="oracle")
def run_oracle(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Fit the oracles, one a seed, and those of the published recipe."""
    _run(config, train_oracles)


@app.command(name="calibrate")
def run_calibrate(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Fit novelty, temperature and trust heads, and choose the threshold."""
    _run(config, calibrate)


@app.command(name="evaluate")
def run_evaluate(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Measure every score on clean and corrupted test images and print the tables."""
    _run(config, _evaluate)


@app.command(name="export")
def run_export(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Write the bundle and check it through onnxruntime."""
    _run(config, _export)


@app.command(name="all")
def run_all(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Every step in order."""
    _run(config, train_classifier, train_oracles, calibrate, _evaluate, _export)


@app.command(name="shift-study")
def run_shift_study(
    *,
    config: Config = TrainingConfig(),  # noqa: B008
    splits: tuple[str, ...] = tuple(SPLITS)[1:],
    seeds: tuple[int, ...] = (0, 1, 2),
    images: int = 1000,
) -> None:
    """Train and measure classifier and oracle on several splits of the kinds of corruption, each with several seeds.

    Args:
        splits: of the kinds: alternating, random-0 to random-2, tone-overlay-unseen, noise-geometry-unseen.
        seeds: of classifier and oracle.
        images: test images of each corrupted condition.
    """
    for title, rows in study_tables(run_study(config, splits, seeds, images)).items():
        console.print(tables.terminal_table(rows, title))


@app.command(name="compare")
def run_compare(bundle: Path, *, resamples: int = 1000, seed: int = 0) -> None:
    """Measure trust against softmax confidence on a bundle's reference images, with 95 % intervals.

    Args:
        bundle: folder of the bundle.
        resamples: of the bootstrap.
        seed: of the resamples.
    """
    answers = read_reference(bundle)
    title = f"{bundle}: {len(answers.correct)} clean reference images, {(~answers.correct).sum()} answered wrong"
    console.print(tables.terminal_table(compare_rows(answers, resamples, seed), title))


@app.command(name="threshold")
def run_threshold(
    bundle: Path,
    *,
    risk: float = 0.02,
    confidence: float = 0.95,
    coverage: Annotated[float | None, _RULE] = None,
    tpr: Annotated[float | None, _RULE] = None,
    cost: Annotated[tuple[float, float] | None, _RULE] = None,
    write: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Choose another threshold for a bundle, on its own reference images; by a promised error rate if not said else.

    Args:
        bundle: folder of the bundle.
        risk: error rate among trusted answers to stay below.
        confidence: probability that the promise holds.
        coverage: trust this share of the answers instead.
        tpr: trust this share of the correct answers instead.
        cost: least cost instead: of a wrong trust, and of a wrong distrust.
        write: put it into the bundle's manifest and card.
    """
    answers = read_reference(bundle)
    trust, correct = answers.trust, answers.correct
    if coverage is not None:
        threshold = threshold_at_coverage(trust, _share("--coverage", coverage))
    elif tpr is not None:
        threshold = threshold_at_tpr(trust, correct, _share("--tpr", tpr))
    elif cost is not None:
        threshold = threshold_at_cost(trust, correct, *cost)
    else:
        threshold = choose_threshold(trust, correct, _share("--risk", risk), _share("--confidence", confidence))
    rows = describe_threshold(trust, correct, threshold.value, confidence).items()
    console.print(threshold.statement, highlight=False)
    console.print(tables.terminal_table([["reference images", ""], *map(list, rows)], str(bundle)))
    if write:
        write_threshold(bundle, threshold)
        console.print(f"written to {bundle}")


def main() -> None:
    """Entry point: an error the user can mend is one sentence and exit status 1."""
    try:
        app()
    except (ValueError, FileNotFoundError, MissingStep, ExportError, BundleError) as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False)
        sys.exit(1)


def _share(option: str, value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{option} is {value:g}; wanted a share between 0 and 1")
    return value


def _run(config: TrainingConfig, *steps: Step) -> None:
    run = Run(config)
    dataset = open_dataset(config, run)
    for step in steps:
        step(config, run, dataset)


def _evaluate(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    results = measure(config, run, dataset)
    shown = {
        "clean test images": tables.clean_rows(results),
        "trained kinds of corruption, mean": tables.method_rows(results, TRAINED_KINDS),
        "unseen kinds of corruption, mean": tables.method_rows(results, UNSEEN_KINDS),
        "each kind": tables.kind_rows(results),
        "summary": tables.summary_rows(results),
    }
    for title, rows in shown.items():
        console.print(tables.terminal_table(rows, title))


def _export(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    # On the CPU wherever it was trained: parity is with onnxruntime's CPU arithmetic.
    pair, calibrated = load_pair(dataclasses.replace(config, device="cpu"), run, dataset)
    head, threshold = calibrated.heads[next(iter(pair.oracles))], calibrated.threshold
    results = run.load_json("results", "evaluate")
    card = tables.card(config, dataset, head, threshold, results)
    place = export_bundle(config, dataset, pair, head, threshold, results, card)
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    console.print(f"{threshold.statement}\nBundle {place}: {size / 1e6:.1f} MB. Serve it: make serve MODEL={place}")


if __name__ == "__main__":
    main()
