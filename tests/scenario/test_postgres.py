"""Real daemons whose store is a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from tests.support.daemon import Home, a_home, until
from tests.support.postgres import Postgres, new_store, postgres, store_template
from tests.support.postgres_proxy import a_proxy

__all__ = ["new_store", "postgres", "store_template"]  # fixtures


@pytest.fixture
def url(new_store: str) -> str:
    return new_store


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """A database without a store."""
    with postgres.a_database() as url:
        yield url


def settings(url: str) -> str:
    return f'database: {{url: "{url}"}}\nschedule: {{max_concurrent_schedules: 100}}\n'


@pytest.fixture
def home(url: str) -> Iterator[Home]:
    with a_home(settings(url)) as home:
        yield home


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_a_schedule_goes_on_after_its_daemon_was_killed(home: Home, url: str) -> None:
    first = home.daemon()
    home.client.create_job(
        {"name": "tick", "triggers": [{"kind": "interval", "every_seconds": 1}], "do": "shell: echo tick"}
    )
    finished = "SELECT count(*) FROM run WHERE state = 'succeeded'"
    until(lambda: rows(url, finished)[0][0] >= 2)
    first.kill()
    before = rows(url, finished)[0][0]
    home.daemon()
    until(lambda: rows(url, finished)[0][0] >= before + 2)
    home.client.update_job("tick", {"enabled": False})
    until(lambda: rows(url, "SELECT count(*) FROM run WHERE finished_at IS NULL")[0][0] == 0)
    assert rows(url, "SELECT DISTINCT state FROM run") == [("succeeded",)]
    assert rows(url, "SELECT count(*) - count(DISTINCT nominal) FROM run") == [(0,)]


def test_output_is_in_the_database(home: Home, url: str) -> None:
    home.daemon()
    run = home.run("shell: echo hello")
    assert home.finished(run)["state"] == "succeeded"
    assert home.output(run) == "hello\n"
    assert rows(url, "SELECT data FROM output_chunk") == [(b"hello\n",)]
    assert not list(home.path.glob("*.db"))


def test_a_command_works_on_the_database_where_no_daemon_serves_its_home(home: Home, url: str) -> None:
    assert home.rota("schedule", "create", "--name", "hello", "--manual", "--do", "shell: echo hello").code == 0
    ran = home.rota("run", "hello")
    assert (ran.code, "hello" in ran.out) == (0, True)
    assert rows(url, "SELECT state FROM run") == [("succeeded",)]


def test_what_a_dead_machine_ran_is_unknown_after_the_grace_and_its_queue_goes_on_elsewhere(url: str) -> None:
    """Two homes on one machine stand for two machines: neither can try the other's locks."""
    terms = f'database: {{url: "{url}", lease_seconds: 2, lost_grace_seconds: 1}}\n'
    with a_home(terms + "schedule: {max_concurrent_schedules: 1}") as one, a_home(terms) as other:
        first = one.daemon()
        gate = one.gate()
        running = one.run(f"shell: echo begun; read line < {gate.path}")
        one.await_output(running, "begun")
        waiting = one.run("shell: echo later")
        first.kill()
        other.settings(terms + "schedule: {max_concurrent_schedules: 1}")
        other.daemon()
        ended = other.finished(running)
        [target] = ended["targets"]
        assert (ended["state"], target["state"], target["reason"]) == ("failed", "unknown", "worker_lost")
        assert other.finished(waiting)["state"] == "succeeded"
        assert other.output(waiting) == "later\n"
        gate.open()
        one.daemon()


def test_two_daemons_on_one_database_leave_each_other_alone(url: str) -> None:
    with a_home(settings(url)) as one, a_home(settings(url)) as other:
        one.daemon()
        gate = one.gate()
        run = one.run(f"shell: echo begun; read line < {gate.path}; echo ended")
        one.await_output(run, "begun")
        other.daemon().stop()
        other.daemon()
        gate.open()
        assert one.finished(run)["state"] == "succeeded"
        assert other.output(run) == "begun\nended\n"


def test_a_run_is_cancelled_through_another_daemon(url: str) -> None:
    with a_home(settings(url)) as one, a_home(settings(url)) as other:
        one.daemon()
        other.daemon()
        run = one.run(f"shell: echo begun; read line < {one.gate().path}")
        one.await_output(run, "begun")
        other.client.cancel_run(run)
        assert other.finished(run)["state"] == "cancelled"
        assert not one.processes_of(run)


