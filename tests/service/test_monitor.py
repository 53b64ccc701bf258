"""GET /monitor through the real service: figures against arithmetic, what lasts, and what may go wrong beside it."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy.stats import binomtest, norm

from service.app import create_app
from service.journal.records import JournalAway
from service.settings import load_settings
from tests.exposition import series
from tests.service.conftest import wait_until_opened
from tests.service.http.test_problems import assert_problem
from tests.service.test_metrics import MODEL, scrape
from tests.tiny import edit_manifest, expected_answer, give_image_statistics, png, quadrants
from tests.waiting import wait_until
from trust.manifest import Threshold

Z = norm.ppf(0.975)
SURE = quadrants(153, 51, 0, 102)  # trust .8331, confidence .9533: by hand in test_predict
UNSURE = quadrants(90, 80, 70, 10)  # untrusted
OTHER = quadrants(10, 240, 20, 200)  # trusted "up-right"


def ask(client: TestClient, *images: np.ndarray) -> list[str]:
    """Request ids of the answers."""
    return [client.post("/predict", files={"image": png(image)}).json()["request_id"] for image in images]


def monitor(client: TestClient, window: str = "1h") -> dict[str, Any]:
    response = client.get(f"/monitor?window={window}")
    assert response.status_code == 200, response.text
    return response.json()


@contextmanager
def running(bundle: Path, state: Path, **settings: Any) -> Iterator[TestClient]:
    """A service that stops when the block ends, as `serve` starts it."""
    app = create_app(load_settings(**{"model": bundle, "state": state, **settings}))
    with TestClient(app, raise_server_exceptions=False) as client:
        wait_until_opened(client)
        yield client


def assert_mean(figure: dict[str, Any], values: list[float]) -> None:
    """The mean with its 95 % interval, cut to [0, 1]."""
    half = Z * np.std(values, ddof=1) / len(values) ** 0.5
    assert figure == {
        "state": "ok",
        "answers": len(values),
        "value": pytest.approx(np.mean(values), abs=1e-6),
        "low": pytest.approx(max(0, np.mean(values) - half), abs=1e-6),
        "high": pytest.approx(min(1, np.mean(values) + half), abs=1e-6),
    }


def test_figures_without_labels_are_those_of_the_arithmetic(serve):
    client = serve(monitor_minimum=2, reward=2.0, penalty=3.0)
    images = [SURE, OTHER, UNSURE, SURE, UNSURE]
    ask(client, *images)
    answers = [expected_answer(image) for image in images]
    trusted = [a for a in answers if a.decision == "trust"]
    found = monitor(client)
    assert (found["answers"], found["minimum"], found["model"]) == (5, 2, {"name": "tiny", "version": "1.0.0"})
    traffic = found["traffic"]
    assert_mean(traffic["mean_trust"], [a.trust for a in answers])
    assert traffic["accuracy_estimate"] == traffic["mean_trust"]
    quality = [a.trust * a.confidence**2 + (1 - a.trust) * (1 - a.confidence) ** 3 for a in answers]
    assert_mean(traffic["net_trust_score_estimate"], quality)
    assert_mean(traffic["confidence_trusted"], [a.confidence for a in trusted])
    assert_mean(traffic["confidence_untrusted"], [a.confidence for a in answers if a.decision == "untrust"])
    assert_mean(traffic["risk_estimate"], [1 - a.trust for a in trusted])
    wilson = binomtest(3, 5).proportion_ci(method="wilson")
    assert traffic["trust_rate"] == {
        "state": "ok",
        "answers": 5,
        "value": 0.6,
        "low": pytest.approx(wilson.low),
        "high": pytest.approx(wilson.high),
    }
    histogram = np.histogram(quality, 20, (0, 1))[0]
    assert traffic["density_estimate"]["bins"] == pytest.approx(histogram / 5 * 20)


def test_seven_answers_are_insufficient_data_and_have_no_number(serve):
    client = serve()
    names = ask(client, *[SURE] * 7)
    client.post("/feedback", json=[{"request_id": name, "label": "up-left"} for name in names])
    found = monitor(client)
    assert found["answers"] == 7

    def figures(part: Any) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict):
            if "state" in part:
                yield part
            for value in part.values():
                yield from figures(value)
        elif isinstance(part, list):
            for value in part:
                yield from figures(value)

    told = [figure for figure in figures(found) if figure["state"] not in ("ok", "nothing promised")]
    assert len(told) > 20
    assert all(figure["state"] == "insufficient data" for figure in told)
    numbers = {"value", "low", "high", "bins", "classes", "scores"}
    assert not any(numbers & figure.keys() for figure in figures(found))


def test_service_without_any_answer_has_a_report(serve):
    found = monitor(serve())
    assert found["answers"] == 0
    assert found["traffic"]["mean_trust"] == {"state": "insufficient data", "answers": 0}


def test_spectrum_and_change_by_class_are_those_of_the_arithmetic(serve):
    client = serve(monitor_minimum=2)
    ask(client, *[SURE] * 3, *[OTHER] * 2)
    up_left, up_right = expected_answer(SURE), expected_answer(OTHER)
    q = [a.trust * a.confidence + (1 - a.trust) * (1 - a.confidence) for a in (up_left, up_right)]
    where = monitor(client)["where"]
    spectrum = where["by_predicted"]
    assert [row["label"] for row in spectrum] == ["up-left", "up-right", "down-left"]
    assert [row["answers"] for row in spectrum] == [3, 2, 0]
    assert spectrum[0]["net_trust_score_estimate"]["value"] == pytest.approx(q[0], abs=1e-6)
    assert spectrum[1]["net_trust_score_estimate"]["value"] == pytest.approx(q[1], abs=1e-6)
    assert spectrum[2]["net_trust_score_estimate"]["state"] == "insufficient data"
    # The reference: 40 and 40 answers of mean .9275, 20 of mean .5; .842 over all.
    change = where["change"]
    assert change["value"] == pytest.approx(0.6 * q[0] + 0.4 * q[1] - 0.842, abs=1e-6)
    assert [row["mix"] for row in change["classes"]] == pytest.approx(
        [(0.6 - 0.4) * (0.9275 - 0.842), (0.4 - 0.4) * (0.9275 - 0.842), (0 - 0.2) * (0.5 - 0.842)]
    )
    assert [row["within"] for row in change["classes"]] == pytest.approx(
        [0.6 * (q[0] - 0.9275), 0.4 * (q[1] - 0.9275), 0], abs=1e-6
    )
    parts = sum(row["mix"] + row["within"] for row in change["classes"])
    assert parts == pytest.approx(change["value"])


def test_labels_give_the_realised_figures(serve):
    client = serve(monitor_minimum=2)
    images = [SURE, SURE, OTHER, UNSURE, UNSURE, SURE, SURE, SURE]
    names = ask(client, *images)
    truth = ["up-left", "up-right", "up-right", "up-left", "down-left"]
    client.post(
        "/feedback", json=[{"request_id": name, "label": label} for name, label in zip(names, truth, strict=False)]
    )
    answers = [expected_answer(image) for image in images[:5]]
    correct = [answer.label == label for answer, label in zip(answers, truth, strict=True)]
    assert correct == [True, False, True, True, False]
    realised = [a.confidence if right else 1 - a.confidence for a, right in zip(answers, correct, strict=True)]
    labels = monitor(client)["labels"]
    assert (labels["state"], labels["labelled"], labels["complete"]) == ("ok", 5, True)
    assert labels["coverage"]["value"] == 5 / 8
    assert labels["accuracy"]["value"] == pytest.approx(3 / 5)
    assert_mean(labels["net_trust_score"], realised)
    assert_mean(labels["confidence_right"], [a.confidence for a, right in zip(answers, correct, strict=True) if right])
    assert_mean(
        labels["confidence_wrong"], [a.confidence for a, right in zip(answers, correct, strict=True) if not right]
    )
    # Three of the labelled answers are trusted, one of them is wrong.
    assert labels["risk"]["value"] == pytest.approx(1 / 3)
    assert labels["promise"] == {"state": "nothing promised"}
    gaps = [right - a.trust for a, right in zip(answers, correct, strict=True)]
    assert labels["calibration_gap"]["value"] == pytest.approx(np.mean(gaps), abs=1e-6)
    assert 0 <= labels["lag_seconds"]["value"] < 20
    estimates = [a.trust * a.confidence + (1 - a.trust) * (1 - a.confidence) for a in map(expected_answer, images)]
    rectifiers = np.array(realised) - estimates[:5]
    powered = labels["net_trust_score_prediction_powered"]
    assert powered["value"] == pytest.approx(np.mean(estimates) + rectifiers.mean(), abs=1e-6)
    half = Z * np.sqrt(np.var(estimates, ddof=1) / 8 + rectifiers.var(ddof=1) / 5)
    assert powered["low"] == pytest.approx(max(0, powered["value"] - half), abs=1e-6)


def test_spectrum_by_target_is_told_from_that_by_predicted_class(serve):
    client = serve(monitor_minimum=2)
    names = ask(client, SURE, SURE)
    client.post("/feedback", json=[{"request_id": name, "label": "down-left"} for name in names])
    where = monitor(client)["where"]
    assert [row["net_trust_score_estimate"]["answers"] for row in where["by_predicted"]] == [2, 0, 0]
    assert [row["net_trust_score"]["answers"] for row in where["by_target"]] == [0, 0, 2]
    assert where["by_target"][2]["accuracy"]["value"] == 0


@pytest.mark.parametrize(("wrong", "state"), [(0, "kept"), (1, "kept"), (20, "broken")])
def test_promise_is_broken_where_the_whole_interval_of_the_risk_lies_above_it(own_bundle, serve, wrong, state):
    edit_manifest(own_bundle, threshold=Threshold(value=0.6, statement="at most 2 % are wrong", risk=0.02))
    client = serve(model=own_bundle, monitor_minimum=20)
    names = ask(client, *[SURE] * 20)
    labels = ["up-right"] * wrong + ["up-left"] * (20 - wrong)
    client.post(
        "/feedback", json=[{"request_id": name, "label": label} for name, label in zip(names, labels, strict=True)]
    )
    # One wrong of twenty is 5 %, but by chance: from .9 % on, says Wilson.
    assert monitor(client)["labels"]["promise"] == {"state": state, "risk": 0.02}


def test_window_of_images_unlike_the_reference_drifted(serve):
    client = serve(monitor_minimum=30)
    ask(client, *[quadrants(255, 230, 230, 250)] * 40)
    scores = monitor(client)["drift"]["scores"]
    assert scores.keys() == {"trust", "confidence", "predicted", "novelty"}
    for score, statistic in [("trust", "psi"), ("trust", "ks"), ("confidence", "psi"), ("predicted", "psi")]:
        assert scores[score][statistic]["exceeded"], (score, statistic)
    assert "exceeded" not in scores["trust"]["wasserstein"]
    # Novelty is the mean of all pixels, .946: 5 of the 100 reference images are at least as novel, so p < 6 / 101.
    assert 0.5 - 6 / 101 <= scores["novelty"]["p_value_drop"]["value"] <= 0.5
    assert scores["novelty"]["p_value_drop"]["exceeded"]


def test_images_strange_by_their_pixels_alone_raise_the_alarm_of_the_image(own_bundle, serve):
    give_image_statistics(own_bundle)
    client = serve(model=own_bundle, monitor_minimum=30, alarm_run_length=100)
    # Grey 90 has 10 of the reference's 100 at least as strange, 101 none.
    ask(client, *[quadrants(90, 90, 90, 90)] * 40)
    found = monitor(client)
    drop = found["drift"]["scores"]["image_novelty"]["p_value_drop"]
    assert 0.5 - 12 / 101 <= drop["value"] <= 0.5 - 10 / 101
    assert drop["exceeded"]
    assert found["alarms"]["image"]["active"]
    assert found["alarms"].keys() == {"falling_trust", "untrusted", "input", "image"}
    shown = scrape(client)
    assert shown[series("trust_alarm_active", alarm="image", **MODEL)] == 1
    assert shown[series("trust_image_novelty_answers_total", **MODEL)] == 40


def test_drift_is_shown_to_prometheus_from_beside_the_requests(serve, monkeypatch):
    monkeypatch.setattr("service.monitor.background.LOOK_SECONDS", 0.02)
    client = serve(monitor_minimum=5)
    ask(client, *[SURE] * 5)
    wait_until(lambda: any(name == "trust_drift" for name, _ in scrape(client)))
    shown = [labels for name, labels in scrape(client) if name == "trust_drift"]
    # PSI and Jensen-Shannon of trust and of confidence, PSI and chi-square of the predicted class.
    assert len(shown) == 6


NO_WINDOWS = "0 0s 0h 9s -1h 10y 3650d 8d 999999999d 9999999999d 1 h 1.5h 1e3s NaN infd 1h;1h 1h%0A %D9%A3h '-- 1H"


@pytest.mark.parametrize("window", ["", *NO_WINDOWS.split()])
def test_window_that_is_none(client, window):
    assert_problem(client.get(f"/monitor?window={window}"), 400, "parameter-invalid", "window is", "10s to 7d")


@pytest.mark.parametrize(("window", "seconds"), [("10s", 10), ("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800)])
def test_window_says_what_it_covers(client, window, seconds):
    span = monitor(client, window)["window"]
    since, until = (datetime.fromisoformat(span[end]) for end in ("since", "until"))
    # From the edge of a bucket on: shorter by less than one.
    assert seconds - 7200 < (until - since).total_seconds() <= seconds
    assert span["window"] == window


def test_windows_and_alarms_survive_a_restart(tiny_bundle, tmp_path):
    with running(tiny_bundle, tmp_path, alarm_run_length=100) as client:
        ask(client, *[UNSURE] * 60)
        before = monitor(client)
    with running(tiny_bundle, tmp_path, alarm_run_length=100) as client:
        after = monitor(client)
        shown = scrape(client)
    assert after["answers"] == 60
    assert after["alarms"] == before["alarms"]
    assert after["alarms"]["falling_trust"]["active"]
    # It is shown as active, but not counted a second time.
    assert shown[series("trust_alarm_active", alarm="falling_trust", **MODEL)] == 1
    assert shown[series("trust_alarms_total", alarm="falling_trust", **MODEL)] == 0


def test_alarm_is_raised_logged_and_counted_once(serve, caplog):
    client = serve(alarm_run_length=100)
    with caplog.at_level(logging.WARNING):
        ask(client, *[UNSURE] * 80)
        monitor(client)
    assert caplog.text.count("alarm falling_trust of tiny 1.0.0") == 1
    alarms = monitor(client)["alarms"]
    assert alarms.keys() == {"falling_trust", "untrusted", "input"}
    falling = alarms["falling_trust"]
    assert falling["active"]
    assert falling["level"] >= falling["threshold"] == 2
    # The reference's lower end less the tolerated drop.
    assert falling["least_mean"] == pytest.approx(0.8426 - 0.02)
    raised = [value for (name, _), value in scrape(client).items() if name == "trust_alarms_total"]
    assert sorted(raised) == [0, 1, 1]


def test_good_answers_raise_no_alarm(serve):
    client = serve(alarm_run_length=100)
    ask(client, *[quadrants(255, 0, 0, 250)] * 80)
    assert not monitor(client)["alarms"]["falling_trust"]["active"]


def test_labels_that_break_the_promise_raise_the_alarm_of_correctness(own_bundle, serve):
    edit_manifest(own_bundle, threshold=Threshold(value=0.6, statement="at most 10 % are wrong", risk=0.1))
    client = serve(model=own_bundle, alarm_run_length=100)
    names = ask(client, *[SURE] * 20, *[UNSURE] * 20)
    # Wrong untrusted answers break no promise.
    client.post("/feedback", json=[{"request_id": name, "label": "up-right"} for name in names[20:]])
    assert monitor(client)["alarms"]["correctness"]["level"] == 0
    client.post("/feedback", json=[{"request_id": name, "label": "up-right"} for name in names[:20]])
    assert monitor(client)["alarms"]["correctness"]["active"]


def test_corrupted_state_is_set_aside_and_counting_begins_anew(tiny_bundle, tmp_path, caplog):
    with running(tiny_bundle, tmp_path) as client:
        ask(client, SURE)
    (file,) = tmp_path.glob("*/0.npz")
    file.write_bytes(file.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING), running(tiny_bundle, tmp_path) as client:
        assert monitor(client)["answers"] == 0
        ask(client, SURE)
        assert monitor(client)["answers"] == 1
    assert f"{file} is no state of the monitor" in caplog.text
    assert file.with_suffix(".corrupt").exists()


def test_state_of_one_bundle_is_not_that_of_another(own_bundle, tmp_path):
    edit_manifest(own_bundle, version="1.0.0")
    with running(own_bundle, tmp_path / "state") as client:
        ask(client, SURE)
    edit_manifest(own_bundle, version="2.0.0")
    with running(own_bundle, tmp_path / "state") as client:
        assert monitor(client)["answers"] == 0
    edit_manifest(own_bundle, version="1.0.0")
    with running(own_bundle, tmp_path / "state") as client:
        assert monitor(client)["answers"] == 1


def test_workers_of_one_service_report_together(tiny_bundle, tmp_path):
    with running(tiny_bundle, tmp_path, monitor_minimum=2, alarm_run_length=100) as first:
        with running(tiny_bundle, tmp_path, monitor_minimum=2, alarm_run_length=100) as second:
            ask(second, *[UNSURE] * 60)
        ask(first, SURE, SURE)
        found = monitor(first)
    assert found["answers"] == 62
    assert found["traffic"]["mean_trust"]["value"] == pytest.approx(
        (60 * expected_answer(UNSURE).trust + 2 * expected_answer(SURE).trust) / 62, abs=1e-6
    )
    assert found["alarms"]["falling_trust"]["active"]


def test_state_is_saved_every_few_seconds(tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("service.monitor.background.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("service.monitor.memory.SAVE_SECONDS", 0.05)
    with running(tiny_bundle, tmp_path) as client:
        ask(client, SURE)
        wait_until(lambda: len(list(tmp_path.glob("*/0.npz"))) == 1)


def test_folder_that_cannot_be_written_costs_no_answer(serve, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        client = serve(state=tmp_path / "file" / "state")
        ask(client, SURE)
    assert monitor(client)["answers"] == 1
    assert "will not outlive a restart" in caplog.text


def test_monitor_that_fails_costs_no_answer(serve, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("no more room")

    client = serve()
    monkeypatch.setattr("service.monitor.memory.Memory.add", fail)
    (name,) = ask(client, SURE)
    # What else there is to do with an answer is done.
    assert client.post("/feedback", json={"request_id": name, "label": "up-left"}).status_code == 200
    assert "1 answers are missing in the window" in caplog.text
    assert scrape(client)[series("trust_unobserved_total", reason="failed", **MODEL)] == 1


@pytest.mark.parametrize("path", ["/monitor", "/feedback"])
def test_slow_report_or_database_holds_up_nobody_else(serve, monkeypatch, path):
    client = serve()
    (name,) = ask(client, SURE)
    began, may_end = threading.Event(), threading.Event()

    def slowly(*_):
        began.set()
        assert may_end.wait(20)
        raise JournalAway("slow")

    slow = "service.journal.journal.Journal." + ("labelled" if path == "/monitor" else "label")
    monkeypatch.setattr(slow, slowly)
    with ThreadPoolExecutor(1) as caller:
        if path == "/monitor":
            waiting = caller.submit(client.get, path)
        else:
            waiting = caller.submit(client.post, path, json={"request_id": name, "label": "up-left"})
        assert began.wait(20)
        ask(client, SURE)
        assert client.get("/metrics").status_code == 200
        assert not waiting.done()
        may_end.set()
        assert waiting.result().status_code == (200 if path == "/monitor" else 503)


def test_report_says_that_the_journal_is_off_or_away(serve, monkeypatch):
    assert monitor(serve(journal="off"))["labels"]["state"] == "journal off"

    def away(*_):
        raise JournalAway("the database does not answer")

    client = serve()
    monkeypatch.setattr("service.journal.journal.Journal.labelled", away)
    assert monitor(client)["labels"] == {"state": "journal away", "labelled": 0, "complete": True}


def test_classes_beyond_the_limit_are_one(serve):
    client = serve(monitor_minimum=2, class_series_limit=1)
    names = ask(client, SURE, OTHER, OTHER)
    client.post("/feedback", json=[{"request_id": name, "label": "down-left"} for name in names])
    where = monitor(client)["where"]
    assert [(row["label"], row["answers"]) for row in where["by_predicted"]] == [("up-left", 1), ("(other)", 2)]
    assert [row["accuracy"]["answers"] for row in where["by_target"]] == [0, 3]


def test_bundle_that_is_not_open_has_no_report(serve, tmp_path):
    client = serve(model=tmp_path / "nowhere")
    assert_problem(client.get("/monitor"), 503, "not-ready")
    assert_problem(client.post("/feedback", json={"request_id": "a", "label": "b"}), 503, "not-ready")


def test_docs_describe_the_report_and_its_errors(client):
    operation = client.get("/openapi.json").json()["paths"]["/monitor"]["get"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["window", "of"]
    assert operation["responses"].keys() == {"200", "400", "500", "503"}
