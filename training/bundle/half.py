"""A bundle whose networks compute in half precision, written only where it answers as the one it was made from.

It is meant for GPUs that have units for float16. A CPU, for want of them, computes in float32 all the same.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from training.bundle.export import GOLDEN_TOLERANCE, version_of
from training.bundle.float16 import rounded_to_float16, to_float16
from training.bundle.placing import rewriting
from training.bundle.rethreshold import CARD
from training.wrap.frozen import FrozenClassifier
from trust.head import decide, trust_probability
from trust.manifest import CLASSIFIER, GOLDEN, MANIFEST, ORACLE, Manifest, digest_file, read_manifest, verify_files
from trust.preprocess import Pixels

TRUST_TOLERANCE = 0.02
"""Largest difference of trust that is allowed, on any reference image."""
FLIPPED_SHARE = 0.005
"""Largest share of reference images whose class or decision may change."""


class PrecisionLost(Exception):
    """In half precision the bundle answers differently; nothing was written."""


@dataclass(frozen=True)
class HalfParity:
    """How far answers in half precision are from those in single precision, on the reference images."""

    images: int
    trust: float
    """Largest difference of trust."""
    flipped: int
    """Images whose class or decision changes."""
    outputs: dict[str, float]
    """Largest difference of each output."""

    @property
    def is_finite(self) -> bool:
        return math.isfinite(max(self.trust, *self.outputs.values()))

    @property
    def statement(self) -> str:
        return (
            f"In half precision trust differs by at most {self.trust:.4f} on {self.images} reference images, and "
            f"{self.flipped} of them ({self.flipped / self.images:.2%}) change class or decision"
            + ("." if self.is_finite else "; some outputs are beyond what float16 can hold.")
        )


def write_half(
    bundle: Path,
    place: Path,
    batches: Iterable[Pixels],
    tolerance: float = TRUST_TOLERANCE,
    flipped_share: float = FLIPPED_SHARE,
) -> HalfParity:
    """Writes a new version of a bundle that computes in half precision; input and outputs stay what they are.

    Args:
        bundle: folder of the bundle.
        place: folder of the new version.
        batches: reference images to compare on, which fitted nothing, (n, H, W, C) uint8 each.
        tolerance: largest difference of trust that is allowed, on any reference image.
        flipped_share: largest share of reference images whose class or decision may change.

    Raises:
        BundleError: no bundle there, or files that are not what was exported.
        PrecisionLost: it does not answer as the bundle does; the message has the figures.
    """
    manifest = read_manifest(bundle)
    verify_files(bundle, manifest)
    graphs = {file: onnx.load(bundle / file) for file in (CLASSIFIER, ORACLE) if file in manifest.files}
    parity = compare_graphs(graphs.values(), map(rounded_to_float16, graphs.values()), manifest, batches)
    if not (parity.is_finite and parity.trust <= tolerance and parity.flipped <= flipped_share * parity.images):
        raise PrecisionLost(
            f"{parity.statement} Allowed are {tolerance:g} and {flipped_share:.2%}; nothing was written. Serve the "
            "bundle as it is, or allow more with --tolerance and --flipped-share"
        )
    with rewriting(bundle, place) as draft:
        for file, graph in graphs.items():
            onnx.save(to_float16(graph), draft / file)
        _rewrite(draft, manifest, parity, tolerance, flipped_share)
    return parity


def compare_graphs(
    wanted: Iterable[ModelProto], found: Iterable[ModelProto], manifest: Manifest, batches: Iterable[Pixels]
) -> HalfParity:
    """How far the answers of some graphs are from those of others, by the same trust head and threshold."""
    pair = [[FrozenClassifier(graph) for graph in graphs] for graphs in (wanted, found)]
    images, flipped = 0, 0
    largest: dict[str, float] = {}
    for pixels in batches:
        single, half = (_answers(graphs, manifest, pixels) for graphs in pair)
        images += len(pixels)
        flipped += int((_decisions(single, manifest) != _decisions(half, manifest)).any(axis=1).sum())
        for name, values in single.items():
            difference = np.abs(values.astype(float) - half[name])
            # What is no number differs by more than anything.
            difference[np.isnan(difference)] = np.inf
            largest[name] = max(largest.get(name, 0.0), float(difference.max(initial=0.0)))
    return HalfParity(images, largest.pop("trust"), flipped, largest)


def _answers(graphs: Iterable[FrozenClassifier], manifest: Manifest, pixels: Pixels) -> dict[str, Any]:
    """Every output of the graphs, and the trust they come to."""
    outputs = {name: output for graph in graphs for name, output in graph.run(pixels).items()}
    return outputs | {"trust": trust_probability(manifest.trust_head, outputs)}


def _decisions(outputs: dict[str, Any], manifest: Manifest) -> Any:
    """Class and decision of each image, (N, 2)."""
    predicted = outputs["logits"].argmax(1)
    return np.column_stack([predicted, decide(outputs["trust"], manifest.threshold.of(predicted))])


def _rewrite(draft: Path, manifest: Manifest, parity: HalfParity, tolerance: float, flipped_share: float) -> None:
    """Golden batch, card and manifest say what the new graphs do."""
    with np.load(draft / GOLDEN) as golden:
        pixels = golden["image"]
    graphs = [FrozenClassifier(onnx.load(draft / file)) for file in (CLASSIFIER, ORACLE) if file in manifest.files]
    np.savez_compressed(draft / GOLDEN, image=pixels, **_answers(graphs, manifest, pixels))
    if (draft / CARD).is_file():
        card = (draft / CARD).read_text().rstrip()
        statement = f"{parity.statement} Tables and report are of single precision."
        (draft / CARD).write_text(f"{card}\n\n## Half precision\n\n{statement}\n")
    files = {name: digest_file(draft / name) for name in manifest.files}
    record = {
        "from_version": manifest.version,
        "images": parity.images,
        "trust_difference": parity.trust,
        "allowed_trust_difference": tolerance,
        "flipped": parity.flipped,
        "allowed_flipped_share": flipped_share,
        "output_differences": parity.outputs,
        "statement": parity.statement,
    }
    # Made anew, not copied with changes: so it is validated.
    written = Manifest.model_validate(
        dict(manifest)
        | {
            "version": version_of(files, manifest.trust_head, manifest.preprocess),
            # A GPU's float16 may be as far from this machine's as this machine's is from float32.
            "golden_tolerance": max(GOLDEN_TOLERANCE, 2 * max(parity.trust, *parity.outputs.values())),
            "files": files,
            "provenance": manifest.provenance | {"half_precision": record},
        }
    )
    (draft / MANIFEST).write_text(written.model_dump_json(indent=2) + "\n")
