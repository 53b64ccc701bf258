"""The bundle's manifest: everything the service must know about a pair of networks beside their weights.

A bundle is a folder: manifest.json, classifier.onnx, oracle.onnx, golden.npz (inputs with the training side's
outputs), reference.npz (what the monitor compares with), results.json (what was measured), README.md (the card),
report/ and samples/. Both graphs take `image`, uint8 (N, H, W, C) with N dynamic. Without an oracle network there is no
oracle.onnx: trust is then a post-hoc score of the logits, or the classifier's graph carries the oracle's heads too.

reference.npz has columns over the reference images: trust, confidence, predicted, target and, where the bundle measures
them, novelty (by the classifier's graph) and image_novelty (by the pixels alone, with the manifest's image_statistics).
"""

import hashlib
from pathlib import Path, PurePosixPath
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from trust.head import TrustHead
from trust.image_statistics import WITHOUT_CHANNELS, CleanStatistics
from trust.preprocess import Preprocess

MANIFEST = "manifest.json"
CLASSIFIER = "classifier.onnx"
ORACLE = "oracle.onnx"
GOLDEN = "golden.npz"
REFERENCE = "reference.npz"
RESULTS = "results.json"
REPORT = "report"

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

OracleOutput = Literal["oracle_logit", "oracle_class_logits"]
ClassifierOutput = Literal["logits", "probabilities", "features", "novelty"] | OracleOutput


class BundleError(Exception):
    """The bundle is missing, incomplete or not what its manifest says."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileDigest(_Frozen):
    """One file of the bundle as it was exported."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Threshold(_Frozen):
    """From which trust on an answer is trusted, and what that promises."""

    value: float = Field(ge=0, le=1)
    statement: str = Field(description="the promise, or why none could be made, in one sentence")
    risk: float | None = Field(None, description="promised bound on the error rate among trusted answers")
    confidence: float | None = Field(None, description="probability over calibration draws that the promise holds")
    coverage: float | None = Field(None, description="share of clean images trusted, where it was chosen")
    by_class: tuple[float, ...] | None = Field(None, description="one for each predicted class, instead of the value")

    def of(self, predicted: ArrayLike) -> NDArray[np.float64]:
        """The threshold that each answer is held against, (N,), by its predicted class (N,)."""
        predicted = np.asarray(predicted, int)
        if self.by_class is None:
            return np.full(predicted.shape, self.value)
        return np.take(self.by_class, predicted)


class Difference(_Frozen):
    """What trust is above softmax confidence, with its 95 % interval by paired bootstrap."""

    value: float
    low: float
    high: float


class Gate(_Frozen):
    """Whether the oracle was shown to be worth serving, on the reference images."""

    promoted: bool = Field(description="not worse than softmax confidence on clean images, and better under shift")
    forced: bool = Field(False, description="served although not promoted, because somebody said so")
    serves: str = Field(description="what trust is made of: the oracle, or the name of a post-hoc score")
    statement: str
    clean: Difference | None = Field(None, description="AUROC, clean images")
    shifted: Difference | None = Field(None, description="AUROC, mean over kinds of corruption it never met")


class ReferenceSummary(_Frozen):
    """Clean images that neither fitted nor calibrated the trust head; arrays stand in reference.npz."""

    images: int = Field(gt=0)
    accuracy: float
    net_trust_score: float
    net_trust_score_estimate: float
    mean_trust: float
    mean_trust_lower: float = Field(description="lower end of the 95 % interval of mean trust")
    mean_confidence: float
    trust_rate: float


