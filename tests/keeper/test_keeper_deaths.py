"""Who dies, and what is known afterwards."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from rota.domain.errors import Conflict, NotFound, Unavailable
from rota.domain.states import Fate
from rota.keeper.client import Keeper
from rota.keeper.generation import connect, is_alive, next_epoch
from rota.keeper.orders import Ended, OutputGrew, RunAs, Started
from rota.keeper.process import entry
from rota.keeper.process.journal import line_of
from rota.keeper.process.protocol import PROTO, encode
from rota.keeper.records import OrderWriter
from rota.keeper.remains import Remains
from tests.keeper.keeper_world import Owner, World, an_order, gone, kill_9, living, pieces

DeadOwner = Callable[[str, str], Awaitable[int]]


@pytest.fixture
async def dead_owner(tmp_path: Path) -> AsyncIterator[DeadOwner]:
    """Run a shell command under a daemon that is killed as soon as the command runs; returns the command's pid."""

    async def live_and_die(id_: str, script: str) -> int:
        program = str(Path(__file__).with_name("owner_process.py"))
        daemon = await asyncio.create_subprocess_exec(
            sys.executable, program, str(tmp_path / "keeper"), id_, script, stdout=asyncio.subprocess.PIPE
        )
        assert daemon.stdout is not None
        said = (await asyncio.wait_for(daemon.stdout.readline(), 20)).split()
        daemon.kill()
        await daemon.wait()
        return int(said[1])

    yield live_and_die
    if is_alive(tmp_path / "keeper"):
        successor = await adopted(tmp_path / "keeper", owner := Owner())
        owner.acknowledge_to(successor)
        await successor.stop(grace_seconds=0)


async def adopted(directory: Path, owner: Owner) -> Keeper:
    keeper = await Keeper.adopt(directory, on_events=owner.take)
    assert isinstance(keeper, Keeper)
    return keeper


async def remains_of(world: World) -> Remains:
    """Kill the keeper and look at what it left."""
    kill_9(world.keeper.pid)
    await asyncio.wait_for(world.keeper.lost.wait(), 20)
    remains = await Keeper.adopt(world.keeper.directory, on_events=world.owner.take)
    assert isinstance(remains, Remains)
    return remains


# The owner dies


async def test_a_child_that_outlives_its_owner_is_adopted_with_its_whole_output_and_result(
    dead_owner: DeadOwner, tmp_path: Path, id_: str
) -> None:
    go_on = tmp_path / "go-on"
    os.mkfifo(go_on)
    pid = await dead_owner(id_, f"echo before; read line < {go_on}; echo after; exit 4")
    owner = Owner()
    keeper = await adopted(tmp_path / "keeper", owner)
    assert keeper.fate(id_) is Fate.LIVE
    assert (await owner.started(id_)).pid == pid
    await asyncio.to_thread(go_on.write_text, "now\n")
    assert (await owner.ended(id_)).exit_code == 4
    assert await pieces(keeper.read, id_) == [(0, b"before\nafter\n")]
    await keeper.detach()


async def test_a_result_that_came_while_nobody_owned_the_keeper_is_delivered(
    dead_owner: DeadOwner, tmp_path: Path, id_: str
) -> None:
    await gone(await dead_owner(id_, "sleep 0.2; echo alone; exit 6"))
    owner = Owner()
    keeper = await adopted(tmp_path / "keeper", owner)
    assert (await owner.ended(id_)).exit_code == 6
    assert keeper.fate(id_) is Fate.ENDED
    assert await pieces(keeper.read, id_) == [(0, b"alone\n")]
    await keeper.detach()


async def test_a_timeout_holds_while_no_owner_lives(dead_owner: DeadOwner, tmp_path: Path, id_: str) -> None:
    world = await World.begin(tmp_path / "keeper")
    world.sh(id_, "trap '' TERM; sleep 300", timeout_seconds=0.3, grace_seconds=0.1)
    pid = (await world.owner.started(id_)).pid
    await world.keeper.detach()
    await gone(pid)
    keeper = await adopted(tmp_path / "keeper", owner := Owner())
    assert (await owner.ended(id_)).cause == "timeout"
    await keeper.detach()


