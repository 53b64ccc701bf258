"""Answers are taken in at once and counted in bulk: as each by itself, in their order, and none is lost."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import generate_latest

from service.inference.answer import Answer
from service.inference.bundle import Bundle, load_bundle
from service.journal.journal import Journal, open_journal
from service.journal.records import Label, Outcome
from service.monitor.background import MANY, Background
from service.monitor.fold import IMAGES_AT_ONCE
from service.monitor.intake import Batch, Intake
from service.monitor.live import Live
from service.monitor.memory import Memory
from service.monitor.metrics import Metrics
from service.monitor.opening import open_journal_of, open_monitor
from service.monitor.subject import Subject
from service.settings import load_settings
from tests.exposition import Series, samples, series
from tests.tiny import give_image_statistics
from tests.waiting import wait_until

NOON = 1_800_000_000.0
MODEL = {"model": "tiny", "version": "1.0.0"}


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return load_bundle(tiny_bundle)


class Watched:
    """A live monitor, and all that it counts into."""

    def __init__(self, bundle: Bundle, folder: Path, journal: Journal | None) -> None:
        settings = load_settings(model=bundle.path, alarm_run_length=200, class_series_limit=2)
        subject = Subject.of(bundle, bundle.manifest.threshold, settings)
        self.process = Metrics(2, 1)
        self.memory = Memory(folder, len(subject.names), subject.new_alarms)
        metrics = self.process.of(bundle, bundle.manifest.threshold)
        self.now = NOON
        self.live = Live(subject, self.memory, metrics, journal, 1, clock=lambda: self.now)
        self.background = Background(self.live, self.process, subject, self.memory, metrics, journal, 1)

    def scrape(self) -> dict[Series, float]:
        found = samples(generate_latest(self.process.shown).decode())
        return {key: value for key, value in found.items() if set(MODEL.items()) <= key[1]}

    def counted(self) -> float:
        return self.memory.sums(3600, self.now)[0].total("answers")


@pytest.fixture
def watch(bundle: Bundle, tmp_path: Path) -> Callable[..., Watched]:
    """Makes monitors, each with a state of its own."""
    return lambda name="state", journal=None: Watched(bundle, tmp_path / name, journal)


@pytest.fixture
def open_one(tmp_path: Path) -> Iterator[Callable[[str], Journal]]:
    """Opens journals, which are closed when the test ends."""
    with ExitStack() as stack:

        def open_it(name: str) -> Journal:
            journal = open_journal(f"sqlite:///{tmp_path}/{name}.sqlite")
            stack.callback(journal.close)
            return journal

        yield open_it


def answer(trust: float = 0.8, class_index: int = 0, confidence: float = 0.9, novelty: float | None = 0.5) -> Answer:
    probabilities, head_inputs = np.zeros(3, np.float32), np.array([trust, 1], np.float32)
    return Answer(class_index, confidence, trust, 0.6, trust >= 0.6, probabilities, novelty, head_inputs)


def random_answers(count: int) -> list[Answer]:
    """Good ones, then bad ones, then good ones; of each tenth the novelty is no number, of another there is none."""
    generator = np.random.default_rng(0)
    trust = np.where(np.arange(count) // 150 == 1, generator.beta(2, 4, count), generator.beta(30, 1, count))
    novelty = generator.random(count).tolist()
    novelty = [math.nan if i % 10 == 3 else None if i % 10 == 7 else value for i, value in enumerate(novelty)]
    columns = trust.tolist(), generator.integers(0, 3, count).tolist(), generator.random(count).tolist(), novelty
    return [answer(*row) for row in zip(*columns, strict=True)]


def test_answers_counted_in_bulk_are_as_each_by_itself(watch, open_one):
    answers = random_answers(480)
    journals = [open_one(name) for name in ("bulk", "single")]
    bulk, single = (watch(name, journal) for name, journal in zip(("bulk", "single"), journals, strict=True))
    for start in range(0, len(answers), 8):
        ids = [str(start + i) for i in range(8)]
        for one in (bulk, single):
            one.now = NOON + start / 50  # several buckets of the window
        bulk.live.observe(ids, answers[start : start + 8])
        for request_id, each in zip(ids, answers[start : start + 8], strict=True):
            single.live.observe([request_id], [each])
            single.live.fold()
    bulk.live.fold()
    assert bulk.scrape() == pytest.approx(single.scrape(), rel=1e-9)
    assert bulk.scrape()[series("trust_alarms_total", alarm="falling_trust", **MODEL)] >= 1
    for span in (10, 60, 600, 86_400):
        found, expected = (one.memory.sums(span, bulk.now)[0].values for one in (bulk, single))
        assert found == pytest.approx(expected)
    for name, alarm in bulk.memory.alarms.watches.items():
        other = single.memory.alarms.watches[name]
        assert (alarm.active, alarm.raised_at, alarm.level) == (
            other.active,
            other.raised_at,
            pytest.approx(other.level, rel=1e-9, abs=1e-12),
        )
    labels = [Label(str(i), 0) for i in range(len(answers))]
    kept, others = ([result.answer for result in journal.label(labels)] for journal in journals)
    assert [each._replace(question_answer_estimate=0) for each in kept] == [
        each._replace(question_answer_estimate=0) for each in others
    ]
    assert [each.question_answer_estimate for each in kept] == pytest.approx(
        [each.question_answer_estimate for each in others]
    )


def test_order_of_answers_is_kept(watch):
    # Zeros raise the alarm wherever they stand, ones after them end it: before them they do not.
    good, bad = [answer(1.0)] * 2000, [answer(0.0)] * 200
    for name, batches, active in (("good first", (good, bad), True), ("bad first", (bad, good), False)):
        one = watch(name)
        for batch in batches:
            one.live.observe(["id"] * len(batch), batch)
        one.live.fold()
        assert one.memory.alarms.watches["falling_trust"].raised_at == NOON
        assert one.memory.alarms.watches["falling_trust"].active is active


def test_answers_of_many_threads_are_all_counted_while_others_fold(watch):
    one, done = watch(), threading.Event()

    def fold() -> None:
        while not done.is_set():
            one.live.fold()

    def observe() -> None:
        for _ in range(500):
            one.live.observe(["id"] * 4, [answer()] * 4)

    folding = [threading.Thread(target=fold) for _ in range(2)]
    observing = [threading.Thread(target=observe) for _ in range(4)]
    for thread in [*folding, *observing]:
        thread.start()
    for thread in observing:
        thread.join()
    done.set()
    for thread in folding:
        thread.join()
    one.live.fold()
    assert one.counted() == 4 * 500 * 4
    assert one.scrape()[series("trust_predictions_total", decision="trust", **MODEL)] == 4 * 500 * 4


def test_label_right_after_its_answer_is_accepted(watch, open_one):
    one = watch(journal=open_one("journal"))
    one.live.observe(["mine"], [answer()])
    (result,) = one.live.label([Label("mine", 0)])
    assert result.outcome is Outcome.accepted


def test_many_answers_are_counted_at_the_next_look_and_few_after_some(watch, monkeypatch):
    monkeypatch.setattr("service.monitor.background.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("service.monitor.background.LOOKS_FOR_FEW", 1_000_000)
    one = watch()
    one.background.start()
    one.live.observe(["id"] * (MANY - 1), [answer()] * (MANY - 1))
    time.sleep(0.2)
    assert one.counted() == 0
    one.live.observe(["id"], [answer()])
    wait_until(lambda: one.counted() == MANY)
    monkeypatch.setattr("service.monitor.background.LOOKS_FOR_FEW", 5)
    one.live.observe(["id"], [answer()])
    wait_until(lambda: one.counted() == MANY + 1)
    asyncio.run(one.background.close())


def test_more_than_fits_is_dropped_and_counted_and_what_fits_is_kept():
    intake = Intake(limit=5)
    kept, also, too_many = (Batch(NOON, ["id"] * n, [answer()] * n) for n in (3, 2, 1))
    for batch in (kept, too_many, too_many, too_many, also):
        intake.add(batch)
    assert intake.take() == ([kept, too_many, too_many], 3)
    assert intake.take() == ([], 0)
    intake.add(kept)
    assert intake.take() == ([kept], 0)


def test_fold_that_stalls_costs_figures_and_holds_up_nobody(watch, monkeypatch, caplog):
    one, stalled, may_go_on = watch(), threading.Event(), threading.Event()
    monkeypatch.setattr(one.live, "_intake", Intake(limit=10))
    add = one.memory.add

    def slowly(*arguments):
        stalled.set()
        assert may_go_on.wait(20)
        add(*arguments)

    monkeypatch.setattr(one.memory, "add", slowly)
    one.live.observe(["id"], [answer()])
    folding = threading.Thread(target=one.live.fold)
    folding.start()
    assert stalled.wait(20)
    for _ in range(25):
        one.live.observe(["id"], [answer()])
    may_go_on.set()
    folding.join()
    one.live.fold()
    assert one.counted() == 1 + 10
    assert one.scrape()[series("trust_unobserved_total", reason="full", **MODEL)] == 15
    assert "15 answers came faster than they could be counted" in caplog.text


@pytest.mark.parametrize(
    "broken",
    [answer(trust=math.nan), answer(confidence=1.5), answer(class_index=3), answer(class_index=-1), None],
    ids=["trust", "confidence", "class", "negative class", "no answer at all"],
)
def test_batch_that_cannot_be_counted_costs_no_other(watch, open_one, caplog, broken):
    one = watch(journal=open_one("journal"))
    for i in range(7):
        one.live.observe([f"good-{i}"], [answer()])
        if i == 4:
            one.live.observe(["broken", "beside"], [broken, answer()])
    one.live.fold()
    assert one.counted() == 7
    assert one.scrape()[series("trust_unobserved_total", reason="failed", **MODEL)] == 2
    assert {each.outcome for each in one.live.label([Label(f"good-{i}", 0) for i in range(7)])} == {"accepted"}
    assert caplog.text.count("2 answers cannot be counted") == 1
    one.live.fold()
    assert caplog.text.count("cannot be counted") == 1


def test_request_ids_that_do_not_match_the_answers_are_told(watch, caplog):
    one = watch()
    one.live.observe(["one"], [answer(), answer()])
    one.live.fold()
    assert one.counted() == 0
    assert "there are not as many request ids as answers" in caplog.text


def test_part_that_fails_costs_no_other_part(watch, monkeypatch, caplog):
    one = watch()

    def fail(*_):
        raise RuntimeError("no more room")

    monkeypatch.setattr(one.memory, "add", fail)
    one.live.observe(["id"], [answer(0.0)])
    with caplog.at_level(logging.ERROR):
        one.live.fold()
    assert one.scrape()[series("trust_predictions_total", decision="untrust", **MODEL)] == 1
    assert one.memory.alarms.watches["falling_trust"].level > 0
    assert "1 answers are missing in the window" in caplog.text


def test_closing_folds_and_keeps_what_came_last(bundle, tmp_path):
    settings = load_settings(model=bundle.path, state=tmp_path)
    journal = open_journal_of(settings)
    monitor = open_monitor(bundle, bundle.manifest.threshold, settings, Metrics(1000, 1), journal)
    monitor.background.start()
    monitor.live.observe(["last", "of all"], [answer(), answer()])
    asyncio.run(monitor.background.close())
    journal.close()
    assert journal.counts.written == 2
    again = open_monitor(bundle, bundle.manifest.threshold, settings, Metrics(1000, 1), None)
    assert again.live.report("1h").answers == 2
    asyncio.run(again.background.close())


def test_answers_are_counted_soon_without_anybody_asking(bundle, tmp_path):
    process, settings = Metrics(1000, 1), load_settings(model=bundle.path, state=tmp_path)
    monitor = open_monitor(bundle, bundle.manifest.threshold, settings, process, None)
    monitor.background.start()
    monitor.live.observe(["id"], [answer()])
    deadline = time.monotonic() + 20
    while not samples(generate_latest(process.shown).decode())[
        series("trust_predictions_total", decision="trust", **MODEL)
    ]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    asyncio.run(monitor.background.close())


def test_two_bundles_of_one_app_are_monitored_side_by_side(bundle, tmp_path):
    new = replace(bundle, manifest=bundle.manifest.model_copy(update={"version": "2.0.0"}))
    process, settings = Metrics(1000, 1), load_settings(model=bundle.path, state=tmp_path)
    journal = open_journal_of(settings)
    champion, shadow = (
        open_monitor(each, each.manifest.threshold, settings, process, journal) for each in (bundle, new)
    )
    for monitor in (champion, shadow):
        monitor.background.start()
    champion.live.observe(["a", "b"], [answer(0.9), answer(0.9)])
    shadow.live.observe(["c"], [answer(0.1)])
    assert [each.outcome for each in shadow.live.label([Label("c", 0)])] == ["accepted"]
    # A label for an answer of the other version counts for that version, once that one has folded.
    champion.live.fold()
    assert [each.outcome for each in shadow.live.label([Label("a", 0)])] == ["accepted"]
    asyncio.run(champion.background.close())
    found = samples(generate_latest(process.shown).decode())

    def counts(name: str, **labels: str) -> list[float]:
        return [found[series(name, model="tiny", version=version, **labels)] for version in ("1.0.0", "2.0.0")]

    assert counts("trust_predictions_total", decision="trust") == [2, 0]
    assert counts("trust_predictions_total", decision="untrust") == [0, 1]
    assert counts("trust_labelled_total", decision="trust", correct="true") == [1, 0]
    assert counts("trust_labelled_total", decision="untrust", correct="true") == [0, 1]
    # What was closed has no alarms any more, the other has.
    versions = {dict(labels)["version"] for name, labels in found if name == "trust_alarm_level"}
    assert versions == {"2.0.0"}
    asyncio.run(shadow.background.close())
    journal.close()


@pytest.fixture
def sees_pixels(own_bundle: Path, tmp_path: Path) -> Watched:
    """A monitor of a bundle with image statistics: the novelty of an image is log(1 + grey)."""
    give_image_statistics(own_bundle)
    return Watched(load_bundle(own_bundle), tmp_path / "pixels", None)


def of_grey(*levels: int) -> list[np.ndarray]:
    return [np.full((4, 4, 1), level, np.uint8) for level in levels]


def image_p_values(one: Watched) -> tuple[float, float]:
    """How many were counted, and their sum."""
    return tuple(one.memory.sums(3600, one.now)[0].image_p_values.tolist())


def test_images_are_ranked_by_their_pixels_among_those_of_the_reference(sees_pixels):
    sees_pixels.live.observe(["a", "b"], [answer(), answer()], of_grey(255, 100))
    sees_pixels.live.observe(["c"], [answer()])
    sees_pixels.live.observe(["d"], [answer()], of_grey(90))
    sees_pixels.live.fold()
    count, total = image_p_values(sees_pixels)
    # Of greys 1 to 100 none is above 255 or 100, ten are above 90; ties and the image itself are drawn for.
    assert count == 3
    assert 10 / 101 <= total <= (1 + 2 + 12) / 101
    assert sees_pixels.counted() == 4
    assert sees_pixels.scrape()[series("trust_image_novelty_answers_total", **MODEL)] == 3


def test_more_images_than_are_described_at_once_keep_their_order(sees_pixels):
    count = 2 * IMAGES_AT_ONCE + 1
    for start in range(0, count, 3):
        levels = [0 if start + i < IMAGES_AT_ONCE else 255 for i in range(3)]
        sees_pixels.live.observe(["id"] * 3, [answer()] * 3, of_grey(*levels))
    sees_pixels.live.fold()
    _, total = image_p_values(sees_pixels)
    # A black image is less strange than all 100, with p of at least 100 / 101; a white one below 1 / 101.
    assert 100 / 101 <= total / IMAGES_AT_ONCE <= 1 + 0.03


def test_images_that_find_no_room_cost_no_answer():
    intake = Intake(limit=3, image_bytes=40)
    for name in "ab":
        intake.add(Batch(NOON, [name], [answer()], of_grey(7) if name == "a" else of_grey(7) + of_grey(8)))
    (first, second), dropped = intake.take()
    assert (len(first.images), len(second.images), dropped) == (1, 0, 0)  # 16 bytes, and 32 more
    intake.add(Batch(NOON, ["c"], [answer()], of_grey(7)))
    assert len(intake.take()[0][0].images) == 1


def test_image_too_many_costs_its_batch_alone(sees_pixels, caplog):
    sees_pixels.live.observe(["a"], [answer()], of_grey(1, 2))
    sees_pixels.live.observe(["b"], [answer()], of_grey(1))
    sees_pixels.live.fold()
    assert "not as many images as answers" in caplog.text
    assert sees_pixels.counted() == 1


def test_bundle_without_image_statistics_holds_no_image(watch):
    one = watch()
    one.live.observe(["a"], [answer()], of_grey(255))
    one.live.fold()
    assert image_p_values(one) == (0, 0)
    assert one.counted() == 1