def test_a_store_moves_to_postgresql_by_the_command_and_goes_on_there(empty: str) -> None:
    with a_home() as home:
        assert home.rota("schedule", "create", "--name", "hello", "--manual", "--do", "shell: echo hello").code == 0
        assert home.rota("run", "hello").code == 0
        missing = home.rota("db", "check", env={"ROTA_DATABASE_URL": empty})
        assert (missing.code, "there is no store in it yet" in missing.out) == (6, True)
        copied = home.rota("db", "copy", "--to", empty)
        assert (copied.code, "all read back alike" in copied.out) == (0, True), copied.err
        home.settings(settings(empty))
        checked = home.rota("db", "check")
        assert (checked.code, "PostgreSQL" in checked.out) == (0, True), checked.err
        home.daemon()
        assert [job["name"] for job in home.client.jobs()["items"]] == ["hello"]
        run = home.client.trigger_job("hello")["id"]
        assert home.finished(run)["state"] == "succeeded"
        assert len(home.client.runs(limit=10)["items"]) == 2
        assert home.rota("db", "copy", "--to", "sqlite").code == 5  # while a daemon is at work


def test_a_password_is_not_taken_on_the_command_line(home: Home) -> None:
    refused = home.rota("db", "copy", "--to", "postgresql://rota:hunter2@localhost/rota")
    assert (refused.code, "hunter2" in refused.err) == (7, False)


def test_daemons_that_share_a_database_start_each_instant_once_though_one_is_killed(url: str) -> None:
    """Three daemons, ten jobs a second; one dies by kill -9 in the middle. What it had begun is in the
    way of the jobs' next runs until the others may take it over."""
    terms = settings(url).replace(f'"{url}"', f'"{url}", lease_seconds: 3, lost_grace_seconds: 3')
    with ExitStack() as stack:
        homes = [stack.enter_context(a_home(terms)) for _ in range(3)]
        daemons = [home.daemon() for home in homes]
        for i in range(10):
            homes[i % 3].client.create_job(
                {"name": f"tick-{i}", "triggers": [{"kind": "interval", "every_seconds": 1}], "do": "noop"}
            )
        planned = "SELECT count(*) FROM run"
        until(lambda: rows(url, planned)[0][0] >= 20)
        daemons[0].kill()
        before = rows(url, planned)[0][0]
        until(lambda: rows(url, planned)[0][0] >= before + 20)
        for i in range(10):
            homes[1].client.update_job(f"tick-{i}", {"enabled": False})
        covered = """
            SELECT trigger_id, (max(nominal) - min(nominal)) / 1000000 + 1 - count(*) - coalesce(
                (SELECT sum(count) FROM ledger WHERE ledger.trigger_id = run.trigger_id
                 AND first_nominal BETWEEN (SELECT min(nominal) FROM run AS r WHERE r.trigger_id = run.trigger_id)
                               AND (SELECT max(nominal) FROM run AS r WHERE r.trigger_id = run.trigger_id)), 0)
            FROM run GROUP BY trigger_id ORDER BY trigger_id"""
        assert rows(url, covered) == [(trigger, 0) for trigger in range(1, 11)]
        assert rows(url, "SELECT count(*) - count(DISTINCT (trigger_id, nominal)) FROM run") == [(0,)]
        assert rows(url, "SELECT count(*) - count(DISTINCT run_target_id) FROM attempt") == [(0,)]
        homes[0].daemon()  # which sees to what the dead one left on its machine


def test_a_daemon_whose_database_was_away_misses_nothing(url: str) -> None:
    """Verdicts of what ran meanwhile are written when it is back; what was due then is planned late or said missed."""
    with a_proxy(url) as proxy, a_home(settings(proxy.url)) as home:
        home.daemon()
        gate = home.gate()
        running = home.run(f"shell: read line < {gate.path}; echo ended")
        home.client.create_job({"name": "tick", "triggers": [{"kind": "interval", "every_seconds": 1}], "do": "noop"})
        finished = "SELECT count(*) FROM run WHERE state = 'succeeded'"
        until(lambda: rows(url, finished)[0][0] >= 2)
        proxy.go_away()
        gate.open()
        last = rows(url, "SELECT max(nominal) FROM run")[0][0]
        # The database's own clock says when two instants have passed that nobody could plan.
        until(lambda: rows(url, f"SELECT extract(epoch FROM clock_timestamp()) * 1000000 > {last} + 3000000")[0][0])
        proxy.come_back()
        assert home.finished(running)["state"] == "succeeded"
        assert home.output(running) == "ended\n"
        until(lambda: rows(url, f"SELECT count(*) FROM run WHERE nominal > {last} + 3000000")[0][0] >= 2)
        home.client.update_job("tick", {"enabled": False})
        covered = rows(url, _COVERED)
        assert [first - before for first, before in covered[1:]] == [1_000_000] * (len(covered) - 1)


# Each instant or span that became a run or a refusal, and the end of the one before.
_COVERED = """
SELECT first, lag(last) OVER (ORDER BY first) FROM (
    SELECT nominal, nominal FROM run WHERE nominal IS NOT NULL UNION SELECT first_nominal, last_nominal FROM ledger
) AS span (first, last) ORDER BY first
"""
