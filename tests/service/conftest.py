"""A service on the tiny bundle, in this process."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import load_settings


def wait_until_opened(client: TestClient) -> None:
    """Until /readyz no longer says that the bundle is being opened."""
    deadline = time.monotonic() + 20
    while "opening" in client.get("/readyz").text:
        assert time.monotonic() < deadline, "the bundle did not open"
        time.sleep(0.01)


@pytest.fixture
def serve(tiny_bundle: Path) -> Iterator[Callable[..., TestClient]]:
    """Starts services with settings of the test's choice; they stop when the test ends."""
    with ExitStack() as stack:

        def start(**settings: Any) -> TestClient:
            app = create_app(load_settings(**{"model": tiny_bundle, **settings}))
            client = stack.enter_context(TestClient(app, raise_server_exceptions=False))
            wait_until_opened(client)
            return client

        yield start


@pytest.fixture(scope="module")
def client(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service with the default settings, shared by the tests of a file."""
    app = create_app(load_settings(model=tiny_bundle, state=tmp_path_factory.mktemp("state")))
    with TestClient(app, raise_server_exceptions=False) as client:
        wait_until_opened(client)
        yield client
