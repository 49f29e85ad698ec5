from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.contract.store_world import AnyStore, StoreWorld, a_postgres_store, a_store
from tests.support.builders import Rota, a_rota
from tests.support.clock import ManualClock
from tests.support.postgres import emptied, postgres, store_database

__all__ = ["postgres", "store_database"]  # fixtures


@pytest.fixture
async def rota(tmp_path: Path) -> AsyncIterator[Rota]:
    async for made in a_rota(tmp_path):
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreWorld]:
    """A store with the hot functions by hand. Up to a thousand runs go on at once."""
    clock = ManualClock()
    store: AnyStore
    if request.param == "sqlite":
        store = a_store(tmp_path / "rota.db", clock)
    else:
        store = a_postgres_store(emptied(request.getfixturevalue("store_database")), clock)
    store._write_group([lambda tx: tx.driver.execute("UPDATE run_limit SET cap = 1000")])
    yield StoreWorld(store, clock)
    store.close()
