"""Whatever is sent, the answer is an answer or a problem of the caller's, never of the service's."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.server import Server

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_answer_or_problem(response) -> None:
    if response.status_code == 200:
        assert 0 <= response.json()["trust_probability"] <= 1
        return
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code


@quick
@given(data=st.binary(max_size=300))
def test_any_bytes_as_raw_body(client, data):
    assert_answer_or_problem(client.post("/predict", content=data, headers={"Content-Type": "image/png"}))


@quick
@given(data=st.binary(max_size=300), boundary=st.sampled_from(["b", "-", "x" * 70]), head=st.booleans())
def test_any_bytes_as_form(client, data, boundary, head):
    start = f'--{boundary}\r\nContent-Disposition: form-data; name="image"\r\n\r\n'.encode() if head else b""
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    assert_answer_or_problem(client.post("/predict", content=start + data, headers=headers))


@quick
@given(media_type=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60))
def test_any_content_type(client, media_type):
    headers = {b"Content-Type": media_type.strip().encode("latin-1")}
    assert_answer_or_problem(client.post("/predict", content=b"x", headers=headers))


KINDS = st.sampled_from(["application/json", "application/x-ndjson", "application/json; charset=utf-16"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
LABELS = st.fixed_dictionaries(
    {},
    optional={
        "request_id": JSON_VALUES,
        "label": JSON_VALUES,
        "class_index": JSON_VALUES,
        "sampling_probability": JSON_VALUES,
    },
)


def assert_outcomes_or_problem(response) -> None:
    if response.status_code == 200:
        return
    assert 400 <= response.status_code < 500, response.text
    assert response.json()["status"] == response.status_code


@quick
@given(data=st.binary(max_size=300), media_type=KINDS)
def test_any_bytes_as_feedback(client, data, media_type):
    assert_outcomes_or_problem(client.post("/feedback", content=data, headers={"Content-Type": media_type}))


@quick
@given(sent=LABELS | st.lists(LABELS | JSON_VALUES, max_size=5) | JSON_VALUES)
def test_any_json_as_feedback(client, sent):
    headers = {"Content-Type": "application/json"}
    assert_outcomes_or_problem(client.post("/feedback", content=json.dumps(sent), headers=headers))


@quick
@given(window=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_text_as_window(client, window):
    response = client.get("/monitor", params={"window": window})
    assert response.status_code in (200, 400), response.text


def test_service_keeps_what_its_openapi_document_promises(tiny_bundle, tmp_path):
    token = "correct horse battery"
    server = Server(tmp_path, "--model", str(tiny_bundle), "--admin-token", token, "--captures", "2")
    document = httpx.get(f"{server.url}/openapi.json").json()
    operations = sum(len(methods) for methods in document["paths"].values())
    configured = ["--config-file", str(Path(__file__).with_name("schemathesis.toml"))]
    asked = [f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {token}", "--no-color"]
    tool = [sys.executable, "-m", "schemathesis.cli"]
    found = subprocess.run([*tool, *configured, "run", *asked], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    assert f"Tested: {operations}\n" in found.stdout
    assert server.stop() == 0
    assert "Traceback" not in server.stderr()
