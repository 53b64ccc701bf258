"""Debian's nginx as a load balancer before services on this machine: a folder of its own, no system service."""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.waiting import wait_until

# As docs/reliability.md has it: an image may be asked about twice, so that what one service does not answer the other
# one is asked; and no service is left out for a while because it failed once.
CONFIGURATION = """
user root;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream trustserve {{
        {servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://trustserve;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_connect_timeout 1s;
            proxy_next_upstream error timeout http_503 non_idempotent;
        }}
    }}
}}
"""


@contextmanager
def nginx_before(ports: Sequence[int], folder: Path) -> Iterator[int]:
    """The port of an nginx that asks the services on these ports in turn."""
    port = free_port()
    servers = "\n        ".join(f"server 127.0.0.1:{each} max_fails=0;" for each in ports)
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, servers=servers, port=port))
    command = ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration)]
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: listens(port))
            yield port
        finally:
            process.terminate()


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether anybody takes connections there."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
