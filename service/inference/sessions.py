"""A bundle's networks as onnxruntime sessions: one batch of pixels in, every output of both graphs out."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from service import malloc
from service.inference.batch_size import batch_in_time, largest_batch
from service.inference.execution import Execution
from service.inference.network import Network, Outputs, check_network
from service.inference.providers import CPU, HostMemory, wanted_providers
from service.inference.timing import Clock, seconds_of
from service.inference.tuning import Choice, Plan, choose_plan, possible_plans
from trust.manifest import CLASSIFIER, ORACLE, Manifest, read_file
from trust.preprocess import Pixels


class SessionPair:
    """Classifier and, where the bundle has one, oracle, run on the same batch by one plan."""

    def __init__(self, networks: Mapping[str, Network], plan: Plan, largest_batch: int, image_shape: Sequence[int]):
        """Takes the networks by the name of their file, and the shape (H, W, C) of their images."""
        self.plan = plan
        self.largest_batch = largest_batch
        """Most images that run at once; a longer batch runs in parts."""
        self.statement = ""
        """How the networks run and why, in one sentence."""
        self._classifier, self._oracle = networks[CLASSIFIER], networks.get(ORACLE)
        self._oracle_thread = ThreadPoolExecutor(1, thread_name_prefix="oracle")
        self._memory = HostMemory((largest_batch, *image_shape), self._classifier.provider)
        # Memory and bindings are those of one batch.
        self._one_batch = Lock()

    @property
    def overlaps(self) -> bool:
        """Whether another thread may run the next batch as soon as this one is classified."""
        # On a GPU, memory and bindings are those of one batch.
        return self._oracle is not None and self.plan.parallel and not self.on_gpu

    def run(self, images: Pixels | Sequence[Pixels], classified: Callable[[], None] = lambda: None) -> Outputs:
        """Outputs of both graphs by name, each (N, ...), for images (N, H, W, C) uint8 or N of (H, W, C).

        A list is best: its images are put straight into the memory that the networks read.

        Args:
            images: of the batch.
            classified: called when the classifier is done, and `overlaps`.
        """
        with nullcontext() if self.overlaps else self._one_batch:
            starts = range(0, max(1, len(images)), self.largest_batch)
            parts = [
                self._run(self._pixels(images[start : start + self.largest_batch]), classified) for start in starts
            ]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def run_blank(self, images: int) -> Outputs:
        """The same of so many images that hold whatever is in memory, to warm up and to time."""
        with self._one_batch:
            return self._run(self._memory.pixels[:images], lambda: None)

    @property
    def providers(self) -> dict[str, str]:
        """Where each network runs, as its session says."""
        networks = {"classifier": self._classifier, "oracle": self._oracle}
        return {name: network.provider for name, network in networks.items() if network is not None}

    @property
    def on_gpu(self) -> bool:
        return self._classifier.on_gpu

    def close(self) -> None:
        self._oracle_thread.shutdown()
        self._memory.close()

    def _pixels(self, images: Pixels | Sequence[Pixels]) -> Pixels:
        if isinstance(images, np.ndarray) and not self.on_gpu:
            return images
        # The oracle may still read what the batch before was put into.
        return np.stack(list(images), out=None if self.overlaps else self._memory.pixels[: len(images)])

    def _run(self, pixels: Pixels, classified: Callable[[], None]) -> Outputs:
        if self._oracle is None:
            return self._classifier.run(pixels)
        if not self.plan.parallel:
            return self._classifier.run(pixels) | self._oracle.run(pixels)
        oracle_outputs = self._oracle_thread.submit(self._oracle.run, pixels)
        try:
            outputs = self._classifier.run(pixels)
        except Exception:
            # Waits: the memory is not the next batch's while the oracle still reads it.
            oracle_outputs.exception()
            raise
        if self.overlaps:
            classified()
        return outputs | oracle_outputs.result()


def open_sessions(
    bundle: Path, manifest: Manifest, execution: Execution, clock: Clock = time.perf_counter
) -> SessionPair:
    """The sessions of a bundle, checked against its manifest; what the execution leaves open is measured here.

    Raises:
        BundleError: a file differs from the manifest's, or a graph cannot be loaded, is not the one that the manifest
            describes, or does not run on the device that is demanded.
    """
    files = [CLASSIFIER, *([ORACLE] if manifest.oracle_outputs else [])]
    channels, height, width = manifest.preprocess.input_size

    # Plans of equal threads share their sessions; one set more is open only while it is timed.
    @lru_cache(maxsize=1)
    def networks(threads: int) -> dict[str, Network]:
        return {file: _open_network(bundle, manifest, file, execution, threads) for file in files}

    def open_pair(plan: Plan) -> SessionPair:
        return SessionPair(networks(plan.threads), plan, execution.max_batch, (height, width, channels))

    on_gpu = wanted_providers(execution) != [CPU] and networks(execution.threads or 1)[CLASSIFIER].on_gpu
    plans = possible_plans(execution, len(files), on_gpu)
    choice = choose_plan(plans, open_pair, execution.max_batch, execution.cores, clock)
    pair = choice.networks
    if on_gpu:
        _tune_batch(pair, execution.max_batch, clock)
    else:
        pair.largest_batch = batch_in_time(choice.alone or seconds_of(pair, 1, clock), execution.max_batch)
    pair.statement = _statement(choice, len(files), len(plans))
    malloc.give_back()
    return pair


def _open_network(bundle: Path, manifest: Manifest, file: str, execution: Execution, threads: int) -> Network:
    if execution.engines is not None:
        # A folder for each file: onnxruntime tells engines apart by the names in the graph alone, not by its weights.
        execution = replace(execution, engines=execution.engines / manifest.files[file].sha256[:16])
    graph = read_file(bundle, manifest, file)
    outputs = manifest.classifier_outputs if file == CLASSIFIER else manifest.oracle_outputs
    network = Network(bundle / file, graph, outputs, execution, threads)
    check_network(network, manifest, outputs)
    return network


def _tune_batch(pair: SessionPair, max_batch: int, clock: Clock) -> None:
    # TensorRT builds for the range of batches that it has seen, for minutes: the whole range at once, not step by step.
    for images in (1, max_batch):
        with suppress(Exception):
            pair.run_blank(images)
    pair.largest_batch = largest_batch(pair, max_batch, clock)


def _statement(choice: Choice[SessionPair], networks: int, plans: int) -> str:
    plan = choice.plan
    way = "at the same time" if plan.parallel else "one after the other"
    who = "the classifier runs alone" if networks == 1 else f"classifier and oracle run {way}"
    if choice.networks.on_gpu:
        where = "on the GPU"
    else:
        where = f"with {plan.threads} CPU thread{'s' if plan.threads > 1 else ''}{' each' if networks > 1 else ''}"
    if choice.compared > 1:
        why = f"the fastest of {choice.compared} ways, timed in {choice.seconds:.2f} s"
    else:
        why = "no other way was left open" if plans == 1 else "too slow here to try other ways at every start"
    return f"{who} {where} in batches of up to {choice.networks.largest_batch}: {why}"
