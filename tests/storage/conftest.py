from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.contract.store_world import StoreWorld, a_store
from tests.support.builders import Rota, a_rota
from tests.support.clock import ManualClock


@pytest.fixture
async def rota(tmp_path: Path) -> AsyncIterator[Rota]:
    async for made in a_rota(tmp_path):
        yield made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[StoreWorld]:
    """A store with the hot functions by hand. Up to a thousand runs go on at once."""
    clock = ManualClock()
    store = a_store(tmp_path / "rota.db", clock)
    store._write_group([lambda tx: tx.driver.execute("UPDATE run_limit SET cap = 1000")])
    yield StoreWorld(store, clock)
    store.close()
