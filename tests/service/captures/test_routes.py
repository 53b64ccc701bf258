"""GET /captures: a real service captures, and shows it to who knows the token, and to nobody else."""

import io
import logging
import time

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.app import create_app
from service.settings import SettingsError, load_settings
from tests.service.conftest import wait_until_opened
from tests.service.http.test_problems import assert_problem
from tests.tiny import expected_answer, png, quadrants

TOKEN = "correct horse battery"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}
IMAGE = quadrants(200, 50, 20, 120)


@pytest.fixture
def client(serve, tmp_path):
    return serve(state=tmp_path, captures=3, admin_token=TOKEN)


@pytest.fixture(scope="module")
def captured(tiny_bundle, tmp_path_factory):
    """A service that captured "mine", shared by tests that only look; a secret lies beside its folder."""
    state = tmp_path_factory.mktemp("state")
    (state / "secret.png").write_bytes(b"secret")
    app = create_app(load_settings(model=tiny_bundle, state=state, captures=3, admin_token=TOKEN))
    with TestClient(app, raise_server_exceptions=False) as client:
        wait_until_opened(client)
        ask(client, "mine")
        captures(client, 1)
        yield client


def ask(client, request_id):
    response = client.post("/predict", files={"image": png(IMAGE)}, headers={"X-Request-ID": request_id})
    return response.json()["request_id"]


def captures(client, wanted):
    """The list, once it has so many entries."""
    deadline = time.monotonic() + 10
    while True:
        found = client.get("/captures", headers=SHOWN).json()
        if len(found["captures"]) >= wanted:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def test_captured_image_is_listed_with_its_answer_and_shown(client):
    ask(client, "mine")
    found = captures(client, 1)
    assert found["total"] == 1
    capture, expected = found["captures"][0], expected_answer(IMAGE)
    assert (capture["request_id"], capture["label"], capture["decision"]) == ("mine", "up-left", expected.decision)
    assert capture["trust_probability"] == pytest.approx(expected.trust, abs=1e-6)
    assert capture["model"] == {"name": "tiny", "version": "1.0.0"}
    assert capture["time"].endswith("+00:00")
    image = client.get(capture["image"], headers=SHOWN)
    assert image.headers["Content-Type"] == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image.content))), IMAGE)


def test_newest_comes_first_and_no_cell_has_more_than_its_places(client):
    for number in range(8):
        ask(client, f"n{number}")
        time.sleep(0.01)
    found = captures(client, 3)
    assert found["total"] == 3
    times = [capture["time"] for capture in found["captures"]]
    assert times == sorted(times, reverse=True)


def test_captures_outlive_the_service(serve, tmp_path):
    first = serve(state=tmp_path, captures=3, admin_token=TOKEN)
    ask(first, "before")
    captures(first, 1)
    second = serve(state=tmp_path, captures=3, admin_token=TOKEN)
    assert [each["request_id"] for each in captures(second, 1)["captures"]] == ["before"]


@pytest.mark.parametrize("path", ["/captures", "/captures/mine", "/captures/unknown"])
@pytest.mark.parametrize(
    "sent",
    [{}, {"Authorization": "Bearer correct horse batterx"}, {"Authorization": f"Basic {TOKEN}"}, {"X-Token": TOKEN}]
    + [{"Authorization": value} for value in ("Bearer", "Bearer ", f"Bearer {TOKEN}x", TOKEN)]
    + [{"Authorization": b"Bearer \xff\xfe"}],
)
def test_who_does_not_show_the_token_sees_nothing(captured, path, sent):
    response = captured.get(path, headers=sent)
    assert_problem(response, 401, "unauthorized", "Authorization: Bearer")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="trustserve"'


def test_without_a_token_there_is_no_such_route(serve, tmp_path):
    client = serve(state=tmp_path, captures=3)
    for path in ("/captures", "/captures/mine"):
        assert_problem(client.get(path, headers=SHOWN), 404, "about:blank")
    assert "/captures" not in client.get("/openapi.json").json()["paths"]


def test_nothing_is_captured_unless_told_so(serve, tmp_path):
    client = serve(state=tmp_path / "state", admin_token=TOKEN)
    ask(client, "mine")
    assert client.get("/captures", headers=SHOWN).json() == {"total": 0, "captures": []}
    assert not (tmp_path / "state" / "captures").exists()


@pytest.mark.parametrize("request_id", [".", "..", "...", ".json", "-rf", "a.png", "x" * 64, "CON", "__proto__"])
def test_no_id_that_a_caller_may_choose_leaves_the_folder(client, tmp_path, request_id):
    assert ask(client, request_id) == request_id
    assert captures(client, 1)["captures"][0]["request_id"] == request_id
    found = [path.relative_to(tmp_path).parts for path in tmp_path.rglob("*.*") if path.suffix in (".png", ".json")]
    captured = [("captures", "tiny@1.0.0", "0-trust", request_id + suffix) for suffix in (".png", ".json")]
    assert sorted(parts for parts in found if request_id in parts[-1]) == sorted(captured)


@pytest.mark.parametrize(
    "asked", ["unknown", "..%2f..%2fsecret", "%2e%2e%2fsecret", "mine.json", "mine.png", "a%00b", "*", "x" * 5000]
)
def test_what_is_not_captured_is_not_found(captured, asked):
    response = captured.get(f"/captures/{asked}", headers=SHOWN)
    assert response.status_code == 404
    assert b"secret\n" not in response.content
    assert response.headers["Content-Type"] == "application/problem+json"


def test_prediction_is_answered_though_the_disk_refuses(serve, tmp_path):
    (tmp_path / "captures").write_text("a file where the folder should be")
    client = serve(state=tmp_path, captures=3, admin_token=TOKEN)
    assert client.post("/predict", files={"image": png(IMAGE)}).status_code == 200
    deadline = time.monotonic() + 10
    while 'trust_captures_dropped_total{reason="disk"} 1.0' not in client.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_token_is_told_to_nobody(client, caplog):
    caplog.set_level(logging.DEBUG)
    ask(client, "mine")
    pages = ["/", "/model", "/metrics", "/openapi.json", "/readyz", "/captures"]
    shown = "".join(client.get(page).text for page in pages) + client.get("/captures", headers=SHOWN).text
    settings = load_settings(admin_token=TOKEN)
    for text in (shown, caplog.text, str(settings), repr(settings), settings.model_dump_json()):
        assert TOKEN not in text


@pytest.mark.parametrize("variable", ["TRUSTSERVE_ADMIN_TOKEN", "TRUSTSERVE_ADMIN_TOKN"])
def test_token_that_is_refused_is_not_shown(monkeypatch, variable):
    monkeypatch.setenv(variable, "short and sweet")
    with pytest.raises(SettingsError, match=variable) as error:
        load_settings()
    assert "sweet" not in str(error.value)
    assert error.value.__cause__ is None


def test_docs_say_what_opens_the_captures(captured):
    documented = captured.get("/openapi.json").json()
    route = documented["paths"]["/captures/{request_id}"]["get"]
    assert route["security"] == [{"HTTPBearer": []}]
    assert {"401", "404"} <= route["responses"].keys()
    assert documented["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
