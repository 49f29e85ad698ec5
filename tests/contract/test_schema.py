"""The schema: what migrations make is what `tables` says, and its CHECKs are the state tables."""

from __future__ import annotations

import sqlite3
from enum import StrEnum

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint

from rota.domain.states import (
    UNFINISHED_RUN,
    UNFINISHED_TARGET,
    AttemptState,
    RunState,
    TargetState,
)
from rota.storage import tables
from rota.storage.sqlite import SCHEMA_VERSION, SqliteStore, core_view
from tests.contract.store_world import StoreWorld
from tests.support.clock import NOON

STATES: tuple[tuple[str, type[StrEnum], tuple[StrEnum, ...] | None], ...] = (
    ("run", RunState, UNFINISHED_RUN),
    ("run_target", TargetState, UNFINISHED_TARGET),
    ("attempt", AttemptState, None),
)


async def test_the_migrated_schema_is_what_the_tables_say(store: SqliteStore) -> None:
    driver = sqlite3.connect(store.path)
    with core_view(driver) as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


async def test_the_checks_of_the_migrated_schema_are_those_of_the_tables(world: StoreWorld) -> None:
    """Alembic's comparison does not look at CHECKs."""
    for table in tables.metadata.tables.values():
        text = await world.one("SELECT sql FROM sqlite_master WHERE name = ?", table.name)
        for check in table.constraints:
            if isinstance(check, CheckConstraint):
                assert str(check.sqltext) in text


async def test_a_prepared_store_has_the_version_of_this_program(world: StoreWorld) -> None:
    assert await world.one("PRAGMA user_version") == SCHEMA_VERSION


@pytest.mark.parametrize(("table", "states", "unfinished"), STATES)
async def test_the_check_accepts_every_state_and_no_other(
    world: StoreWorld, table: str, states: type[StrEnum], unfinished: tuple[StrEnum, ...] | None
) -> None:
    await world.make()
    for state in states:
        final = unfinished is not None and state not in unfinished
        await world.sql(f"UPDATE {table} SET state = ?, finished_at = ?", state, NOON if final else None)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        await world.sql(f"UPDATE {table} SET state = 'success'")


@pytest.mark.parametrize(("table", "states", "unfinished"), STATES[:2])
async def test_finished_at_is_set_exactly_when_the_state_is_final(
    world: StoreWorld, table: str, states: type[StrEnum], unfinished: tuple[StrEnum, ...]
) -> None:
    await world.make()
    for state in states:
        wrong = NOON if state in unfinished else None
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            await world.sql(f"UPDATE {table} SET state = ?, finished_at = ?", state, wrong)


async def test_two_runs_of_one_trigger_and_instant_are_refused(world: StoreWorld) -> None:
    await world.a_job()
    await world.a_job("other")
    world.clock.advance(60)
    await world.plan()
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        await world.sql("UPDATE run SET trigger_id = 1")


async def test_two_runs_of_one_job_and_key_are_refused(world: StoreWorld) -> None:
    job = await world.a_job()
    await world.make(job, key="k")
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        await world.make(job, key="k")


async def test_any_number_of_runs_have_neither_instant_nor_key(world: StoreWorld) -> None:
    job = await world.a_job()
    await world.make(job)
    await world.make(job)
    assert await world.runs("key") == [None, None]
