"""Writes a run as a bundle: two ONNX graphs, golden batch, reference profile, samples, card and manifest.

The bundle is written beside its place, checked through onnxruntime, and only then exchanged with what was there: a
crash leaves the old bundle or the new one.
"""

import hashlib
import json
import platform
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from PIL import Image

from training.bundle.networks import Networks, WrittenGraphs
from training.bundle.placing import put_in_place
from training.bundle.reference import ReferenceAnswers, summarise
from training.data.dataset import Dataset
from training.data.images import to_images, to_pixels
from training.image_novelty import fit_image_novelty
from training.report.content import ReportContent
from training.report.page import write_report
from training.shift.corruptions import TRAINED_KINDS, corrupt
from trust.head import TrustHead, trust_probability
from trust.image_statistics import CleanStatistics
from trust.manifest import (
    CLASSIFIER,
    GOLDEN,
    MANIFEST,
    ORACLE,
    REFERENCE,
    REPORT,
    RESULTS,
    FileDigest,
    Gate,
    Manifest,
    ReferenceSummary,
    Threshold,
    digest_file,
)
from trust.preprocess import Preprocess

PARITY_IMAGES = 500
GOLDEN_IMAGES = 8
GOLDEN_TOLERANCE = 0.01
"""Another machine's arithmetic, and fp16 or TF32 on a GPU, may differ by this; a wrong graph differs by far more."""
SAMPLES_A_CLASS = 3


@dataclass(frozen=True)
class Release:
    """What a bundle says beside its graphs."""

    name: str
    description: str
    head: TrustHead
    threshold: Threshold
    gate: Gate
    results: dict[str, Any]
    """What was measured; its `summary` goes into the manifest too."""
    card: str
    """The bundle's README."""
    report: ReportContent
    provenance: dict[str, Any]
    """Recipe, seed and whatever else it takes to make it again; versions and data are added."""


def export_bundle(models: Path, release: Release, networks: Networks, dataset: Dataset, seed: int) -> Path:
    """Writes `<models>/<name>/` and returns it.

    Args:
        models: folder of all bundles.
        release: what the bundle says.
        networks: what its graphs are made of.
        dataset: the reference split gives profile, golden batch and samples.
        seed: of the golden batch's corrupted half.

    Raises:
        ExportError: onnxruntime's answers differ from the networks' by more than the tolerance.
    """
    place = models / release.name
    models.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{release.name}-", dir=models))
    try:
        graphs = networks.write(draft)
        _write_golden(draft, networks, release.head, dataset, seed)
        reference, image_statistics = _write_reference(draft, networks, release, dataset)
        _write_samples(draft / "samples", dataset)
        (draft / "README.md").write_text(release.card)
        (draft / RESULTS).write_text(json.dumps(release.results) + "\n")
        write_report(draft / REPORT, release.report)
        files = {name: digest_file(draft / name) for name in (*graphs.outputs, GOLDEN, REFERENCE, RESULTS)}
        manifest = Manifest(
            name=release.name,
            version=version_of(files, release.head, dataset.preprocess),
            description=release.description,
            classes=dataset.classes,
            preprocess=dataset.preprocess,
            classifier_outputs=graphs.outputs[CLASSIFIER],
            oracle_outputs=graphs.outputs.get(ORACLE, ()),
            temperature=networks.temperature,
            trust_head=release.head,
            threshold=release.threshold,
            gate=release.gate,
            reference=reference,
            image_statistics=image_statistics,
            golden_tolerance=GOLDEN_TOLERANCE,
            files=files,
            provenance=release.provenance | _provenance(dataset, graphs),
            results=release.results["summary"],
        )
        (draft / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        draft.chmod(0o755)
        put_in_place(draft, place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def version_of(files: Mapping[str, FileDigest], head: TrustHead, spec: Preprocess) -> str:
    """The version of a bundle with these files: a digest of what gives the answers, which new figures are not.

    Of the preprocessing that is what may change in a bundle that exists: how far JPEG files are reduced.
    """
    graphs = [files[name].sha256 for name in (CLASSIFIER, ORACLE) if name in files]
    reduced = [f"{spec.reduced_jpeg.margin:g}"] if spec.reduced_jpeg else []
    return hashlib.sha256("".join([*graphs, head.model_dump_json(), *reduced]).encode()).hexdigest()[:12]


def _write_golden(folder: Path, networks: Networks, head: TrustHead, dataset: Dataset, seed: int) -> None:
    """Clean and corrupted images with every output and the trust probability, end to end."""
    clean = dataset.reference.pixels(slice(GOLDEN_IMAGES))
    kind = TRAINED_KINDS[0]
    corrupted = to_pixels(corrupt(to_images(clean, torch.device("cpu")), kind, severity=4, seed=seed))
    pixels = np.concatenate([clean, corrupted])
    outputs = networks.outputs([pixels])
    arrays: dict[str, Any] = {"image": pixels, "trust": trust_probability(head, outputs), **outputs}
    np.savez_compressed(folder / GOLDEN, **arrays)


def _write_reference(
    folder: Path, networks: Networks, release: Release, dataset: Dataset
) -> tuple[ReferenceSummary, CleanStatistics]:
    """What the monitor compares the live traffic with; one row an image of the reference split."""
    split = dataset.reference
    clean, novelties = fit_image_novelty(dataset.calibration.batches(), split.batches())
    outputs = networks.outputs(split.batches())
    trust = trust_probability(release.head, outputs)
    predicted = outputs["logits"].argmax(1)
    confidence = outputs["probabilities"].max(1).astype(float)
    rows = {
        "trust": trust.astype(np.float32),
        "confidence": confidence.astype(np.float32),
        "predicted": predicted.astype(np.int32),
        "target": split.targets.astype(np.int32),
        "image_novelty": novelties,
    }
    # A classifier without features has no novelty.
    rows |= {name: outputs[name] for name in ("novelty",) if name in outputs}
    np.savez_compressed(folder / REFERENCE, **rows)
    answers = ReferenceAnswers(trust, confidence, predicted == split.targets, predicted)
    return summarise(answers, release.threshold), clean


def _write_samples(folder: Path, dataset: Dataset) -> None:
    """A few images of each class as PNG, named after it."""
    folder.mkdir()
    for index, name in enumerate(dataset.classes):
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or f"class-{index}"
        chosen = np.flatnonzero(dataset.reference.targets == index)[:SAMPLES_A_CLASS]
        for number, pixels in enumerate(dataset.reference.pixels(chosen), 1):
            Image.fromarray(pixels.squeeze()).save(folder / f"{slug}-{number}.png")


def _provenance(dataset: Dataset, graphs: WrittenGraphs) -> dict[str, Any]:
    splits = ("train", "oracle", "calibration", "reference", "test")
    return {
        "images": {name: len(getattr(dataset, name)) for name in splits},
        "data_sha256": dataset.fingerprint(),
        "parity": graphs.parity,
        "parity_images": graphs.compared,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "numpy": np.__version__,
        },
    }
