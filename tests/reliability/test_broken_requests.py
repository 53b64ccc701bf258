"""Requests that no client library would send: refused in bounded time and memory, while others are answered."""

import gzip
import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exposition import series
from tests.reliability.footprint import footprint
from tests.reliability.wire import Answer, ask, connect, predict_request, read_answer
from tests.service.server import Server
from tests.tiny import expected_answer, png, quadrants

PIXELS = quadrants(200, 50, 20, 120)
IMAGE = png(PIXELS)
MEMORY_BYTES = 20_000_000
UPLOAD_SECONDS = 1.0


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("broken")
    with Server(folder, "--model", str(tiny_bundle), "--upload-seconds", str(UPLOAD_SECONDS)) as server:
        yield server
        assert server.metrics()[series("trust_errors_total", reason="internal")] == 0
        assert server.complaints() == []


@pytest.fixture(autouse=True)
def _others_are_answered_afterwards(server: Server) -> Iterator[None]:
    yield
    answer = ask(server.port, IMAGE)
    assert answer.json()["trust_probability"] == pytest.approx(expected_answer(PIXELS).trust, abs=1e-6)


def exchange(server: Server, request: bytes) -> list[Answer]:
    """All answers to what was sent, until the service hangs up."""
    answers = []
    with connect(server.port, timeout=20) as connection:
        connection.sendall(request)
        while True:
            try:
                answers.append(read_answer(connection))
            except (http.client.BadStatusLine, ConnectionError):
                return answers
            if answers[-1].headers["Connection"] == "close":
                return answers


def statuses(server: Server, request: bytes) -> list[int]:
    return [answer.status for answer in exchange(server, request)]


def chunked(*chunks: bytes) -> bytes:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


def get(path: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % path, b"Host: localhost", *headers, b"", b""])


def test_body_longer_than_stated_is_answered_by_its_stated_length(server):
    # What is over is the begin of a second request, and none.
    request = predict_request(IMAGE + b"\0 and more\r\n\r\n", Content_Length=str(len(IMAGE)))
    answers = exchange(server, request)
    assert [answer.status for answer in answers] == [200]
    assert answers[0].headers["Connection"] == "close"


def test_body_shorter_than_stated_is_waited_for_until_the_upload_is_too_slow(server):
    assert statuses(server, predict_request(IMAGE, Content_Length=str(len(IMAGE) + 1))) == [408]


@pytest.mark.parametrize("length", ["-1", "+5", "0x10", "1e3", "5, 5", "", "1" * 400])
def test_length_that_is_no_length(server, length):
    assert statuses(server, predict_request(IMAGE, Content_Length=length)) == [400]


