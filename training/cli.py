"""trustserve-train: the steps of a run, each by itself or all in order."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console

from training import report
from training.config import TrainingConfig
from training.corruptions import TRAINED_KINDS, UNSEEN_KINDS
from training.data import Dataset
from training.export import export_bundle
from training.graphs import ExportError
from training.run import MissingStep, Run
from training.steps import calibrate, load_pair, measure, open_dataset, train_classifier, train_oracles

Config = Annotated[TrainingConfig, Parameter(name="*")]
Step = Callable[[TrainingConfig, Run, Dataset], Any]

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


def main() -> None:
    """Entry point: an error the user can mend is one sentence and exit status 1."""
    try:
        app()
    except (ValueError, FileNotFoundError, MissingStep, ExportError) as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False)
        sys.exit(1)


def _run(config: TrainingConfig, *steps: Step) -> None:
    run = Run(config)
    dataset = open_dataset(config, run)
    for step in steps:
        step(config, run, dataset)


def _evaluate(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    results = measure(config, run, dataset)
    tables = {
        "clean test images": report.clean_rows(results),
        "trained kinds of corruption, mean": report.method_rows(results, TRAINED_KINDS),
        "unseen kinds of corruption, mean": report.method_rows(results, UNSEEN_KINDS),
        "each kind": report.kind_rows(results),
        "summary": report.summary_rows(results),
    }
    for title, rows in tables.items():
        console.print(report.terminal_table(rows, title))


def _export(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    # On the CPU wherever it was trained: parity is with onnxruntime's CPU arithmetic.
    pair, heads = load_pair(dataclasses.replace(config, device="cpu"), run, dataset)
    head = heads[next(iter(pair.oracles))]
    _, _, threshold = run.load_calibration()
    results = run.load_json("results", "evaluate")
    card = report.card(config, dataset, head, threshold, results)
    place = export_bundle(config, dataset, pair, head, threshold, results, card)
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    console.print(f"{threshold.statement}\nBundle {place}: {size / 1e6:.1f} MB. Serve it: make serve MODEL={place}")


if __name__ == "__main__":
    main()
