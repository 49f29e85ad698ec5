"""Deaths around a PostgreSQL store: of the server, of daemons, of the line between them; and daemons that sleep.

Two homes on one machine stand for two machines: neither can try the other's locks.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from random import Random

import psycopg
import pytest

from rota.demo.openssh import OpenSsh
from rota.domain.step import Json
from tests.support.daemon import Daemon, Gate, Home, a_home, until
from tests.support.fleet import Fleet, a_fleet, ends, openssh, witnesses
from tests.support.postgres import Server, a_server, new_store, postgres, store_template
from tests.support.postgres_invariants import (
    assert_counters_are_true,
    assert_each_instant_is_covered_once,
    is_at_rest,
    most_at_once,
    one,
    rows,
    stays,
    witness,
)
from tests.support.postgres_proxy import Proxy, a_proxy

__all__ = ["new_store", "openssh", "postgres", "store_template"]  # fixtures

LEASE, GRACE = 3, 3  # seconds
SSH = "ssh: {connect_timeout_seconds: 2, kill_grace_seconds: 1, lost_grace_seconds: 2}\n"
EVERY_SECOND: list[Json] = [{"kind": "interval", "every_seconds": 1}]


def settings(url: str, *, lease: int = LEASE, grace: int = GRACE, cap: int = 100) -> str:
    terms = f'database: {{url: "{url}", lease_seconds: {lease}, lost_grace_seconds: {grace}}}\n'
    return f"{terms}{SSH}schedule: {{max_concurrent_schedules: {cap}}}\n"


@pytest.fixture
def url(new_store: str) -> str:
    return new_store


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with a_proxy(url) as proxy:
        yield proxy


@pytest.fixture
def home(url: str) -> Iterator[Home]:
    with a_home(settings(url)) as home:
        yield home


@pytest.fixture
def other(url: str) -> Iterator[Home]:
    """Another machine with a daemon."""
    with a_home(settings(url)) as other:
        other.daemon()
        yield other


@pytest.fixture
def patient(url: str) -> Iterator[Home]:
    """Another machine, whose daemon gives nobody up for long."""
    with a_home(settings(url, grace=60)) as patient:
        patient.daemon()
        yield patient


def has_looked_on(url: str) -> None:
    """Return when whoever is there has seen the database's clock go for a lease."""
    time.sleep(LEASE * 1.5)  # what it is about to do has no sign that others can see


def held_by(url: str, run: str) -> str:
    """The home whose daemon holds the run's target."""
    query = f"""SELECT owner.node FROM run_target JOIN run ON run.id = run_id JOIN owner ON owner.id = run_target.owner
                WHERE run.public_id = '{run.removeprefix("run_")}'"""
    return str(one(url, query))


def node_of(home: Home, url: str) -> str:
    """The name of this home in the store."""
    return str(one(url, f"SELECT node FROM owner WHERE pid = {home.client.instance()['daemon']['pid']}"))


def begun(home: Home, command: str) -> tuple[str, Gate]:
    """A run of this machine that has begun, and waits at a gate."""
    gate = home.gate()
    run = home.run(f"shell: echo begun; read line < {gate.path}; {command}")
    home.await_output(run, "begun")
    return run, gate


# The server dies


@pytest.fixture
def server() -> Iterator[Server]:
    with a_server() as server:
        yield server


def stop_and_start(server: Server) -> None:
    """`pg_ctl restart -m immediate`."""
    server.stop()
    server.start()


