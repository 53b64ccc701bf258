"""`trustserve serve` as a user has it: a process of its own, spoken to over a socket."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.server import ENVIRONMENT, TRUSTSERVE, Server
from tests.tiny import edit_manifest, expected_answer, png, quadrants
from tests.waiting import wait_until

IMAGE = quadrants(200, 50, 20, 120)


@pytest.fixture(scope="module")
def server(tiny_bundle: Path) -> Iterator[Server]:
    server = Server(tiny_bundle.parent, "--model", tiny_bundle.name, "--max-image-bytes", "300000")
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.stderr()


@pytest.fixture
def run_trustserve(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*TRUSTSERVE, *arguments],
            cwd=tmp_path,
            env={**ENVIRONMENT, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def assert_one_sentence(result: subprocess.CompletedProcess, *words: str) -> None:
    assert result.returncode == 1
    assert result.stderr.startswith("trustserve: ")
    assert result.stderr.count("\n") == 1, result.stderr
    for word in words:
        assert word in result.stderr


def test_printed_curl_line_works_as_it_stands(server, tiny_bundle):
    line = server.banner[3]
    assert line == f"curl -F image=@tiny/samples/up-left.png {server.url}/predict"
    result = subprocess.run(f"{line} --silent", shell=True, cwd=tiny_bundle.parent, capture_output=True, check=True)
    assert json.loads(result.stdout)["label"] == "up-left"


def test_docs_page_is_where_the_banner_says(server):
    assert httpx.get(server.banner[1].removeprefix("docs: ")).status_code == 200


def test_answer_over_a_socket(server):
    answer = httpx.post(f"{server.url}/predict", files={"image": png(IMAGE)}).json()
    assert answer["trust_probability"] == pytest.approx(expected_answer(IMAGE).trust, abs=1e-6)


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Content-Length: 350000"])
def test_endless_upload_is_refused_while_it_streams(server, framing):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(
            f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n{framing}\r\n\r\n".encode()
        )
        connection.setblocking(False)
        received, sent = b"", 0
        deadline = time.monotonic() + 10
        while not received.endswith(b"}"):
            assert time.monotonic() < deadline, received
            try:
                received += connection.recv(65536)
            except BlockingIOError:
                if "chunked" in framing:
                    sent += send_chunk(connection)
    assert received.startswith(b"HTTP/1.1 413")
    assert b"image-too-large" in received
    # The limit, and what the sockets' own buffers took before the answer came.
    assert sent < 300_000 + 20_000_000


def send_chunk(connection: socket.socket) -> int:
    connection.settimeout(5)
    connection.sendall(b"2710\r\n" + bytes(10_000) + b"\r\n")
    connection.setblocking(False)
    return 10_000


def test_client_that_pushes_its_whole_upload_first_still_reads_the_refusal(server):
    response = httpx.post(f"{server.url}/predict", files={"image": bytes(20_000_000)}, timeout=20)
    assert response.status_code == 413


def test_client_that_hangs_up_while_uploading_leaves_no_error_behind(server):
    head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head.encode() + b"\x89PNG")
    deadline = time.monotonic() + 10
    while 'reason="client_gone"} 3.0' not in httpx.get(f"{server.url}/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert 'reason="internal"} 0.0' in httpx.get(f"{server.url}/metrics").text
    assert server.complaints() == []


def test_bundle_that_is_missing_stops_the_start(run_trustserve):
    result = run_trustserve("serve", "--port", "0", TRUSTSERVE_MODEL="nowhere")
    assert_one_sentence(result, "no bundle at nowhere", "manifest.json not found")


def test_changed_file_stops_the_start(run_trustserve, own_bundle):
    (own_bundle / "reference.npz").write_bytes(b"other")
    result = run_trustserve("serve", "--port", "0", "--model", str(own_bundle))
    assert_one_sentence(result, "reference.npz is not the file that was exported")


def test_golden_batch_that_differs_stops_the_start(run_trustserve, own_bundle):
    edit_manifest(own_bundle, golden_tolerance=1e-12)
    assert_one_sentence(run_trustserve("serve", "--port", "0", "--model", str(own_bundle)), "answers differently here")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"TRUSTSERVE_MAX_BATCH": "many"}, ["TRUSTSERVE_MAX_BATCH is 'many'", "integer"]),
        ({"TRUSTSERVE_MAXBATCH": "8"}, ["TRUSTSERVE_MAXBATCH is not a setting", "did you mean TRUSTSERVE_MAX_BATCH?"]),
    ],
)
def test_wrong_setting_stops_the_start(run_trustserve, environment, words):
    assert_one_sentence(run_trustserve("serve", "--port", "0", **environment), *words)


def test_port_that_is_taken_stops_the_start(run_trustserve, server, tiny_bundle):
    result = run_trustserve("serve", "--model", str(tiny_bundle), "--port", str(server.port))
    assert_one_sentence(result, f"cannot listen on 127.0.0.1:{server.port}", "--port")


def test_hangup_opens_what_is_new_in_the_folder_and_leaves_what_is_broken(own_bundle, tmp_path):
    def version() -> str:
        return httpx.get(f"{server.url}/readyz").json()["model"]["version"]

    with Server(tmp_path, "--model", str(own_bundle)) as server:
        edit_manifest(own_bundle, version="2.0.0")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: version() == "2.0.0", why=server.stderr)
        (own_bundle / "oracle.onnx").write_bytes(b"no graph")
        edit_manifest(own_bundle, version="3.0.0")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "oracle.onnx" in server.stderr(), why=server.stderr)
        assert version() == "2.0.0"
        assert server.stop(signal.SIGTERM) == 0
