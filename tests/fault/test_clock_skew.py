"""A machine whose clock is not the database's: that decides, the difference is told, and schedules are on time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from rota.domain.instant import SECOND
from tests.support.daemon import Home, a_home, until
from tests.support.faketime import FakeClock
from tests.support.postgres import new_store, postgres, store_template

__all__ = ["new_store", "postgres", "store_template"]  # fixtures
HOUR_SECONDS = 3600


@pytest.fixture
def url(new_store: str) -> str:
    return new_store


@pytest.fixture
def home(url: str) -> Iterator[Home]:
    with a_home(f'database: {{url: "{url}"}}\n') as home:
        yield home


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("off", [-HOUR_SECONDS, pytest.param(HOUR_SECONDS, marks=pytest.mark.slow)])
def test_a_node_whose_clock_is_an_hour_off_goes_by_the_database_s(home: Home, url: str, off: int) -> None:
    clock = FakeClock(home.scratch / "clock")
    clock.set_off(off)
    home.daemon(clock.env)
    home.client.create_job({"name": "tick", "triggers": [{"kind": "interval", "every": "1s"}], "do": "noop"})
    until(lambda: rows(url, "SELECT count(*) FROM run WHERE state = 'succeeded'")[0][0] >= 2)
    until(lambda: "this machine's clock and the database's differ by 1h: the database's decides" in home.log)
    now = time.time_ns() // 1000
    assert all(abs(now - nominal) < 60 * SECOND for (nominal,) in rows(url, "SELECT nominal FROM run"))
    assert rows(url, "SELECT count(*) - count(DISTINCT nominal) FROM run") == [(0,)]
    shown = home.client.instance()["clock"]["ahead_seconds"]
    assert shown is not None
    assert abs(shown + off) < 5
    where = "behind" if off < 0 else "ahead of"
    assert f"{where} the database's, which decides" in home.rota("daemon", "status").out


@pytest.mark.slow
def test_a_node_whose_clock_is_set_while_it_works_loses_and_doubles_nothing(home: Home, url: str) -> None:
    clock = FakeClock(home.scratch / "clock")
    home.daemon(clock.env)
    home.client.create_job({"name": "tick", "triggers": [{"kind": "interval", "every": "1s"}], "do": "noop"})
    until(lambda: rows(url, "SELECT count(*) FROM run WHERE state = 'succeeded'")[0][0] >= 2)
    clock.set_off(-HOUR_SECONDS)
    until(lambda: "differ by 1h" in home.log)
    before = rows(url, "SELECT count(*) FROM run")[0][0]
    until(lambda: rows(url, "SELECT count(*) FROM run WHERE state = 'succeeded'")[0][0] >= before + 2)
    home.client.update_job("tick", {"enabled": False})
    first, last, count = rows(url, "SELECT min(nominal), max(nominal), count(DISTINCT nominal) FROM run")[0]
    refused = rows(url, "SELECT coalesce(sum(count), 0) FROM ledger")[0][0]
    assert count + refused >= (last - first) // SECOND + 1
    assert rows(url, "SELECT count(*) - count(DISTINCT nominal) FROM run") == [(0,)]
