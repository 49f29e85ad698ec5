"""Many starts at once: what belongs to the keeper's one process while it spawns belongs to each child by itself, and
whichever of its two threads made a child is all the same."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rota.keeper.orders import RunAs
from tests.keeper.keeper_world import World, an_order, living

TO_START_A_KEEPER = 60  # descriptors beyond those in use


@contextmanager
def few_descriptors() -> Iterator[int]:
    """Let what is started here inherit a low soft limit, which is given."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()) + TO_START_A_KEEPER
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    try:
        yield low
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_more_attempts_than_the_starters_file_limit_all_start_with_that_limit(tmp_path: Path, id_: str) -> None:
    with few_descriptors() as low:
        world = await World.begin(tmp_path / "keeper")
    ids = [f"{id_}.{number}" for number in range(low)]
    try:
        world.keeper.order(
            [an_order(each, "sh", "-c", "ulimit -Sn; cat; exec sleep 300", stdin=b"given\n") for each in ids]
        )
        for each in ids:
            await world.owner.grown(each, len(f"{low}\ngiven\n"))
        assert {await world.output(each) for each in ids} == {f"{low}\ngiven\n".encode()}
    finally:
        world.owner.acknowledge_to(world.keeper)
        await world.keeper.stop(grace_seconds=0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_another_users_commands_wait_while_there_is_no_descriptor_for_them(world: World, id_: str) -> None:
    few = len(list(Path(f"/proc/{world.keeper.pid}/fd").iterdir())) + 40
    _, most = resource.prlimit(world.keeper.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(world.keeper.pid, resource.RLIMIT_NOFILE, (few, most))
    nobody = RunAs.resolve("nobody")
    ids = [f"{id_}.{number}" for number in range(2 * few)]
    world.keeper.order([an_order(each, "sleep", "0.2", run_as=nobody) for each in ids])
    assert {(await world.owner.ended(each)).exit_code for each in ids} == {0}


async def test_orders_of_one_batch_each_get_their_own_directory_and_umask(world: World, id_: str) -> None:
    folders = [world.keeper.directory / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    masks = (0o022, 0o027, 0o077)
    world.keeper.order(
        [
            an_order(f"{id_}.{number}", "sh", "-c", "pwd; umask", cwd=str(folders[number]), umask=mask)
            for number, mask in enumerate(masks)
        ]
    )
    for number, mask in enumerate(masks):
        await world.owner.ended(f"{id_}.{number}")
        said = (await world.output(f"{id_}.{number}")).decode().split()
        assert said == [str(folders[number]), f"{mask:04o}"]


async def test_one_that_cannot_start_fails_alone_in_its_batch(world: World, id_: str) -> None:
    bad = {
        "folder": an_order(f"{id_}.folder", "true", cwd="/no/such/folder"),
        "program": an_order(f"{id_}.program", "no-such-program"),
        "argument": an_order(f"{id_}.argument", "echo", "a\0b"),
    }
    good = [an_order(f"{id_}.{number}", "echo", str(number)) for number in range(12)]
    world.keeper.order([*good[:4], bad["folder"], *good[4:8], bad["program"], bad["argument"], *good[8:]])
    for number in range(12):
        assert (await world.owner.ended(f"{id_}.{number}")).exit_code == 0
        assert await world.output(f"{id_}.{number}") == f"{number}\n".encode()
    said = {name: (await world.owner.failed(order.id)) for name, order in bad.items()}
    assert {name: failed.stage for name, failed in said.items()} == {
        "folder": "cwd", "program": "spawn", "argument": "spawn"
    }  # fmt: skip
    assert said["argument"].message == "cannot run 'echo': embedded null byte"


async def test_what_each_of_many_commands_leaves_running_is_told_of_it(world: World, id_: str) -> None:
    ids = [f"{id_}.{number}" for number in range(16)]
    world.keeper.order([an_order(each, "sh", "-c", "setsid sleep 300 >/dev/null 2>&1 & echo $!") for each in ids])
    for each in ids:
        left = (await world.owner.ended(each)).left_running
        pid = int(await world.output(each))
        os.kill(pid, signal.SIGKILL)
        assert left == (pid,)


async def test_many_trees_are_ended_each_by_its_own_order(world: World, id_: str) -> None:
    ids = [f"{id_}.{number}" for number in range(16)]
    world.keeper.order([an_order(each, "sh", "-c", "setsid sleep 300 & echo; wait") for each in ids])
    for each in ids:
        await world.owner.grown(each, 1)
    for each in ids[::2]:
        world.keeper.kill(each, cause="cancelled")
    for each in ids[::2]:
        assert (await world.owner.ended(each)).cause == "cancelled"
        assert living(each) == set()
    assert all(living(each) for each in ids[1::2])
    for each in ids[1::2]:
        world.keeper.kill(each, cause="cancelled")
        await world.owner.ended(each)
