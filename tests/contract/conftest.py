"""Each test of this folder runs on every store. PostgreSQL is to be one more parameter of `store`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.storage.executor import Executor, InlineExecutor, ThreadExecutor
from rota.storage.sqlite import READERS, SqliteStore
from tests.contract.store_world import StoreWorld, a_store
from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite-threads", "sqlite-inline"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[SqliteStore]:
    inline = request.param == "sqlite-inline"
    executor: Executor = InlineExecutor() if inline else ThreadExecutor(readers=READERS)
    made = a_store(tmp_path / "rota.db", clock, executor)
    yield made
    made.close()


@pytest.fixture
def world(store: SqliteStore, clock: ManualClock) -> StoreWorld:
    """The store with five runs at once allowed, and the hot functions by hand."""
    return StoreWorld(store, clock)
