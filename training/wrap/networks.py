"""The wrapped classifier as what a bundle is made of: its graph, perhaps with heads in it, perhaps an oracle beside."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx

from training.bundle.graphs import PARITY_TOLERANCE, ExportError
from training.bundle.networks import WrittenGraphs
from training.wrap.frozen import FrozenClassifier, Outputs
from trust.manifest import CLASSIFIER, ORACLE
from trust.preprocess import Pixels


class WrappedNetworks:
    """A frozen classifier's graph and perhaps an oracle's, and what they have to say about a few images."""

    def __init__(
        self,
        classifier: FrozenClassifier,
        temperature: float,
        pixels: Pixels,
        wanted: Outputs,
        oracle: FrozenClassifier | None = None,
    ) -> None:
        """Takes the graphs to write, and outputs for some pixels (n, H, W, C) of what they were made of."""
        self.temperature = temperature
        self._graphs = {CLASSIFIER: classifier} | ({} if oracle is None else {ORACLE: oracle})
        self._pixels, self._wanted = pixels, wanted

    def write(self, folder: Path) -> WrittenGraphs:
        """Writes both graphs; raises an ExportError if they say anything but what was wanted."""
        found: Outputs = {}
        for file, graph in self._graphs.items():
            onnx.save(graph.model, folder / file)
            found |= FrozenClassifier(onnx.load(folder / file)).run(self._pixels)
        parity = {name: float(np.abs(found[name] - wanted).max()) for name, wanted in self._wanted.items()}
        for name, difference in parity.items():
            # Logits of any scale come here, those of float16 graphs too.
            allowed = PARITY_TOLERANCE * max(1.0, float(np.abs(self._wanted[name]).max()))
            if not difference <= allowed:
                raise ExportError(
                    f"{name} differs by {difference:.2e} between the bundle and what was wrapped over "
                    f"{len(self._pixels)} images; wanted at most {allowed:.2g}"
                )
        outputs = {file: graph.output_names for file, graph in self._graphs.items()}
        return WrittenGraphs(outputs, parity, len(self._pixels))

    def outputs(self, batches: Iterable[Pixels]) -> Outputs:
        """All named outputs over many images, (N, ...) each; every image is read once."""
        parts = [self._run(pixels) for pixels in batches]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, pixels: Pixels) -> Outputs:
        return {name: output for graph in self._graphs.values() for name, output in graph.run(pixels).items()}
