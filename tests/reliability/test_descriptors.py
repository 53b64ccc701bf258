"""More connections than descriptors: some wait or are hung up on, and when there are fewer all is well again."""

from contextlib import ExitStack, suppress

from tests.reliability.footprint import footprint
from tests.reliability.wire import Answer, ask, connect
from tests.tiny import png, quadrants
from tests.waiting import wait_until

DESCRIPTORS = 128
IMAGE = png(quadrants(200, 50, 20, 120))


def answer(server) -> Answer | None:
    with suppress(OSError):
        return ask(server.port, IMAGE)
    return None


def test_service_out_of_descriptors_recovers(serve_process, tiny_bundle):
    server = serve_process(tiny_bundle, under=("prlimit", f"--nofile={DESCRIPTORS}"))
    before = footprint(server.process.pid).descriptors
    assert before < DESCRIPTORS / 2
    with ExitStack() as stack:
        held = [stack.enter_context(connect(server.port)) for _ in range(2 * DESCRIPTORS)]
        wait_until(lambda: footprint(server.process.pid).descriptors >= DESCRIPTORS - 8)
        for connection in held:
            with suppress(OSError):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    wait_until(lambda: (found := answer(server)) is not None and found.status == 200)
    wait_until(lambda: footprint(server.process.pid).descriptors <= before + 5)
    assert [ask(server.port, IMAGE).status for _ in range(20)] == [200] * 20
    assert server.metrics()
    log = server.stderr()
    assert len(log.splitlines()) < 50, log
    assert server.stop() == 0
