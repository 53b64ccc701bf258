"""Another bundle takes over while requests come, one in the shadow is judged, a broken one changes nothing."""

import asyncio
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.inference.serving import Board, Serving
from tests.exposition import samples, series
from tests.service.http.test_problems import assert_problem
from tests.tiny import edit_manifest, expected_answer, png, quadrants
from tests.waiting import wait_until

TOKEN = "a token that is long enough"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
IMAGE = quadrants(200, 50, 20, 120)
OLD, NEW = {"name": "tiny", "version": "1.0.0"}, {"name": "tiny", "version": "2.0.0"}


@pytest.fixture
def new_bundle(tiny_bundle, tmp_path) -> Path:
    """The same networks as a new version whose classes come in another order of names."""
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "new"))
    edit_manifest(folder, version="2.0.0", classes=("up-right", "up-left", "down-left"))
    return folder


@pytest.fixture
def client(serve):
    return serve(admin_token=TOKEN)


def ask(client, request_id=None) -> dict:
    headers = {} if request_id is None else {"X-Request-ID": request_id}
    return client.post("/predict", files={"image": png(IMAGE)}, headers=headers).json()


def figures(client) -> dict:
    return samples(client.get("/metrics").text)


def test_new_bundle_answers_from_then_on(client, new_bundle):
    assert ask(client)["model"] == OLD
    report = client.post("/admin/reload", json={"model": str(new_bundle)}, headers=ADMIN).json()
    assert report == {"changed": True, "champion": NEW, "shadow": None, "shadow_share": None}
    answer = ask(client)
    assert answer["model"] == NEW
    assert answer["label"] == "up-right"
    assert answer["trust_probability"] == pytest.approx(expected_answer(IMAGE).trust, abs=1e-6)
    assert client.get("/readyz").json()["model"] == NEW
    counted = {k: v for k, v in figures(client).items() if k[0] == "trust_model_info"}
    assert [dict(labels)["version"] for _, labels in counted] == ["2.0.0"]


def test_counters_of_the_old_version_stay(client, new_bundle):
    ask(client)
    client.post("/admin/reload", json={"model": str(new_bundle)}, headers=ADMIN)
    ask(client)
    found = figures(client)
    for version in ("1.0.0", "2.0.0"):
        counted = [
            found[series("trust_predictions_total", model="tiny", version=version, decision=decision)]
            for decision in ("trust", "untrust")
        ]
        assert sum(counted) == 1


def test_folder_with_something_new_in_it_is_opened_again_and_one_without_is_not(serve, own_bundle):
    client = serve(model=own_bundle, admin_token=TOKEN)
    assert client.post("/admin/reload", headers=ADMIN).json()["changed"] is False
    edit_manifest(own_bundle, version="1.0.1")
    assert client.post("/admin/reload", headers=ADMIN).json()["changed"] is True
    assert ask(client)["model"]["version"] == "1.0.1"


def test_broken_bundle_leaves_the_old_one_serving_and_says_why(client, new_bundle):
    (new_bundle / "oracle.onnx").write_bytes(b"no graph")
    response = client.post("/admin/reload", json={"model": str(new_bundle)}, headers=ADMIN)
    assert_problem(response, 422, "bundle-refused", "oracle.onnx", "what was served before goes on")
    assert ask(client)["model"] == OLD
    response = client.post("/admin/reload", json={"model": "/nowhere"}, headers=ADMIN)
    assert_problem(response, 422, "bundle-refused", "manifest.json not found")
    assert client.get("/readyz").json()["model"] == OLD


def test_labels_of_the_old_versions_answers_are_still_taken(client, new_bundle):
    ask(client, "before")
    client.post("/admin/reload", json={"model": str(new_bundle)}, headers=ADMIN)
    response = client.post("/feedback", json={"request_id": "before", "class_index": 0})
    assert response.json()["outcome"] == "accepted"
    assert figures(client)[series("trust_class_labelled_total", target="up-right", **model_labels("1.0.0"))] == 1


def model_labels(version: str) -> dict[str, str]:
    return {"model": "tiny", "version": version}


def bundles_threads() -> list[str]:
    """Those that belong to an open bundle; pools that all share grow to their size as they are used."""
    shared = ("asyncio_", "AnyIO", "decode", "MainThread", "ThreadPool", "Thread-")
    return sorted(thread.name.split("_")[0] for thread in threading.enumerate() if not thread.name.startswith(shared))


def test_twenty_swaps_under_load_cost_no_answer_and_no_thread(client, new_bundle, tiny_bundle):
    ask(client)
    before = bundles_threads()
    stop = threading.Event()

    def load() -> list[str]:
        found = []
        while not stop.is_set():
            response = client.post("/predict", files={"image": png(IMAGE)})
            assert response.status_code == 200, response.text
            found.append(response.json()["model"]["version"])
        return found

    with ThreadPoolExecutor(4) as callers:
        running = [callers.submit(load) for _ in range(4)]
        try:
            for number in range(20):
                model = new_bundle if number % 2 == 0 else tiny_bundle
                report = client.post("/admin/reload", json={"model": str(model)}, headers=ADMIN).json()
                assert report["changed"], report
        finally:
            stop.set()
        versions = [version for each in running for version in each.result()]
    assert set(versions) == {"1.0.0", "2.0.0"}
    wait_until(lambda: bundles_threads() == before)
    found = figures(client)
    counted = sum(value for (name, _), value in found.items() if name == "trust_predictions_total")
    assert counted == len(versions) + 1


