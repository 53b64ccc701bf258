"""A new version of a bundle: the same graphs under another trust head, checked and put in its place whole."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.bundle.export import version_of
from training.bundle.placing import rewriting
from training.bundle.reference import ReferenceAnswers, summarise
from training.bundle.rethreshold import CARD
from training.bundle.served import ServedGraphs
from training.report.tables import threshold_line
from trust.head import Floats, TrustHead, trust_probability
from trust.manifest import (
    GOLDEN,
    MANIFEST,
    REFERENCE,
    BundleError,
    Manifest,
    Threshold,
    digest_file,
    read_manifest,
)


@dataclass(frozen=True)
class Revision:
    """What the new version says in place of the old one."""

    head: TrustHead
    threshold: Threshold
    reference: ReferenceAnswers
    target: NDArray[np.int64]  # (N,), of the reference answers
    novelty: Floats  # (N,), nan where there is none
    record: dict[str, Any]
    """How it came about; its `statement` goes into the card too."""


def write_revision(bundle: Path, place: Path, revision: Revision) -> None:
    """Writes the new version beside its place, checks it, and renames it: a crash leaves what was there.

    Raises:
        BundleError: something other than a bundle is in the place, or the graphs do not answer as they did.
    """
    manifest = read_manifest(bundle)
    with rewriting(bundle, place) as draft:
        _rewrite_golden(draft, revision.head)
        _rewrite_reference(draft, revision)
        _rewrite_card(draft / CARD, manifest, revision)
        files = {name: digest_file(draft / name) for name in manifest.files}
        # Made anew, not copied with changes: so it is validated.
        written = Manifest.model_validate(
            dict(manifest)
            | {
                "version": version_of(files, revision.head, manifest.preprocess),
                "trust_head": revision.head,
                "threshold": revision.threshold,
                "reference": summarise(revision.reference, revision.threshold),
                "files": files,
                "provenance": manifest.provenance | {"recalibration": revision.record},
            }
        )
        (draft / MANIFEST).write_text(written.model_dump_json(indent=2) + "\n")
        _check_answers(draft)


def _rewrite_golden(draft: Path, head: TrustHead) -> None:
    """The same images and outputs, with what the new head makes of them."""
    with np.load(draft / GOLDEN) as arrays:
        golden: dict[str, Any] = dict(arrays)
    golden["trust"] = trust_probability(head, golden)
    np.savez_compressed(draft / GOLDEN, **golden)


def _rewrite_reference(draft: Path, revision: Revision) -> None:
    """Labelled live answers that did not fit the head take the place of the images it was exported with.

    But for image novelty, which is not kept of live images: that of the exported ones stays.
    """
    with np.load(draft / REFERENCE) as before:
        kept = {name: before[name] for name in ("image_novelty",) if name in before}
    answers = revision.reference
    rows: dict[str, Any] = {
        "trust": answers.trust.astype(np.float32),
        "confidence": answers.confidence.astype(np.float32),
        "predicted": answers.predicted.astype(np.int32),
        "target": revision.target.astype(np.int32),
    }
    if not np.isnan(revision.novelty).any():
        rows["novelty"] = revision.novelty.astype(np.float32)
    np.savez_compressed(draft / REFERENCE, **rows, **kept)


def _rewrite_card(card: Path, manifest: Manifest, revision: Revision) -> None:
    if not card.is_file():
        return
    text = card.read_text().replace(threshold_line(manifest.threshold), threshold_line(revision.threshold))
    statement = f"{revision.record['statement']} Tables and report are of version {manifest.version}, before that."
    card.write_text(f"{text.rstrip()}\n\n## Recalibrated\n\n{threshold_line(revision.threshold)}\n\n{statement}\n")


def _check_answers(draft: Path) -> None:
    """The graphs run here must give the golden outputs, and through the new head the golden trust."""
    manifest = read_manifest(draft)
    with np.load(draft / GOLDEN) as golden:
        outputs = ServedGraphs(draft, manifest).outputs([golden["image"]])
        found = outputs | {"trust": trust_probability(manifest.trust_head, outputs)}
        for name in (*manifest.classifier_outputs, *manifest.oracle_outputs, "trust"):
            difference = float(np.abs(found[name].astype(float) - golden[name]).max())
            if not difference <= manifest.golden_tolerance:
                raise BundleError(
                    f"the new version answers differently from its golden batch: {name} by {difference:.3g}, allowed "
                    f"is {manifest.golden_tolerance:g}; nothing was written"
                )
