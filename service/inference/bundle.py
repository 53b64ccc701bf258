"""A bundle folder, opened: manifest read, files verified, both graphs checked, golden batch replayed."""

import io
import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.inference.execution import Execution
from service.inference.sessions import SessionPair, open_sessions
from trust.head import trust_probability
from trust.manifest import GOLDEN, REFERENCE, BundleError, Manifest, read_file, read_manifest, verify_files

_logger = logging.getLogger("trustserve")


@dataclass(frozen=True)
class Bundle:
    """One pair of networks, ready to answer."""

    path: Path
    manifest: Manifest
    sessions: SessionPair


def open_bundle(path: Path, execution: Execution | None = None) -> Bundle:
    """The bundle of a folder, proven to answer here as it answered where it was exported.

    Args:
        path: the folder.
        execution: how the networks are to run; by default as runs best here.

    Raises:
        BundleError: the folder is missing, a file differs from the manifest, or the replay differs.
    """
    bundle = load_bundle(path, execution)
    check_golden(bundle, golden_differences(bundle))
    manifest = bundle.manifest
    _logger.info("%s %s: %s", manifest.name, manifest.version, bundle.sessions.statement)
    return bundle


def load_bundle(path: Path, execution: Execution | None = None) -> Bundle:
    """The bundle of a folder, its files verified and its graphs open, before the replay.

    Raises:
        BundleError: the folder is missing, or a file differs from the manifest.
    """
    manifest = read_manifest(path)
    verify_files(path, manifest)
    return Bundle(path, manifest, open_sessions(path, manifest, execution or Execution()))


def golden_differences(bundle: Bundle) -> dict[str, float]:
    """Largest absolute difference between here and the exporting side, by output, `trust` the last.

    Raises:
        BundleError: the golden batch is no file of arrays, or lacks one.
    """
    golden = _read_arrays(bundle, GOLDEN)
    outputs = {"image", "trust", *bundle.manifest.classifier_outputs, *bundle.manifest.oracle_outputs}
    if absent := outputs - golden.keys():
        raise BundleError(f"{bundle.path / GOLDEN} lacks {sorted(absent)}; export the bundle again")
    replayed = bundle.sessions.run(golden["image"])
    replayed["trust"] = trust_probability(bundle.manifest.trust_head, replayed)
    return {name: _largest_difference(replayed[name], golden[name]) for name in replayed}


def check_golden(bundle: Bundle, differences: dict[str, float]) -> None:
    """Accepts a replay whose differences all lie within the manifest's tolerance.

    Raises:
        BundleError: one does not.
    """
    tolerance = bundle.manifest.golden_tolerance
    name, difference = max(differences.items(), key=lambda item: item[1])
    if difference > tolerance:
        raise BundleError(
            f"{bundle.path} answers differently here than where it was exported: {name} differs by {difference:.3g}, "
            f"allowed is {tolerance:g}; export the bundle again with this version of onnxruntime"
        )


def read_reference(bundle: Bundle) -> dict[str, NDArray[Any]]:
    """Columns about the bundle's reference images, (M,) each: see `trust.manifest`.

    Raises:
        BundleError: the file holds no arrays.
    """
    return _read_arrays(bundle, REFERENCE)


def _read_arrays(bundle: Bundle, name: str) -> dict[str, NDArray[Any]]:
    data = read_file(bundle.path, bundle.manifest, name)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{bundle.path / name} is not a file of arrays: {error}; export the bundle again") from error


def _largest_difference(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Infinite where the shapes differ or a value is not a number."""
    if found.shape != wanted.shape:
        return float("inf")
    difference = float(np.abs(found.astype(float) - wanted).max(initial=0.0))
    return float("inf") if np.isnan(difference) else difference
