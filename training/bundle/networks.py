"""What a bundle's graphs are made of: anything that can write them and say what they will say."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from training.bundle.graphs import check_parity, write_graphs
from training.outputs import Outputs
from training.pair import Pair
from trust.preprocess import Pixels


@dataclass(frozen=True)
class WrittenGraphs:
    """The graphs of a bundle, in its folder."""

    outputs: dict[str, tuple[str, ...]]
    """Names of the outputs of each graph, by file."""
    parity: dict[str, float]
    """Largest difference of each output between the graphs and what they were made of."""
    compared: int
    """Images over which that is."""


class Networks(Protocol):
    """A frozen classifier and, perhaps, an oracle."""

    @property
    def temperature(self) -> float:
        """Of the graph's probabilities."""

    def write(self, folder: Path) -> WrittenGraphs:
        """Writes `classifier.onnx` and, where the oracle is a network of its own, `oracle.onnx`.

        Raises:
            ExportError: onnxruntime's answers differ from what they should be.
        """

    def outputs(self, batches: Iterable[Pixels]) -> Outputs:
        """All named outputs of both networks over many images, (N, ...) each."""


class TorchNetworks:
    """A pair of torch networks; its first oracle is the one that is written, or none."""

    def __init__(self, pair: Pair, parity_pixels: Pixels, with_oracle: bool = True) -> None:
        """Takes a pair on the CPU, and images (N, H, W, C) that no network was fitted on to compare with."""
        first = dict(list(pair.oracles.items())[:1]) if with_oracle else {}
        self._pair = Pair(pair.classifier, first, pair.device)
        self._parity_pixels = parity_pixels

    @property
    def temperature(self) -> float:
        return self._pair.classifier.temperature

    def write(self, folder: Path) -> WrittenGraphs:
        outputs = write_graphs(folder, self._pair, self._parity_pixels[:2])
        return WrittenGraphs(outputs, check_parity(folder, self._pair, self._parity_pixels), len(self._parity_pixels))

    def outputs(self, batches: Iterable[Pixels]) -> Outputs:
        return self._pair.served(batches)