async def test_a_result_is_told_to_each_owner_until_it_is_acknowledged(
    dead_owner: DeadOwner, tmp_path: Path, id_: str
) -> None:
    await dead_owner(id_, "echo hello")
    for _ in range(2):
        keeper = await adopted(tmp_path / "keeper", owner := Owner())
        await owner.ended(id_)
        await keeper.detach()
    keeper = await adopted(tmp_path / "keeper", owner := Owner())
    await owner.ended(id_)
    keeper.ack([id_])
    await keeper.detach()
    keeper = await adopted(tmp_path / "keeper", owner := Owner())
    keeper.order([an_order("marker", "true")])
    await owner.ended("marker")
    assert owner.all(Ended, id_) == []
    await keeper.detach()


async def test_what_a_living_keeper_never_heard_of_was_never_started(world: World, id_: str) -> None:
    assert world.keeper.fate(id_) is Fate.NEVER_STARTED
    await world.result_of(id_, "true")
    assert world.keeper.fate(id_) is Fate.ENDED
    world.keeper.ack([id_])
    assert world.keeper.fate(id_) is Fate.ENDED


async def test_an_earlier_owner_is_cut_off_and_its_orders_are_refused(
    dead_owner: DeadOwner, tmp_path: Path, id_: str
) -> None:
    first = await World.begin(tmp_path / "keeper")
    second_owner = Owner()
    second = await adopted(tmp_path / "keeper", second_owner)
    await asyncio.wait_for(first.keeper.lost.wait(), 20)
    assert first.keeper.superseded
    first.start(id_, "true")
    second.order([an_order("of-the-second", "true")])
    await second_owner.ended("of-the-second")
    assert second_owner.all(Started, id_) == []
    await second.detach()


async def test_a_lower_epoch_is_refused(dead_owner: DeadOwner, tmp_path: Path) -> None:
    directory = tmp_path / "keeper"
    world = await World.begin(directory)
    await world.keeper.detach()
    (directory / "epoch").write_bytes(b"7")
    keeper = await adopted(directory, Owner())
    (directory / "epoch").write_bytes(b"3")
    with pytest.raises(Unavailable, match=r"later owner has taken over \(epoch 8, yours is 4\)"):
        await Keeper._connect(directory, Owner().take)
    keeper.order([an_order("still-mine", "true")])
    assert not keeper.lost.is_set()
    await keeper.detach()


def test_epochs_only_grow(tmp_path: Path) -> None:
    assert [next_epoch(tmp_path) for _ in range(3)] == [1, 2, 3]


# The keeper dies


async def test_results_written_before_the_keeper_died_are_found_with_their_output(world: World, id_: str) -> None:
    await world.result_of(id_, "sh", "-c", "echo small; exit 3")
    await world.result_of("large", "head", "-c", "100000", "/dev/zero")
    remains = await remains_of(world)
    assert [(result.id, result.exit_code) for result in remains.results] == [(id_, 3), ("large", 0)]
    assert await pieces(remains.read, id_) == [(0, b"small\n")]
    assert await pieces(remains.read, "large") == [(0, bytes(65_536)), (65_536, bytes(100_000 - 65_536))]
    assert remains.fate(id_) is Fate.ENDED


async def test_a_child_that_outlives_its_keeper_is_still_running_and_its_end_unknown(world: World, id_: str) -> None:
    world.sh(id_, "echo begun; sleep 300")
    pid = (await world.owner.started(id_)).pid
    await world.owner.grown(id_, 6)
    remains = await remains_of(world)
    assert remains.fate(id_) is Fate.STILL_RUNNING
    assert pid in remains.running[id_]
    assert await pieces(remains.read, id_) == [(0, b"begun\n")]
    assert remains.results == ()
    for survivor in living(id_):
        kill_9(survivor)


async def test_a_child_that_died_with_its_keeper_is_gone(world: World, id_: str) -> None:
    world.start(id_, "sleep", "300")
    pid = (await world.owner.started(id_)).pid
    os.kill(world.keeper.pid, signal.SIGSTOP)  # stopped, so that it cannot record the end
    kill_9(pid)
    await gone(pid)
    remains = await remains_of(world)
    assert remains.fate(id_) is Fate.GONE


