"""ResNet-18 bundles with random weights, by the project's own exporter: what they say is noise, what they cost is not.

As a pair of two networks, with the oracle's heads on the classifier's features, and the classifier by itself.
"""

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.serving.photographs import crops
from training.bundle.export import GOLDEN_TOLERANCE, version_of
from training.bundle.networks import TorchNetworks
from training.bundle.reference import ReferenceAnswers, summarise
from training.classifier.network import Classifier, build_backbone, data_config
from training.data.dataset import Split
from training.image_novelty import fit_image_novelty
from training.novelty import fit_novelty
from training.oracle.network import empty_oracle
from training.oracle.recipes import RECIPES
from training.pair import ClassifierGraph, Pair
from trust.head import NoveltyGate, TrustHead, trust_probability
from trust.manifest import (
    CLASSIFIER,
    GOLDEN,
    MANIFEST,
    ORACLE,
    REFERENCE,
    BundleError,
    Manifest,
    Threshold,
    digest_file,
    read_manifest,
    verify_files,
)

Kind = Literal["pair", "shared", "label"]

BACKBONE = "resnet18"
CLASSES = 1000
CPU = torch.device("cpu")
CROPS = 64

_GATE = NoveltyGate(midpoint=2.0, steepness=3.0, weights=(1.0, 0.1, 0.1), bias=0.0)
_HEAD = TrustHead(
    inputs=("own_log_odds", "confidence_log_odds", "oracle_logit"), weights=(0.1, 0.9, 0.1), bias=0.0, gate=_GATE
)
_LABEL_HEAD = TrustHead(inputs=("confidence_log_odds",), weights=(1.0,), bias=0.0)
"""Softmax confidence: what a bundle says that has nothing but a classifier."""


class LabelGraph(ClassifierGraph):
    """The classifier as it would be served alone: logits and probabilities."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        logits = self.classifier(images)
        return {"logits": logits, "probabilities": (logits / self.temperature).softmax(1)}


def resnet18_bundle(folder: Path, kind: Kind) -> Path:
    """The bundle of a kind, `<folder>/resnet18-<kind>`; made where it is not there, in half a minute."""
    place = folder / f"{BACKBONE}-{kind}"
    try:
        verify_files(place, read_manifest(place))
    except BundleError:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        _write(place, kind)
    return place


def _write(place: Path, kind: Kind) -> None:
    torch.manual_seed(0)
    spec = data_config(BACKBONE, None)
    pixels = crops(CROPS, spec.input_size[1])
    networks = TorchNetworks(_pair(kind, pixels), pixels[:8])
    head = _LABEL_HEAD if kind == "label" else _HEAD
    graphs = networks.write(place)
    outputs = networks.outputs([pixels])
    trust, predicted = trust_probability(head, outputs), outputs["logits"].argmax(1)
    golden: dict[str, Any] = {name: output[:4] for name, output in outputs.items()}
    np.savez(place / GOLDEN, **golden, image=pixels[:4], trust=trust[:4])
    confidence = outputs["probabilities"].max(1).astype(float)
    image_statistics, image_novelty = fit_image_novelty([pixels], [pixels])
    rows: dict[str, Any] = {"trust": trust, "confidence": confidence, "predicted": predicted, "target": predicted}
    rows |= {"image_novelty": image_novelty}
    rows |= {name: outputs[name] for name in ("novelty",) if name in outputs}
    np.savez(place / REFERENCE, **rows)
    files = {name: digest_file(place / name) for name in (*graphs.outputs, GOLDEN, REFERENCE)}
    threshold = Threshold(value=0.5, statement="random weights; promises nothing")
    manifest = Manifest(
        name=place.name,
        version=version_of(files, head),
        description="ResNet-18 with random weights, to measure what it costs",
        classes=tuple(f"class {number}" for number in range(CLASSES)),
        preprocess=spec,
        classifier_outputs=graphs.outputs[CLASSIFIER],
        oracle_outputs=graphs.outputs.get(ORACLE, ()),
        temperature=networks.temperature,
        trust_head=head,
        threshold=threshold,
        reference=summarise(ReferenceAnswers(trust, confidence, predicted == predicted, predicted), threshold),
        image_statistics=image_statistics,
        golden_tolerance=GOLDEN_TOLERANCE,
        files=files,
        provenance={"weights": "random"},
        results={},
    )
    (place / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")


def _pair(kind: Kind, pixels: np.ndarray) -> Pair:
    spec = data_config(BACKBONE, None)
    classifier = Classifier(build_backbone(BACKBONE, CLASSES, 3), spec).eval()
    split = Split(pixels, np.arange(CROPS), np.arange(CROPS) % 4)
    graph = LabelGraph if kind == "label" else ClassifierGraph
    with torch.inference_mode():
        novelty = fit_novelty(classifier, split, CLASSES, CPU)
    recipe = RECIPES["shared" if kind == "shared" else "default"]
    oracles = {} if kind == "label" else {"oracle": empty_oracle(classifier, recipe).eval()}
    return Pair(graph(classifier, novelty, temperature=1.0).eval(), oracles, CPU)
