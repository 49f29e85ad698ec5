"""What the server refuses for now."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from rota.domain.errors import Unavailable
from rota.ports import Tx
from rota.storage.postgres import TRIES, PostgresStore
from tests.contract.two_nodes import Node
from tests.support.daemon import until


@pytest.mark.parametrize("code", ["40P01", "40001"])
async def test_what_the_server_ended_for_others_sake_is_carried_out_again(one: Node, code: str) -> None:
    calls = []

    def write(tx: Tx) -> str:
        calls.append(1)
        tx.driver.execute("INSERT INTO instance VALUES ('a', '1')")
        if len(calls) < TRIES:
            tx.driver.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")
        return "done"

    assert await one.store.write(write) == "done"
    assert (len(calls), await one.one("SELECT count(*) FROM instance WHERE key = 'a'")) == (TRIES, 1)


async def test_who_is_ended_for_others_sake_again_and_again_is_told_to_try_later(one: Node) -> None:
    def write(tx: Tx) -> None:
        tx.driver.execute("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END $$")

    with pytest.raises(Unavailable, match="too many write at once"):
        await one.store.write(write)


@pytest.mark.parametrize("at_its_end", [False, True])
async def test_who_stands_still_in_a_transaction_for_too_long_is_told_and_works_again(
    one: Node, url: str, at_its_end: bool
) -> None:
    """A process that was stopped holds locks that everybody needs: the server ends its transaction (here at once).

    Over a line of its own: the proxy may hang up before it has passed on the server's last word. That may be lost as
    well where anything is sent to a server process that is gone: then all one knows is that it does not answer.
    """
    said = "stood still" if at_its_end else "stood still|does not answer"
    store = PostgresStore(url, clock=one.clock)

    def write(tx: Tx) -> None:
        backend = Path(f"/proc/{tx.driver.connection.info.backend_pid}")
        tx.driver.execute("INSERT INTO instance VALUES ('a', '1')")
        tx.driver.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
        until(lambda: not is_anybody_in_a_transaction(url) and not backend.exists())
        if not at_its_end:
            tx.driver.execute("SELECT 1")

    with closing(store):
        with pytest.raises(Unavailable, match=said):
            await store.write(write)
        await store.write(lambda tx: tx.driver.execute("INSERT INTO instance VALUES ('b', '1')"))
    assert await one.sql("SELECT key FROM instance WHERE key IN ('a', 'b')") == [("b",)]


def is_anybody_in_a_transaction(url: str) -> bool:
    with psycopg.connect(url, autocommit=True) as watcher:
        query = "SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in%' AND datname = current_database()"
        return watcher.execute(query).fetchone() is not None
