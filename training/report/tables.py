"""The measured tables as text: for the terminal, for the bundle's card and for the project's README."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from training.config import TrainingConfig
from training.data.dataset import Dataset
from training.data.torchvision_sets import FASHION_MNIST
from training.scores.methods import TEMPERATURE_SCALED, TRUST
from training.shift.corruptions import TRAINED_KINDS
from training.shift.transforms import NAMED
from trust.head import TrustHead
from trust.manifest import Gate, Threshold

Rows = list[list[str]]

_MEASURES = {
    "auroc": ("AUROC", 100),
    "fpr_at_95_tpr": ("FPR@95", 100),
    "aupr_error": ("AUPR-Error", 100),
    "aupr_success": ("AUPR-Success", 100),
    "aurc": ("AURC ‰", 1000),
    "tpr": ("TPR", 100),
    "tnr": ("TNR", 100),
    "ece": ("ECE", 1),
}
_GROUPS = {"clean": "clean", "trained": "corrupted, trained kinds", "unseen": "corrupted, unseen kinds"}


def clean_rows(results: Mapping[str, Any]) -> Rows:
    """Each method on clean test images: header and one row a method, mean and spread over oracle seeds."""
    methods = results["conditions"]["clean"]["methods"]
    header = ["score", *(title for title, _ in _MEASURES.values())]
    return [
        header,
        *([name, *(_cell(row[key], unit) for key, (_, unit) in _MEASURES.items())] for name, row in methods.items()),
    ]


def summary_rows(results: Mapping[str, Any]) -> Rows:
    """Trust against softmax confidence: clean, trained kinds, unseen kinds."""
    header = ["test images", "AUROC softmax", "AUROC trust", "gain", "worst kind", "ECE softmax", "ECE trust"]
    header += ["NetTrustScore error softmax", "trust", "worst kind"]
    rows = [header]
    for group, title in _GROUPS.items():
        s = results["summary"][group]
        auroc = [f"{s['softmax_auroc']:.1f}", f"{s['trust_auroc']:.1f}", f"{s['auroc_gain']:+.2f}"]
        rest = [f"{s['auroc_gain_worst']:+.1f}", f"{s['softmax_ece']:.3f}", f"{s['ece']:.3f}"]
        errors = ("softmax_net_trust_score_error", "net_trust_score_error", "net_trust_score_error_worst")
        rows.append([title, *auroc, *rest, *(f"{s[error]:.3f}" for error in errors)])
    return rows


def kind_rows(results: Mapping[str, Any]) -> Rows:
    """Each kind of corruption: accuracy, AUROC of softmax and trust, true and label-free NetTrustScore."""
    header = ["kind", "trained", "accuracy", "AUROC softmax", "AUROC trust"]
    header += ["NetTrustScore", "estimate (trust)", "estimate (softmax)"]
    rows = [header]
    for kind in ("clean", *NAMED):
        condition = results["conditions"][kind]
        trust, softmax = condition["methods"][TRUST], condition["methods"][TEMPERATURE_SCALED]
        trained = "-" if kind == "clean" else "yes" if kind in TRAINED_KINDS else "no"
        row = [
            kind,
            trained,
            f"{100 * condition['accuracy']:.1f}",
            _cell(softmax["auroc"], 100),
            _cell(trust["auroc"], 100),
        ]
        scores = (trust["net_trust_score"], trust["net_trust_score_estimate"], softmax["net_trust_score_estimate"])
        rows.append([*row, *(f"{score['mean']:.3f}" for score in scores)])
    return rows


def other_rows(results: Mapping[str, Any]) -> Rows:
    """Images of none of the classes: mean confidence and the mean of every trust head, which should be low."""
    found = results["other_data"]
    rows = list(next(iter(found.values()))["trust"])[::-1]
    means = [
        [kind, f"{of['confidence']['value']:.2f}", *(f"{of['trust'][row]['value']:.2f}" for row in rows)]
        for kind, of in found.items()
    ]
    return [["images", "confidence", *rows], *means]


def method_rows(results: Mapping[str, Any], kinds: tuple[str, ...]) -> Rows:
    """Each method over some kinds of corruption: the mean of each measure over the kinds."""
    first = results["conditions"][kinds[0]]["methods"]
    header = ["score", *(title for title, _ in _MEASURES.values())]
    rows = [header]
    for name in first:
        means = {
            key: sum(results["conditions"][kind]["methods"][name][key]["mean"] for kind in kinds) / len(kinds)
            for key in _MEASURES
        }
        rows.append([name, *(_cell({"mean": means[key], "sd": 0.0}, unit) for key, (_, unit) in _MEASURES.items())])
    return rows


def terminal_table(rows: Rows, title: str) -> Table:
    """A table for rich's console."""
    table = Table(title=title, title_justify="left")
    for position, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if position == 0 else "right")
    for row in rows[1:]:
        table.add_row(*row)
    return table


