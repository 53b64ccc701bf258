"""A bundle measured as it is: its own graphs run by onnxruntime, on the data it was made with or on other data."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from training.data.dataset import Dataset
from training.data.sources import Labelled, load_dataset, open_labelled, split_labelled
from training.evaluation.conditions import Condition
from training.evaluation.content import Served, report_content
from training.evaluation.scorers import OracleRows, Views, fit_scorers
from training.evaluation.table import Results, evaluate
from training.outputs import Outputs
from training.report.content import ReportContent
from training.wrap.frozen import FrozenClassifier
from trust.head import fused_logit, sigmoid
from trust.manifest import CLASSIFIER, ORACLE, Gate, Manifest, read_manifest, verify_files
from trust.preprocess import Pixels

_VIEW = "served"


class ServedGraphs:
    """Both graphs of a bundle, or the one that it has."""

    def __init__(self, bundle: Path, manifest: Manifest, threads: int = 1) -> None:
        files = (CLASSIFIER, ORACLE) if manifest.oracle_outputs else (CLASSIFIER,)
        self._graphs = [FrozenClassifier(onnx.load(bundle / file), threads) for file in files]

    def outputs(self, batches: Iterable[Pixels]) -> Outputs:
        """All named outputs over many images, (N, ...) each."""
        parts: list[dict[str, Any]] = [
            {name: output for graph in self._graphs for name, output in graph.run(pixels).items()} for pixels in batches
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def evaluate_bundle(bundle: Path, data: str | None, cache: Path, threads: int = 1) -> tuple[Results, ReportContent]:
    """Every method's measures by what the bundle's graphs say, and what a report of it is written from.

    Args:
        bundle: its folder.
        data: labelled images that the classifier was not trained on, as for `wrap`; by default what the bundle was
            made with, split as it was then.
        cache: folder for decoded images and downloads.
        threads: of each graph.

    Raises:
        BundleError: no bundle there, or files that are not what was exported.
        ValueError: data that cannot be had, or whose classes are not the bundle's.
    """
    manifest = read_manifest(bundle)
    verify_files(bundle, manifest)
    made_with: Any = manifest.provenance["config"]
    dataset, seed = bundle_dataset(manifest, data, cache), int(made_with["seed"])
    graphs = ServedGraphs(bundle, manifest, threads)
    promise = manifest.threshold.risk or 0.02, manifest.threshold.confidence or 0.95

    def outputs_of(condition: Condition) -> Views:
        return {_VIEW: graphs.outputs(condition.batches())}

    scorers = fit_scorers(outputs_of, {_VIEW: OracleRows(manifest.trust_head)}, dataset, *promise)
    results, answers = evaluate(outputs_of, scorers, dataset.test, seed)
    clean = graphs.outputs(dataset.test.batches())
    served = Served(
        name=manifest.name,
        description=manifest.description,
        facts={"version": manifest.version, "data": data or str(made_with["data"]), "images": f"{len(dataset.test):,}"},
        threshold=manifest.threshold,
        gate=manifest.gate or Gate(promoted=False, serves="oracle", statement="No gate was asked."),
        uncalibrated=sigmoid(fused_logit(manifest.trust_head, clean)),
    )
    return results, report_content(results, answers, dataset, served)


def bundle_dataset(manifest: Manifest, data: str | None, cache: Path) -> Dataset:
    """The images that a bundle was made with, split as they were then, or other ones, split the same way.

    Raises:
        ValueError: data that cannot be had, or whose classes are not the bundle's.
    """
    if data is None:
        return original_dataset(manifest, cache)
    made_with: Any = manifest.provenance["config"]
    return _other_dataset(manifest, data, int(made_with["seed"]), cache)


def original_dataset(manifest: Manifest, cache: Path, moved_to: str | None = None) -> Dataset:
    """The data that a bundle was made with, split as it was then.

    Args:
        manifest: of the bundle.
        cache: folder for decoded images and downloads.
        moved_to: where the data is now, if not where it was.
    """
    made_with: Any = manifest.provenance["config"]
    source, seed, spec = moved_to or made_with["data"], int(made_with["seed"]), manifest.preprocess
    if "wrapped" in manifest.provenance:
        return _other_dataset(manifest, source, seed, cache)
    return load_dataset(source, spec, seed, cache, side=spec.input_size[1])


def _other_dataset(manifest: Manifest, source: str, seed: int, cache: Path) -> Dataset:
    """Data that the classifier was not trained on."""
    labelled = open_labelled(source, manifest.preprocess, cache)
    return split_labelled(_in_order(labelled, manifest.classes), seed)


def _in_order(labelled: Labelled, classes: tuple[str, ...]) -> Labelled:
    """The same images, their targets counted as the bundle counts its classes."""
    if absent := sorted(set(labelled.classes) - set(classes)):
        raise ValueError(
            f"{labelled.name} has classes that the bundle does not know: {', '.join(absent[:5])}; wanted folders named "
            f"after its own, such as {', '.join(classes[:5])}"
        )
    position = np.array([classes.index(name) for name in labelled.classes])
    return replace(
        labelled, classes=classes, images=replace(labelled.images, targets=position[labelled.images.targets])
    )
