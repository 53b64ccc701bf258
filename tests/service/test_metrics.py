"""/metrics after known answers, against arithmetic."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service import engine
from tests.tiny import expected_answer, png, quadrants

IMAGES = [quadrants(200, 50, 20, 120), quadrants(10, 240, 20, 0), quadrants(90, 80, 70, 10)]


def scrape(client) -> dict[str, float]:
    """Samples as `name{label=value}`."""
    return {
        sample.name + "".join(f"{{{key}={value}}}" for key, value in sample.labels.items()): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def test_metrics_of_known_answers(serve):
    client = serve(reward=2.0, penalty=3.0)
    for image in IMAGES:
        assert client.post("/predict", files={"image": png(image)}).status_code == 200
    answers = [expected_answer(image) for image in IMAGES]
    trust, confidence = np.array([a.trust for a in answers]), np.array([a.confidence for a in answers])
    quality = trust * confidence**2 + (1 - trust) * (1 - confidence) ** 3
    found = scrape(client)
    expected = {
        "trust_predictions_total{decision=trust}": (trust >= 0.6).sum(),
        "trust_predictions_total{decision=untrust}": (trust < 0.6).sum(),
        "trust_class_predictions_total{predicted=up-left}": 2,
        "trust_class_predictions_total{predicted=up-right}": 1,
        "trust_class_predictions_total{predicted=down-left}": 0,
        "trust_probability_sum": trust.sum(),
        "trust_probability_count": 3,
        "trust_confidence_sum": confidence.sum(),
        "trust_question_answer_sum_total": quality.sum(),
        "trust_question_answer_squares_sum_total": (quality**2).sum(),
        "trust_request_seconds_count": 3,
        "trust_batch_size_sum": 3,
        "trust_queue_length": 0,
        "trust_model_info{name=tiny}{version=1.0.0}{provider=CPUExecutionProvider}": 1,
    }
    for edge in np.arange(1, 21) / 20:
        expected[f"trust_probability_bucket{{le={edge:g}}}"] = (trust <= edge).sum()
    for name, value in expected.items():
        name = name.replace("{le=1}", "{le=1.0}")
        assert sorted_labels(found)[sorted_name(name)] == pytest.approx(value, abs=1e-5), name


def test_every_reason_is_there_from_the_start_and_errors_are_counted(serve):
    client = serve()
    before = {name: value for name, value in scrape(client).items() if name.startswith("trust_errors_total")}
    assert len(before) == 11
    assert set(before.values()) == {0}
    client.post("/predict", files={"image": b"no image"})
    client.post("/predict", content=b"", headers={"Content-Type": "image/png"})
    client.get("/nothing")
    after = scrape(client)
    changed = {name for name, value in before.items() if after[name] != value}
    assert changed == {"trust_errors_total{reason=image_unreadable}", "trust_errors_total{reason=image_missing}"}
    assert after["trust_request_seconds_count"] == 2


def test_counters_show_no_created_series_and_the_process_is_there(serve):
    found = scrape(serve())
    assert not [name for name in found if "_created" in name]
    assert "process_cpu_seconds_total" in found
    assert any(name.startswith("python_info") for name in found)


def test_two_services_in_one_process_count_apart(serve):
    first, second = serve(), serve()
    first.post("/predict", files={"image": png(IMAGES[0])})
    assert scrape(first)["trust_probability_count"] == 1
    assert scrape(second)["trust_probability_count"] == 0


def test_concurrent_requests_are_batched_and_each_gets_its_own_answer(serve, monkeypatch):
    images = [quadrants(*row) for row in np.random.default_rng(1).integers(0, 256, (24, 4))]
    first_batch_may_end = threading.Event()
    answer_batch = engine.answer_batch

    def held_back(*arguments):
        assert first_batch_may_end.wait(10)
        return answer_batch(*arguments)

    monkeypatch.setattr(engine, "answer_batch", held_back)
    client = serve(max_batch=8)
    with ThreadPoolExecutor(len(images)) as callers:
        answers = [callers.submit(client.post, "/predict", files={"image": png(image)}) for image in images]
        while scrape(client)["trust_queue_length"] < 16:
            pass
        first_batch_may_end.set()
        for image, answer in zip(images, answers, strict=True):
            assert answer.result().json()["trust_probability"] == pytest.approx(expected_answer(image).trust, abs=1e-6)
    found = scrape(client)
    assert found["trust_batch_size_sum"] == 24
    # While the first batch is held at least 16 wait: two full batches, and at most two more for the rest.
    assert 3 <= found["trust_batch_size_count"] <= 6


def sorted_name(name: str) -> tuple[str, ...]:
    head, *labels = name.replace("}", "").split("{")
    return (head, *sorted(labels))


def sorted_labels(samples: dict[str, float]) -> dict[tuple[str, ...], float]:
    return {sorted_name(name): value for name, value in samples.items()}
