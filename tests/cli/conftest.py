from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.canned import Canned, serving


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: a socket's name has room for about a hundred characters."""
    with tempfile.TemporaryDirectory(prefix="rota-") as folder:
        yield Path(folder)


@pytest.fixture
def daemon(home: Path) -> Iterator[Canned]:
    with serving(home) as canned:
        yield canned
