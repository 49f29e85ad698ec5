"""What one process writes to a PostgreSQL store the others hear of at once; and what is lost on the way is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
import pytest

from rota.domain.errors import Conflict
from rota.domain.reasons import Reason
from rota.domain.states import RunState
from rota.engine.engine import BUSY_SECONDS
from rota.engine.outbox import LINGER_SECONDS
from rota.ports import Hint, Tx
from rota.storage.listening import APPLICATION, MOST_RUNS, Hints
from rota.storage.postgres import PostgresStore
from tests.contract.store_world import MANUAL, a_command, a_postgres_store, every
from tests.support.clock import ManualClock
from tests.support.postgres import emptied
from tests.support.postgres_proxy import a_proxy
from tests.support.world import World, a_world

ALL = ~Hint(0)
Heard = tuple[Hint, list[int]]
Eavesdropper = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def url(store_database: str) -> str:
    return emptied(store_database)


@contextmanager
def a_store_on(url: str, beat_seconds: float = 20.0) -> Iterator[PostgresStore]:
    """One process's store."""
    store = PostgresStore(url, clock=ManualClock())
    store.hints = Hints(store.server, beat_seconds=beat_seconds)
    try:
        yield store
    finally:
        store.close()


@asynccontextmanager
async def listening(store: PostgresStore) -> AsyncIterator[asyncio.Queue[Heard]]:
    """What this process hears, once it listens."""
    heard: asyncio.Queue[Heard] = asyncio.Queue()
    task = asyncio.create_task(store.hints.listen(lambda hint, ended: heard.put_nowait((hint, list(ended)))))
    assert await heard.get() == (ALL, [])
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def ours(url: str) -> Iterator[PostgresStore]:
    with a_store_on(url) as store:
        yield store


@pytest.fixture
def theirs(url: str) -> Iterator[PostgresStore]:
    with a_store_on(url) as store:
        yield store


def tell(*hints: Hint, ended: Sequence[int] = ()) -> Callable[[Tx], None]:
    """A write that has this to say."""

    def write(tx: Tx) -> None:
        for hint in hints:
            tx.tell(hint, ended)

    return write


def told_until(word: str, connection: Eavesdropper) -> list[str]:
    """What was notified up to this word, without the names of who did."""
    told = []
    for one in connection.notifies(timeout=10):
        told.append(one.payload.partition(" ")[2])
        if told[-1] == word:
            break
    return told


@pytest.fixture
def eavesdropper(url: str) -> Iterator[Eavesdropper]:
    """A session that listens in."""
    with psycopg.connect(url, autocommit=True) as connection:
        (schema,) = connection.execute("SELECT current_schema()::regnamespace::oid").fetchone() or (None,)
        connection.execute(f"LISTEN rota_{schema}")
        yield connection


async def test_what_is_committed_is_heard_by_another_process(ours: PostgresStore, theirs: PostgresStore) -> None:
    async with listening(theirs) as heard:
        await ours.write(tell(Hint.JOBS))
        assert await heard.get() == (Hint.JOBS, [])


async def test_a_process_does_not_hear_itself(ours: PostgresStore, theirs: PostgresStore) -> None:
    async with listening(theirs) as heard:
        await theirs.write(tell(Hint.JOBS))
        await ours.write(tell(Hint.WORK))
        assert await heard.get() == (Hint.WORK, [])


async def test_what_was_rolled_back_is_not_told(ours: PostgresStore, theirs: PostgresStore) -> None:
    def refused(tx: Tx) -> None:
        tx.tell(Hint.JOBS)
        raise Conflict("no")

    async with listening(theirs) as heard:
        with pytest.raises(Conflict):
            await ours.write(refused)
        await ours.write(tell(Hint.WORK))
        assert await heard.get() == (Hint.WORK, [])


async def test_a_transaction_tells_all_it_has_to_say_at_once(ours: PostgresStore, theirs: PostgresStore) -> None:
    async with listening(theirs) as heard:
        await ours.write(tell(Hint.JOBS, Hint.WORK, Hint.JOBS))
        assert await heard.get() == (Hint.JOBS | Hint.WORK, [])
        assert heard.empty()


async def test_a_write_with_nothing_to_tell_notifies_nobody(ours: PostgresStore, eavesdropper: Eavesdropper) -> None:
    await ours.write(lambda tx: tx.driver.execute("INSERT INTO instance (key, value) VALUES ('a', '1')"))
    await ours.write(tell(Hint.WORK))
    assert told_until("work", eavesdropper) == ["work"]


async def test_the_runs_that_ended_are_named(ours: PostgresStore, theirs: PostgresStore) -> None:
    async with listening(theirs) as heard:
        await ours.write(tell(Hint.ENDED, ended=[7, 8]))
        assert await heard.get() == (Hint.ENDED, [7, 8])


async def test_of_a_herd_only_so_many_are_named_as_fit(ours: PostgresStore, theirs: PostgresStore) -> None:
    async with listening(theirs) as heard:
        await ours.write(tell(Hint.ENDED, ended=range(10**15, 10**15 + 5000)))
        assert await heard.get() == (Hint.ENDED, list(range(10**15, 10**15 + MOST_RUNS)))


async def test_a_function_that_goes_on_after_a_failed_statement_is_not_committed_although_it_tells(
    ours: PostgresStore,
) -> None:
    def careless(tx: Tx) -> None:
        tx.tell(Hint.JOBS)
        with pytest.raises(psycopg.Error):
            tx.driver.execute("SELECT 1 / 0")

    with pytest.raises(RuntimeError, match="nothing was kept"):
        await ours.write(careless)
    assert await ours.write(lambda tx: tx.driver.execute("SELECT 1").fetchone()) == (1,)


