"""Each fault has a home of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.daemon import Home, a_home


@pytest.fixture
def home() -> Iterator[Home]:
    with a_home() as home:
        yield home
