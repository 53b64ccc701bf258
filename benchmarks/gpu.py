"""What classifier and oracle cost on a GPU, alone and together, through the service's own sessions and through torch.

    python -m benchmarks.gpu                            # ViT-B/16 and ResNet-50 on CUDA and TensorRT, batches 1 to 128
    python -m benchmarks.gpu --device cpu --pair tiny   # every line of it, without a GPU

Both are networks of timm with random weights, written by the project's exporter: what they answer is noise, what it
costs is not. A figure is the median time from a list of uint8 images in the host's memory to outputs there, divided by
the images; it stands under the provider that the session itself names. What does not run is a line that says why.

It needs torch and the onnxruntime for GPUs in one environment:

    pip install -c constraints.txt -e '.[training]'
    pip uninstall -y onnxruntime
    pip install -c constraints.txt -e '.[gpu]' tensorrt
"""

import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal, cast

import cyclopts
import numpy as np
import onnx
import onnxruntime
import timm
import torch
from cyclopts import Parameter
from torch import Tensor, nn

from service.inference.execution import Device, Execution
from service.inference.network import Network
from service.inference.sessions import SessionPair
from service.inference.tuning import Plan
from training.bundle.float16 import to_float16
from training.bundle.graphs import FromPixels, export_network
from trust.manifest import CLASSIFIER, ORACLE
from trust.preprocess import Pixels

PAIRS = {"paper": ("vit_base_patch16_224", "resnet50"), "tiny": ("one convolution", "one convolution")}
TINY_SIDE = 32
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
RESULTS = Path("benchmarks/results/gpu.json")
OUTPUTS = {CLASSIFIER: "logits", ORACLE: "oracle_class_logits"}
WARM_UP = 3

Networks = dict[str, nn.Module]
Run = Callable[[list[Pixels]], object]
Precision = Literal["float32", "float16"]


@dataclass(frozen=True)
class Row:
    """One figure, or why there is none."""

    engine: str
    where: str
    precision: str
    work: str
    batch: int
    ms_per_image: float | None
    error: str | None = None


@dataclass(frozen=True)
class Contender:
    """One way to run the pair."""

    engine: str
    precision: Precision
    open: Callable[[ExitStack], tuple[str, dict[str, Run]]]
    """Where it runs, and what runs each kind of work."""


def main(
    *,
    device: Literal["cuda", "cpu"] = "cuda",
    pair: Literal["paper", "tiny"] = "paper",
    batches: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = BATCHES,
    seconds: float = 1.0,
    compile_backend: str = "inductor",
    output: Path | None = None,
) -> None:
    """Print milliseconds an image for every contender, kind of work and batch; write them as JSON.

    Args:
        device: where everything runs; what cannot run there is said to be missing.
        pair: the networks: ViT-B/16 and ResNet-50, or two tiny ones to try the program.
        batches: numbers of images.
        seconds: how long each figure is measured.
        compile_backend: of torch.compile.
        output: JSON file; unset: benchmarks/results/gpu.json on a GPU, none on a CPU.
    """
    torch.manual_seed(0)
    about = describe(device, PAIRS[pair])
    print(json.dumps(about, indent=1))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        networks, side = make_networks(pair)
        write_graphs(Path(folder), networks, side)
        images = list(np.random.default_rng(0).integers(0, 256, (max(batches), side, side, 3), np.uint8))
        for contender in contenders(Path(folder), networks, side, device, max(batches), compile_backend):
            for row in measure(contender, images, batches, seconds):
                figure = row.error if row.ms_per_image is None else f"{row.ms_per_image:10.3f} ms an image"
                print(
                    f"{row.engine:14} {row.where:26} {row.precision:8} {row.work:12} {row.batch:4} {figure}", flush=True
                )
                rows.append(row)
    target = output or (None if device == "cpu" else RESULTS)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


def line(row: Row) -> str:
    """A row for people."""
    figure = row.error if row.ms_per_image is None else f"{row.ms_per_image:10.3f} ms an image"
    return f"{row.engine:14} {row.where:26} {row.precision:8} {row.work:12} {row.batch:4} {figure}"


def describe(device: str, names: tuple[str, str]) -> dict[str, Any]:
    """What was measured, on what."""
    gpu = torch.cuda.get_device_name() if device == "cuda" and torch.cuda.is_available() else None
    return {
        "classifier": names[0],
        "oracle": names[1],
        "device": gpu or platform.processor() or platform.machine(),
        "is_gpu": gpu is not None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "onnxruntime": onnxruntime.__version__,
        "providers": onnxruntime.get_available_providers(),
        "timm": timm.__version__,
    }


def make_networks(pair: str) -> tuple[Networks, int]:
    """Classifier and oracle with random weights, by file, and the side of the images both take."""
    if pair == "tiny":
        return {file: _one_convolution().eval() for file in OUTPUTS}, TINY_SIDE
    networks = {file: timm.create_model(name).eval() for file, name in zip(OUTPUTS, PAIRS[pair], strict=True)}
    return networks, int(cast(Any, networks[CLASSIFIER]).default_cfg["input_size"][1])


def write_graphs(folder: Path, networks: Networks, side: int) -> None:
    """Both graphs in float32, and in float16 in a folder of their own."""
    example = (torch.zeros(2, side, side, 3, dtype=torch.uint8),)
    (folder / "float16").mkdir()
    for file, network in networks.items():
        model = export_network(FromPixels(_Named(network, OUTPUTS[file])).eval(), example, ("image",), (OUTPUTS[file],))
        onnx.save(model, folder / file)
        onnx.save(to_float16(model), folder / "float16" / file)


