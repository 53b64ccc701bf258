"""The end that uvicorn's own protocol does not set: for callers who do not read what they asked for."""

import asyncio
import socket

import uvicorn
import uvloop

from service.http import protocol
from service.http.protocol import BoundedHttpProtocol

ANSWER = bytes(20_000_000)


async def answer_at_length(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": ANSWER})


async def how_long_a_connection_lasts(read: bool) -> float:
    """Seconds from a request to the end of its connection in the service."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(answer_at_length, http=BoundedHttpProtocol, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    began = asyncio.get_running_loop().time()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    while not server.server_state.connections:
        await asyncio.sleep(0.01)
    if read:
        assert len(await reader.read()) > len(ANSWER)
    while server.server_state.connections:
        await asyncio.sleep(0.01)
    seconds = asyncio.get_running_loop().time() - began
    writer.close()
    server.should_exit = True
    await serving
    return seconds


def test_a_caller_who_does_not_read_is_hung_up_on(monkeypatch):
    monkeypatch.setattr(protocol, "SEND_SECONDS", 0.3)
    assert uvloop.run(how_long_a_connection_lasts(read=False)) >= 0.3


def test_a_caller_who_reads_gets_all_of_it(monkeypatch):
    monkeypatch.setattr(protocol, "SEND_SECONDS", 30)
    assert uvloop.run(how_long_a_connection_lasts(read=True)) < 30
