"""Both networks of a bundle run by hand: what a user of onnxruntime, Pillow and numpy would write."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from trust.head import trust_probability
from trust.manifest import CLASSIFIER, ORACLE, read_manifest
from trust.preprocess import Pixels, preprocess

MAX_PIXELS = 50_000_000


class Pair:
    """Decodes an image, runs classifier and oracle one after the other, and says label and trust.

    Args:
        bundle: its folder.
        threads: of each session, which then does not spin for work; None leaves all to onnxruntime.
    """

    def __init__(self, bundle: Path, threads: int | None = None) -> None:
        self._manifest = read_manifest(bundle)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        files = [CLASSIFIER, *([ORACLE] if self._manifest.oracle_outputs else [])]
        self._sessions = [
            onnxruntime.InferenceSession(str(bundle / file), options, providers=["CPUExecutionProvider"])
            for file in files
        ]

    def decode(self, data: bytes) -> Pixels:
        """Pixels of an encoded image, (H, W, C) uint8."""
        return preprocess(data, self._manifest.preprocess, MAX_PIXELS)

    def answer(self, images: NDArray[np.uint8]) -> list[dict[str, Any]]:
        """Label and trust of each image; images (N, H, W, C)."""
        outputs: dict[str, Any] = {}
        for session in self._sessions:
            names = [output.name for output in session.get_outputs()]
            outputs |= dict(zip(names, session.run(names, {"image": images}), strict=True))
        labels = outputs["logits"].argmax(axis=1).tolist()
        trust = trust_probability(self._manifest.trust_head, outputs).tolist()
        return [
            {"label": self._manifest.classes[label], "trust_probability": value}
            for label, value in zip(labels, trust, strict=True)
        ]


def open_pair() -> Pair:
    """The pair that the environment names, its sessions with as many threads as THREADS says."""
    threads = os.environ.get("THREADS")
    return Pair(Path(os.environ["BUNDLE"]), None if threads is None else int(threads))