def test_a_server_that_dies_under_load_costs_nothing_and_daemons_go_on_by_themselves(server: Server) -> None:
    with a_home(settings(server.url)) as one_home, a_home(settings(server.url)) as other_home:
        daemons = [home.daemon() for home in (one_home, other_home)]
        gate = one_home.gate()
        long = one_home.run(f"shell: echo begun; read line < {gate.path}; echo ended")
        one_home.await_output(long, "begun")
        for i in range(20):
            do = witness(one_home.tmp, stays=0.05) if i < 2 else "noop"
            one_home.client.create_job({"name": f"tick-{i}", "triggers": EVERY_SECOND, "do": do})
        for times, die in enumerate((stop_and_start, Server.kill_a_backend, stop_and_start), start=1):
            until(lambda times=times: done(server) >= 20 * times)  # type: ignore[misc]
            before = done(server)
            die(server)
            began = time.monotonic()
            until(lambda before=before: done(server) > before)  # type: ignore[misc]
            assert time.monotonic() - began < 30
        gate.open()
        assert one_home.finished(long)["state"] == "succeeded"
        assert one_home.output(long) == "begun\nended\n"
        for i in range(20):
            one_home.client.update_job(f"tick-{i}", {"enabled": False})
        until(lambda: is_at_rest(server.url))
        assert [daemon.process.poll() for daemon in daemons] == [None, None]
        assert rows(server.url, "SELECT DISTINCT state FROM run") == [("succeeded",)]
        assert assert_each_instant_is_covered_once(server.url) >= 60
        assert_counters_are_true(server.url)
        assert all(stay.end is not None for stay in stays(one_home.tmp))


def done(server: Server) -> int:
    """How many runs have succeeded; -1 while the server does not say."""
    try:
        return int(one(server.url, "SELECT count(*) FROM run WHERE state = 'succeeded'"))
    except psycopg.Error:
        return -1


def test_while_the_server_is_away_everybody_says_so(server: Server) -> None:
    with a_home(settings(server.url)) as home:
        home.daemon()
        home.client.create_job({"name": "tick", "triggers": EVERY_SECOND, "do": "noop"})
        server.stop()
        until(lambda: "cannot be reached" in home.log)
        assert "nothing is begun until it is back" in home.log
        for command in (("daemon", "status"), ("why", "tick"), ("db", "check"), ("schedule", "list")):
            said = home.rota(*command)
            assert (said.code, "cannot be reached" in said.err + said.out) == (6, True), command
        server.start()
        until(lambda: "the database is back" in home.log)
        assert home.rota("daemon", "status").code == 0


# A machine dies


@pytest.fixture
def fleet(openssh: OpenSsh, url: str) -> Iterator[Fleet]:
    """A machine with a daemon that reaches hosts."""
    with a_fleet(openssh, settings(url)) as fleet:
        yield fleet


def reaches_the_same(other: Home, fleet: Fleet) -> None:
    """Give another machine the keys and the known hosts of this one."""
    shutil.copytree(fleet.keys, other.path / "keys", dirs_exist_ok=True)
    shutil.copy(fleet.home.path / "known_hosts", other.path / "known_hosts")


def test_work_on_hosts_and_in_the_queue_of_a_dead_machine_goes_on_elsewhere_in_time(fleet: Fleet, url: str) -> None:
    server = fleet.serve("web1")
    gate = fleet.gate(server)
    with a_home(settings(url)) as other:
        reaches_the_same(other, fleet)
        other.daemon()
        has_looked_on(url)
        remote = fleet.begin(f"shell: echo $ROTA_ATTEMPT_TOKEN >> witness; read line < {gate.path}; echo over > over")
        until(lambda: witnesses(server))
        local, local_gate = begun(fleet.home, "true")
        fleet.daemon.kill()
        died = time.monotonic()
        until(lambda: held_by(url, remote) == node_of(other, url))
        assert time.monotonic() - died < LEASE + GRACE + 2
        gate.open()
        end = other.finished(remote)
        assert (end["state"], ends(end)) == ("succeeded", {"web1": ("succeeded", None)})
        assert len(witnesses(server)) == 1
        lost = other.finished(local)
        assert time.monotonic() - died < LEASE + GRACE + 2
        assert [(target["state"], target["reason"]) for target in lost["targets"]] == [("unknown", "worker_lost")]
        local_gate.open()
        fleet.restart()