async def test_what_a_dead_keeper_never_heard_of_was_never_started(world: World, id_: str) -> None:
    await world.result_of("other", "true")
    remains = await remains_of(world)
    assert remains.fate(id_) is Fate.NEVER_STARTED
    with pytest.raises(NotFound):
        await remains.read(id_, 0)


async def test_a_failed_start_is_remembered_after_the_keepers_death(world: World, id_: str) -> None:
    world.start(id_, "no-such-program")
    failed = await world.owner.failed(id_)
    remains = await remains_of(world)
    assert remains.failures == (failed,)
    assert remains.fate(id_) is Fate.NEVER_STARTED


async def test_acknowledged_results_are_not_told_after_the_keepers_death(world: World, id_: str) -> None:
    await world.result_of(id_, "true")
    world.keeper.ack([id_])
    await world.result_of("later", "true")
    remains = await remains_of(world)
    assert [result.id for result in remains.results] == ["later"]
    assert remains.fate(id_) is Fate.ENDED


@pytest.mark.parametrize("tail", [b"1234", b"\0" * 5000, b'deadbeef {"k":"E"}\n', os.urandom(300) + b"\n", b"\n\n"])
async def test_a_torn_or_garbage_tail_of_the_journal_is_passed_over(world: World, id_: str, tail: bytes) -> None:
    await world.result_of(id_, "sh", "-c", "exit 3")
    kill_9(world.keeper.pid)
    await asyncio.wait_for(world.keeper.lost.wait(), 20)
    with (world.keeper.directory / "journal").open("ab") as journal:
        journal.write(tail)
    remains = await Keeper.adopt(world.keeper.directory, on_events=world.owner.take)
    assert isinstance(remains, Remains)
    assert [result.exit_code for result in remains.results] == [3]
    assert remains.fate("unknown") is Fate.NEVER_STARTED


async def test_a_journal_damaged_in_its_middle_proves_no_absence(world: World, id_: str) -> None:
    await world.result_of(id_, "true")
    kill_9(world.keeper.pid)
    await asyncio.wait_for(world.keeper.lost.wait(), 20)
    journal = world.keeper.directory / "journal"
    first, rest = journal.read_bytes().split(b"\n", 1)
    journal.write_bytes(first + b"\n####\n" + rest)
    assert Remains.examine(world.keeper.directory).fate("unknown") is Fate.GONE


async def test_after_a_restart_of_the_machine_nothing_runs_and_no_absence_is_proven(world: World, id_: str) -> None:
    world.start(id_, "sleep", "300")
    await world.owner.started(id_)
    kill_9(world.keeper.pid)
    await asyncio.wait_for(world.keeper.lost.wait(), 20)
    journal = world.keeper.directory / "journal"
    birth = encode({"k": "K", "pid": 1, "boot": "another-boot", "pidns": str(Path("/proc/self/ns/pid").readlink())})
    journal.write_bytes(line_of(birth) + journal.read_bytes().split(b"\n", 1)[1])
    remains = Remains.examine(world.keeper.directory)
    assert (remains.fate(id_), remains.fate("unknown")) == (Fate.GONE, Fate.GONE)
    for survivor in living(id_):
        kill_9(survivor)


def test_a_directory_without_a_journal_proves_nothing(tmp_path: Path) -> None:
    assert Remains.examine(tmp_path / "nothing").fate("any") is Fate.GONE


async def test_a_recycled_process_number_is_not_taken_for_the_child(world: World, id_: str) -> None:
    world.start(id_, "sleep", "300")
    pid = (await world.owner.started(id_)).pid
    os.kill(world.keeper.pid, signal.SIGSTOP)
    kill_9(pid)
    kill_9(world.keeper.pid)
    await asyncio.wait_for(world.keeper.lost.wait(), 20)
    journal = world.keeper.directory / "journal"
    recycled = journal.read_bytes().replace(f'"pid":{pid},'.encode(), f'"pid":{os.getpid()},'.encode())
    records = [line[9:] for line in recycled.splitlines()]
    journal.write_bytes(b"".join(map(line_of, records)))
    assert Remains.examine(world.keeper.directory).fate(id_) is Fate.GONE


