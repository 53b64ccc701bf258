"""Not enough memory for an image: that one is turned away, the service stays, and the next one is answered."""

import io
import subprocess

import pytest
from PIL import Image

from tests.exposition import series
from tests.reliability.footprint import virtual_bytes
from tests.reliability.wire import ask, get
from tests.tiny import png, quadrants

SMALL = png(quadrants(200, 50, 20, 120))
ROOM_BYTES = 40_000_000


@pytest.fixture(scope="module")
def large() -> bytes:
    """Forty-nine million pixels, 147 MB once decoded, in a small file."""
    file = io.BytesIO()
    Image.new("RGB", (7_000, 7_000), (200, 50, 20)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def limit_memory(pid: int, size: str) -> None:
    """From now on, as `ulimit -v` would from the begin."""
    subprocess.run(["prlimit", "--pid", str(pid), f"--as={size}:"], check=True)


def test_image_that_does_not_fit_is_turned_away_and_nothing_else(serve_process, tiny_bundle, large):
    server = serve_process(tiny_bundle)
    assert ask(server.port, SMALL).status == 200
    limit_memory(server.process.pid, str(virtual_bytes(server.process.pid) + ROOM_BYTES))
    for _ in range(3):
        answer = ask(server.port, large)
        assert (answer.status, answer.json()["type"]) == (503, "urn:trustserve:problem:overloaded"), answer
        assert ask(server.port, SMALL).status == 200
    assert get(server.port, "/readyz").status == 200
    limit_memory(server.process.pid, "unlimited")
    assert ask(server.port, large).status == 200
    assert server.metrics()[series("trust_errors_total", reason="internal")] == 0
