"""BentoML: a service whose method takes a batch, which BentoML puts together by itself.

bentoml serve benchmarks.peers.bentoml:PairService --port PORT
"""

from pathlib import Path
from typing import Any

import bentoml
import numpy as np

from benchmarks.peers.pair import open_pair


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 1024}, logging={"access": {"enabled": False}})
class PairService:
    """Decodes and answers in BentoML's worker."""

    def __init__(self) -> None:
        self.pair = open_pair()

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=60_000)
    def predict(self, image: list[Path]) -> list[dict[str, Any]]:
        """Label and trust of each file."""
        return self.pair.answer(np.stack([self.pair.decode(path.read_bytes()) for path in image]))