def markdown_table(rows: Rows) -> str:
    """A table for Markdown, its first row the header."""
    rule = ["---"] + ["--:"] * (len(rows[0]) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:]))


def card(
    config: TrainingConfig,
    dataset: Dataset,
    head: TrustHead,
    threshold: Threshold,
    gate: Gate,
    results: Mapping[str, Any],
) -> str:
    """The bundle's README: what it knows, how it was made, what was measured."""
    unseen = tuple(kind for kind in NAMED if kind not in TRAINED_KINDS)
    splits = ", ".join(
        f"{name} {len(getattr(dataset, name)):,}" for name in ("train", "oracle", "calibration", "reference", "test")
    )
    size = " x ".join(map(str, dataset.preprocess.input_size[:0:-1]))
    return f"""# {config.name}

{_about(dataset)} Networks take {size} pixels, {"grey" if dataset.preprocess.input_size[0] == 1 else "RGB"};
classes: {", ".join(dataset.classes)}.

Classifier `{config.backbone}`, accuracy {100 * results["conditions"]["clean"]["accuracy"]:.2f} % on the
{len(dataset.test):,} test images; oracle by the `{config.recipe}` recipe, seed {config.seed}. Trust head on
{", ".join(name.replace("_", " ") for name in head.inputs)}{" and novelty" if head.gate else ""}.

{threshold_line(threshold)}

**Gate.** {gate.statement}

## Measured

On the test images, which nothing else touched; mean ± standard deviation over {config.oracle_seeds} oracle seeds.
AUROC, FPR at 95 % TPR, AUPR, TPR and TNR in per cent; each score has its own threshold, chosen by the same rule.

{markdown_table(clean_rows(results))}

Corruptions at severities 3 to 5, a third of the test images each. Gain: AUROC points over temperature-scaled softmax,
mean over kinds. NetTrustScore error: |label-free estimate - true|, mean over kinds.

{markdown_table(summary_rows(results))}

Trained kinds (met in training and calibration): {", ".join(TRAINED_KINDS)}.
Unseen kinds (met by nothing before the gate and this table): {", ".join(unseen)}.

{markdown_table(kind_rows(results))}

Images of none of the classes, where no answer is right: mean confidence, and mean trust, which should be low.

{markdown_table(other_rows(results))}

Every score, mean over the trained kinds:

{markdown_table(method_rows(results, TRAINED_KINDS))}

Every score, mean over the unseen kinds:

{markdown_table(method_rows(results, unseen))}

## Data

{splits} images; disjoint, split with seed {config.seed}. SHA-256 of pixels and targets:
`{dataset.fingerprint()}`. {_licence(dataset)}
The images under `samples/` are from the reference split.
{skipped_line(dataset)}"""


def threshold_line(threshold: Threshold) -> str:
    """The card's sentence on the threshold."""
    return f"**Threshold {threshold.value:g}.** {threshold.statement}"


def skipped_line(dataset: Dataset) -> str:
    """How many files of the data held no image, empty where all did; a card tells no paths of a machine."""
    return f"{len(dataset.skipped)} files that held no image were left out.\n" if dataset.skipped else ""


def _about(dataset: Dataset) -> str:
    if dataset.name == FASHION_MNIST:
        return (
            "A pair that knows ten kinds of garments as small grey pictures, white on black, and nothing else: it is\n"
            "here to see the service work before one's own model comes."
        )
    return f"A pair trained on {dataset.name}."


def _licence(dataset: Dataset) -> str:
    if dataset.name == FASHION_MNIST:
        return "Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017), MIT licence, Copyright (c) 2017 Zalando SE."
    return ""


def _cell(value: Mapping[str, float], unit: float) -> str:
    digits = 3 if unit == 1 else 2 if unit == 1000 else 1
    spread = f" ± {unit * value['sd']:.{digits}f}" if unit * value["sd"] >= 0.5 * 10**-digits else ""
    return f"{unit * value['mean']:.{digits}f}{spread}"
