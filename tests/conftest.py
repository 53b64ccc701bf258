"""Fixtures of all tests: the tiny bundle, and no settings from outside."""

import os
import shutil
from pathlib import Path

import hypothesis
import pytest

from tests.tiny import write_tiny_bundle

# The same examples in every run; a busy machine is no failure.
hypothesis.settings.register_profile("trustserve", deadline=None, derandomize=True)
hypothesis.settings.load_profile("trustserve")


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, shared by all tests: none may change it."""
    return write_tiny_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def own_bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that one test may spoil."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "tiny"))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests say themselves what is set; what a service keeps goes into a folder of the test's own."""
    for variable in list(os.environ):
        if variable.startswith("TRUSTSERVE_"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("TRUSTSERVE_STATE", str(tmp_path_factory.mktemp("state")))
