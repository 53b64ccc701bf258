"""Another trust head and threshold for a bundle that exists, from labelled live traffic, as a new version of it.

One half of the labels fits the head. On the other, which is made as if labelled by chance alone, old and new head are
compared and the threshold is chosen. The new head is promoted where it is not worse, at 95 % by paired bootstrap, in
ranking (AUROC) nor in calibration error (ECE), and better in negative log-likelihood, the one of the three that no
score can cheat.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.bootstrap import Comparison, bootstrap_paired
from training.bundle.feedback import Feedback, read_feedback, split_feedback
from training.bundle.reference import ReferenceAnswers
from training.bundle.refit import refit_trust_head
from training.bundle.revise import Revision, write_revision
from training.metrics.calibration import ece, nll
from training.metrics.measure import Measure
from training.metrics.ranking import auroc
from training.threshold import choose_threshold, choose_thresholds_by_class
from trust.head import TrustHead
from trust.manifest import Manifest, Threshold, read_manifest, verify_files

MEASURES: dict[str, Measure[Any]] = {"AUROC": auroc, "ECE": ece, "negative log-likelihood": nll}
RISK, CONFIDENCE = 0.02, 0.95
"""Of the promise where the bundle makes none and nobody says."""


@dataclass(frozen=True)
class Verdict:
    """The new head against the old one, on feedback that fitted neither."""

    promoted: bool
    forced: bool
    labels: int
    old: Mapping[str, float]
    new: Mapping[str, float]
    differences: Mapping[str, Comparison] = field(repr=False)

    @property
    def served(self) -> bool:
        return self.promoted or self.forced

    @property
    def statement(self) -> str:
        figures = "; ".join(
            f"{name} {of.difference:+.4f} [{of.low:+.4f}, {of.high:+.4f}]" for name, of in self.differences.items()
        )
        outcome = "was promoted" if self.promoted else "was not promoted"
        forced = ", and serves because it was forced" if self.forced else ""
        return (
            f"The trust head refitted to live traffic {outcome}{forced}. New less old on {self.labels} labels that "
            f"fitted neither, with 95 % intervals: {figures}."
        )


def recalibrate(
    bundle: Path, feedback_file: Path, to: Path, risk: float | None, confidence: float | None, force: bool, seed: int
) -> tuple[Verdict, Threshold]:
    """Writes the new version where its head is promoted or forced; what was found.

    Args:
        bundle: that answered.
        feedback_file: as `trustserve recalibrate` writes it.
        to: folder of the new version, another than the bundle's.
        risk, confidence: of the promise; by default those of the bundle's threshold.
        force: write the new version whatever is found.
        seed: of the split, and of the bootstrap.

    Raises:
        ValueError: the feedback is of another bundle, or too little.
        BundleError: the bundle is not whole, or the new one would not answer as it should.
    """
    manifest = read_manifest(bundle)
    verify_files(bundle, manifest)
    if to.resolve() == bundle.resolve():
        raise ValueError(f"--to {to} is the bundle itself; name another folder, so that there is a way back")
    feedback = read_feedback(feedback_file, manifest)
    fit, judged = split_feedback(feedback, seed)
    head = refit_trust_head(manifest.trust_head, fit)
    verdict = compare_heads(manifest.trust_head, head, judged, force, seed)
    threshold = _choose(manifest, head, judged, risk, confidence)
    if verdict.served:
        trust = judged.trust_of(head)
        reference = ReferenceAnswers(trust, judged.confidence, judged.correct, judged.predicted)
        record = _record(manifest, feedback, fit, verdict, seed)
        write_revision(bundle, to, Revision(head, threshold, reference, judged.target, judged.novelty, record))
    return verdict, threshold


def compare_heads(old: TrustHead, new: TrustHead, judged: Feedback, force: bool = False, seed: int = 0) -> Verdict:
    """Whether the new head is worth serving, on answers that fitted neither."""
    before, after, correct = judged.trust_of(old), judged.trust_of(new), judged.correct
    found = bootstrap_paired(MEASURES, after, before, correct, seed=seed)
    # An undefined interval shows nothing: each comparison with it is false.
    promoted = bool(found["AUROC"].high >= 0 and found["ECE"].low <= 0 and found["negative log-likelihood"].high < 0)
    of_old, of_new = (
        {name: measure(trust, correct) for name, measure in MEASURES.items()} for trust in (before, after)
    )
    return Verdict(promoted, force and not promoted, len(judged), of_old, of_new, found)


def _choose(
    manifest: Manifest, head: TrustHead, judged: Feedback, risk: float | None, confidence: float | None
) -> Threshold:
    old, trust, images = manifest.threshold, judged.trust_of(head), "labelled live ones"
    risk, confidence = risk or old.risk or RISK, confidence or old.confidence or CONFIDENCE
    if old.by_class is None:
        return choose_threshold(trust, judged.correct, risk, confidence, images)
    classes = len(manifest.classes)
    return choose_thresholds_by_class(trust, judged.correct, judged.predicted, classes, risk, confidence, images)


def _record(manifest: Manifest, feedback: Feedback, fit: Feedback, verdict: Verdict, seed: int) -> dict[str, Any]:
    return {
        "from_version": manifest.version,
        "labels": {"all": len(feedback), "fit": len(fit), "judged": verdict.labels},
        "seed": seed,
        "promoted": verdict.promoted,
        "forced": verdict.forced,
        "statement": verdict.statement,
        "old": dict(verdict.old),
        "new": dict(verdict.new),
        "differences": {name: asdict(found) for name, found in verdict.differences.items()},
    }
