"""Another threshold for a bundle that exists: chosen on its own reference images, written into its manifest."""

import os
from pathlib import Path
from typing import Any

from training.bundle.reference import ReferenceAnswers, read_reference
from training.metrics.selective import tpr_tnr
from training.report.tables import threshold_line
from training.threshold import error_upper_bound
from trust.head import decide
from trust.manifest import MANIFEST, Threshold, read_manifest

CARD = "README.md"


def describe_threshold(answers: ReferenceAnswers, threshold: Threshold, confidence: float) -> dict[str, Any]:
    """What a threshold does to these answers: coverage, errors, their exact upper bound, TPR and TNR."""
    trusted, correct = decide(answers.trust, threshold.of(answers.predicted)), answers.correct
    errors, count = int((~correct[trusted]).sum()), int(trusted.sum())
    bound = error_upper_bound(errors, count, confidence)
    # The decision as a score of two values: its one threshold is the decision itself.
    tpr, tnr = tpr_tnr(trusted.astype(float), correct, 1.0)
    return {
        "threshold": f"{threshold.value:g}" + (" and up, by class" if threshold.by_class else ""),
        "trusted": f"{count} of {len(correct)} ({count / len(correct):.1%})",
        "wrong among trusted": f"{errors} ({errors / max(count, 1):.2%})",
        f"upper bound, {confidence:.0%}, of this threshold alone": f"{bound:.2%}",
        "correct ones trusted (TPR)": f"{tpr:.1%}",
        "wrong ones distrusted (TNR)": f"{tnr:.1%}",
    }


def write_threshold(bundle: Path, threshold: Threshold) -> None:
    """Replaces the threshold in manifest and card; each file is written whole or not at all."""
    manifest = read_manifest(bundle)
    answers = read_reference(bundle)
    trusted = decide(answers.trust, threshold.of(answers.predicted))
    reference = manifest.reference.model_copy(update={"trust_rate": float(trusted.mean())})
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
