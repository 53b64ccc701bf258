"""20,000 spoilt images to a running service: each is answered or refused, and nothing is left of them."""

import http.client
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.service.mutations import absurd_images, mutated_images, real_images
from tests.service.server import Server

COUNT, FIRST, CONNECTIONS, SEED = 20_000, 5_000, 4, 20261124
# A bomb within the limit costs what its limit says; the default of 50 megapixels only makes the test slower.
OPTIONS = ("--max-image-pixels", "1000000", "--journal", "off")
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def server(tiny_bundle, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), "--model", str(tiny_bundle), *OPTIONS)
    yield server
    assert server.stop() == 0
    # libtiff writes a line of its own about broken TIFF; the service has nothing to say of any image.
    assert "Traceback" not in server.stderr()
    assert "PIL" not in server.stderr()


def send(server: Server, images) -> Counter:
    """How often each status came, over one connection."""
    statuses: Counter = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for image in images:
        connection.request("POST", "/predict", image, {"Content-Type": "image/png"})
        response = connection.getresponse()
        body = json.loads(response.read())
        expected = 0 <= body["trust_probability"] <= 1 if response.status == 200 else body["status"] == response.status
        statuses[response.status if expected else "wrong body"] += 1
    connection.close()
    return statuses


def memory(server: Server) -> int:
    """Bytes of the process that were ever in memory at once."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_every_real_image_of_every_format_and_mode_is_answered(server):
    images = real_images()
    assert len(images) > 200
    assert send(server, images) == {200: len(images)}


def test_absurd_image_is_answered_or_refused(server):
    assert send(server, absurd_images()).keys() == {200, 400, 413}


def test_spoilt_image_is_answered_or_refused_and_leaves_nothing(server):
    # What a process takes once, for its decoders and its threads, it takes during the first of them.
    statuses = send_at_once(server, FIRST, SEED)
    before = memory(server)
    statuses += send_at_once(server, COUNT - FIRST, SEED + 1)
    assert statuses.total() == COUNT
    assert statuses.keys() == {200, 400, 413}
    # Five threads decode, each a megapixel at most: as RGBA, on white, as RGB and what is resized, 16 MiB; and what the
    # allocator keeps between them.
    assert memory(server) - before < 128 * MEBIBYTE


def send_at_once(server: Server, count: int, seed: int) -> Counter:
    """So many spoilt images, over several connections."""
    images = list(mutated_images(count, seed))
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(pool.map(lambda n: send(server, images[n::CONNECTIONS]), range(CONNECTIONS)), Counter())
