"""Real services for the tests of this folder: a process each, gone when the test is."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.bundles import write_faulty_bundle
from tests.service.server import Server


@pytest.fixture(scope="session")
def faulty_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that fails where an image asks for it; shared: no test may change it."""
    return write_faulty_bundle(tmp_path_factory.mktemp("models") / "faulty")


@pytest.fixture
def serve_process(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts services, as `Server` does, in the test's folder; their state is there too unless said otherwise."""
    with ExitStack() as stack:

        def start(model: Path, *arguments: str, **options: Any) -> Server:
            return stack.enter_context(Server(tmp_path, "--model", str(model), *arguments, **options))

        yield start
