"""The README of a wrapped bundle: what was wrapped, how it is shown its images, what was measured."""

from collections.abc import Mapping
from typing import Any

from training.data.dataset import Dataset
from training.report.tables import (
    clean_rows,
    kind_rows,
    markdown_table,
    other_rows,
    skipped_line,
    summary_rows,
    threshold_line,
)
from training.shift.corruptions import TRAINED_KINDS, UNSEEN_KINDS
from training.wrap.preprocessing import InputSpec
from trust.head import TrustHead
from trust.manifest import Gate, Threshold

SPLITS = ("oracle", "calibration", "reference", "test")


def wrapped_card(
    name: str,
    wrapped: str,
    spec: InputSpec,
    dataset: Dataset,
    head: TrustHead,
    threshold: Threshold,
    gate: Gate,
    results: Mapping[str, Any],
) -> str:
    """Markdown; `wrapped` names the classifier and the form it came in."""
    splits = ", ".join(f"{each} {len(getattr(dataset, each)):,}" for each in SPLITS)
    return f"""# {name}

{wrapped}, as it is, with a trust probability beside each answer. It is shown {spec.describe()}.
Classes: {", ".join(dataset.classes)}.

Accuracy {100 * results["conditions"]["clean"]["accuracy"]:.2f} % on the {len(dataset.test):,} test images. Trust is
made of {", ".join(each.replace("_", " ") for each in head.inputs)}{" and novelty" if head.gate else ""}.

{threshold_line(threshold)}

**Gate.** {gate.statement}

## Measured

On test images that nothing else has touched. AUROC, FPR at 95 % TPR, AUPR, TPR and TNR in per cent; each score has its
own threshold, chosen by the same rule.

{markdown_table(clean_rows(results))}

Corruptions at severities 3 to 5, a third of the test images each. Gain: AUROC points over temperature-scaled softmax,
mean over kinds. NetTrustScore error: |label-free estimate - true|, mean over kinds.

{markdown_table(summary_rows(results))}

Images of none of the classes, where no answer is right: mean confidence, and mean trust, which should be low.

{markdown_table(other_rows(results))}

Trained kinds: {", ".join(TRAINED_KINDS)}.
Unseen kinds (met by nothing before the gate and this table): {", ".join(UNSEEN_KINDS)}.

{markdown_table(kind_rows(results))}

## Data

{dataset.name}: {splits} images; disjoint, none of them seen by the classifier according to whoever wrapped it. SHA-256
of pixels and targets: `{dataset.fingerprint()}`. The images under `samples/` are from the reference split.
{skipped_line(dataset)}"""
