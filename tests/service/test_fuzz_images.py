"""20,000 spoilt images to a running service: each is answered or refused, and nothing is left of them."""

import http.client
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.service.mutations import absurd_images, mutated_images, real_images
from tests.service.server import Server

COUNT, CONNECTIONS, SEED = 20_000, 4, 20261124
# A bomb within the limit costs what its limit says; the default of 50 megapixels only makes the test slower.
OPTIONS = ("--max-image-pixels", "1000000", "--journal", "off")
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def server(tiny_bundle, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), "--model", str(tiny_bundle), *OPTIONS)
    yield server
    assert server.stop() == 0
    # Pillow's decoders write a line of their own about broken TIFF; the service has nothing to say.
    assert "Traceback" not in server.stderr()


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


def memory(server: Server, what: str) -> int:
    """VmRSS, resident now, or VmHWM, at its highest; bytes."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def test_every_real_image_of_every_format_and_mode_is_answered(server):
    images = real_images()
    assert len(images) > 200
    assert send(server, images) == {200: len(images)}


def test_absurd_image_is_answered_or_refused(server):
    assert send(server, absurd_images()).keys() == {200, 400, 413}


def test_spoilt_image_is_answered_or_refused_and_leaves_nothing(server):
    send(server, [*real_images(), *absurd_images()])
    before = memory(server, "VmRSS")
    share = COUNT // CONNECTIONS
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        found = pool.map(lambda n: send(server, mutated_images(share, SEED + n)), range(CONNECTIONS))
        statuses = sum(found, Counter())
    assert statuses.total() == COUNT
    assert statuses.keys() == {200, 400, 413}
    assert memory(server, "VmRSS") - before < 32 * MEBIBYTE
    # Four at a time, of a megapixel: at most 4 bytes a pixel, and a few copies of it.
    assert memory(server, "VmHWM") - before < 128 * MEBIBYTE
