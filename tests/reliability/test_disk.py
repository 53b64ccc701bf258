"""State that cannot be written: the answers go on, what is lost is counted, and all is well again by itself."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.exposition import series
from tests.reliability.examples import tiny_examples
from tests.reliability.load import Load, run
from tests.reliability.wire import get
from tests.waiting import wait_until

UP = series("trust_journal_up")
READ_ONLY = ("unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def dropped(server, reason: str) -> float:
    return server.metrics()[series("trust_journal_dropped_total", reason=reason)]


def assert_answers(server, requests: int = 200) -> None:
    outcome = run(Load(server.port, tiny_examples(64)).closed(connections=8, requests=requests))
    assert (outcome.statuses, outcome.wrong, outcome.lost) == ({200: requests}, [], [])


def test_full_disk_costs_the_journal_and_no_answer(serve_process, tiny_bundle, small_disk):
    arguments = ("--state", str(small_disk), "--journal-buffer", "500")
    server = serve_process(tiny_bundle, *arguments)
    wait_until(lambda: server.metrics()[UP] == 1)
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert_answers(server, 1_000)
    wait_until(lambda: server.metrics()[UP] == 0)
    assert_answers(server, 1_000)
    assert dropped(server, "disk_full") > 0
    assert get(server.port, "/readyz").status == 200
    filler.unlink()
    wait_until(lambda: server.metrics()[UP] == 1)
    before = server.metrics()[series("trust_journal_written_total")]
    assert_answers(server)
    wait_until(lambda: server.metrics()[series("trust_journal_written_total")] >= before + 200)
    assert_few_lines(server.stderr())


def assert_few_lines(log: str) -> None:
    """Trouble is told once, not with every answer."""
    assert "Traceback" not in log
    assert len(log.splitlines()) < 10, log


def test_read_only_root_file_system_costs_the_state_and_no_answer(serve_process, tiny_bundle):
    if subprocess.run([*READ_ONLY, "true"], capture_output=True).returncode:
        pytest.skip("a mount namespace takes root")
    assert subprocess.run([*READ_ONLY, "touch", str(tiny_bundle / "touched")], capture_output=True).returncode
    server = serve_process(tiny_bundle, under=READ_ONLY)
    assert_answers(server)
    wait_until(lambda: server.metrics()[UP] == 0)
    assert get(server.port, "/readyz").status == 200
    assert get(server.port, "/monitor").json()["answers"] == 200
    assert_few_lines(server.stderr())
    assert server.stop() == 0
