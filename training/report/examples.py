"""The classes that earn least trust, with the images that mislead most."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.report.content import ReportContent
from training.report.section import Example, Gallery, Section, number, percent
from trust.preprocess import Pixels
from trust.score import question_answer_trust, trust_spectrum

Integers = NDArray[np.int64]

CLASSES = 4
IMAGES = 6
SIDE = 128
"""Larger images are shrunk to this before they are embedded."""


def examples_section(content: ReportContent) -> Section | None:
    """Of each of the least trusted classes the wrong answers of most trust; None without images."""
    if content.images is None:
        return None
    earned = question_answer_trust(content.confidence, content.correct)
    spectrum = trust_spectrum(earned, content.target, len(content.classes))
    worst = np.argsort(spectrum, kind="stable")[: min(CLASSES, int(np.isfinite(spectrum).sum()))]
    chosen = {int(k): _misleading(content, int(k)) for k in worst}
    words = "Test images of the least trusted classes: those answered wrong with the most trust, the dearest mistakes."
    if content.correct.all():
        words = "No answer to a test image was wrong; the right ones of least trust stand here."
    return Section(
        "worst-classes",
        "Where it goes wrong",
        [words],
        galleries=[_gallery(content, k, rows, spectrum[k]) for k, rows in chosen.items()],
        numbers={content.classes[k]: [_said(content, int(i)) for i in rows] for k, rows in chosen.items()},
    )


def _misleading(content: ReportContent, k: int) -> Integers:
    """Positions of a class's wrong answers, most trusted first; where none is wrong, of its least trusted ones."""
    rows = np.flatnonzero((content.target == k) & ~content.correct)
    if len(rows):
        return rows[np.argsort(-content.trust[rows], kind="stable")][:IMAGES]
    rows = np.flatnonzero(content.target == k)
    return rows[np.argsort(content.trust[rows], kind="stable")][:IMAGES]


def _gallery(content: ReportContent, k: int, rows: Integers, trust: float) -> Gallery:
    of_class = content.target == k
    wrong = of_class & ~content.correct
    counts = np.bincount(content.predicted[wrong], minlength=len(content.classes))
    words = f"{percent(content.correct[of_class].mean())} % right, mean question-answer trust {number(trust)}."
    if wrong.any():
        taken = int(counts.argmax())
        words += f" Most often taken for {content.classes[taken]} ({counts[taken]:,} of {int(wrong.sum()):,} mistakes)."
    return Gallery(content.classes[k], words, [_example(content, int(i)) for i in rows])


def _example(content: ReportContent, i: int) -> Example:
    assert content.images is not None
    predicted, target = content.classes[content.predicted[i]], content.classes[content.target[i]]
    lines = [
        f"said {predicted}",
        f"is {target}",
        f"confidence {content.confidence[i]:.2f}",
        f"trust {content.trust[i]:.2f}",
    ]
    pixels = content.images(i)
    return Example(embed(pixels), f"Test image {i}: a {target}, answered {predicted}.", lines)


def embed(pixels: Pixels) -> str:
    """An image (H, W, C) as the address of a PNG inside of the page."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _said(content: ReportContent, i: int) -> dict[str, object]:
    return {
        "test_image": i,
        "predicted": content.classes[content.predicted[i]],
        "target": content.classes[content.target[i]],
        "confidence": float(content.confidence[i]),
        "trust": float(content.trust[i]),
    }