async def test_a_listener_whose_session_was_ended_listens_again_and_looks_at_everything(
    ours: PostgresStore, theirs: PostgresStore, url: str
) -> None:
    async with listening(theirs) as heard:
        with psycopg.connect(url) as admin:
            ended = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = %s AND datname = current_database()",
                (APPLICATION,),
            ).fetchall()
        assert ended == [(True,)]
        assert await heard.get() == (ALL, [])
        await ours.write(tell(Hint.JOBS))
        assert await heard.get() == (Hint.JOBS, [])


async def test_a_listener_finds_a_server_that_was_away(ours: PostgresStore, url: str) -> None:
    with a_proxy(url) as proxy, a_store_on(proxy.conninfo) as theirs:
        async with listening(theirs) as heard:
            proxy.go_away()
            proxy.come_back()
            assert await heard.get() == (ALL, [])
            await ours.write(tell(Hint.JOBS))
            assert await heard.get() == (Hint.JOBS, [])


async def test_a_listener_that_cannot_reach_the_server_can_be_ended(url: str) -> None:
    with a_proxy(url) as proxy, a_store_on(proxy.conninfo) as store:
        async with listening(store):
            proxy.go_away()


async def until_it_is(there: bool, store: PostgresStore) -> None:
    """Wait until this process takes it that somebody, or nobody, listens."""
    while store.hints.is_anybody_there is not there:
        await asyncio.sleep(0.01)


async def test_who_has_heard_nobody_for_a_while_tells_nobody(
    ours: PostgresStore, url: str, eavesdropper: Eavesdropper
) -> None:
    with a_store_on(url, beat_seconds=0.01) as alone:
        async with listening(alone):
            await until_it_is(False, alone)
            await alone.write(tell(Hint.JOBS))
    await ours.write(tell(Hint.WORK))
    assert set(told_until("work", eavesdropper)) == {"here", "work"}


async def test_who_was_alone_tells_again_once_another_has_come(url: str) -> None:
    with a_store_on(url, beat_seconds=0.2) as first, a_store_on(url, beat_seconds=0.01) as second:
        async with listening(first):
            await until_it_is(False, first)
            async with listening(second) as heard:
                await until_it_is(True, first)
                await first.write(tell(Hint.JOBS))
                assert await heard.get() == (Hint.JOBS, [])


# Engines whose clock stands still: nobody polls.


@pytest.fixture
async def worlds(url: str, tmp_path: Path) -> AsyncIterator[tuple[World, World]]:
    """Two machines on one database."""
    clock = ManualClock()
    a_postgres_store(url, clock).close()
    async with AsyncExitStack() as stack:
        made = []
        for name in "one", "other":
            (tmp_path / name).mkdir()
            store = PostgresStore(url, clock=clock)
            made.append(await stack.enter_async_context(a_world(tmp_path / name, store, clock)))
        yield made[0], made[1]


async def started(world: World) -> None:
    """Wait until the world's connector was given an order."""
    while not world.connector.started:
        await world.connector.taken_up.wait()
        world.connector.taken_up.clear()


async def test_what_one_node_cannot_start_another_does_at_once(worlds: tuple[World, World]) -> None:
    one, other = worlds
    full = await one.start("own_a")
    await other.start("own_b")
    full.worker.holds_back = lambda: True
    job = await one.a_job("job", MANUAL, steps=[a_command()])
    await one.trigger(full, job)
    await started(other)
    assert await one.one("SELECT owner FROM run_target") == "own_b"


async def test_a_job_saved_on_one_node_is_started_in_time_by_another(worlds: tuple[World, World]) -> None:
    one, other = worlds
    await other.start("own_b")
    await one.a_job("job", every(10), steps=[a_command()])
    await other.advance(10)
    await started(other)


async def test_a_cancel_on_one_node_ends_what_another_runs_at_once(worlds: tuple[World, World]) -> None:
    one, other = worlds
    asked = await one.start("own_a")
    holds = await other.start("own_b")
    run_id = await other.trigger(holds, await other.a_job("job", MANUAL, steps=[a_command()]))
    await started(other)
    await asked.launcher.cancel(run_id, reason=Reason.USER_CANCELLED)
    assert (await other.over(holds, run_id))[0] is RunState.CANCELLED


async def test_the_end_of_a_run_is_told_to_those_who_watch_it_on_another_node(worlds: tuple[World, World]) -> None:
    one, other = worlds
    watched = await one.start("own_a")
    runs = await other.start("own_b")
    run_id = await other.trigger(runs, await other.a_job("job", MANUAL, steps=[a_command()]))
    await started(other)
    with watched.events.watch_end(run_id) as ended:
        other.connector.live[0].ends()
        await other.over(runs, run_id)
        while not ended.is_set():
            await other.advance(0.02)  # an outbox lingers a moment
            await asyncio.sleep(0.01)


async def test_a_command_beside_the_daemons_has_the_ends_of_its_runs_delivered_at_once(
    worlds: tuple[World, World],
) -> None:
    one, other = worlds
    await other.start("own_b")
    await other.advance(LINGER_SECONDS)  # it looks for what earlier processes left
    command = await one.start("own_a", oversees=False)
    run_id = await one.trigger(command, await one.a_job("job", MANUAL, steps=[a_command()]))
    await started(one)
    one.connector.live[0].ends()
    await one.over(command, run_id)
    began = other.clock.monotonic()
    while await one.one("SELECT count(*) FROM outbox WHERE delivered_at IS NULL"):
        await other.advance(0.02)  # an outbox lingers a moment
        await asyncio.sleep(0.01)
    assert other.clock.monotonic() - began < BUSY_SECONDS
