"""A study: finished runs opened, each part measured and written down before the next begins."""

from collections.abc import Callable
from pathlib import Path

from training.study.bench import Bench, counted_classifiers
from training.study.classifiers import classifier_tables
from training.study.document import write_part
from training.study.gradients import gradient_tables
from training.study.methods import method_tables
from training.study.options import PartName, StudyOptions
from training.study.oracle_tables import head_tables, label_tables, loss_tables, slope_tables
from training.study.subject import Subject, open_subject, require_same_test
from training.study.table import StudyTable
from training.study.timing import timing_tables
from trust.manifest import CLASSIFIER


def run_study(options: StudyOptions, say: Callable[[str], object]) -> None:
    """Measures each part and puts its tables into the document, its figures into the JSON file beside it.

    Args:
        options: what, of which runs.
        say: is told what begins.

    Raises:
        ValueError: no run, no bundle, runs that cannot be compared.
        MissingStep: a run without a classifier.
    """
    subjects = [open_subject(folder) for folder in options.runs]
    others = [open_subject(folder) for folder in options.classifiers]
    require_same_test([*subjects, *others])
    parts = _parts(options, subjects, others)
    for part in options.parts:
        say(f"{part}: {options.command(part)}")
        about, tables = parts[part]
        write_part(options.to, part, options.command(part), about, tables())


def _parts(
    options: StudyOptions, subjects: list[Subject], others: list[Subject]
) -> dict[PartName, tuple[str, Callable[[], list[StudyTable]]]]:
    """What each part is about, and what measures it."""
    bench = Bench(subjects, options.seeds)
    # Now, not after the other parts are measured.
    bundle = _bundle(options, subjects[0]) if "timing" in options.parts else Path()
    classifiers = counted_classifiers(subjects)
    spread = (
        "mean ± sample standard deviation over them"
        if len(subjects) > 1
        else f"95 % intervals by {options.resamples} bootstrap resamples of the test images"
    )
    every = [*subjects, *others]
    return {
        "losses": (bench.about, lambda: loss_tables(bench)),
        "heads": (bench.about, lambda: head_tables(bench)),
        "labels": (bench.about, lambda: label_tables(bench)),
        "slopes": (bench.about, lambda: slope_tables(bench)),
        "gradients": ("by the formulas, of no run and no seed", gradient_tables),
        "timing": (f"the graphs of one bundle, `{bundle}`", lambda: timing_tables(bundle)),
        "methods": (f"{classifiers}; {spread}", lambda: method_tables(subjects, others, options.resamples)),
        "classifiers": (
            f"{counted_classifiers(every)}; mean ± sample standard deviation where several were trained alike",
            lambda: classifier_tables(every),
        ),
    }


def _bundle(options: StudyOptions, first: Subject) -> Path:
    bundle = options.bundle or first.config.models / first.config.name
    if not (bundle / CLASSIFIER).is_file():
        raise ValueError(
            f"{bundle} holds no {CLASSIFIER} to time; name a bundle with --bundle, or leave timing out of --parts"
        )
    return bundle
