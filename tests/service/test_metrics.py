"""/metrics after known answers, against arithmetic."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.inference import lane
from tests.exposition import Series, samples, series
from tests.tiny import edit_manifest, expected_answer, png, quadrants
from trust.manifest import Threshold

IMAGES = [quadrants(200, 50, 20, 120), quadrants(10, 240, 20, 0), quadrants(90, 80, 70, 10)]


MODEL = {"model": "tiny", "version": "1.0.0"}


def scrape(client) -> dict[Series, float]:
    return samples(client.get("/metrics").text)


def test_metrics_of_known_answers(serve):
    client = serve(reward=2.0, penalty=3.0)
    for image in IMAGES:
        assert client.post("/predict", files={"image": png(image)}).status_code == 200
    answers = [expected_answer(image) for image in IMAGES]
    trust, confidence = np.array([a.trust for a in answers]), np.array([a.confidence for a in answers])
    trusted, up_left = trust >= 0.6, np.array([a.label == "up-left" for a in answers])
    quality = trust * confidence**2 + (1 - trust) * (1 - confidence) ** 3
    assert trusted.sum() == up_left.sum() == 2
    expected = {
        series("trust_probability_squares_sum_total", **MODEL): (trust**2).sum(),
        series("trust_question_answer_sum_total", **MODEL): quality.sum(),
        series("trust_question_answer_squares_sum_total", **MODEL): (quality**2).sum(),
        series("trust_class_probability_sum_total", predicted="up-left", **MODEL): trust[up_left].sum(),
        series("trust_class_question_answer_sum_total", predicted="up-left", **MODEL): quality[up_left].sum(),
        series("trust_class_question_answer_sum_total", predicted="down-left", **MODEL): 0,
        series("trust_request_seconds_count"): 3,
        series("trust_batch_size_sum"): 3,
        series("trust_queue_length"): 0,
        series("trust_queue_capacity"): 256,
        series("trust_model_info", provider="CPUExecutionProvider", **MODEL): 1,
    }
    for decision, chosen in {"trust": trusted, "untrust": ~trusted}.items():
        labels = {**MODEL, "decision": decision}
        expected[series("trust_predictions_total", **labels)] = chosen.sum()
        expected[series("trust_probability_sum", **labels)] = trust[chosen].sum()
        expected[series("trust_confidence_sum", **labels)] = confidence[chosen].sum()
        expected[series("trust_class_predictions_total", predicted="up-left", **labels)] = (chosen & up_left).sum()
        for edge in np.arange(1, 21) / 20:
            below = (trust[chosen] <= edge).sum()
            expected[series("trust_probability_bucket", le=str(float(edge)), **labels)] = below
    found = scrape(client)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-5), name


def test_every_reason_is_there_from_the_start_and_errors_are_counted(serve):
    client = serve()
    before = {key: value for key, value in scrape(client).items() if key[0] == "trust_errors_total"}
    assert len(before) == 16
    assert set(before.values()) == {0}
    client.post("/predict", files={"image": b"no image"})
    client.post("/predict", content=b"", headers={"Content-Type": "image/png"})
    client.get("/nothing")
    after = scrape(client)
    changed = {key for key, value in before.items() if after[key] != value}
    assert changed == {series("trust_errors_total", reason=r) for r in ("image_unreadable", "image_missing")}
    assert after[series("trust_request_seconds_count")] == 2


def test_counters_show_no_created_series_and_the_process_is_there(serve):
    names = {name for name, _ in scrape(serve())}
    assert not [name for name in names if "_created" in name]
    assert {"process_cpu_seconds_total", "python_info"} <= names


def test_whatever_is_about_answers_says_of_which_model_and_version(serve):
    of_the_process = re.compile("trust_(request|batch|queue|errors|journal|captures|shadow)_?|python_info|process_")
    for name, labels in scrape(serve()):
        assert of_the_process.match(name) or set(MODEL.items()) <= labels, name


def test_two_services_in_one_process_count_apart(serve):
    first, second = serve(), serve()
    first.post("/predict", files={"image": png(IMAGES[0])})
    assert scrape(first)[series("trust_request_seconds_count")] == 1
    assert scrape(second)[series("trust_request_seconds_count")] == 0


def test_classes_beyond_the_limit_share_one_series(serve):
    client = serve(class_series_limit=1)
    for image in IMAGES:
        client.post("/predict", files={"image": png(image)})
    counted: dict[str, float] = {}
    for (name, labels), value in scrape(client).items():
        if name == "trust_class_predictions_total":
            predicted = dict(labels)["predicted"]
            counted[predicted] = counted.get(predicted, 0) + value
    assert counted == {"up-left": 2, "(other)": 1}


def test_threshold_of_the_operator_promises_nothing(serve, own_bundle):
    promised = Threshold(value=0.6, statement="promised", risk=0.02, confidence=0.95, coverage=0.8)
    edit_manifest(own_bundle, threshold=promised)
    found = scrape(serve(model=own_bundle))
    assert found[series("trust_promise", statistic="risk", **MODEL)] == 0.02
    assert found[series("trust_promise", statistic="confidence", **MODEL)] == 0.95
    assert found[series("trust_promise", statistic="coverage", **MODEL)] == 0.8
    assert "trust_promise" not in {name for name, _ in scrape(serve(model=own_bundle, threshold=0.5))}


def test_concurrent_requests_are_batched_and_each_gets_its_own_answer(serve, monkeypatch):
    images = [quadrants(*row) for row in np.random.default_rng(1).integers(0, 256, (24, 4))]
    first_batch_may_end = threading.Event()
    answer_batch = lane.answer_batch

    def held_back(*arguments):
        assert first_batch_may_end.wait(10)
        return answer_batch(*arguments)

    monkeypatch.setattr(lane, "answer_batch", held_back)
    client = serve(max_batch=8)
    with ThreadPoolExecutor(len(images)) as callers:
        answers = [callers.submit(client.post, "/predict", files={"image": png(image)}) for image in images]
        while scrape(client)[series("trust_queue_length")] < len(images):
            pass
        first_batch_may_end.set()
        for image, answer in zip(images, answers, strict=True):
            assert answer.result().json()["trust_probability"] == pytest.approx(expected_answer(image).trust, abs=1e-6)
    found = scrape(client)
    assert found[series("trust_batch_size_sum")] == 24
    # While the first batch is held at least 16 wait: two full batches, and at most two more for the rest.
    assert 3 <= found[series("trust_batch_size_count")] <= 6
