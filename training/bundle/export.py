"""Writes a run as a bundle: two ONNX graphs, golden batch, reference profile, samples, card and manifest.

The bundle is written beside its place, checked through onnxruntime, and only then exchanged with what was there: a
crash leaves the old bundle or the new one.
"""

import dataclasses
import hashlib
import json
import platform
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from PIL import Image

from training.bundle.graphs import check_parity, write_graphs
from training.bundle.placing import put_in_place
from training.config import TrainingConfig
from training.data.dataset import Dataset, Split
from training.data.images import to_images, to_pixels
from training.pair import Pair
from training.shift.corruptions import TRAINED_KINDS, UNSEEN_KINDS, corrupt
from trust.head import TrustHead, trust_probability
from trust.manifest import (
    CLASSIFIER,
    GOLDEN,
    MANIFEST,
    ORACLE,
    REFERENCE,
    RESULTS,
    Manifest,
    ReferenceSummary,
    Threshold,
    digest_file,
)
from trust.score import net_trust_score

PARITY_IMAGES = 500
GOLDEN_IMAGES = 8
GOLDEN_TOLERANCE = 0.01
"""Another machine's arithmetic, and fp16 or TF32 on a GPU, may differ by this; a wrong graph differs by far more."""
SAMPLES_A_CLASS = 3


def export_bundle(
    config: TrainingConfig,
    dataset: Dataset,
    pair: Pair,
    head: TrustHead,
    threshold: Threshold,
    results: dict[str, Any],
    card: str,
) -> Path:
    """Writes `models/<name>/` and returns it.

    Args:
        config: of the run; its values go into the manifest.
        dataset: the reference split gives profile, golden batch and samples; test images check parity.
        pair: its first oracle is exported.
        head, threshold: of that oracle.
        results: what the evaluate step measured; its summary goes into the manifest too.
        card: the bundle's README.

    Raises:
        ExportError: onnxruntime's answers differ from torch's by more than the tolerance.
    """
    place = config.models / config.name
    config.models.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{config.name}-", dir=config.models))
    try:
        outputs = write_graphs(draft, pair, dataset.reference.pixels(slice(2)))
        parity = check_parity(draft, pair, dataset.test.pixels(slice(PARITY_IMAGES)))
        _write_golden(draft, pair, head, dataset, config.seed)
        reference = _write_reference(draft, pair, head, dataset, threshold)
        _write_samples(draft / "samples", dataset)
        (draft / "README.md").write_text(card)
        (draft / RESULTS).write_text(json.dumps(results) + "\n")
        names = (CLASSIFIER, ORACLE, GOLDEN, REFERENCE, RESULTS)
        files = {name: digest_file(draft / name) for name in names}
        # Of what gives the answers: new figures in the card make no new model.
        answering = [files[CLASSIFIER].sha256, files[ORACLE].sha256, head.model_dump_json()]
        version = hashlib.sha256("".join(answering).encode()).hexdigest()[:12]
        manifest = Manifest(
            name=config.name,
            version=version,
            description=f"{config.backbone} and its oracle, trained on {dataset.name}",
            classes=dataset.classes,
            preprocess=dataset.preprocess,
            classifier_outputs=outputs[CLASSIFIER],
            oracle_outputs=outputs[ORACLE],
            temperature=pair.classifier.temperature,
            trust_head=head,
            threshold=threshold,
            reference=reference,
            golden_tolerance=GOLDEN_TOLERANCE,
            files=files,
            provenance=_provenance(config, dataset, parity),
            results=results["summary"],
        )
        (draft / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        draft.chmod(0o755)
        put_in_place(draft, place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def _write_golden(folder: Path, pair: Pair, head: TrustHead, dataset: Dataset, seed: int) -> None:
    """Clean and corrupted images with every output and the trust probability, end to end."""
    clean = dataset.reference.pixels(slice(GOLDEN_IMAGES))
    kind = TRAINED_KINDS[0]
    corrupted = to_pixels(corrupt(to_images(clean, torch.device("cpu")), kind, severity=4, seed=seed))
    pixels = np.concatenate([clean, corrupted])
    outputs = next(iter(pair.outputs([pixels]).values()))
    arrays: dict[str, Any] = {"image": pixels, "trust": trust_probability(head, outputs), **outputs}
    np.savez_compressed(folder / GOLDEN, **arrays)


def _write_reference(
    folder: Path, pair: Pair, head: TrustHead, dataset: Dataset, threshold: Threshold
) -> ReferenceSummary:
    """What the monitor compares the live traffic with; one row an image of the reference split."""
    split: Split = dataset.reference
    outputs = next(iter(pair.outputs(split.batches()).values()))
    trust = trust_probability(head, outputs)
    predicted = outputs["logits"].argmax(1)
    confidence = outputs["probabilities"].max(1).astype(float)
    correct = predicted == split.targets
    np.savez_compressed(
        folder / REFERENCE,
        trust=trust.astype(np.float32),
        confidence=confidence.astype(np.float32),
        novelty=outputs["novelty"],
        predicted=predicted.astype(np.int32),
        target=split.targets.astype(np.int32),
    )
    return ReferenceSummary(
        images=len(split),
        accuracy=float(correct.mean()),
        net_trust_score=net_trust_score(confidence, correct),
        net_trust_score_estimate=net_trust_score(confidence, trust),
        mean_trust=float(trust.mean()),
        mean_trust_lower=float(trust.mean() - 1.96 * trust.std(ddof=1) / len(trust) ** 0.5),
        mean_confidence=float(confidence.mean()),
        trust_rate=float((trust >= threshold.value).mean()),
    )


def _write_samples(folder: Path, dataset: Dataset) -> None:
    """A few images of each class as PNG, named after it."""
    folder.mkdir()
    for index, name in enumerate(dataset.classes):
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or f"class-{index}"
        chosen = np.flatnonzero(dataset.reference.targets == index)[:SAMPLES_A_CLASS]
        for number, pixels in enumerate(dataset.reference.pixels(chosen), 1):
            Image.fromarray(pixels.squeeze()).save(folder / f"{slug}-{number}.png")


def _provenance(config: TrainingConfig, dataset: Dataset, parity: dict[str, float]) -> dict[str, Any]:
    recipe = config.oracle_recipe(config.recipe)
    splits = {name: len(getattr(dataset, name)) for name in ("train", "oracle", "calibration", "reference", "test")}
    recorded = {
        key: value for key, value in dataclasses.asdict(config).items() if key not in ("run", "models", "weights")
    }
    return {
        "config": recorded,
        "recipe": dataclasses.asdict(recipe) | {"kinds": list(recipe.kinds)},
        "trained_kinds": list(TRAINED_KINDS),
        "unseen_kinds": list(UNSEEN_KINDS),
        "images": splits,
        "data_sha256": dataset.fingerprint(),
        "parity": parity,
        "parity_images": min(PARITY_IMAGES, splits["test"]),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "numpy": np.__version__,
        },
    }
