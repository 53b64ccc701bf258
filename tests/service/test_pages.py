"""Everything beside /predict."""

import re
import threading

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.inference.bundle import open_bundle
from service.settings import load_settings
from tests.service.conftest import wait_until_opened
from tests.tiny import CLASSES


def test_root_tells_programs_where_to_go(client):
    answer = client.get("/").json()
    assert answer["name"] == "trustserve"
    for what, path in answer["links"].items():
        assert client.get(path).status_code == (405 if what in ("predict", "feedback") else 200)


def test_root_shows_browsers_a_page(client):
    response = client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert response.headers["Content-Type"].startswith("text/html")
    assert 'action="/predict"' in response.text
    assert "curl -F image=@photo.jpg http://testserver/predict" in response.text


def test_process_is_alive_and_ready(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready", "model": {"name": "tiny", "version": "1.0.0"}}


def test_process_answers_while_the_bundle_is_being_opened(tiny_bundle, monkeypatch):
    may_open = threading.Event()

    def open_slowly(*arguments):
        assert may_open.wait(10)
        return open_bundle(*arguments)

    monkeypatch.setattr("service.inference.engine.open_bundle", open_slowly)
    opened = []
    with TestClient(create_app(load_settings(model=tiny_bundle), on_ready=opened.append)) as client:
        assert client.get("/healthz").status_code == 200
        response = client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["detail"].startswith(f"opening the bundle {tiny_bundle}")
        assert opened == []
        may_open.set()
        wait_until_opened(client)
        assert client.get("/readyz").status_code == 200
        assert [bundle.path for bundle in opened] == [tiny_bundle]


def test_model_shows_manifest_threshold_and_where_each_network_runs(client):
    report = client.get("/model").json()
    assert report["providers"] == {"classifier": "CPUExecutionProvider", "oracle": "CPUExecutionProvider"}
    assert report["execution"].startswith("classifier and oracle run ")
    assert report["threshold"] == 0.6
    assert report["manifest"]["classes"] == list(CLASSES)


def test_docs_describe_both_ways_to_send_an_image(client):
    assert client.get("/docs").status_code == 200
    operation = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert operation["requestBody"]["content"].keys() == {"multipart/form-data", "image/*"}
    assert [parameter["name"] for parameter in operation["parameters"]] == [
        "probabilities",
        "X-Request-Timeout",
        "X-Request-ID",
    ]


def test_docs_page_needs_nothing_from_outside(client):
    page = client.get("/docs").text
    assert "://" not in page
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert client.get(asset).status_code == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/nothing", "/docs"])
def test_every_response_has_a_request_id(client, path):
    first, second = (client.get(path).headers["X-Request-ID"] for _ in range(2))
    assert len(first) == 32
    assert first != second


@pytest.mark.parametrize("sent", ["a", "A-b_c.9", "x" * 64])
def test_sane_request_id_is_kept(client, sent):
    assert client.get("/healthz", headers={"X-Request-ID": sent}).headers["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", ["", "x" * 65, "two words", "<script>", "semi;colon", "é"])
def test_odd_request_id_is_replaced(client, sent):
    answered = client.get("/healthz", headers={"X-Request-ID": sent.encode()}).headers["X-Request-ID"]
    assert answered != sent
    assert len(answered) == 32
