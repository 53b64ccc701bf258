"""A tiny bundle whose answers anyone can compute by hand, written with onnx.helper alone.

Images are 4 x 4 and grey. With m the mean of a quadrant's pixels in [0, 1], the classifier's logits are 8 m of the
quadrants top left, top right and bottom left: "up-left", "up-right", "down-left". The oracle's logit is
4 (m of the bottom right quadrant) - 1; its novelty is the mean of all pixels.
"""

import io
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from trust.head import TrustHead
from trust.image_statistics import CleanStatistics
from trust.manifest import Manifest, ReferenceSummary, Threshold, digest_file
from trust.preprocess import Preprocess

CLASSES = ("up-left", "up-right", "down-left")
THRESHOLD = 0.6


def quadrant_means(image: np.ndarray) -> np.ndarray:
    """Means of the four 2 x 2 quadrants in reading order, in [0, 1]; image (4, 4)."""
    return image.reshape(2, 2, 2, 2).mean(axis=(1, 3)).ravel() / 255


def expected_answer(image: np.ndarray) -> SimpleNamespace:
    """What the tiny bundle says of a (4, 4) image, by numpy alone."""
    means = quadrant_means(image)
    logits = 8 * means[:3]
    probabilities = np.exp(logits) / np.exp(logits).sum()
    predicted = int(logits.argmax())
    confidence = probabilities[predicted]
    # The head of the tiny bundle: half the classifier's log-odds, the whole oracle logit, bias -0.5.
    logit = 0.5 * np.log(confidence / (1 - confidence)) + (4 * means[3] - 1) - 0.5
    trust = 1 / (1 + np.exp(-logit))
    return SimpleNamespace(
        class_index=predicted,
        label=CLASSES[predicted],
        confidence=confidence,
        probabilities=probabilities,
        trust=trust,
        decision="trust" if trust >= THRESHOLD else "untrust",
    )


def quadrants(up_left: int, up_right: int, down_left: int, down_right: int) -> np.ndarray:
    """A (4, 4) image of four plain quadrants."""
    return np.kron([[up_left, up_right], [down_left, down_right]], np.ones((2, 2))).astype(np.uint8)


def png(image: np.ndarray) -> bytes:
    """An array as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def reference_answers() -> dict[str, np.ndarray]:
    """100 made-up answers; expected question-answer trust .9275 where trusted, .5 where not.

    Trust .975 (trusted, 2 of 80 wrong) or .5 (untrusted, 8 of 20 wrong), confidence .95 or .7; 40 answers "up-left",
    40 "up-right" and the 20 untrusted ones "down-left"; novelty .005, .015, ... .995.
    """
    trusted = np.arange(100) < 80
    wrong = np.isin(np.arange(100), [0, 40, *range(80, 88)])
    predicted = np.repeat([0, 1, 2], [40, 40, 20])
    return {
        "trust": np.where(trusted, 0.975, 0.5),
        "confidence": np.where(trusted, 0.95, 0.7),
        "predicted": predicted,
        "target": np.where(wrong, (predicted + 1) % 3, predicted),
        "novelty": np.arange(0.005, 1, 0.01),
    }


def write_tiny_bundle(folder: Path) -> Path:
    """Writes the bundle described above and gives back its folder."""
    (folder / "samples").mkdir(parents=True)
    (folder / "samples" / "up-right.png").write_bytes(png(quadrants(10, 250, 20, 200)))
    (folder / "samples" / "up-left.png").write_bytes(png(quadrants(200, 50, 20, 10)))
    (folder / "README.md").write_text("# tiny\n")
    _save(_classifier(), folder / "classifier.onnx")
    _save(_oracle(), folder / "oracle.onnx")
    _write_golden(folder / "golden.npz")
    np.savez(folder / "reference.npz", **reference_answers())
    names = ["classifier.onnx", "oracle.onnx", "golden.npz", "reference.npz", "README.md"]
    names += [f"samples/{path.name}" for path in sorted((folder / "samples").iterdir())]
    manifest = Manifest(
        name="tiny",
        version="1.0.0",
        description="Which quadrant is the brightest.",
        classes=CLASSES,
        preprocess=Preprocess(input_size=(1, 4, 4), mean=(0.0,), std=(1.0,), interpolation="nearest"),
        classifier_outputs=("logits", "probabilities", "novelty"),
        oracle_outputs=("oracle_logit",),
        temperature=1.0,
        trust_head=TrustHead(inputs=("confidence_log_odds", "oracle_logit"), weights=(0.5, 1.0), bias=-0.5),
        threshold=Threshold(value=THRESHOLD, statement="chosen by hand; promises nothing"),
        reference=ReferenceSummary(
            images=100,
            accuracy=0.9,
            net_trust_score=0.85,
            net_trust_score_estimate=0.842,
            mean_trust=0.88,
            mean_trust_lower=0.8426,
            mean_confidence=0.9,
            trust_rate=0.8,
        ),
        golden_tolerance=1e-4,
        files={name: digest_file(folder / name) for name in names},
        provenance={"recipe": "by hand"},
        results={},
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json(indent=1))
    return folder


def take_oracle_out(folder: Path) -> None:
    """Makes of the tiny bundle one whose trust is the classifier's margin, without an oracle network."""
    golden = dict(np.load(folder / "golden.npz"))
    largest = np.sort(golden["probabilities"], axis=1)
    golden["trust"] = 1 / (1 + np.exp(-(largest[:, -1] - largest[:, -2])))
    del golden["oracle_logit"]
    np.savez(folder / "golden.npz", **golden)
    (folder / "oracle.onnx").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]["oracle.onnx"]
    head = {"inputs": ["margin"], "weights": [1.0], "bias": 0.0}
    gate = {"promoted": False, "serves": "margin", "statement": "The oracle was not promoted: margin serves."}
    manifest |= {"oracle_outputs": [], "trust_head": head, "gate": gate}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    edit_manifest(folder)