@pytest.mark.slow
def test_what_waits_for_a_slot_of_a_dead_machine_starts_elsewhere_in_time(url: str) -> None:
    with a_home(settings(url, cap=1)) as home, a_home(settings(url, cap=1)) as other:
        daemon = home.daemon()
        other.daemon()
        has_looked_on(url)
        _, gate = begun(home, "true")
        queued = home.run("shell: echo later")
        daemon.kill()
        died = time.monotonic()
        assert other.finished(queued)["state"] == "succeeded"
        assert time.monotonic() - died < LEASE + GRACE + 2
        gate.open()
        home.daemon()


def test_a_machine_that_is_back_within_the_grace_takes_its_own_work_up_again(url: str, patient: Home) -> None:
    with a_home(settings(url, grace=60)) as home:
        daemon = home.daemon()
        has_looked_on(url)
        run, gate = begun(home, "echo ended; exit 7")
        daemon.kill()
        until(lambda: one(url, "SELECT count(*) FROM run_target WHERE lost_since IS NOT NULL"))
        home.daemon()
        gate.open()
        end = patient.finished(run)
        assert (end["state"], end["targets"][0]["attempts"][0]["exit_code"]) == ("failed", 7)
        assert patient.output(run) == "begun\nended\n"


@pytest.mark.slow
def test_what_a_machine_that_was_given_up_still_runs_is_ended_when_its_daemon_is_back(url: str, other: Home) -> None:
    with a_home(settings(url)) as home:
        daemon = home.daemon()
        has_looked_on(url)
        run, _ = begun(home, "echo never")
        daemon.kill()
        lost = other.finished(run)
        assert [(target["state"], target["reason"]) for target in lost["targets"]] == [("unknown", "worker_lost")]
        assert home.processes_of(run)
        home.daemon()
        until(lambda: not home.processes_of(run))
        assert other.client.run(run)["state"] == "failed"


# A machine sleeps


def freeze(daemon: Daemon) -> None:
    os.kill(daemon.pid, signal.SIGSTOP)


def wake(daemon: Daemon) -> None:
    os.kill(daemon.pid, signal.SIGCONT)


def test_a_daemon_that_slept_past_its_lease_goes_on_with_what_is_its_own(fleet: Fleet, url: str, other: Home) -> None:
    """What runs on hosts was taken from it meanwhile, and is followed by the other one to its end."""
    server = fleet.serve("web1")
    gate = fleet.gate(server)
    reaches_the_same(other, fleet)
    has_looked_on(url)
    remote = fleet.begin(f"shell: echo $ROTA_ATTEMPT_TOKEN >> witness; read line < {gate.path}; exit 7")
    local, local_gate = begun(fleet.home, "echo ended")
    until(lambda: witnesses(server))
    freeze(fleet.daemon)
    until(lambda: held_by(url, remote) == node_of(other, url))
    wake(fleet.daemon)
    local_gate.open()
    assert fleet.home.finished(local)["state"] == "succeeded"
    gate.open()
    end = other.finished(remote)
    assert (end["state"], end["targets"][0]["attempts"][0]["exit_code"]) == ("failed", 7)
    assert len(witnesses(server)) == 1
    assert fleet.daemon.process.poll() is None


@pytest.mark.slow
def test_a_daemon_that_slept_until_it_was_given_up_ends_its_children_and_itself_and_nothing_of_others(
    fleet: Fleet, url: str, other: Home
) -> None:
    server = fleet.serve("web1")
    gate = fleet.gate(server)
    reaches_the_same(other, fleet)
    has_looked_on(url)
    remote = fleet.begin(f"shell: echo $ROTA_ATTEMPT_TOKEN >> witness; read line < {gate.path}; echo over > over")
    local, _ = begun(fleet.home, "echo never")
    until(lambda: witnesses(server))
    freeze(fleet.daemon)
    lost = other.finished(local)
    assert [(target["state"], target["reason"]) for target in lost["targets"]] == [("unknown", "worker_lost")]
    wake(fleet.daemon)
    assert fleet.daemon.wait() != 0
    assert "gave no sign of life for too long" in fleet.home.log
    assert fleet.home.processes_of(local) == {}
    gate.open()
    assert other.finished(remote)["state"] == "succeeded"
    assert len(witnesses(server)) == 1
    fleet.restart()  # as its service does
    assert fleet.home.finished(fleet.home.run("noop"))["state"] == "succeeded"


