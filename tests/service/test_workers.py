"""`trustserve serve --workers 2`: real processes, some of which are killed."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from service.workers import HUNG_SECONDS
from tests.exposition import samples, series
from tests.reliability.bundles import write_faulty_bundle
from tests.reliability.examples import tiny_examples
from tests.reliability.load import Load, start
from tests.service.server import ENVIRONMENT, TRUSTSERVE, Server
from tests.tiny import edit_manifest, png, quadrants
from tests.waiting import wait_until

IMAGE = png(quadrants(200, 50, 20, 240))
TRUSTED = series("trust_predictions_total", decision="trust", model="tiny", version="1.0.0")


@pytest.fixture(scope="module")
def server(tiny_bundle: Path) -> Iterator[Server]:
    server = Server(tiny_bundle.parent, "--model", tiny_bundle.name, "--workers", "2", "--max-queue", "100")
    yield server
    server.process.kill()
    server.process.wait()


def workers(server: Server) -> set[int]:
    """Process ids of those who answer, as the system knows them."""
    pid = server.process.pid
    children = {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return {child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


def log(server: Server) -> str:
    return Path(server.log.name).read_text()


def answering(server: Server) -> set[int]:
    """Process ids of those who opened the bundle, by the log, and live."""
    return {int(pid) for pid in re.findall(r"worker (\d+) answers", log(server))} & workers(server)


def replace_one(server: Server) -> int:
    """Kills the worker that is there the longest, and gives back the process id of the one in its place."""
    old = workers(server)
    os.kill(min(old), signal.SIGKILL)
    wait_for_workers(lambda: len(workers(server) - old) == 1 and len(workers(server)) == 2)
    return (workers(server) - old).pop()


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_workers(condition: Callable[[], object]) -> None:
    # On a busy machine the imports of one worker take half a minute.
    wait_until(condition, seconds=300)


def scrape(server: Server):
    """What whoever takes a new connection says."""
    return samples(httpx.get(f"{server.url}/metrics", timeout=30).text)


def ask(server: Server, times: int) -> None:
    """Answers that every worker shows."""
    before = scrape(server)[TRUSTED]
    for _ in range(times):
        response = httpx.post(f"{server.url}/predict", files={"image": IMAGE}, timeout=30)
        assert response.json()["decision"] == "trust", response.text
    # What another worker answered is in the figures when its next fold is.
    wait_for_workers(lambda: scrape(server)[TRUSTED] >= before + times)


def test_one_banner_when_all_of_them_answer(server):
    assert server.banner[0].startswith("tiny 1.0.0 is served at http://127.0.0.1:")
    assert server.banner[3].startswith("curl -F image=@tiny/samples/")
    assert len(workers(server)) == 2


def test_whoever_is_asked_shows_what_all_counted(server):
    before = scrape(server)[TRUSTED]
    ask(server, 20)
    assert [scrape(server)[TRUSTED] for _ in range(8)] == [before + 20] * 8


def connections(server: Server, pid: int) -> int:
    """How many a worker has."""
    port = server.port
    return sum(
        each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED
        for each in psutil.Process(pid).net_connections("tcp")
    )


def test_connections_that_stay_are_shared_evenly(server):
    pids = workers(server)
    for _ in ("at first", "when others have ended"):
        with ExitStack() as stack:
            for _ in range(16):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                time.sleep(0.02)
            wait_until(lambda: sum(connections(server, pid) for pid in pids) == 16)
            # Within two of each other, but for a busy machine on which one did not take its turn in time.
            assert min(connections(server, pid) for pid in pids) >= 5
        wait_until(lambda: sum(connections(server, pid) for pid in pids) == 0)


def test_gauges_are_pooled_each_by_its_meaning(server):
    found = scrape(server)
    assert found[series("trust_queue_capacity")] == 200  # two queues
    assert found[series("trust_queue_length")] == 0
    assert found[series("trust_model_info", model="tiny", version="1.0.0", provider="CPUExecutionProvider")] == 1
    assert found[series("trust_reference", statistic="accuracy", model="tiny", version="1.0.0")] == 0.9
    assert found[series("trust_journal_up")] == 1
    assert not [name for name, _ in found if name.endswith("_created")]


def test_each_workers_process_is_there(server):
    found = scrape(server)
    seconds = {labels: value for (name, labels), value in found.items() if name == "process_cpu_seconds_total"}
    assert seconds.keys() == {frozenset({("worker", "0")}), frozenset({("worker", "1")})}
    assert min(seconds.values()) > 0


def test_killed_worker_is_replaced_and_no_counter_drops(server):
    ask(server, 10)
    before, old = scrape(server), workers(server)
    for _ in old:  # one after the other, so that each has counted something
        replace_one(server)
        wait_for_workers(lambda: len(answering(server)) == 2)
    after = scrape(server)
    counters = {key for key in before if key[0].endswith(("_total", "_count", "_bucket", "_sum"))}
    dropped = {key for key in counters if key[0].startswith("trust_") and after[key] < before[key]}
    assert not dropped
    assert not workers(server) & old
    ask(server, 10)
    now = scrape(server)
    assert now[TRUSTED] == before[TRUSTED] + 10
    assert now[series("trust_queue_capacity")] == 200


def test_killed_worker_costs_what_was_in_flight_and_nobody_is_turned_away(server):
    connections, kills = 16, 4
    # A connection for each request: one that stays would stay with the worker that lives.
    load = Load(server.port, tiny_examples(64), {"Connection": "close"})
    loading = start(load.open(rate=100, seconds=600, connections=connections))
    for _ in range(kills):
        replace_one(server)
        wait_for_workers(lambda: len(answering(server)) == 2)
    load.stop()
    outcome = loading.result(60)
    assert outcome.statuses.keys() == {200}
    assert outcome.statuses[200] > 100
    assert outcome.wrong == []
    assert len(outcome.lost) <= kills * connections


def test_worker_that_dies_while_it_starts_is_not_waited_for(server):
    new = replace_one(server)
    time.sleep(0.7)  # it imports, and the supervisor has asked it whether it is well
    os.kill(new, signal.SIGKILL)
    began = time.monotonic()
    wait_for_workers(lambda: new not in workers(server) and len(workers(server)) == 2)
    assert time.monotonic() - began < HUNG_SECONDS / 2
    wait_for_workers(lambda: len(answering(server)) == 2)


def test_sigterm_ends_all_of_them(server):
    pids = workers(server)
    assert server.stop(signal.SIGTERM) == 0
    assert not [pid for pid in pids if is_alive(pid)]
    assert "Traceback" not in server.stderr()


def test_workers_do_not_outlive_a_killed_supervisor(tiny_bundle, tmp_path):
    server = Server(tmp_path, "--model", str(tiny_bundle), "--workers", "2")
    pids = workers(server)
    server.process.kill()
    server.process.wait()
    wait_for_workers(lambda: not [pid for pid in pids if is_alive(pid)])


def test_bundle_that_cannot_be_served_is_one_sentence(own_bundle):
    edit_manifest(own_bundle, golden_tolerance=1e-12)
    result = subprocess.run(
        [*TRUSTSERVE, "serve", "--port", "0", "--model", str(own_bundle), "--workers", "2"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("trustserve: ")
    assert "answers differently here" in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr


def everybody_answers(server: Server) -> bool:
    # Whoever takes a new connection answers: twenty in a row are all who listen.
    asked = (httpx.post(f"{server.url}/predict", files={"image": IMAGE}, timeout=30) for _ in range(20))
    return {response.status_code for response in asked} == {200}


def test_worker_that_cannot_take_anothers_place_leaves_the_others_alone(own_bundle, tmp_path):
    with Server(tmp_path, "--model", str(own_bundle), "--workers", "2") as server:
        edit_manifest(own_bundle, golden_tolerance=1e-12)
        replace_one(server)
        wait_for_workers(lambda: "does not answer, the others do" in log(server))
        assert "answers differently here" in log(server)
        assert everybody_answers(server)
        edit_manifest(own_bundle, golden_tolerance=1e-4)
        wait_for_workers(lambda: len(answering(server)) == 2)
        assert everybody_answers(server)
        assert server.stop(signal.SIGTERM) == 0


def test_worker_that_opens_for_ever_listens_where_nobody_else_answers(own_bundle, tmp_path):
    with Server(tmp_path, "--model", str(own_bundle), "--workers", "2") as server:
        shutil.rmtree(own_bundle)
        write_faulty_bundle(own_bundle, seconds_an_image=1000)
        new = replace_one(server)
        # Importing takes two or three: it is at the golden batch.
        wait_for_workers(lambda: processor_seconds(new) > 8)
        assert everybody_answers(server)
        assert new in workers(server) - answering(server)
        os.kill(min(workers(server)), signal.SIGKILL)
        assert httpx.get(f"{server.url}/healthz", timeout=300).status_code == 200
        assert httpx.get(f"{server.url}/readyz", timeout=300).status_code == 503
        assert server.stop(signal.SIGTERM) == 0


def test_all_workers_follow_what_one_of_them_was_told(own_bundle, tmp_path):
    def version() -> str:
        return httpx.get(f"{server.url}/readyz", timeout=30).json()["model"]["version"]

    def everybody_says(wanted: str) -> bool:
        # Whoever takes a new connection answers: twenty in a row are both of them.
        return all(version() == wanted for _ in range(20))

    token = "a token that is long enough"
    with Server(tmp_path, "--model", str(own_bundle), "--workers", "2", "--admin-token", token) as server:
        edit_manifest(own_bundle, version="2.0.0")
        headers = {"Authorization": f"Bearer {token}"}
        told = httpx.post(f"{server.url}/admin/reload", json={"model": str(own_bundle)}, headers=headers, timeout=60)
        assert told.json()["champion"]["version"] == "2.0.0"
        wait_for_workers(lambda: everybody_says("2.0.0"))
        edit_manifest(own_bundle, version="3.0.0")
        server.process.send_signal(signal.SIGHUP)
        wait_for_workers(lambda: everybody_says("3.0.0"))
        assert server.stop(signal.SIGTERM) == 0
