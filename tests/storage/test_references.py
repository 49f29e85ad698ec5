from __future__ import annotations

import pytest

from rota.domain.errors import InvalidInput, NotFound
from rota.storage import jobs, runs
from tests.support.builders import Rota


async def named(rota: Rota, **names: str) -> None:
    """Make jobs with public ids that a test can choose."""
    for name, digits in names.items():
        await rota.a_job(name)
        await rota.sql("UPDATE job SET public_id = ? WHERE name = ?", digits, name)


async def test_a_name_wins_over_an_id_that_begins_like_it(rota: Rota) -> None:
    await named(rota, alpha="aaaa000000000000", other="bbbb000000000000")
    await rota.sql("UPDATE job SET name = 'bbbb' WHERE name = 'alpha'")  # no longer possible to type, once it was
    assert (await rota.ctx.store.read(lambda tx: jobs.get_job(tx, "bbbb"))).public_id == "aaaa000000000000"


async def test_an_ambiguous_prefix_is_refused_with_the_candidates(rota: Rota) -> None:
    await named(rota, one="aaaa100000000000", two="aaaa200000000000")
    with pytest.raises(InvalidInput, match="sched_aaaa100000000000, sched_aaaa200000000000"):
        await rota.ctx.store.read(lambda tx: jobs.get_job(tx, "aaaa"))
    assert (await rota.ctx.store.read(lambda tx: jobs.get_job(tx, "aaaa2"))).name == "two"


async def test_fewer_than_four_digits_are_no_id(rota: Rota) -> None:
    await named(rota, one="aaaa100000000000")
    with pytest.raises(NotFound):
        await rota.ctx.store.read(lambda tx: jobs.get_job(tx, "aaa"))


async def test_an_id_of_another_kind_is_not_found(rota: Rota) -> None:
    await named(rota, one="aaaa100000000000")
    with pytest.raises(NotFound):
        await rota.ctx.store.read(lambda tx: runs.get_run(tx, "sched_aaaa1000"))


async def test_a_deleted_job_is_found_only_where_its_history_is_asked_for(rota: Rota) -> None:
    await rota.a_job("gone")
    await rota.api.delete("/jobs/gone")
    assert await rota.ctx.store.read(lambda tx: jobs.find_job(tx, "gone")) is None
    assert (await rota.ctx.store.read(lambda tx: jobs.get_job_ever(tx, "gone"))).name == "gone"


async def test_the_living_job_wins_over_a_deleted_one_of_its_name(rota: Rota) -> None:
    await rota.a_job("twice")
    await rota.api.delete("/jobs/twice")
    new = await rota.a_job("twice")
    row = await rota.ctx.store.read(lambda tx: jobs.get_job_ever(tx, "twice"))
    assert f"sched_{row.public_id}" == new["id"]
