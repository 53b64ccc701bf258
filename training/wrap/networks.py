"""The wrapped classifier as what a bundle is made of: its graph, with or without an oracle's heads in it."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx

from training.bundle.graphs import PARITY_TOLERANCE, ExportError
from training.bundle.networks import WrittenGraphs
from training.wrap.frozen import FrozenClassifier, Outputs
from trust.manifest import CLASSIFIER
from trust.preprocess import Pixels


class WrappedNetworks:
    """A frozen classifier's graph, and what it has to say about a few images."""

    def __init__(self, classifier: FrozenClassifier, temperature: float, pixels: Pixels, wanted: Outputs) -> None:
        """Takes the graph to write, and outputs for some pixels (n, H, W, C) of what it was made of."""
        self.temperature = temperature
        self._classifier, self._pixels, self._wanted = classifier, pixels, wanted

    def write(self, folder: Path) -> WrittenGraphs:
        """Writes `classifier.onnx`; raises an ExportError if it says anything but what was wanted."""
        onnx.save(self._classifier.model, folder / CLASSIFIER)
        found = FrozenClassifier(onnx.load(folder / CLASSIFIER)).run(self._pixels)
        parity = {name: float(np.abs(found[name] - wanted).max()) for name, wanted in self._wanted.items()}
        for name, difference in parity.items():
            # Logits of any scale come here, those of float16 graphs too.
            allowed = PARITY_TOLERANCE * max(1.0, float(np.abs(self._wanted[name]).max()))
            if not difference <= allowed:
                raise ExportError(
                    f"{name} of {CLASSIFIER} differs by {difference:.2e} from what was wrapped over "
                    f"{len(self._pixels)} images; wanted at most {allowed:.2g}"
                )
        return WrittenGraphs({CLASSIFIER: self._classifier.output_names}, parity)

    def outputs(self, batches: Iterable[Pixels]) -> Outputs:
        """All named outputs over many images, (N, ...) each."""
        return self._classifier.outputs(batches)