async def test_remains_can_be_discarded(world: World, id_: str) -> None:
    await world.result_of(id_, "true")
    (await remains_of(world)).discard()
    assert not world.keeper.directory.exists()


# The keeper's own life


async def test_term_to_the_keeper_ends_its_children_with_the_cause_shutdown(world: World, id_: str) -> None:
    """As at a shutdown of the machine."""
    world.start(id_, "sleep", "300")
    await world.owner.started(id_)
    world.owner.acknowledge_to(world.keeper)
    os.kill(world.keeper.pid, signal.SIGTERM)
    ended = await world.owner.ended(id_)
    assert (ended.cause, ended.signal) == ("shutdown", signal.SIGTERM)
    await asyncio.wait_for(world.keeper.lost.wait(), 20)


async def test_a_full_disk_refuses_starts_and_still_tells_ends_until_there_is_room(world: World, id_: str) -> None:
    """A limit on the size of its files meets the keeper as a full disk does."""
    world.sh(id_, "sleep 0.3; exit 3")
    await world.owner.started(id_)
    journal = world.keeper.directory / "journal"
    room = resource.prlimit(world.keeper.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(world.keeper.pid, resource.RLIMIT_FSIZE, (journal.stat().st_size + 10, room[1]))
    world.start("refused", "true")
    failed = await world.owner.failed("refused")
    assert (failed.stage, failed.errno) == ("journal", errno.EFBIG)
    assert (await world.owner.ended(id_)).exit_code == 3
    resource.prlimit(world.keeper.pid, resource.RLIMIT_FSIZE, room)
    assert (await world.result_of("again", "true")).exit_code == 0
    assert [result.id for result in (await remains_of(world)).results] == [id_, "again"]


async def test_an_owner_that_reads_nothing_neither_blocks_nor_swells_the_keeper(world: World) -> None:
    """It orders 4 MB of results, takes none, and is replaced."""
    directory = world.keeper.directory
    stuck = connect(directory)
    stuck.setblocking(True)
    orders = [an_order(f"a.{number}", "head", "-c", "16000", "/dev/zero") for number in range(200)]
    hello = encode({"m": "hello", "proto": PROTO, "epoch": next_epoch(directory)})
    await asyncio.to_thread(stuck.sendall, b"".join(line + b"\n" for line in [hello, *OrderWriter().lines(orders)]))
    await asyncio.wait_for(world.keeper.lost.wait(), 20)
    async with asyncio.timeout(60):
        while (directory / "journal").read_bytes().count(b'"k":"E"') < 200:
            await asyncio.sleep(0.05)
    keeper = await adopted(directory, owner := Owner())
    await owner.until(lambda: len(owner.all(Ended)) == 200)
    assert (await keeper.read("a.199", 0)).total == 16_000
    stuck.close()
    owner.acknowledge_to(keeper)
    await keeper.stop(grace_seconds=0)


async def test_nonsense_from_an_owner_closes_its_connection_and_hurts_nothing(world: World, id_: str) -> None:
    world.sh(id_, "sleep 0.2; exit 3")
    await world.owner.started(id_)
    world.keeper._send([b'{"m":"start","id":"../x"}', b"no json"])
    await asyncio.wait_for(world.keeper.lost.wait(), 20)
    keeper = await adopted(world.keeper.directory, owner := Owner())
    assert (await owner.ended(id_)).exit_code == 3
    owner.acknowledge_to(keeper)
    await keeper.stop(grace_seconds=0)


async def test_rotation_keeps_what_lives_and_what_nobody_acknowledged(world: World, id_: str) -> None:
    world.sh(id_, "echo alive; sleep 300")
    await world.owner.grown(id_, 6)
    await world.result_of("kept", "echo", "kept")
    acknowledged = [f"filler.{number}" for number in range(120)]
    for number in range(0, 120, 20):  # 120 × 16 KB of output in base64 rotate the journal twice
        batch = acknowledged[number : number + 20]
        world.keeper.order([an_order(id, "head", "-c", "16000", "/dev/zero") for id in batch])  # noqa: A001
        for id in batch:  # noqa: A001
            await world.owner.ended(id)
        world.keeper.ack(batch)
    await world.result_of("last", "true")
    assert (world.keeper.directory / "journal").stat().st_size < 2_200_000
    remains = await remains_of(world)
    assert [result.id for result in remains.results] == ["kept", "last"]
    assert remains.fate(id_) is Fate.STILL_RUNNING
    assert await pieces(remains.read, id_) == [(0, b"alive\n")]
    assert await pieces(remains.read, "kept") == [(0, b"kept\n")]
    for survivor in living(id_):
        kill_9(survivor)


async def test_an_idle_keeper_without_an_owner_leaves(tmp_path: Path) -> None:
    world = await World.begin(tmp_path / "keeper", idle_exit_seconds=0.1)
    await world.result_of("a", "sh", "-c", "exit 2")
    await world.keeper.detach()
    await gone(world.keeper.pid)
    remains = await Keeper.adopt(tmp_path / "keeper", on_events=Owner().take)
    assert isinstance(remains, Remains)
    assert [result.exit_code for result in remains.results] == [2]


async def test_a_keeper_with_a_child_stays_without_an_owner(tmp_path: Path, id_: str) -> None:
    world = await World.begin(tmp_path / "keeper", idle_exit_seconds=0.05)
    world.sh(id_, "sleep 0.5; exit 2")
    await world.owner.started(id_)
    await world.keeper.detach()
    await gone(world.keeper.pid)
    assert [result.exit_code for result in Remains.examine(tmp_path / "keeper").results] == [2]


async def test_an_owned_idle_keeper_never_wakes_up(world: World) -> None:
    await world.result_of("warm", "true")
    world.keeper.ack(["warm"])
    await world.result_of("warmer", "true")
    world.keeper.ack(["warmer"])
    status = Path(f"/proc/{world.keeper.pid}/task")

    def switches() -> list[str]:
        return [
            line
            for task in sorted(status.iterdir())
            for line in (task / "status").read_text().splitlines()
            if line.startswith("voluntary")
        ]

    await asyncio.sleep(0.3)  # the acknowledgement arrives
    before = switches()
    await asyncio.sleep(1)
    assert switches() == before


async def test_a_keeper_leaks_no_descriptor(world: World) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{world.keeper.pid}/fd").iterdir()))

    await world.result_of("warm", "true")
    before = descriptors()
    orders = [an_order(f"a.{number}", "sh", "-c", "head -c 20000 /dev/zero", stdin=b"x") for number in range(20)]
    orders += [an_order(f"b.{number}", "no-such-program", stdin=b"x") for number in range(20)]
    world.keeper.order(orders)
    await world.owner.until(
        lambda: len([e for e in world.owner.events if not isinstance(e, Started | OutputGrew)]) == 41
    )
    assert descriptors() == before


async def test_a_directory_with_a_deep_path_works(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8)
    world = await World.begin(deep)
    assert (await world.result_of("a", "true")).exit_code == 0
    world.owner.acknowledge_to(world.keeper)
    await world.keeper.stop(grace_seconds=0)


async def test_a_directory_that_has_had_a_keeper_is_not_started_again(world: World) -> None:
    with pytest.raises(Conflict, match="has had a keeper"):
        await Keeper.start(world.keeper.directory, on_events=world.owner.take)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a keeper as somebody else")
async def test_a_keeper_that_is_not_root_refuses_another_user(tmp_path: Path) -> None:
    """A keeper of user `nobody`, which root speaks to. One capability lets it read the interpreter's files."""
    directory = tmp_path / "keeper"
    directory.mkdir()
    os.chown(directory, 65_534, 65_534)
    starter = await asyncio.create_subprocess_exec(
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override", sys.executable, "-I", "-S", entry.__file__, str(directory), "0.1",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert starter.stdout is not None
    assert await starter.stdout.readline() == b"ready\n"
    await starter.wait()
    keeper = await adopted(directory, owner := Owner())
    keeper.order([an_order("other", "true", run_as=RunAs.resolve("daemon")), an_order("own", "id", "-u")])
    failed, ended = await owner.failed("other"), await owner.ended("own")
    assert (failed.stage, ended.exit_code) == ("identity", 0)
    assert "not root" in failed.message
    owner.acknowledge_to(keeper)
    await keeper.stop(grace_seconds=0)
