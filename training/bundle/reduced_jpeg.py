"""Lets a bundle decode JPEG files at a reduced size, only where it answers as if they were decoded in full.

Most of the time that a large photograph takes is decoding. A half, a quarter or an eighth of its size is decoded
faster, and resized from there: that is nearly the preprocessing that the networks were trained with. How
nearly, their answers say.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from training.answers import Bools
from training.bundle.export import version_of
from training.bundle.placing import rewriting
from training.bundle.rethreshold import CARD
from training.bundle.served import ServedGraphs
from training.data.dataset import Dataset, Split
from trust.head import Floats, decide, trust_probability
from trust.manifest import MANIFEST, Manifest, digest_file, read_manifest, verify_files
from trust.preprocess import Pixels, Preprocess, ReducedJpeg

FEWEST_IMAGES = 100
"""That are decoded otherwise: fewer cannot tell what becomes of one answer in a hundred."""


class ReductionRefused(Exception):
    """Decoded at a reduced size, images are answered differently, or too few are there to tell; nothing was written."""


@dataclass(frozen=True)
class ReductionParity:
    """How far answers to JPEG files of reduced size are from those to the same files in full."""

    images: int
    """That were decoded both ways."""
    compared: int
    """Of which the pixels differ: all others are answered alike for certain, and would hide what becomes of these."""
    mean: float
    """Of the differences of trust."""
    percentile: float
    """What 99 % of them do not exceed."""
    largest: float
    labels: int
    """Answers whose class changes."""
    decisions: int
    """Answers that are trusted one way only."""

    @property
    def statement(self) -> str:
        if not self.compared:
            return f"None of {self.images} images is a JPEG file so large that it would be decoded at a reduced size."
        return (
            f"Decoded at a reduced size, {self.compared} of {self.images} images have other pixels: of those "
            f"{self.labels} ({self.labels / self.compared:.2%}) get another label and {self.decisions} "
            f"({self.decisions / self.compared:.2%}) another decision; trust differs by {self.mean:.4f} on "
            f"average, by at most {self.percentile:.4f} for 99 % of them, and by at most {self.largest:.4f}."
        )

    def holds(self, allowed: ReducedJpeg) -> bool:
        """Whether that is within what is allowed.

        Trust is judged by its mean difference: its calibration is a map of steps, and noise of one grey level, which
        nobody sees, moves one answer in a hundred over a step of 0.05 or 0.1.
        """
        return self.mean <= allowed.trust_tolerance and self.labels <= allowed.label_tolerance * self.compared


def reducing(spec: Preprocess, allowed: ReducedJpeg | None) -> Preprocess:
    """The same preprocessing with reduced sizes of JPEG files, or without."""
    return spec.model_copy(update={"reduced_jpeg": allowed})


def write_reduced_jpeg(bundle: Path, place: Path, full: Dataset, reduced: Dataset) -> ReductionParity:
    """Writes a new version of a bundle that decodes JPEG files as the reduced data set was; all else stays.

    Args:
        bundle: folder of the bundle.
        place: folder of the new version, perhaps the same.
        full: images decoded in full; compared are those of calibration and reference.
        reduced: the same images with a preprocessing that reduces JPEG files, and says what is allowed.

    Raises:
        BundleError: no bundle there, or files that are not what was exported.
        ReductionRefused: answers differ by more than is allowed, or there are too few images to tell.
    """
    manifest = read_manifest(bundle)
    verify_files(bundle, manifest)
    allowed = reduced.preprocess.reduced_jpeg
    assert allowed is not None, "the second data set is the one of reduced sizes"
    parity = compare_decodings(ServedGraphs(bundle, manifest), manifest, _compared(full), _compared(reduced))
    if parity.compared < FEWEST_IMAGES:
        raise ReductionRefused(
            f"{parity.statement} At least {FEWEST_IMAGES} are needed: JPEG files are decoded in full as before. "
            "Compare on labelled photographs as they are sent: `trustserve-train reduced-jpeg` has --on"
        )
    if not parity.holds(allowed):
        raise ReductionRefused(
            f"{parity.statement} Allowed are {allowed.trust_tolerance:g} on average and {allowed.label_tolerance:.2%} "
            "of the labels: JPEG files are decoded in full as before. A margin above "
            f"{allowed.margin:g} changes less; `trustserve-train reduced-jpeg` has --tolerance and --changed-labels"
        )
    with rewriting(bundle, place) as draft:
        _rewrite(draft, manifest, parity, allowed)
    return parity


def compare_decodings(graphs: ServedGraphs, manifest: Manifest, full: Split, reduced: Split) -> ReductionParity:
    """How far the answers to some images are from those to the same images decoded otherwise.

    Raises:
        ValueError: the images are not the same.
    """
    if not np.array_equal(full.rows, reduced.rows):
        raise ValueError("other files could be read the second time: something changed them meanwhile; start again")
    pairs = [_answers(graphs, manifest, *pixels) for pixels in _differing(full, reduced)]
    if not pairs:
        return ReductionParity(len(full), compared=0, mean=0.0, percentile=0.0, largest=0.0, labels=0, decisions=0)
    trust, labels, decisions = (np.concatenate(each) for each in zip(*pairs, strict=True))
    return ReductionParity(
        images=len(full),
        compared=len(trust),
        mean=float(trust.mean()),
        percentile=float(np.percentile(trust, 99, method="inverted_cdf")),
        largest=float(trust.max()),
        labels=int(labels.sum()),
        decisions=int(decisions.sum()),
    )


def _compared(dataset: Dataset) -> Split:
    return dataset.calibration + dataset.reference


def _differing(full: Split, reduced: Split) -> Iterator[tuple[Pixels, Pixels]]:
    """Batches of the images that are not the same both ways."""
    for one, other in zip(full.batches(), reduced.batches(), strict=True):
        differ = (one != other).any(axis=(1, 2, 3))
        if differ.any():
            yield one[differ], other[differ]


def _answers(graphs: ServedGraphs, manifest: Manifest, full: Pixels, reduced: Pixels) -> tuple[Floats, Bools, Bools]:
    """Of each image the difference of trust, and whether class and decision are others; (n,) each."""
    outputs = [graphs.outputs([pixels]) for pixels in (full, reduced)]
    trust = [trust_probability(manifest.trust_head, each) for each in outputs]
    predicted = [each["logits"].argmax(1) for each in outputs]
    decisions = [decide(*each) for each in zip(trust, map(manifest.threshold.of, predicted), strict=True)]
    return np.abs(trust[0] - trust[1]), predicted[0] != predicted[1], decisions[0] != decisions[1]


def _rewrite(draft: Path, manifest: Manifest, parity: ReductionParity, allowed: ReducedJpeg) -> None:
    """Card and manifest say how JPEG files are decoded; graphs, golden batch and reference stay."""
    if (draft / CARD).is_file():
        card = (draft / CARD).read_text().rstrip()
        statement = f"{parity.statement} Tables and report are of images decoded in full."
        (draft / CARD).write_text(f"{card}\n\n## JPEG files of reduced size\n\n{statement}\n")
    files = {name: digest_file(draft / name) for name in manifest.files}
    spec = reducing(manifest.preprocess, allowed)
    record = asdict(parity) | {"from_version": manifest.version, "statement": parity.statement}
    # Made anew, not copied with changes: so it is validated.
    written = Manifest.model_validate(
        dict(manifest)
        | {
            "version": version_of(files, manifest.trust_head, spec),
            "preprocess": spec,
            "files": files,
            "provenance": manifest.provenance | {"reduced_jpeg": record},
        }
    )
    (draft / MANIFEST).write_text(written.model_dump_json(indent=2) + "\n")
