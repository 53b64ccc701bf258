"""Bytes on a socket: for what no HTTP library would send."""

import http.client
import json
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

Condition = Callable[[], object]


class Answer(NamedTuple):
    """What came back over a socket."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body, as the service writes it."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def connect(port: int, timeout: float = 30.0) -> socket.socket:
    """A connection to a service on this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout)


def predict_request(data: bytes, **headers: str) -> bytes:
    """A whole request for an answer; a header named `X_Request_ID` becomes X-Request-ID, and replaces what is there."""
    fields = {"Host": "localhost", "Content-Type": "image/png", "Content-Length": str(len(data))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /predict HTTP/1.1\r\n{lines}\r\n".encode() + data


def read_answer(connection: socket.socket) -> Answer:
    """The next answer on a connection.

    Raises:
        http.client.HTTPException, OSError: there is none.
    """
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answer(response.status, response.msg, response.read())


def ask(port: int, data: bytes, **headers: str) -> Answer:
    """The answer to one image, over a connection of its own."""
    with connect(port) as connection:
        connection.sendall(predict_request(data, **headers))
        return read_answer(connection)


def get(port: int, path: str) -> Answer:
    """The answer to GET, over a connection of its own."""
    with connect(port) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return read_answer(connection)


def is_closed(connection: socket.socket) -> bool:
    """Whether the service hung up, and sent nothing more before."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        connection.settimeout(30)
