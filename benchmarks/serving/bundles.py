"""Bundles with random weights, by the project's own exporter: what they say is noise, what they cost is not.

A pair of tiny networks; and ResNet-18 as a pair of two networks, with the oracle's heads on the classifier's features,
and by itself.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.serving.photographs import crops
from benchmarks.serving.servers import ROOT
from training.bundle.export import GOLDEN_TOLERANCE, version_of
from training.bundle.networks import TorchNetworks
from training.bundle.reduced_jpeg import reducing
from training.bundle.reference import ReferenceAnswers, summarise
from training.classifier.network import Classifier, SmallResNet, build_backbone, data_config
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
from trust.preprocess import Preprocess, ReducedJpeg

Kind = Literal["pair", "shared", "label"]

RESNET18 = "resnet18"
CPU = torch.device("cpu")
CROPS = 64
SMALL_SIDE = 28
SMALL_WIDTHS = (8, 16, 24, 48)
"""Multiples of eight, as networks have: onnxruntime computes 14 channels in twice the time of 16."""

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


@dataclass(frozen=True)
class Architecture:
    """What the networks of a bundle are."""

    description: str
    spec: Preprocess
    classes: int
    backbone: Callable[[], nn.Module]


def resnet18_bundle(folder: Path, kind: Kind) -> Path:
    """The bundle of a kind, `<folder>/resnet18-<kind>`; made where it is not there, in half a minute."""
    spec = data_config(RESNET18, None)
    resnet18 = Architecture("ResNet-18", spec, 1000, lambda: build_backbone(RESNET18, 1000, 3))
    return _bundle(folder / f"{RESNET18}-{kind}", kind, resnet18)


def small_bundle(folder: Path) -> Path:
    """Two networks of 1.6 million multiply-adds each, for 28 x 28 grey pixels, `<folder>/small`; made in seconds."""
    spec = Preprocess(input_size=(1, SMALL_SIDE, SMALL_SIDE), mean=(0.5,), std=(0.25,), interpolation="bilinear")
    small = Architecture("a small ResNet", spec, 10, lambda: SmallResNet(10, 1, SMALL_WIDTHS))
    return _bundle(folder / "small", "pair", small)


def with_reduced_jpeg(bundle: Path) -> Path:
    """The same bundle, beside it, which decodes JPEG files at a reduced size as if its answers had been compared."""
    place = bundle.with_name(f"{bundle.name}-reduced-jpeg")
    manifest = read_manifest(bundle)
    spec = reducing(manifest.preprocess, ReducedJpeg())
    version = version_of(manifest.files, manifest.trust_head, spec)
    shutil.copytree(bundle, place, dirs_exist_ok=True)
    reduced = manifest.model_copy(update={"name": place.name, "version": version, "preprocess": spec})
    (place / MANIFEST).write_text(reduced.model_dump_json(indent=2) + "\n")
    return place


def _bundle(place: Path, kind: Kind, architecture: Architecture) -> Path:
    if not _is_current(place):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        _write(place, kind, architecture)
    return place


def _is_current(place: Path) -> bool:
    """Whether the bundle is whole, and was made after what makes it was last changed: else it costs what that cost."""
    try:
        verify_files(place, read_manifest(place))
    except BundleError:
        return False
    sources = [Path(__file__), *(file for folder in ("training", "trust") for file in (ROOT / folder).rglob("*.py"))]
    return (place / MANIFEST).stat().st_mtime > max(file.stat().st_mtime for file in sources)


def _write(place: Path, kind: Kind, architecture: Architecture) -> None:
    torch.manual_seed(0)
    spec = architecture.spec
    pixels = crops(CROPS, spec.input_size[1])
    if spec.input_size[0] == 1:
        pixels = pixels.mean(axis=3, keepdims=True).astype(np.uint8)
    networks = TorchNetworks(_pair(kind, architecture, pixels), pixels[:8])
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
        version=version_of(files, head, spec),
        description=f"{architecture.description} with random weights, to measure what it costs",
        classes=tuple(f"class {number}" for number in range(architecture.classes)),
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


def _pair(kind: Kind, architecture: Architecture, pixels: np.ndarray) -> Pair:
    classifier = Classifier(architecture.backbone(), architecture.spec).eval()
    split = Split(pixels, np.arange(CROPS), np.arange(CROPS) % 4)
    graph = LabelGraph if kind == "label" else ClassifierGraph
    with torch.inference_mode():
        novelty = fit_novelty(classifier, split, architecture.classes, CPU)
    recipe = RECIPES["shared" if kind == "shared" else "default"]
    oracles = {} if kind == "label" else {"oracle": empty_oracle(classifier, recipe).eval()}
    return Pair(graph(classifier, novelty, temperature=1.0).eval(), oracles, CPU)
