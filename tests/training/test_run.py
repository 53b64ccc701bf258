"""A run's folder: what is finished is not done again, and what was killed goes on."""

import os
import subprocess
import sys
import time

import pytest
import torch

from training.cli import app
from training.config import TrainingConfig
from training.run import Run
from training.whole import write_whole


def open_run(folder, **options):
    run = Run(TrainingConfig(run=folder / "run", device="cpu", **options))
    run.start()
    return run


def test_finished_step_is_not_done_again_on_resuming(tmp_path):
    run = open_run(tmp_path)
    assert run.begin("classifier")
    run.finish("classifier")
    resumed = open_run(tmp_path, resume=True)
    assert not resumed.begin("classifier")
    assert resumed.begin("oracle")
    assert "classifier: finished before" in (tmp_path / "run" / "log.txt").read_text()


def test_step_begun_anew_undoes_what_came_after_it(tmp_path):
    run = open_run(tmp_path)
    for step in ("classifier", "oracle", "calibrate"):
        run.begin(step)
        run.finish(step)
    open_run(tmp_path).begin("oracle")
    resumed = open_run(tmp_path, resume=True)
    assert [resumed.begin(step) for step in ("classifier", "oracle", "calibrate")] == [False, True, True]


def test_run_begun_anew_has_no_checkpoint(tmp_path):
    run = open_run(tmp_path)
    run.record.checkpoints.mkdir()
    (run.record.checkpoints / "classifier.pt").touch()
    resumed = open_run(tmp_path, resume=True)
    resumed.begin("classifier")
    assert list(run.record.checkpoints.iterdir())
    open_run(tmp_path).begin("classifier")
    assert not run.record.checkpoints.exists()


def test_run_with_another_configuration_is_not_resumed(tmp_path):
    open_run(tmp_path)
    message = r"run is a run with another configuration: batch_size was 128, is 64; seed was 0, is 3\. Resume it with"
    with pytest.raises(ValueError, match=message):
        open_run(tmp_path, resume=True, seed=3, batch_size=64)


def test_run_with_another_configuration_begun_anew_has_finished_nothing(tmp_path):
    run = open_run(tmp_path)
    run.begin("classifier")
    run.finish("classifier")
    open_run(tmp_path, seed=3)
    assert open_run(tmp_path, seed=3, resume=True).begin("classifier")


def test_how_often_checkpoints_are_written_may_change(tmp_path):
    open_run(tmp_path)
    open_run(tmp_path, resume=True, checkpoint_seconds=1.0)


def test_file_whose_writing_fails_stays_as_it_was(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_text("old")

    def fail(partial):
        partial.write_text("ne")
        raise OSError("disk is full")

    with pytest.raises(OSError, match="disk is full"):
        write_whole(path, fail)
    assert path.read_text() == "old"


def test_killed_run_ends_with_the_weights_of_one_that_was_not(tmp_path, trained):
    options = [*trained.options, "--checkpoint-seconds", "0.001"]
    options[options.index("--run") + 1], options[options.index("--models") + 1] = str(tmp_path / "run"), str(tmp_path)
    command = [sys.executable, "-m", "training.cli", "all", *options]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    oracle = tmp_path / "run" / "checkpoints" / "oracle-default-0.pt"
    while not oracle.exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() < 0
    for step in ("classifier", "oracle"):
        app([step, *options, "--resume"], result_action="return_value")
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "train_classifier: finished before" in log
    assert "oracle default-0: goes on after step " in log
    for name in ("classifier", "oracle-default-0", "oracle-paper-0"):
        found, expected = (torch.load(run / f"{name}.pt") for run in (tmp_path / "run", trained.config.run))
        assert all(torch.equal(found[key], value) for key, value in expected.items()), name
