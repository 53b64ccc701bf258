"""How cost grows with the image, the networks and the number of processes: python -m benchmarks.serving.growth.

Two minutes; fills docs/performance.md. How it grows with connections, the benchmark's own table says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.serving.document import DOCUMENT, put
from benchmarks.serving.pairs import CACHE, SUBJECTS, expected_answers
from benchmarks.serving.photographs import write_photographs
from benchmarks.serving.rounds import Figures, measure_server
from benchmarks.serving.servers import SERVERS, Server

SECONDS = 3
SIDES = ((160, 120), (640, 480), (1920, 1440), (4000, 3000))
PROCESSES = {"1 process": 1, "2 processes": 2, "4 processes": 4}
NETWORKS = {
    "small": "small pair, 28 x 28",
    "label": "ResNet-18 by itself, 224 x 224",
    "shared": "ResNet-18, the oracle on its features",
    "resnet18": "ResNet-18 pair",
}
"""Titles by subject."""

Measured = tuple[str, Figures]


def main() -> None:
    """Prints each table and puts it into the document."""
    for part, measured in {
        "image size": image_sizes(),
        "model size": model_sizes(),
        "replicas": replicas(),
    }.items():
        cells = [["", "p50 ms at 1", "answers/s at 8", "p99 ms at 8", "CPU ms an answer", "memory MB"]]
        for title, figures in measured:
            cells.append(_row(title, figures))
            print(part, *cells[-1], sep=" | ", flush=True)
        put(DOCUMENT, part, [cells])


def image_sizes() -> Iterator[Measured]:
    """The small pair, which is through in no time, with ever larger images."""
    small = SUBJECTS["small"]
    yield "28 x 28 PNG", _measure(SERVERS["trustserve"], small.bundle(), small.images())
    raw = replace(SERVERS["trustserve"], form="raw")
    yield "28 x 28 PNG as the body itself", _measure(raw, small.bundle(), small.images())
    for width, height in SIDES:
        images = write_photographs(CACHE / "images", width, height)
        kilobytes = sum(image.stat().st_size for image in images) / len(images) / 1000
        title = f"{width} x {height} JPEG, {kilobytes:,.0f} kB"
        yield title, _measure(SERVERS["trustserve"], small.bundle(), images)
    # Only here: torch takes seconds to import.
    from benchmarks.serving.bundles import with_reduced_jpeg

    yield f"{title}, decoded at an eighth", _measure(SERVERS["trustserve"], with_reduced_jpeg(small.bundle()), images)


def model_sizes() -> Iterator[Measured]:
    """The same photographs through ever larger networks."""
    images = SUBJECTS["resnet18"].images()
    for name, title in NETWORKS.items():
        yield title, _measure(SERVERS["trustserve"], SUBJECTS[name].bundle(), images)


def replicas() -> Iterator[Measured]:
    """The small pair by ever more processes."""
    small = SUBJECTS["small"]
    for title, count in PROCESSES.items():
        command = (*SERVERS["trustserve"].command, "--workers", str(count))
        server = replace(SERVERS["trustserve"], command=command, workers=count)
        yield title, _measure(server, small.bundle(), small.images())


def _measure(server: Server, bundle: Path, images: Sequence[Path]) -> Figures:
    return measure_server(server, bundle, expected_answers(bundle, images), (1, 8), SECONDS)


def _row(title: str, figures: Figures) -> list[str]:
    latency, tail = f"{figures['p50@1']:,.2f}", f"{figures['p99@8']:,.1f}"
    return [title, latency, f"{figures['rate@8']:,.0f}", tail, f"{figures['cpu@8']:.2f}", f"{figures['memory_mb']:.0f}"]


if __name__ == "__main__":
    main()