def contenders(
    folder: Path, networks: Networks, side: int, device: Literal["cuda", "cpu"], largest: int, backend: str
) -> Iterator[Contender]:
    """Every way to run the pair on this device; none is open yet."""

    def through_onnxruntime(graphs: Path, provider: Device, half: bool) -> Contender:
        execution = Execution(device=provider, half_precision=half, max_batch=largest)
        precision: Precision = "float16" if half else "float32"
        return Contender("onnxruntime", precision, lambda stack: open_onnxruntime(stack, graphs, execution, side))

    def through_torch(half: bool, compiled: bool) -> Contender:
        engine = "torch.compile" if compiled else "torch"
        precision: Precision = "float16" if half else "float32"
        chosen = backend if compiled else None
        return Contender(engine, precision, lambda stack: open_torch(stack, networks, device, half, chosen))

    yield through_onnxruntime(folder, device, half=False)
    yield through_onnxruntime(folder / "float16", device, half=True)
    if device == "cuda":
        yield through_onnxruntime(folder, "tensorrt", half=False)
        yield through_onnxruntime(folder, "tensorrt", half=True)
    for half in (False, True):
        yield through_torch(half, compiled=False)
        yield through_torch(half, compiled=True)


def open_onnxruntime(stack: ExitStack, graphs: Path, execution: Execution, side: int) -> tuple[str, dict[str, Run]]:
    """The service's own sessions, as the service runs them."""
    opened = {
        file: Network(graphs / file, (graphs / file).read_bytes(), [name], execution, threads=1)
        for file, name in OUTPUTS.items()
    }

    def pair(networks: dict[str, Network], parallel: bool) -> SessionPair:
        made = SessionPair(networks, Plan(1, parallel), execution.max_batch, (side, side, 3))
        stack.callback(made.close)
        # TensorRT builds once for the whole range of batches, not anew for each.
        made.run_blank(1)
        made.run_blank(execution.max_batch)
        return made

    return opened[CLASSIFIER].provider, {
        "classifier": pair({CLASSIFIER: opened[CLASSIFIER]}, parallel=False).run,
        "oracle": pair({CLASSIFIER: opened[ORACLE]}, parallel=False).run,
        "in turn": pair(opened, parallel=False).run,
        "parallel": pair(opened, parallel=True).run,
    }


def open_torch(
    stack: ExitStack, networks: Networks, device: str, half: bool, backend: str | None
) -> tuple[str, dict[str, Run]]:
    """torch itself, one stream a network; without a backend it is not compiled."""
    run = {}
    for file, network in networks.items():
        # In place, and back: a copy of each would not fit beside it on a small GPU.
        network.to(device, torch.float16 if half else torch.float32)
        forward = network if backend is None else torch.compile(network, backend=backend, dynamic=False)
        run[file] = _on_own_stream(forward, device, half)
    thread = stack.enter_context(ThreadPoolExecutor(1))

    def in_parallel(images: list[Pixels]) -> object:
        oracle = thread.submit(run[ORACLE], images)
        return run[CLASSIFIER](images), oracle.result()

    return device, {
        "classifier": run[CLASSIFIER],
        "oracle": run[ORACLE],
        "in turn": lambda images: (run[CLASSIFIER](images), run[ORACLE](images)),
        "parallel": in_parallel,
    }


def measure(contender: Contender, images: list[Pixels], batches: tuple[int, ...], seconds: float) -> Iterator[Row]:
    """A row for each kind of work and batch; what fails is one row with its reason."""
    with ExitStack() as stack:
        try:
            where, works = contender.open(stack)
        except Exception as error:  # noqa: BLE001 - a provider that is not there is a result
            yield Row(contender.engine, "-", contender.precision, "all", 0, None, _first_line(error))
            return
        for work, run in works.items():
            for batch in batches:
                figure, failure = _try(run, images[:batch], seconds)
                yield Row(contender.engine, where, contender.precision, work, batch, figure, failure)
                if failure:
                    break


def ms_per_image(run: Run, images: list[Pixels], seconds: float) -> float:
    """Median over as many runs as the time allows, three at least, after some that warm up."""
    for _ in range(WARM_UP):
        run(images)
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        started = time.perf_counter()
        run(images)
        times.append(time.perf_counter() - started)
    return 1000 * median(times) / len(images)


def _try(run: Run, images: list[Pixels], seconds: float) -> tuple[float | None, str | None]:
    try:
        return ms_per_image(run, images, seconds), None
    except Exception as error:  # noqa: BLE001 - memory that does not suffice is a result
        return None, _first_line(error)


def _on_own_stream(forward: Callable[[Tensor], Tensor], device: str, half: bool) -> Run:
    """From images on the host to outputs on the host, by page-locked memory, as the service does."""
    stream = torch.cuda.Stream() if device == "cuda" else None  # type: ignore[no-untyped-call]

    def run(images: list[Pixels]) -> object:
        with torch.inference_mode(), torch.cuda.stream(stream) if stream else nullcontext():
            pixels = torch.from_numpy(np.stack(images))
            pixels = pixels.pin_memory() if stream else pixels
            batch = pixels.to(device, non_blocking=True).permute(0, 3, 1, 2)
            return forward(batch.to(torch.float16 if half else torch.float32) / 255).float().cpu().numpy()

    return run


def _one_convolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)
    )


class _Named(nn.Module):
    """A network whose output has a name, as the exporter wants it."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {self.name: self.network(images)}


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


if __name__ == "__main__":
    cyclopts.run(main)