def test_length_beyond_the_limit_is_refused_before_the_body_comes(server):
    head = predict_request(b"", Content_Length=str(2**62))
    assert statuses(server, head) == [413]
    assert statuses(server, head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")) == [413]


@pytest.mark.parametrize("second", [b"Content-Length: 5", b"Content-Length: 73", b"Transfer-Encoding: chunked"])
def test_two_lengths_are_none(server, second):
    """One length for a proxy, another one for us, is how requests are smuggled."""
    request = predict_request(IMAGE).replace(b"\r\n\r\n", b"\r\n" + second + b"\r\n\r\n", 1)
    assert statuses(server, request) == [400]


def test_chunks_of_any_size_are_an_upload(server):
    single_bytes = chunked(*(bytes([byte]) for byte in IMAGE), b"")
    with connect(server.port) as connection:
        for request in (chunked(IMAGE, b""), single_bytes):
            connection.sendall(request)
            assert read_answer(connection).status == 200


@pytest.mark.parametrize("chunk", [b"-1\r\n", b"xyz\r\n", b"F" * 40 + b"\r\n", b"1\r\nab\r\n"])
def test_chunk_that_is_none(server, chunk):
    assert statuses(server, chunked(IMAGE[:10]) + chunk) == [400]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
def test_compressed_bodies_are_refused_unseen(server, encoding):
    bomb = gzip.compress(bytes(50_000_000))
    assert exchange(server, predict_request(bomb, Content_Encoding=encoding))[0].status == 415


def test_transfer_encoding_other_than_chunks(server):
    request = predict_request(gzip.compress(IMAGE)).replace(b"Content-Length", b"Transfer-Encoding: gzip\r\nX-Length")
    assert statuses(server, request) in ([400], [408], [501])


@pytest.mark.parametrize(
    "line",
    [b"X-Nul: a\0b", b"X-Cr: a\rb", b"X-Name : a", b"X Name: a", b": a", b"no colon", b" folded", b"X-\xff: a"],
    ids=repr,
)
def test_header_that_is_none(server, line):
    assert statuses(server, get(b"/healthz", line, b"Connection: close")) == [400]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"/../../etc/passwd", 404),
        (b"/%2e%2e/%2e%2e/etc/passwd", 404),
        (b"//etc/passwd", 404),
        (b"/docs/../../../etc/passwd", 404),
        (b"/healthz%00", 404),
        (b"/%ff%fe", 404),
        (b"/" + b"a" * 50_000, 404),
        (b"http://elsewhere.example/healthz", 200),
        (b"http://elsewhere.example", 400),
        (b"/a b", 400),
        (b"/\xff", 400),
        (b"healthz", 400),
        (b"*", 404),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_path_that_is_none_of_ours(server, path, status):
    (answer,) = exchange(server, get(path, b"Connection: close"))
    assert answer.status == status
    assert b"root:" not in answer.body


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"\0" * 100,
    ],
    ids=["TLS", "HTTP/2", "SSH", "HTTP/9.9", "CONNECT", "zeros"],
)
def test_other_protocols(server, request_bytes):
    (answer,) = exchange(server, request_bytes)
    assert answer.status in (400, 404, 405)


def test_upgrade_that_is_not_taken_up_is_answered_as_if_it_was_not_asked_for(server):
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x", b"Sec-WebSocket-Version: 13")
    with connect(server.port) as connection:
        connection.sendall(get(b"/healthz", *upgrade))
        assert read_answer(connection).status == 200


def test_refusals_are_problems(server):
    (answer,) = exchange(server, b"nonsense\r\n\r\n")
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["type"]) == (400, "about:blank")
    assert problem["request_id"] == answer.headers["X-Request-ID"]


def endless_header() -> Iterator[bytes]:
    yield b"GET /healthz HTTP/1.1\r\nX-Endless: "
    while True:
        yield b"a" * 10_000


def endless_headers() -> Iterator[bytes]:
    yield b"GET /healthz HTTP/1.1\r\n"
    while True:
        yield b"X-Endless: a\r\n" * 1_000


def endless_path() -> Iterator[bytes]:
    yield b"GET /"
    while True:
        yield b"a" * 10_000


def endless_trailers() -> Iterator[bytes]:
    yield chunked(IMAGE) + b"0\r\n"
    while True:
        yield b"X-Endless: a\r\n" * 1_000


def endless_chunk_extension() -> Iterator[bytes]:
    yield chunked(IMAGE) + b"1;"
    while True:
        yield b"a" * 10_000


def endless_pipeline() -> Iterator[bytes]:
    while True:
        yield get(b"/openapi.json") * 500


@pytest.mark.parametrize(
    "pieces",
    [endless_header, endless_headers, endless_path, endless_trailers, endless_chunk_extension, endless_pipeline],
)
def test_what_has_no_end_is_ended(server, pieces):
    before = footprint(server.process.pid).resident_bytes
    sent, hung_up = 0, False
    with connect(server.port, timeout=20) as connection:
        for piece in pieces():
            try:
                connection.sendall(piece)
            except ConnectionError:
                hung_up = True
                break
            sent += len(piece)
            # A connection that was refused is read for another second, so that the reason arrives; nothing is kept.
            assert sent < 20_000_000_000
    assert hung_up
    assert footprint(server.process.pid).resident_bytes - before < MEMORY_BYTES
