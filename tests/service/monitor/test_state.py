"""State files: whole or not there, one a worker, never in the way."""

import logging
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from service.inference.bundle import load_bundle
from service.monitor.state import StateFile, state_digest
from tests.tiny import edit_manifest

ARRAYS = {"10.numbers": np.array([1, 2]), "alarms": np.array('{"falling_trust": 1}')}


def test_state_comes_back_after_a_restart(tmp_path):
    before = StateFile(tmp_path)
    assert before.load() is None
    before.save(ARRAYS)
    before.close()
    again = StateFile(tmp_path).load()
    assert again["10.numbers"].tolist() == [1, 2]
    assert str(again["alarms"]) == '{"falling_trust": 1}'


def test_two_workers_have_a_file_each_and_see_each_other(tmp_path):
    first, second = StateFile(tmp_path), StateFile(tmp_path)
    first.save({"a": np.array([1])})
    second.save({"a": np.array([2])})
    assert first.path != second.path
    assert [arrays["a"].tolist() for arrays in first.siblings()] == [[2]]
    assert [arrays["a"].tolist() for arrays in second.siblings()] == [[1]]


def test_slot_of_a_killed_worker_is_taken_over_with_what_stands_there(tmp_path):
    program = f"""
        import os, signal, numpy
        from pathlib import Path
        from service.monitor.state import StateFile
        file = StateFile(Path({str(tmp_path)!r}))
        file.save({{"a": numpy.array([7])}})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False).returncode == -9
    assert StateFile(tmp_path).load()["a"].tolist() == [7]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:0],
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(np.array([1, 2]).tobytes(), np.array([1, 3]).tobytes()),
        lambda data: b"not an archive"[: len(data)],
    ],
    ids=["empty", "cut short", "one bit flipped", "something else"],
)
def test_corrupted_file_is_set_aside_with_a_warning(tmp_path, caplog, spoil):
    file = StateFile(tmp_path)
    file.save(ARRAYS)
    spoiled = spoil(file.path.read_bytes())
    file.path.write_bytes(spoiled)
    with caplog.at_level(logging.WARNING):
        assert file.load() is None
    assert str(file.path) in caplog.text
    assert file.path.with_suffix(".corrupt").read_bytes() == spoiled
    file.save(ARRAYS)
    assert file.load() is not None


def test_siblings_corrupted_file_is_passed_over_and_left_to_its_owner(tmp_path):
    first, second = StateFile(tmp_path), StateFile(tmp_path)
    second.path.write_bytes(b"no archive")
    assert list(first.siblings()) == []
    assert second.path.read_bytes() == b"no archive"


def test_file_with_an_object_in_it_is_not_unpickled(tmp_path):
    file = StateFile(tmp_path)
    with file.path.open("wb") as target:
        np.savez(target, a=np.array([object()], object))
    assert file.load() is None


def test_failed_save_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch):
    file = StateFile(tmp_path)
    file.save({"a": np.array([1])})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        file.save({"a": np.array([2])})
    assert file.load()["a"].tolist() == [1]
    assert {path.name for path in tmp_path.iterdir()} == {"0.npz", "0.lock"}


def test_state_belongs_to_one_bundle_and_one_meaning_of_its_sums(own_bundle):
    bundle = load_bundle(own_bundle)
    digest = state_digest(bundle, 1.0, 1.0, None)
    assert state_digest(bundle, 1.0, 1.0, None) == digest
    assert state_digest(bundle, 2.0, 1.0, None) != digest
    edit_manifest(own_bundle, description="another")
    assert state_digest(bundle, 1.0, 1.0, None) != digest
