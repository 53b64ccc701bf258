"""Another threshold for a bundle that exists: chosen on its own reference images, written into its manifest."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.bundle.reference import read_reference
from training.metrics.selective import tpr_tnr
from training.report.tables import threshold_line
from training.threshold import error_upper_bound
from trust.manifest import MANIFEST, Threshold, read_manifest

CARD = "README.md"


def describe_threshold(
    trust: NDArray[np.float64], correct: NDArray[np.bool_], value: float, confidence: float
) -> dict[str, Any]:
    """What a threshold does to these answers: coverage, errors, their exact upper bound, TPR and TNR."""
    trusted = trust >= value
    errors, answers = int((~correct[trusted]).sum()), int(trusted.sum())
    bound = error_upper_bound(errors, answers, confidence)
    tpr, tnr = tpr_tnr(trust, correct, value)
    return {
        "threshold": f"{value:g}",
        "trusted": f"{answers} of {len(trust)} ({answers / len(trust):.1%})",
        "wrong among trusted": f"{errors} ({errors / max(answers, 1):.2%})",
        f"upper bound, {confidence:.0%}, of this threshold alone": f"{bound:.2%}",
        "correct ones trusted (TPR)": f"{tpr:.1%}",
        "wrong ones distrusted (TNR)": f"{tnr:.1%}",
    }


def write_threshold(bundle: Path, threshold: Threshold) -> None:
    """Replaces the threshold in manifest and card; each file is written whole or not at all."""
    manifest = read_manifest(bundle)
    trust = read_reference(bundle).trust
    reference = manifest.reference.model_copy(update={"trust_rate": float((trust >= threshold.value).mean())})
    changed = manifest.model_copy(update={"threshold": threshold, "reference": reference})
    card = bundle / CARD
    if card.is_file():
        text = card.read_text().replace(threshold_line(manifest.threshold), threshold_line(threshold))
        _replace(card, text)
    _replace(bundle / MANIFEST, changed.model_dump_json(indent=2) + "\n")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    os.replace(partial, path)
