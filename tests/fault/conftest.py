"""Each fault has a home of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Home, a_home


@pytest.fixture
def home() -> Iterator[Home]:
    with a_home() as home:
        yield home


@pytest.fixture(scope="session")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store of an instance that has a job and a run, to be copied."""
    kept = tmp_path_factory.mktemp("store")
    with a_home() as home:
        assert home.rota("schedule", "create", "--name", "noop", "--manual", "--do", "noop").code == 0
        assert home.rota("schedule", "trigger", "noop").code == 0
        for file in home.path.glob("*.db*"):
            shutil.copy(file, kept / file.name)
    return kept
