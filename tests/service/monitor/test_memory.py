"""What is remembered of the answers, beyond a restart and beside other workers."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from service.inference.bundle import load_bundle
from service.monitor.memory import Memory
from service.monitor.subject import Subject
from service.monitor.window import Observations
from service.settings import load_settings
from tests.tiny import edit_manifest, give_image_statistics, reference_answers
from trust.manifest import BundleError

NOON = 1_800_000_000.0


@pytest.fixture(scope="module")
def subject(tiny_bundle: Path) -> Subject:
    bundle = load_bundle(tiny_bundle)
    return Subject.of(bundle, bundle.manifest.threshold, load_settings(model=tiny_bundle))


def remember(folder: Path, subject: Subject) -> Memory:
    return Memory(folder, 3, subject.new_alarms)


def answers(memory: Memory, count: int, at: float = NOON) -> None:
    columns = [np.full(count, value) for value in (at, 0, True, 0.9, 0.8, 0.7, 0.5, 0.5)]
    memory.add(Observations(*columns), at)


def counted(memory: Memory) -> float:
    return memory.sums(3600, NOON)[0].total("answers")


def test_what_was_saved_is_there_after_a_restart_and_what_was_not_is_lost(tmp_path, subject):
    memory = remember(tmp_path, subject)
    answers(memory, 3)
    memory.save()
    answers(memory, 2)
    memory.close()
    assert counted(remember(tmp_path, subject)) == 3


@pytest.mark.parametrize("alarms", ["no json", "[]", '{"falling_trust": 3}', '{"falling_trust": {}}'])
def test_state_whose_alarms_are_none_is_set_aside_whole(tmp_path, subject, monkeypatch, caplog, alarms):
    memory = remember(tmp_path, subject)
    answers(memory, 3)
    monkeypatch.setattr(memory.alarms, "to_json", lambda: alarms)
    memory.save()
    memory.close()
    with caplog.at_level(logging.WARNING):
        assert counted(remember(tmp_path, subject)) == 0
    assert "counting begins anew" in caplog.text
    assert (tmp_path / "0.corrupt").exists()


def test_worker_that_is_no_more_still_counts_but_raises_no_alarm(tmp_path, subject):
    gone, here = remember(tmp_path, subject), remember(tmp_path, subject)
    answers(gone, 3)
    gone.save()
    assert len(list(here.other_alarms())) == 1
    os.utime(tmp_path / "0.npz", times=(0, 0))
    assert list(here.other_alarms()) == []
    assert counted(here) == 3


def test_failed_save_is_said_once_and_tried_again(tmp_path, subject, monkeypatch, caplog):
    memory = remember(tmp_path, subject)
    answers(memory, 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr("os.fsync", full)
        memory.save()
        memory.save()
    assert caplog.text.count("No space left") == 1
    memory.save()
    memory.close()
    assert counted(remember(tmp_path, subject)) == 1


def test_window_that_takes_long_to_write_is_written_in_a_hundredth_of_the_time(tmp_path, subject, monkeypatch):
    clock, saved = [0.0], []
    monkeypatch.setattr("service.monitor.memory.time.monotonic", lambda: clock[0])

    def slowly(*_):
        saved.append(clock[0])
        clock[0] += 2.0

    memory = remember(tmp_path, subject)
    monkeypatch.setattr("service.monitor.state.StateFile.save", slowly)
    while clock[0] < 500:
        memory.save_if_due()
        clock[0] += 1.0
    # First after five seconds, then 200 after the end of a write that took 2.
    assert saved == [5, 207, 409]


def test_reference_is_summed_under_the_threshold_in_force(subject):
    assert subject.reference.total("answers", trusted=True) == 80
    assert subject.reference.by_class("answers").tolist() == [40, 40, 20]
    assert subject.reference.total("question_answer") == pytest.approx(80 * 0.9275 + 20 * 0.5)
    assert len(subject.novelties) == 100
    # Wilson's lower end of 80 of 100 is .7112, less the tolerated .02.
    assert subject.new_alarms().watches["untrusted"].mu0 == pytest.approx(0.7112 - 0.02, abs=1e-4)


def test_reference_without_what_the_monitor_needs_is_refused(own_bundle):
    np.savez(own_bundle / "reference.npz", trust=np.array([0.5]))
    edit_manifest(own_bundle)
    bundle = load_bundle(own_bundle)
    with pytest.raises(BundleError, match=r"lacks \['confidence', 'predicted'\]"):
        Subject.of(bundle, bundle.manifest.threshold, load_settings(model=own_bundle))


def test_bundle_without_novelty_has_no_alarm_of_input(own_bundle):
    rows = reference_answers()
    del rows["novelty"]
    np.savez(own_bundle / "reference.npz", **rows)
    edit_manifest(own_bundle)
    bundle = load_bundle(own_bundle)
    found = Subject.of(bundle, bundle.manifest.threshold, load_settings(model=own_bundle))
    assert found.novelty is None
    assert "input" not in found.new_alarms().watches


def test_bundle_with_image_statistics_has_an_alarm_of_the_image_and_an_older_one_has_none(own_bundle):
    def subject_of():
        bundle = load_bundle(own_bundle)
        return Subject.of(bundle, bundle.manifest.threshold, load_settings(model=own_bundle))

    older = subject_of()
    assert older.image_novelty is None
    assert "image" not in older.new_alarms().watches
    give_image_statistics(own_bundle)
    newer = subject_of()
    assert newer.new_alarms().watches["image"].mu0 == pytest.approx(0.5 - 1.96 / 1200**0.5, abs=1e-4)  # of 100 images
    # What ranks an image is of no use without what makes its novelty.
    edit_manifest(own_bundle, image_statistics=None)
    assert subject_of().image_novelty is None
