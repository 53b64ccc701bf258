"""Gives a bundle made before there were image statistics its own: weights, trust and version stay as they are."""

from pathlib import Path
from typing import Any

import numpy as np

from training.bundle.placing import rewriting
from training.bundle.reduced_jpeg import reducing
from training.bundle.served import original_dataset
from training.image_novelty import fit_image_novelty
from trust.manifest import MANIFEST, REFERENCE, BundleError, Manifest, digest_file, read_manifest, verify_files


def write_image_reference(bundle: Path, cache: Path, moved_to: str | None = None) -> int:
    """Adds image statistics to the manifest and image_novelty to the reference; of how many images.

    Args:
        bundle: its folder, changed whole or not at all.
        cache: folder for decoded images and downloads.
        moved_to: where the data is now that the bundle was made with, if not where it was.

    Raises:
        BundleError: no bundle there, files that are not what was exported, or data that it was not made with.
        ValueError: data that cannot be had.
    """
    manifest = read_manifest(bundle)
    verify_files(bundle, manifest)
    # As it was exported: in full, whatever has been allowed since.
    exported = manifest.model_copy(update={"preprocess": reducing(manifest.preprocess, None)})
    dataset = original_dataset(exported, cache, moved_to)
    if dataset.fingerprint() != manifest.provenance["data_sha256"]:
        raise BundleError(f"{dataset.name} holds other images than {bundle} was made with; give those with --moved-to")
    clean, novelties = fit_image_novelty(dataset.calibration.batches(), dataset.reference.batches())
    with rewriting(bundle, bundle) as draft:
        with np.load(draft / REFERENCE) as arrays:
            rows: dict[str, Any] = dict(arrays) | {"image_novelty": novelties}
        np.savez_compressed(draft / REFERENCE, **rows)
        files = manifest.files | {REFERENCE: digest_file(draft / REFERENCE)}
        # Made anew, not copied with changes: so it is validated.
        written = Manifest.model_validate(dict(manifest) | {"image_statistics": clean, "files": files})
        (draft / MANIFEST).write_text(written.model_dump_json(indent=2) + "\n")
    return len(novelties)
