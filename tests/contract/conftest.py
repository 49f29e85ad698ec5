"""Each test of this folder runs on every store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.storage.executor import InlineExecutor, ThreadExecutor
from rota.storage.sqlite import READERS
from tests.contract.store_world import AnyStore, StoreWorld, a_postgres_store, a_store
from tests.contract.two_nodes import nodes, one, other, url
from tests.support.clock import ManualClock
from tests.support.postgres import emptied, postgres, store_database

__all__ = ["nodes", "one", "other", "postgres", "store_database", "url"]  # fixtures


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite-threads", "sqlite-inline", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[AnyStore]:
    made: AnyStore
    match request.param:
        case "sqlite-threads":
            made = a_store(tmp_path / "rota.db", clock, ThreadExecutor(readers=READERS))
        case "sqlite-inline":
            made = a_store(tmp_path / "rota.db", clock, InlineExecutor())
        case _:
            made = a_postgres_store(emptied(request.getfixturevalue("store_database")), clock)
    yield made
    made.close()


@pytest.fixture
def world(store: AnyStore, clock: ManualClock) -> StoreWorld:
    """The store with five runs at once allowed, and the hot functions by hand."""
    return StoreWorld(store, clock)
