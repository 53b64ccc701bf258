"""LitServe: the pair as a LitAPI; the command line says how it batches.

python -m benchmarks.peers.litserve PORT --batch 32 --workers 2 --fast-queue
"""

import argparse
from typing import Any

import litserve as ls
import numpy as np
from fastapi import Request

from benchmarks.peers.pair import open_pair
from trust.preprocess import Pixels


class PairAPI(ls.LitAPI):
    """Decodes and answers in LitServe's inference worker."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        self.pair = open_pair()

    def decode_request(self, request: Request) -> Pixels:
        return self.pair.decode(request["image"].file.read())

    def batch(self, inputs: list[Pixels]) -> Any:
        return np.stack(inputs)

    def predict(self, x: Any) -> Any:
        """One image, or a batch of them where LitServe batches."""
        return self.pair.answer(x) if x.ndim == 4 else self.pair.answer(x[None])[0]

    def unbatch(self, output: Any) -> Any:
        return output

    def encode_response(self, output: Any) -> Any:
        return output


def main() -> None:
    """Serves until ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--wait-seconds", type=float, default=0.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--fast-queue", action="store_true")
    chosen = parser.parse_args()
    api = PairAPI(max_batch_size=chosen.batch, batch_timeout=chosen.wait_seconds)
    server = ls.LitServer(
        api, accelerator="cpu", workers_per_device=chosen.workers, fast_queue=chosen.fast_queue, timeout=60
    )
    server.run("127.0.0.1", chosen.port, generate_client_file=False, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