NAPS = (0.5, 4.5, 2.2)  # seconds: within the lease, until it is given up, and past the lease but within the grace
MANY_NAPS = tuple(Random(7).uniform(0.1, 9) for _ in range(60))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("naps", [NAPS, pytest.param(MANY_NAPS, marks=pytest.mark.slow)], ids=["short", "long"])
def test_nothing_starts_twice_though_a_daemon_sleeps_in_the_middle_of_its_work(
    url: str, naps: tuple[float, ...]
) -> None:
    """One of two is stopped again and again at whatever it does."""
    with a_home(settings(url, lease=2, grace=1)) as home, a_home(settings(url, lease=2, grace=1)) as other:
        daemon = home.daemon()
        other.daemon()
        for i in range(6):
            other.client.create_job({"name": f"w{i}", "triggers": EVERY_SECOND, "do": witness(other.tmp, stays=0.2)})
        for seconds in naps:
            done = int(one(url, "SELECT count(*) FROM run WHERE state = 'succeeded'"))
            until(lambda done=done: one(url, "SELECT count(*) FROM run WHERE state = 'succeeded'") > done + 4)  # type: ignore[misc]
            freeze(daemon)
            time.sleep(seconds)  # what it sleeps through is the test
            wake(daemon)
            if daemon.process.poll() is not None or (seconds > 3 and _ends(daemon)):
                daemon = home.daemon()
        for i in range(6):
            other.client.update_job(f"w{i}", {"enabled": False})
        until(lambda: is_at_rest(url))
        assert assert_each_instant_is_covered_once(url) >= 6 * len(naps)
        assert_counters_are_true(url)
        seen = stays(other.tmp)
        for i in range(6):
            assert most_at_once(stay for stay in seen if stay.job == f"w{i}") == 1
        known = {f"att-{attempt}" for (attempt,) in rows(url, "SELECT id FROM attempt WHERE state = 'succeeded'")}
        assert known <= {stay.token for stay in seen}


def _ends(daemon: Daemon) -> bool:
    """Whether it ends by itself in a while."""
    try:
        until(lambda: daemon.process.poll() is not None, seconds=5)
    except AssertionError:
        return False
    return True


# The line is cut


def test_who_is_cut_off_for_less_than_lease_and_grace_keeps_its_own_work(url: str, proxy: Proxy, patient: Home) -> None:
    with a_home(settings(proxy.url, grace=60)) as home:
        home.daemon()
        has_looked_on(url)
        run, gate = begun(home, "echo ended")
        proxy.go_away()
        until(lambda: one(url, "SELECT count(*) FROM run_target WHERE lost_since IS NOT NULL"))
        gate.open()
        proxy.come_back()
        assert patient.finished(run)["state"] == "succeeded"
        assert patient.output(run) == "begun\nended\n"
        assert home.finished(home.run("noop"))["state"] == "succeeded"


def test_who_is_cut_off_for_good_has_ended_its_children_when_others_take_them_for_lost(
    url: str, proxy: Proxy, other: Home
) -> None:
    with a_home(settings(proxy.url)) as home:
        daemon = home.daemon()
        has_looked_on(url)
        run, _ = begun(home, "echo never")
        proxy.go_away()
        lost = other.finished(run)
        assert home.processes_of(run) == {}
        assert [(target["state"], target["reason"]) for target in lost["targets"]] == [("unknown", "worker_lost")]
        proxy.come_back()
        assert daemon.wait() != 0
        assert "others have taken over its work" in home.log
        home.daemon()
        assert home.finished(home.run("noop"))["state"] == "succeeded"
        assert other.client.run(run)["state"] == "failed"


