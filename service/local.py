"""Answers for files on this machine, without a server: the same pixels, networks and trust head."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.inference.answer import Answer, answer_batch
from service.inference.bundle import Bundle
from trust.manifest import Threshold
from trust.preprocess import ImageError, Pixels, preprocess


@dataclass(frozen=True)
class FileAnswer:
    """The answer to one file, or why there is none."""

    file: Path
    answer: Answer | None = None
    error: str | None = None


def answer_files(
    bundle: Bundle, threshold: Threshold, files: Sequence[Path], max_batch: int, max_pixels: int
) -> Iterator[FileAnswer]:
    """One answer a file, in their order; a file that cannot be read keeps none of the others from theirs."""
    for start in range(0, len(files), max_batch):
        yield from _answer_some(bundle, threshold, files[start : start + max_batch], max_pixels)


def _answer_some(bundle: Bundle, threshold: Threshold, files: Sequence[Path], max_pixels: int) -> Iterator[FileAnswer]:
    pixels: dict[int, Pixels] = {}
    errors: dict[int, str] = {}
    for i, file in enumerate(files):
        try:
            pixels[i] = preprocess(file.read_bytes(), bundle.manifest.preprocess, max_pixels)
        except OSError as error:
            errors[i] = f"cannot be read: {error.strerror}"
        except ImageError as error:
            errors[i] = str(error)
    answers = answer_batch(bundle, threshold, list(pixels.values())) if pixels else []
    answer_of = dict(zip(pixels, answers, strict=True))
    for i, file in enumerate(files):
        yield FileAnswer(file, answer_of.get(i), errors.get(i))
