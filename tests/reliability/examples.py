"""Images that can be told apart by their answers, and the answers they must get."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.tiny import expected_answer, png, quadrants

TOLERANCE = 1e-5
_FORM = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n%b\r\n--b--\r\n'


@dataclass(frozen=True)
class Example:
    """One upload, and what must be said of its image."""

    content_type: str
    body: bytes
    label: str
    confidence: float
    trust: float

    def request(self, request_id: str, headers: bytes = b"") -> bytes:
        """The whole request as it goes over the wire."""
        head = (
            f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(self.body)}\r\nX-Request-ID: {request_id}\r\n"
        )
        return b"".join((head.encode(), headers, b"\r\n", self.body))

    def difference(self, request_id: str, answer: Mapping[str, Any]) -> str | None:
        """In words, how an answer differs from the one wanted; None: it is the one."""
        if (
            answer["request_id"] == request_id
            and answer["label"] == self.label
            and abs(answer["confidence"] - self.confidence) < TOLERANCE
            and abs(answer["trust_probability"] - self.trust) < TOLERANCE
        ):
            return None
        return f"{request_id}: wanted {self.label}, {self.confidence}, {self.trust}; the answer was {dict(answer)}"


def tiny_examples(count: int, seed: int = 0) -> list[Example]:
    """Images for the tiny bundle, their answers by numpy alone; every other one in a form."""
    examples = []
    for number, greys in enumerate(np.random.default_rng(seed).integers(0, 250, (count, 4))):
        image = quadrants(*greys.tolist())
        expected = expected_answer(image)
        examples.append(_example(png(image), number % 2 == 1, expected.label, expected.confidence, expected.trust))
    return examples


def _example(data: bytes, as_form: bool, label: str, confidence: float, trust: float) -> Example:
    content_type, body = ("multipart/form-data; boundary=b", _FORM % data) if as_form else ("image/png", data)
    return Example(content_type, body, label, float(confidence), float(trust))


def bundle_examples(bundle: Path, count: int) -> list[Example]:
    """Noise for any bundle, each answered beforehand, alone, by the bundle itself."""
    from service.inference.answer import answer_batch
    from service.inference.bundle import open_bundle
    from service.inference.execution import Execution

    opened = open_bundle(bundle, Execution(device="cpu", threads=1, networks="in_turn"))
    channels, height, width = opened.manifest.preprocess.input_size
    shape = (count, height, width) if channels == 1 else (count, height, width, channels)
    examples = []
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, shape, np.uint8)):
        (answer,) = answer_batch(opened, opened.manifest.threshold, [pixels.reshape(height, width, channels)])
        label = opened.manifest.classes[answer.class_index]
        examples.append(_example(png(pixels), number % 2 == 1, label, answer.confidence, answer.trust))
    opened.sessions.close()
    return examples