@pytest.mark.slow
def test_a_line_that_is_cut_again_and_again_loses_and_doubles_nothing(url: str, proxy: Proxy) -> None:
    with a_home(settings(proxy.url)) as home, a_home(settings(url)) as other:
        home.daemon()
        other.daemon()
        for i in range(10):
            do = witness(other.tmp, stays=0.05) if i < 2 else "noop"
            other.client.create_job({"name": f"tick-{i}", "triggers": EVERY_SECOND, "do": do})
        for word in (b"INSERT INTO run (", b"COMMIT\0", b"UPDATE due SET", b"COMMIT\0", b"UPDATE run_target SET state"):
            for after in (False, True):
                planned = int(one(url, "SELECT count(*) FROM run"))
                proxy.cut_at(word, after=after)
                until(lambda planned=planned: one(url, "SELECT count(*) FROM run") > planned + 10)  # type: ignore[misc]
        for i in range(10):
            other.client.update_job(f"tick-{i}", {"enabled": False})
        until(lambda: is_at_rest(url))
        assert rows(url, "SELECT DISTINCT state FROM run") == [("succeeded",)]
        assert_each_instant_is_covered_once(url)
        assert_counters_are_true(url)
        assert all(stay.end is not None for stay in stays(other.tmp))


@pytest.mark.slow
def test_who_is_stopped_in_the_middle_of_a_transaction_holds_up_the_others_for_a_while_and_makes_nobody_silent(
    url: str, proxy: Proxy, other: Home
) -> None:
    """It holds the cap on runs, which everybody needs, until the server ends its transaction. Signs of life go on."""
    with a_home(settings(proxy.url)) as home:
        home.daemon()
        third = other
        has_looked_on(url)
        run, gate = begun(third, "echo ended")
        hold = proxy.hold_at(b"UPDATE run_limit SET used")
        held = home.start("run", "--do", "noop")
        asyncio.run(hold.reached())
        began = time.monotonic()
        quick = third.run("noop")
        assert third.finished(quick)["state"] == "succeeded"
        assert 5 < time.monotonic() - began < 40
        hold.release()
        home.end_of(held)
        gate.open()
        assert third.finished(run)["state"] == "succeeded"
        assert one(url, "SELECT count(*) FROM owner WHERE ended_at IS NOT NULL") == 0


# Everything together


@pytest.mark.timeout(0)
@pytest.mark.parametrize("deaths", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_caps_and_overlap_hold_by_the_childrens_own_word_while_daemons_are_killed(url: str, deaths: int) -> None:
    """Four daemons, one of which is killed now and then; at most three runs at once, of one job as many as it may."""
    terms = settings(url, lease=2, grace=1, cap=3)
    with ExitStack() as stack:
        homes = [stack.enter_context(a_home(terms)) for _ in range(4)]
        daemons = [home.daemon() for home in homes]
        folder = homes[0].tmp
        policies: dict[str, dict[str, Json]] = {
            "skips": {}, "queues": {"overlap_policy": "queue"},
            "two": {"overlap_policy": "allow", "overlap_limit": 2}, "capped": {"overlap_policy": "allow"},
        }  # fmt: skip
        assert homes[0].rota("limits", "set", "job:capped", "1").code == 0
        for name, policy in policies.items():
            triggers: list[Json] = [{"kind": "interval", "every_seconds": every} for every in (1, 2)]
            homes[0].client.create_job({"name": name, "triggers": triggers, "do": witness(folder, stays=0.3), **policy})
        for death in range(deaths):
            done = one(url, "SELECT count(*) FROM run WHERE state = 'succeeded'")
            until(lambda done=done: one(url, "SELECT count(*) FROM run WHERE state = 'succeeded'") > done + 5)  # type: ignore[misc]
            victim = death % 4
            daemons[victim].kill()
            daemons[victim] = homes[victim].daemon()
        for name in policies:
            homes[0].client.update_job(name, {"enabled": False})
        until(lambda: is_at_rest(url))
        assert_each_instant_is_covered_once(url)
        assert_counters_are_true(url)
        seen = stays(folder)
        assert most_at_once(seen) <= 3
        for name, most in (("skips", 1), ("queues", 1), ("two", 2), ("capped", 1)):
            assert most_at_once(stay for stay in seen if stay.job == name) <= most, name