def test_shadow_sees_what_the_champion_answers_and_counts_under_its_own_version(client, new_bundle):
    report = client.post("/admin/shadow", json={"model": str(new_bundle)}, headers=ADMIN).json()
    assert report == {"changed": True, "champion": OLD, "shadow": NEW, "shadow_share": 1.0}
    assert client.get("/model").json()["shadow"] == NEW
    for _ in range(10):
        assert ask(client)["model"] == OLD
    mean_trust = series("trust_probability_sum", decision="trust", **model_labels("2.0.0"))
    wait_until(lambda: figures(client)[mean_trust] == pytest.approx(10 * expected_answer(IMAGE).trust, abs=1e-4))
    window = client.get("/monitor?of=shadow&window=10m").json()
    assert window["model"]["version"] == "2.0.0"
    assert client.get("/monitor?window=10m").json()["model"]["version"] == "1.0.0"


def test_labels_reach_the_shadow_by_the_name_of_their_class(client, new_bundle):
    client.post("/admin/shadow", json={"model": str(new_bundle)}, headers=ADMIN)
    ask(client, "seen")
    predictions = series("trust_predictions_total", decision="trust", **model_labels("2.0.0"))
    wait_until(lambda: figures(client)[predictions] == 1)
    assert client.post("/feedback", json={"request_id": "seen", "label": "up-right"}).json()["outcome"] == "accepted"
    found = figures(client)
    # Class 1 of the champion, class 0 of the shadow, which says so; the champion says "up-left".
    for version, correct in (("1.0.0", "false"), ("2.0.0", "true")):
        labels = {"decision": "trust", "correct": correct, **model_labels(version)}
        assert found[series("trust_labelled_total", **labels)] == 1


def test_shadow_sees_a_share(client, new_bundle):
    client.post("/admin/shadow", json={"model": str(new_bundle), "share": 0.0}, headers=ADMIN)
    for _ in range(5):
        ask(client)
    assert figures(client)[series("trust_predictions_total", decision="trust", **model_labels("2.0.0"))] == 0


def test_shadow_is_promoted(client, new_bundle):
    assert_problem(client.post("/admin/promote", headers=ADMIN), 409, "no-shadow", "/admin/shadow")
    client.post("/admin/shadow", json={"model": str(new_bundle)}, headers=ADMIN)
    report = client.post("/admin/promote", headers=ADMIN).json()
    assert report == {"changed": True, "champion": NEW, "shadow": None, "shadow_share": None}
    assert ask(client)["model"] == NEW


def test_shadow_ends(client, new_bundle):
    client.post("/admin/shadow", json={"model": str(new_bundle)}, headers=ADMIN)
    assert client.delete("/admin/shadow", headers=ADMIN).json()["shadow"] is None
    assert client.get("/model").json()["shadow"] is None
    assert_problem(client.get("/monitor?of=shadow"), 400, "parameter-invalid", "there is none")


def test_broken_shadow_is_refused_and_one_of_the_settings_keeps_nothing_from_answering(serve, client, new_bundle):
    (new_bundle / "oracle.onnx").write_bytes(b"no graph")
    response = client.post("/admin/shadow", json={"model": str(new_bundle)}, headers=ADMIN)
    assert_problem(response, 422, "bundle-refused", "oracle.onnx")
    assert ask(serve(shadow=new_bundle))["model"] == OLD


def test_shadow_of_the_settings_is_opened(serve, new_bundle):
    client = serve(shadow=new_bundle)
    wait_until(lambda: client.get("/model").json().get("shadow") == NEW)


@pytest.mark.parametrize("path", ["/admin/reload", "/admin/shadow", "/admin/promote"])
def test_routes_are_the_operators_alone(serve, client, path):
    assert_problem(client.post(path, json={"model": "x"}), 401, "unauthorized")
    assert_problem(serve().post(path), 404, "about:blank")


@pytest.mark.parametrize("path", ["/admin/reload", "/admin/shadow"])
def test_bodies_of_strangers_are_not_read(client, path):
    sent = []

    async def receive():
        raise AssertionError("the body is read")

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000000000")]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    asyncio.run(client.app({**scope, "root_path": "", "headers": headers}, receive, send))
    assert sent[0]["status"] == 401


@pytest.mark.parametrize("body", [b"{", b'{"model": 5}', b'{"modell": "x"}', b"[]"])
@pytest.mark.parametrize("path", ["/admin/reload", "/admin/shadow"])
def test_bodies_that_say_something_else(client, path, body):
    assert_problem(client.post(path, content=body, headers=ADMIN), 422, "request-invalid", "body")


def test_workers_serve_what_one_of_them_was_told(tmp_path):
    start = Serving(model=Path("old"))
    first, second = Board(tmp_path, start), Board(tmp_path, start)
    assert first.read() == second.read() == start
    told = Serving(model=Path("new"), shadow=Path("other"), shadow_share=0.5)
    first.write(told)
    assert second.read() == told
    assert Board(tmp_path, start).read() == told
    (tmp_path / "serving.json").write_text("{")
    assert second.read() == told
