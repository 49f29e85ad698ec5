"""One daemon for all scenarios that only use it, and homes of their own for those that start, stop or break one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.daemon import Home, a_home


@pytest.fixture(scope="session")
def served() -> Iterator[Home]:
    """A home with a running daemon, shared: a test names its own jobs and looks at its own runs."""
    with a_home("schedule: {max_concurrent_schedules: 1000}") as home:
        home.daemon()
        yield home


@pytest.fixture
def home() -> Iterator[Home]:
    """A home of the test's own, without a daemon."""
    with a_home() as home:
        yield home
