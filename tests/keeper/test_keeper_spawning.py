"""Starts in the air: the thread that spawns has a place and a limit of its own, or the keeper waits for it."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rota.keeper.process import spawn
from rota.keeper.process.attempt import Attempt
from rota.keeper.process.spawn import Flight, Spawner
from tests.keeper.keeper_world import World, an_order, living
from tests.support.daemon import PATIENCE_SECONDS
from tests.support.disk_faults import answering

TO_START_A_KEEPER = 60  # descriptors beyond those in use


def order(id: str, *argv: str, cwd: str = "/", umask: int = 0o022, env: dict[str, str] | None = None) -> Attempt:  # noqa: A002
    return Attempt(
        {
            "id": id, "argv": list(argv), "env": {"PATH": "/usr/bin:/bin", **(env or {})}, "cwd": cwd, "umask": umask,
            "timeout": None, "grace": 1.0, "end_leftovers": True, "head": 1000, "tail": 1000,
        },
        "/nowhere", {},
    )  # fmt: skip


def flown(spawner: Spawner, *attempts: Attempt) -> list[Flight]:
    """Their starts, landed."""
    spawner.send(list(attempts), living=len(attempts))
    spawner.wait()
    flights = spawner.landed()
    for flight in flights:
        flight.close()
    return flights


def output_of(flight: Flight) -> str:
    """To its end."""
    assert flight.error is None, flight.error
    os.waitpid(flight.pid, 0)
    os.set_blocking(flight.reader, True)
    with os.fdopen(flight.reader) as file:
        return file.read()


@pytest.fixture(params=["a place of its own", "the keeper's place"])
def spawner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Spawner:
    """Where a container's seccomp profile forbids unshare(2), the thread shares its directory and its umask."""
    if request.param == "the keeper's place":
        monkeypatch.setattr(spawn, "leave_shared_place", lambda: False)
    monkeypatch.chdir(Path.cwd())  # back again afterwards: a keeper's thread goes home to /
    before = os.umask(0o077)  # as the keeper has it
    os.umask(before)
    monkeypatch.setattr(spawn, "_UMASK", before)
    return Spawner()


def descriptors() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]


@contextmanager
def few_descriptors() -> Iterator[int]:
    """Let what is started here inherit a low soft limit, which is given."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = max(descriptors()) + TO_START_A_KEEPER
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    try:
        yield low
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_children_of_one_batch_each_get_their_own_directory_and_umask(spawner: Spawner, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    masks = (0o022, 0o027, 0o077)
    flights = flown(
        spawner,
        *[order(f"{n}", "sh", "-c", "pwd; umask", cwd=str(folders[n]), umask=masks[n]) for n in range(len(masks))],
    )
    assert [output_of(flight).split() for flight in flights] == [
        [str(folder), f"{mask:04o}"] for folder, mask in zip(folders, masks, strict=True)
    ]


def test_the_keepers_own_directory_and_umask_are_as_before(spawner: Spawner, tmp_path: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    (flight,) = flown(spawner, order("one", "true", cwd=str(tmp_path), umask=0o700))
    output_of(flight)
    assert (os.umask(mask), Path.cwd() == tmp_path) == (mask, False)


def test_a_program_is_looked_for_from_the_attempts_directory(spawner: Spawner, tmp_path: Path) -> None:
    program = tmp_path / "here"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    flights = flown(
        spawner,
        order("slash", "./here", cwd=str(tmp_path)),
        order("path", "here", cwd=str(tmp_path), env={"PATH": ".:/usr/bin:/bin"}),
    )
    assert [output_of(flight) for flight in flights] == ["found\n", "found\n"]


def test_one_that_cannot_start_does_not_keep_the_others_of_its_batch(spawner: Spawner, tmp_path: Path) -> None:
    flights = flown(
        spawner,
        order("nul", "echo", "a\0b"),
        order("name", "true", env={"A=B": "1"}),
        order("folder", "true", cwd=str(tmp_path / "gone")),
        order("program", str(tmp_path / "gone")),
        order("good", "echo", "good"),
    )
    by_id = {flight.attempt.id: flight for flight in flights}
    assert output_of(by_id.pop("good")) == "good\n"
    assert {id_: (flight.error and flight.error.stage) for id_, flight in by_id.items()} == {
        "nul": "spawn",
        "name": "spawn",
        "folder": "cwd",
        "program": "spawn",
    }


def test_nothing_is_left_open_for_what_did_not_start(spawner: Spawner, tmp_path: Path) -> None:
    before = len(descriptors())
    flown(spawner, *[order(str(n), str(tmp_path / "gone")) for n in range(20)], order("nul", "a\0b"))
    assert len(descriptors()) == before


async def test_more_attempts_than_the_starters_file_limit_all_start_with_that_limit(tmp_path: Path, id_: str) -> None:
    with few_descriptors() as low:
        world = await World.begin(tmp_path / "keeper")
    ids = [f"{id_}.{number}" for number in range(low)]
    try:
        world.keeper.order([an_order(each, "sh", "-c", "ulimit -Sn; exec sleep 300") for each in ids])
        for each in ids:
            await world.owner.grown(each, 1)
        assert {await world.output(each) for each in ids} == {f"{low}\n".encode()}
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        assert resource.prlimit(world.keeper.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        world.owner.acknowledge_to(world.keeper)
        await world.keeper.stop(grace_seconds=0)


async def test_a_kill_that_comes_while_a_start_is_in_the_air_ends_it(world: World, id_: str, tmp_path: Path) -> None:
    folder = tmp_path / "slow"
    folder.mkdir()
    with answering(world.keeper.pid, "chdir", "delay_enter=1000000", tmp_path / "strace"):
        world.start(id_, "sleep", str(10 * PATIENCE_SECONDS), cwd=str(folder))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while b'"k":"B"' not in (world.keeper.directory / "journal").read_bytes():
                await asyncio.sleep(0.01)
        world.keeper.kill(id_, cause="cancelled")
        ended = await world.owner.ended(id_)
    assert (ended.cause, living(id_)) == ("cancelled", set())