def give_image_statistics(folder: Path) -> None:
    """Makes of the tiny bundle one that tells bright images from its reference, whose grey levels are 1, 2, ... 100.

    Image novelty is log(1 + grey), with grey the mean of all pixels but the last row and column.
    """
    whitening = np.zeros((9, 9))
    whitening[8, 0] = 1
    clean = CleanStatistics(centre=(math.log(1 / 255),) * 9, whitening=whitening.tolist())
    novelties = np.log(1 + np.arange(1, 101))
    np.savez(folder / "reference.npz", **reference_answers(), image_novelty=novelties)
    edit_manifest(folder, image_statistics=clean)


def edit_manifest(folder: Path, **changes: Any) -> None:
    """Overwrites top-level entries of a bundle's manifest; `files` are digested anew."""
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    files = {name: digest_file(folder / name) for name in manifest.files}
    changed = manifest.model_copy(update={"files": files, **changes})
    (folder / "manifest.json").write_text(changed.model_dump_json())


def _classifier() -> onnx.GraphProto:
    weights = np.zeros((16, 3), np.float32)
    for k, (top, left) in enumerate([(0, 0), (0, 2), (2, 0)]):
        quadrant = np.zeros((4, 4), np.float32)
        quadrant[top : top + 2, left : left + 2] = 8 / 4 / 255
        weights[:, k] = quadrant.ravel()
    nodes = [
        *_flat_pixels(),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ReduceMean", ["flat", "last"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "peak"], ["novelty"]),
    ]
    constants = {"weights": weights, "last": np.array([1]), "peak": np.array(255, np.float32)}
    outputs = {"logits": ["N", 3], "probabilities": ["N", 3], "novelty": ["N"]}
    return _graph("classifier", nodes, constants, outputs)


def _oracle() -> onnx.GraphProto:
    quadrant = np.zeros((4, 4), np.float32)
    quadrant[2:, 2:] = 4 / 4 / 255
    nodes = [
        *_flat_pixels(),
        helper.make_node("MatMul", ["flat", "weights"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "one"], ["oracle_logit"]),
    ]
    constants = {"weights": quadrant.ravel(), "one": np.array(1, np.float32)}
    return _graph("oracle", nodes, constants, {"oracle_logit": ["N"]})


def _flat_pixels() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
    ]


def _graph(
    name: str, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], outputs: dict[str, list[Any]]
) -> onnx.GraphProto:
    return helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 4, 4, 1])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape) for output, shape in outputs.items()],
        [numpy_helper.from_array(value, constant) for constant, value in constants.items()],
    )


def _save(graph: onnx.GraphProto, path: Path) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _write_golden(path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4), np.uint8)
    means = np.stack([quadrant_means(image) for image in images])
    expected = [expected_answer(image) for image in images]
    np.savez(
        path,
        image=images[..., None],
        logits=8 * means[:, :3],
        probabilities=np.stack([each.probabilities for each in expected]),
        novelty=images.mean(axis=(1, 2)) / 255,
        oracle_logit=4 * means[:, 3] - 1,
        trust=np.array([each.trust for each in expected]),
    )
