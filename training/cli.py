"""trustserve-train: the steps of a run, each by itself or all in order."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter, validators
from cyclopts.config import Toml
from rich.console import Console

from training.bundle.compare import compare_rows
from training.bundle.graphs import ExportError
from training.bundle.reference import read_reference
from training.bundle.rethreshold import describe_threshold, write_threshold
from training.config import TrainingConfig
from training.data.dataset import Dataset
from training.release import release_run
from training.report import tables
from training.run import MissingStep, Run
from training.shift.corruptions import TRAINED_KINDS, UNSEEN_KINDS
from training.steps import (
    calibrate,
    measure,
    open_dataset,
    train_classifier,
    train_folds,
    train_oracles,
)
from training.threshold import (
    choose_threshold,
    choose_thresholds_by_class,
    threshold_at_cost,
    threshold_at_coverage,
    threshold_at_tpr,
)
from training.wrap.options import WrapOptions
from training.wrap.preprocessing import PreprocessOptions
from training.wrap.wrapping import wrap
from trust.manifest import REPORT, BundleError, read_manifest

Config = Annotated[TrainingConfig, Parameter(name="*")]
Step = Callable[[TrainingConfig, Run, Dataset], Any]

_SHOWN = Parameter(name="*", group="How an image becomes the classifier's input", negative_iterable="")

_WRAP_EXAMPLES = """
Examples:

`trustserve-train wrap classifier.onnx --data imagefolder:val/ --preprocess imagenet`

`trustserve-train wrap timm:resnet50 --weights resnet50.pt --data imagefolder:val/ --classes names.txt`

`trustserve-train wrap net.torchscript --data imagefolder:val/ --input-size 3 224 224 --preprocess how.toml`
"""

_RULES = Group("Another rule", validator=validators.mutually_exclusive)
_RULE = Parameter(group=_RULES, negative_iterable="", negative_bool="")

app = App(
    name="trustserve-train",
    help="Train an oracle beside a frozen classifier, measure both, export the pair as a bundle.",
)
console = Console()
if not console.is_terminal:
    # In a log nobody wants columns cut at 80.
    console = Console(width=160)


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)], config: Path | None = None
) -> Any:
    """Train an oracle beside a frozen classifier, measure both, export the pair as a bundle.

    Args:
        config: TOML file of options, such as those in configs/; an option of the command line goes before it.
    """
    app.config = () if config is None else (Toml(config, must_exist=True, use_commands_as_keys=False),)
    return app(tokens)


@app.command(name="classifier")
def run_classifier(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Fit the classifier on the train split."""
    _run(config, train_classifier)


@app.command(name="folds")
def run_folds(*, config: Config = TrainingConfig()) -> None:  # noqa: B008
    """Fit a classifier without each fold of the train split, for oracles with labels crossfit."""
    _run(config, train_folds)


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
    folds = [train_folds] if config.needs_folds else []
    _run(config, train_classifier, *folds, train_oracles, calibrate, _evaluate, _export)


@app.command(name="wrap", help_epilogue=_WRAP_EXAMPLES)
def run_wrap(
    classifier: str,
    *,
    options: Annotated[WrapOptions, Parameter(name="*")],
    how: Annotated[PreprocessOptions, _SHOWN] = PreprocessOptions(),  # noqa: B008
) -> None:
    """Wrap a classifier you have: a bundle with calibrated trust from the frozen model and labelled images.

    The classifier is not trained or changed. What it needs to be shown is read from its graph or from timm as far as
    they say; everything found or assumed is printed, and the answers are checked on the labelled images.

    Args:
        classifier: an .onnx file, a TorchScript file, or timm:NAME with --weights.
    """
    bundle, results = wrap(classifier, options, how, lambda sentence: console.print(sentence, highlight=False))
    console.print(tables.terminal_table(tables.clean_rows(results), "clean test images"))
    console.print(tables.terminal_table(tables.summary_rows(results), "summary"))
    console.print(f"Bundle {bundle}. Serve it: trustserve serve --model {bundle}", highlight=False)


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
    by_class: Annotated[bool, _RULE] = False,
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
        by_class: keep the promise for each predicted class by itself, each with a threshold of its own.
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
    elif by_class:
        classes = len(read_manifest(bundle).classes)
        threshold = choose_thresholds_by_class(
            trust, correct, answers.predicted, classes, _share("--risk", risk), _share("--confidence", confidence)
        )
    else:
        threshold = choose_threshold(trust, correct, _share("--risk", risk), _share("--confidence", confidence))
    rows = describe_threshold(answers, threshold, confidence).items()
    console.print(threshold.statement, highlight=False)
    console.print(tables.terminal_table([["reference images", ""], *map(list, rows)], str(bundle)))
    if write:
        write_threshold(bundle, threshold)
        console.print(f"written to {bundle}")


def main() -> None:
    """Entry point: an error the user can mend is one sentence and exit status 1."""
    try:
        app.meta()
    except (ValueError, FileNotFoundError, MissingStep, ExportError, BundleError) as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False)
        sys.exit(1)


def _share(option: str, value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{option} is {value:g}; wanted a share between 0 and 1")
    return value


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
    place, release = release_run(config, run, dataset)
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    console.print(f"{release.gate.statement}\n{release.threshold.statement}", highlight=False)
    console.print(f"Bundle {place}: {size / 1e6:.1f} MB. Serve it: make serve MODEL={place}")
    console.print(f"Its report: {place / REPORT / 'index.html'}")


if __name__ == "__main__":
    main()
