"""The schema: what migrations make is what `tables` says, and its CHECKs are the state tables."""

from __future__ import annotations

from enum import StrEnum

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, inspect, select

from rota.domain.states import (
    UNFINISHED_RUN,
    UNFINISHED_TARGET,
    AttemptState,
    RunState,
    TargetState,
)
from rota.ports import Tx
from rota.storage import tables
from rota.storage.sqlite import SCHEMA_VERSION, SqliteStore
from tests.contract.store_world import REFUSED, AnyStore, StoreWorld
from tests.support.clock import NOON

STATES: tuple[tuple[str, type[StrEnum], tuple[StrEnum, ...] | None], ...] = (
    ("run", RunState, UNFINISHED_RUN),
    ("run_target", TargetState, UNFINISHED_TARGET),
    ("attempt", AttemptState, None),
)


def core(tx: Tx) -> Connection:
    """SQLAlchemy's view of a transaction's connection."""
    return tx.execute(select(1)).connection


async def test_the_migrated_schema_is_what_the_tables_say(store: AnyStore) -> None:
    def differences(tx: Tx) -> list[object]:
        context = MigrationContext.configure(core(tx), opts={"include_name": lambda name, *_: name != "output_chunk"})
        return list(compare_metadata(context, tables.metadata))

    assert await store.read(differences) == []


async def test_the_checks_of_the_migrated_schema_are_those_of_the_tables(store: AnyStore) -> None:
    """Alembic's comparison does not look at CHECKs."""

    def checks(tx: Tx, table: str) -> set[str | None]:
        return {check["name"] for check in inspect(core(tx)).get_check_constraints(table)}

    for table in tables.metadata.tables.values():
        named = {str(check.name) for check in table.constraints if isinstance(check, CheckConstraint)}
        assert await store.read(lambda tx, name=table.name: checks(tx, name)) == named  # type: ignore[misc]


async def test_a_prepared_store_has_the_version_of_this_program(world: StoreWorld) -> None:
    assert await world.one("SELECT version_num FROM alembic_version") == f"{SCHEMA_VERSION:04}"


async def test_the_version_that_is_looked_at_first_is_that_of_the_migrations(world: StoreWorld) -> None:
    if isinstance(world.store, SqliteStore):
        assert await world.one("PRAGMA user_version") == SCHEMA_VERSION


@pytest.mark.parametrize(("table", "states", "unfinished"), STATES)
async def test_the_check_accepts_every_state_and_no_other(
    world: StoreWorld, table: str, states: type[StrEnum], unfinished: tuple[StrEnum, ...] | None
) -> None:
    await world.make()
    for state in states:
        final = unfinished is not None and state not in unfinished
        await world.sql(f"UPDATE {table} SET state = ?, finished_at = ?", state, NOON if final else None)
    with pytest.raises(REFUSED, match=r"(?i)check"):
        await world.sql(f"UPDATE {table} SET state = 'success'")


@pytest.mark.parametrize(("table", "states", "unfinished"), STATES[:2])
async def test_finished_at_is_set_exactly_when_the_state_is_final(
    world: StoreWorld, table: str, states: type[StrEnum], unfinished: tuple[StrEnum, ...]
) -> None:
    await world.make()
    for state in states:
        wrong = NOON if state in unfinished else None
        with pytest.raises(REFUSED, match=r"(?i)check"):
            await world.sql(f"UPDATE {table} SET state = ?, finished_at = ?", state, wrong)


async def test_two_runs_of_one_trigger_and_instant_are_refused(world: StoreWorld) -> None:
    await world.a_job()
    await world.a_job("other")
    world.clock.advance(60)
    await world.plan()
    with pytest.raises(REFUSED, match=r"(?i)unique"):
        await world.sql("UPDATE run SET trigger_id = 1")


async def test_two_runs_of_one_job_and_key_are_refused(world: StoreWorld) -> None:
    job = await world.a_job()
    await world.make(job, key="k")
    with pytest.raises(REFUSED, match=r"(?i)unique"):
        await world.make(job, key="k")


async def test_any_number_of_runs_have_neither_instant_nor_key(world: StoreWorld) -> None:
    job = await world.a_job()
    await world.make(job)
    await world.make(job)
    assert await world.runs("key") == [None, None]
