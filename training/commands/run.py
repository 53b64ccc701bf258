"""The steps of a run, each by itself or all in order; evaluate measures a bundle too."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from training.bundle.served import evaluate_bundle
from training.commands.screen import say, show_results
from training.config import TrainingConfig
from training.data.dataset import Dataset
from training.release import release_run
from training.report.page import PAGE, write_report
from training.run import Run
from training.steps import calibrate, measure, open_dataset, train_classifier, train_folds, train_oracles
from trust.manifest import REPORT

Config = Annotated[TrainingConfig, Parameter(name="*")]
Step = Callable[[TrainingConfig, Run, Dataset], Any]

REPORTS = Path("runs/reports")


def classifier(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Fit the classifier on the train split."""
    _run(config, train_classifier)


def folds(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Fit a classifier without each fold of the train split, for oracles with labels crossfit."""
    _run(config, train_folds)


def oracle(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Fit the oracles, one a seed, and those of the published recipe."""
    _run(config, train_oracles)


def calibrate_heads(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Fit novelty, temperature and trust heads."""
    _run(config, calibrate)


def evaluate(
    bundle: Path | None = None,
    /,
    *,
    on: str | None = None,
    output: Path | None = None,
    config: Config = TrainingConfig(),  # noqa: B008
) -> None:
    """Measure every score on clean and corrupted test images and print the tables: of a run, or of a bundle.

    Examples:
        trustserve-train evaluate --run runs/parts --data imagefolder:/data/parts
        trustserve-train evaluate models/parts --on imagefolder:new/

    Args:
        bundle: folder of a bundle, measured by its own graphs, with a report; without it, the run.
        on: labelled images to measure the bundle on, such as imagefolder:PATH; what it was made with if not given.
        output: where the bundle's report is written; runs/reports/<name> if not given.
    """
    if bundle is None:
        _run(config, _evaluate)
        return
    results, content = evaluate_bundle(bundle, on, config.run.parent / ".cache")
    show_results(results)
    folder = output or REPORTS / content.about.name
    write_report(folder, content)
    say(f"Report: {folder / PAGE}")


def export(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Ask the gate what to serve, choose the threshold, write the bundle and check it through onnxruntime."""
    _run(config, _export)


def everything(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Every step in order."""
    before_oracles = [train_folds] if config.needs_folds else []
    _run(config, train_classifier, *before_oracles, train_oracles, calibrate, _evaluate, _export)


def _run(config: TrainingConfig, *steps: Step) -> None:
    run = Run(config)
    run.start()
    with run.processes.main_process_first():
        dataset = open_dataset(config, run)
    for step in steps:
        # Fits are shared out among processes; what comes after is for the main one.
        is_shared = step not in (calibrate, _evaluate, _export)
        name = step.__name__.strip("_")
        if (is_shared or run.processes.is_main_process) and run.begin(name):
            step(config, run, dataset)
            if is_shared:
                run.processes.wait_for_everyone()
            run.finish(name)
    run.processes.destroy_process_group()


def _evaluate(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    show_results(measure(config, run, dataset))


def _export(config: TrainingConfig, run: Run, dataset: Dataset) -> None:
    place, release = release_run(config, run, dataset)
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    say(release.gate.statement)
    say(release.threshold.statement)
    say(f"Bundle {place}: {size / 1e6:.1f} MB. Serve it: make serve MODEL={place}")
    say(f"Report: {place / REPORT / PAGE}")