class Manifest(_Frozen):
    """One bundle's description; the file is its JSON."""

    format: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    version: str = Field(pattern=NAME_PATTERN)
    description: str
    classes: tuple[str, ...] = Field(min_length=2, description="names, in the order of the logits")
    preprocess: Preprocess
    classifier_outputs: tuple[ClassifierOutput, ...]
    oracle_outputs: tuple[OracleOutput, ...]
    temperature: float = Field(gt=0, description="the graph's probabilities are softmax(logits / temperature)")
    trust_head: TrustHead
    threshold: Threshold
    gate: Gate | None = None
    reference: ReferenceSummary
    image_statistics: CleanStatistics | None = Field(
        None, description="what reference.npz's image_novelty is made with; absent: no image is told strange by it"
    )
    golden_tolerance: float = Field(gt=0, description="largest absolute difference allowed on replay")
    files: dict[str, FileDigest]
    provenance: dict[str, JsonValue] = Field(description="recipe, seed, versions, data fingerprint, parity")
    results: dict[str, JsonValue] = Field(description="summary of the measured; the whole is in results.json")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        present = {*self.classifier_outputs, *self.oracle_outputs}
        missing = (self.trust_head.needs | {"logits", "probabilities"}) - present
        if missing:
            raise ValueError(f"outputs {sorted(missing)} are needed but neither graph gives them")
        oracle = {ORACLE} if self.oracle_outputs else set()
        if absent := ({CLASSIFIER, GOLDEN, REFERENCE} | oracle) - self.files.keys():
            raise ValueError(f"files {sorted(absent)} are not listed")
        if outside := [name for name in self.files if not _is_inside(name)]:
            raise ValueError(f"files {sorted(outside)} do not lie in the bundle; wanted names like report/index.html")
        if self.threshold.by_class is not None and len(self.threshold.by_class) != len(self.classes):
            raise ValueError(f"{len(self.threshold.by_class)} thresholds by class for {len(self.classes)} classes")
        channels = self.preprocess.input_size[0]
        if self.image_statistics and len(self.image_statistics.centre) != WITHOUT_CHANNELS + channels:
            raise ValueError(f"image statistics of {channels} channels are {WITHOUT_CHANNELS + channels}")
        return self


def read_manifest(bundle: Path) -> Manifest:
    """The manifest of a bundle folder.

    Raises:
        BundleError: no such folder, no manifest in it, or one that does not validate.
    """
    path = bundle / MANIFEST
    try:
        data = path.read_bytes() if path.is_file() else None
    # A name that is too long, a folder that may not be read.
    except OSError as error:
        raise BundleError(f"{str(path)[:200]} cannot be read: {error.strerror}; choose another folder") from error
    if data is None:
        raise BundleError(
            f"no bundle at {bundle}: {MANIFEST} not found; wanted a folder that `trustserve-train export` wrote"
        )
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise BundleError(
            f"{path} is not a valid manifest: {where}: {first['msg']}; export the bundle again"
        ) from error


def verify_files(bundle: Path, manifest: Manifest) -> None:
    """Compares each file's size and SHA-256 with the manifest.

    Raises:
        BundleError: a file is missing, differs, or is a link to somewhere else.
    """
    for name, wanted in manifest.files.items():
        path = _existing(bundle, name)
        _compare(path, digest_file(path), wanted)


def read_file(bundle: Path, manifest: Manifest, name: str) -> bytes:
    """A file of the bundle, which is to be used: these very bytes are the ones that were exported.

    Raises: as `verify_files`.
    """
    path = _existing(bundle, name)
    data = path.read_bytes()
    _compare(path, FileDigest(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)), manifest.files[name])
    return data


def digest_file(path: Path) -> FileDigest:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return FileDigest(sha256=hashlib.file_digest(file, "sha256").hexdigest(), bytes=path.stat().st_size)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    # On Windows a backslash parts folders and a colon ends the drive.
    return path.name != "" and not path.is_absolute() and ".." not in path.parts and not set(name) & set("\\:\0")


def _existing(bundle: Path, name: str) -> Path:
    path = bundle / name
    if not path.is_file():
        raise BundleError(f"{path} is missing; the bundle is incomplete, copy or export it again")
    if not path.resolve().is_relative_to(bundle.resolve()):
        raise BundleError(f"{path} is a link to {path.resolve()}, outside the bundle; copy the file itself")
    return path


def _compare(path: Path, found: FileDigest, wanted: FileDigest) -> None:
    if found != wanted:
        raise BundleError(
            f"{path} is not the file that was exported: sha256 {found.sha256[:12]} ({found.bytes} bytes), "
            f"wanted {wanted.sha256[:12]} ({wanted.bytes} bytes); copy or export the bundle again"
        )
