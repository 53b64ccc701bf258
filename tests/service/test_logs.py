"""The log of a running service: one line an event, by its request id, and nothing that is only the caller's."""

import io
import json
import logging
import re
import sys

import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from service.logs import JsonFormatter, TextFormatter
from tests.service.server import Server

TOKEN = "correct horse battery"
SECRET = "what-only-the-caller-knows"


def image_with_a_secret() -> bytes:
    told, file = PngInfo(), io.BytesIO()
    told.add_text("Comment", SECRET)
    told.add(b"prVt", SECRET.encode())
    Image.new("L", (4, 4)).save(file, "PNG", pnginfo=told)
    return file.getvalue()


def ask_everything(url: str) -> None:
    """Requests that are answered and refused, each with something that is nobody else's business."""
    image, shown = image_with_a_secret(), {"Authorization": f"Bearer {TOKEN}", "X-Secret": SECRET}
    with httpx.Client(base_url=url, headers=shown, timeout=20) as client:
        client.post("/predict", content=image, headers={"Content-Type": "image/png", "X-Request-ID": "mine"})
        client.post("/predict", files={"image": (SECRET, image[:-30])}, params={"probabilities": SECRET})
        client.post("/predict", files={"image": (SECRET, image[:-30])})
        client.post("/feedback", json={"request_id": "mine", "label": SECRET})
        client.get("/captures")
        client.get("/captures", headers={"Authorization": f"Bearer {SECRET}"})
        client.get("/no%0Asuch%1B[31mpage", params={"token": SECRET})


@pytest.fixture(scope="module")
def logs(tiny_bundle, tmp_path_factory):
    """What two services say that log all they can: one as text, one as it comes where stderr is no terminal."""
    found = []
    for options in ([], ["--log-format", "text"]):
        options += ["--admin-token", TOKEN, "--captures", "1", "--access-log", "--log-level", "debug"]
        server = Server(tmp_path_factory.mktemp("server"), "--model", str(tiny_bundle), *options)
        ask_everything(server.url)
        assert server.stop() == 0
        found.append(server.stderr())
    return found


def test_no_secret_of_a_caller_is_logged_though_all_is(logs):
    for log in logs:
        assert log.count("POST /predict: ") == 3
        assert SECRET not in log
        assert TOKEN not in log


def test_access_is_logged_with_request_id_status_and_time_taken(logs):
    events = [json.loads(line) for line in logs[0].splitlines()]
    accesses = [event for event in events if event["logger"] == "trustserve.access"]
    assert [event["status"] for event in accesses] == [200, 400, 400, 422, 200, 401, 404]
    first = accesses[0]
    assert (first["request_id"], first["method"], first["path"]) == ("mine", "POST", "/predict")
    assert 0 < first["milliseconds"] < 60_000
    assert accesses[-1]["path"] == "/no\nsuch\x1b[31mpage"
    assert len({event["request_id"] for event in accesses}) == 7


def test_nobody_forges_a_line_of_text(logs):
    lines = logs[1].splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ (trustserve|uvicorn)", line) for line in lines)
    assert any(r"GET /no\x0asuch\x1b[31mpage: 404 in " in line for line in lines)


def test_exception_is_one_event_with_its_traceback():
    event = json.loads(JsonFormatter().format(record_of_an_error()))
    assert (event["level"], event["message"], event["request_id"]) == ("error", "request 5 failed", "5")
    assert event["exception"].endswith("ValueError: no\n")


def test_text_keeps_the_lines_of_a_traceback():
    assert TextFormatter().format(record_of_an_error()).splitlines()[-1] == "ValueError: no"


def record_of_an_error() -> logging.LogRecord:
    logger = logging.getLogger("trustserve")
    try:
        raise ValueError("no")
    except ValueError:
        return logger.makeRecord(
            "trustserve",
            logging.ERROR,
            __file__,
            1,
            "request %s failed",
            ("5",),
            sys.exc_info(),
            extra={"request_id": "5"},
        )
