"""History is shown page by page, and no page loses what another does not show."""

from __future__ import annotations

from rota.storage.runs import BEGINNING, HistoryCursor, LedgerRow, RunRow, history
from tests.contract.store_world import StoreWorld


async def pages(world: StoreWorld, size: int) -> list[RunRow | LedgerRow]:
    items: list[RunRow | LedgerRow] = []
    cursor: HistoryCursor | None = BEGINNING
    while cursor is not None:
        page, cursor = await world.store.read(lambda tx, at=cursor: history(tx, cursor=at, limit=size))  # type: ignore[misc]
        items += page
    return items


async def test_pages_of_any_size_show_everything_once_though_ids_and_times_disagree(world: StoreWorld) -> None:
    """Two daemons took their ids and read the clock in another order, or somebody set the clock back."""
    job = await world.a_job()
    for seconds in (60, 60, -90, 30, 60, -10, 60):
        world.clock.advance(max(seconds, 0))
        if seconds < 0:
            world.clock.set_wall(world.clock.now() + seconds * 1_000_000)
        await world.make(job, owner=None)
        await world.plan()
    whole = await pages(world, 100)
    assert len(whole) > 7
    assert any(isinstance(item, LedgerRow) for item in whole)
    for size in (1, 2, 3, 5):
        assert await pages(world, size) == whole
