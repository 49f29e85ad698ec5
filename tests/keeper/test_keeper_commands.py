"""One command at a time: how it starts, what it gets, how its end is told."""

from __future__ import annotations

import os
import pwd
import signal
import stat
from pathlib import Path

import pytest

from rota.domain.errors import InvalidInput, NotFound
from rota.keeper.client import Keeper
from rota.keeper.orders import Ended, RunAs, Started, StartFailed
from tests.keeper.keeper_world import ENVIRONMENT, Owner, World, an_order, living

AS_ROOT = os.geteuid() == 0


async def test_a_command_is_told_as_started_and_then_as_ended(world: World, id_: str) -> None:
    ended = await world.result_of(id_, "sh", "-c", "exit 7")
    started = await world.owner.started(id_)
    assert (ended.exit_code, ended.signal, ended.cause, ended.held) == (7, None, None, False)
    assert world.owner.events.index(started) < world.owner.events.index(ended)
    assert started.at == ended.started_at <= ended.ended_at


async def test_output_and_errors_come_in_the_order_of_writing(world: World, id_: str) -> None:
    await world.result_of(id_, "sh", "-c", "echo one; echo two >&2; echo three")
    assert await world.output(id_) == b"one\ntwo\nthree\n"


async def test_a_child_sees_exactly_the_given_environment_and_the_mark(world: World, id_: str) -> None:
    await world.result_of(id_, "env", env={**ENVIRONMENT, "COLOUR": "grün"})
    lines = (await world.output(id_)).decode().splitlines()
    expected = {**ENVIRONMENT, "COLOUR": "grün", "ROTA_ATTEMPT_TOKEN": id_}
    assert dict(line.split("=", 1) for line in lines) == expected


async def test_orders_with_different_environments_each_get_exactly_their_own(world: World) -> None:
    """Also across owners: environments travel as differences."""
    environments = [
        {"A": "1", "B": "2", "C": "3"},
        {"A": "1", "B": "2", "C": "4"},
        {"A": "1", "B": "2"},
        {"X": "9"},
        {},
    ]
    keeper, owner = world.keeper, world.owner
    for generation in ("first", "second"):
        orders = [an_order(f"{generation}.{n}", "/usr/bin/env", env=env) for n, env in enumerate(environments)]
        keeper.order(list(reversed(orders)) if generation == "second" else orders)
        for number, env in enumerate(environments):
            id_ = f"{generation}.{number}"
            await owner.ended(id_)
            lines = (await keeper.read(id_, 0)).data.decode().splitlines()
            assert dict(line.split("=", 1) for line in lines) == {**env, "ROTA_ATTEMPT_TOKEN": id_}
        await keeper.detach()
        owner = world.owner = Owner()
        successor = await Keeper.adopt(keeper.directory, on_events=owner.take)
        assert isinstance(successor, Keeper)
        keeper = world.keeper = successor


async def test_arguments_that_are_not_utf8_arrive_byte_for_byte(world: World, id_: str) -> None:
    await world.result_of(id_, "printf", "%s", os.fsdecode(b"\xff\xfe\n\x01"))
    assert await world.output(id_) == b"\xff\xfe\n\x01"


async def test_a_child_gets_its_directory_umask_and_the_starters_file_limit(
    world: World, id_: str, tmp_path: Path
) -> None:
    await world.result_of(id_, "sh", "-c", "pwd; umask; ulimit -Sn", cwd=str(tmp_path), umask=0o027)
    soft = os.sysconf("SC_OPEN_MAX")
    assert (await world.output(id_)).decode().split() == [str(tmp_path), "0027", str(soft)]


async def test_a_child_has_a_session_of_its_own_and_no_foreign_descriptors(world: World, id_: str) -> None:
    started = await world.result_of(id_, "sh", "-c", "ls /proc/self/fd; cut -d' ' -f6 /proc/$$/stat; echo $$")
    *descriptors, session, pid = (await world.output(id_)).decode().split()
    assert set(descriptors) == {"0", "1", "2", "3"}  # 3 is the folder that ls reads
    assert session == pid
    assert started.exit_code == 0


async def test_a_child_has_default_signals_and_none_blocked(world: World, id_: str) -> None:
    await world.result_of(id_, "grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")
    masks = [int(line.split()[1], 16) for line in (await world.output(id_)).decode().splitlines()]
    glibc_own = 1 << 31 | 1 << 32  # its posix_spawn ignores the two signals that it uses for threads
    assert [mask & ~glibc_own for mask in masks] == [0, 0]


async def test_reading_stdin_meets_the_end_at_once(world: World, id_: str) -> None:
    assert (await world.result_of(id_, "cat")).exit_code == 0


async def test_given_stdin_is_read_to_its_end_and_never_written_to_disk(world: World, id_: str, tmp_path: Path) -> None:
    secret = os.urandom(8).hex().encode() * 60_000  # 960 kB, more than any pipe holds
    await world.result_of(id_, "wc", "-c", stdin=secret)
    assert int(await world.output(id_)) == len(secret)
    on_disk = b"".join(file.read_bytes() for file in (tmp_path / "keeper").rglob("*") if file.is_file())
    assert secret[:64] not in on_disk


async def test_a_segfault_is_told_as_its_signal(world: World, id_: str) -> None:
    ended = await world.result_of(id_, "sh", "-c", "kill -SEGV $$")
    assert (ended.exit_code, ended.signal) == (None, signal.SIGSEGV)


async def test_a_missing_program_is_told_apart_from_a_missing_directory(world: World) -> None:
    world.start("program", "no-such-program")
    world.start("directory", "true", cwd="/no/such/directory")
    program, directory = await world.owner.failed("program"), await world.owner.failed("directory")
    assert (program.stage, program.errno) == ("spawn", 2)
    assert "no-such-program" in program.message
    assert (directory.stage, directory.errno) == ("cwd", 2)
    assert "/no/such/directory" in directory.message


async def test_a_file_without_execute_permission_is_told(world: World, id_: str, tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    world.start(id_, "script", env={"PATH": str(tmp_path)})
    assert (await world.owner.failed(id_)).errno == 13


async def test_an_argument_list_that_is_too_long_is_told(world: World, id_: str) -> None:
    world.start(id_, "true", "x" * 200_000)
    failed = await world.owner.failed(id_)
    assert (failed.stage, failed.errno) == ("spawn", 7)


async def test_the_program_is_looked_up_in_the_childs_own_path(world: World, id_: str, tmp_path: Path) -> None:
    script = tmp_path / "only-here"
    script.write_text("#!/bin/sh\necho found\n")
    script.chmod(0o755)
    await world.result_of(id_, "only-here", env={"PATH": f"/nowhere:{tmp_path}"})
    assert await world.output(id_) == b"found\n"


async def test_the_same_order_twice_runs_once(world: World, id_: str, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    order = an_order(id_, "sh", "-c", f"echo ran >> {witness}")
    world.keeper.order([order, order])
    world.keeper.order([order])
    await world.owner.ended(id_)
    world.keeper.order([order])
    await world.result_of("later", "true")
    assert witness.read_text() == "ran\n"
    assert len(world.owner.all(Ended, id_)) == 1


async def test_an_order_repeated_after_the_acknowledgement_is_refused(world: World, id_: str, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    order = an_order(id_, "sh", "-c", f"echo ran >> {witness}")
    world.keeper.order([order])
    await world.owner.ended(id_)
    world.keeper.ack([id_])
    world.keeper.order([order])
    assert (await world.owner.failed(id_)).stage == "duplicate"
    assert witness.read_text() == "ran\n"


async def test_acknowledged_output_is_forgotten(world: World, id_: str, tmp_path: Path) -> None:
    await world.result_of(id_, "sh", "-c", "head -c 100000 /dev/zero")
    assert list((tmp_path / "keeper/out").iterdir()) != []
    world.keeper.ack([id_])
    with pytest.raises(NotFound):
        await world.keeper.read(id_, 0)
    await world.result_of("later", "true")
    assert list((tmp_path / "keeper/out").iterdir()) == []


async def test_usage_is_measured(world: World, id_: str) -> None:
    ended = await world.result_of(id_, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
    assert 0 < ended.cpu_seconds < 10
    assert ended.max_rss_bytes > 500_000


async def test_a_thousand_quick_starts_are_all_accounted_for(world: World) -> None:
    wanted = {f"quick.{number}" for number in range(1000)}
    world.keeper.order([an_order(id, "true") for id in sorted(wanted)])  # noqa: A001
    await world.owner.until(lambda: len(world.owner.all(Ended)) == 1000)
    assert {event.id for event in world.owner.all(Ended)} == {event.id for event in world.owner.all(Started)} == wanted


async def test_every_fault_of_an_order_is_told_at_once() -> None:
    with pytest.raises(InvalidInput) as error:
        an_order("../escape", cwd="relative", timeout_seconds=-1.0)
    assert {fault.field for fault in error.value.errors} == {"id", "argv", "cwd", "timeout_seconds"}


async def test_an_unknown_user_is_not_found() -> None:
    with pytest.raises(NotFound, match="no-such-user"):
        RunAs.resolve("no-such-user")


@pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
async def test_a_command_runs_as_another_user(world: World, id_: str) -> None:
    nobody = RunAs.resolve("nobody")
    await world.result_of(id_, "sh", "-c", "id -u; id -g; id -G; echo $HOME", run_as=nobody, env=nobody.environment())
    uid, gid, groups, home = (await world.output(id_)).decode().splitlines()
    entry = pwd.getpwnam("nobody")
    assert (int(uid), int(gid), home) == (entry.pw_uid, entry.pw_gid, entry.pw_dir)
    assert {*map(int, groups.split())} == set(nobody.groups)


@pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
async def test_failures_of_another_users_command_are_told_like_ones_own(world: World, tmp_path: Path) -> None:
    nobody = RunAs.resolve("nobody")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    world.start("missing", "no-such-program", run_as=nobody)
    world.start("forbidden", "true", run_as=nobody, cwd=str(private))
    missing, forbidden = await world.owner.failed("missing"), await world.owner.failed("forbidden")
    assert (missing.stage, missing.errno) == ("spawn", 2)
    assert (forbidden.stage, forbidden.errno) == ("cwd", 13)
    assert world.owner.all(Started) == []
    assert world.owner.all(Ended) == []


@pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
async def test_another_users_tree_is_killed_as_well(world: World, id_: str) -> None:
    script = "trap '' TERM; echo ready; sleep 100 & sleep 100"
    world.sh(id_, script, run_as=RunAs.resolve("nobody"), grace_seconds=0.2)
    await world.owner.grown(id_, 6)
    world.keeper.kill(id_, cause="cancelled")
    assert (await world.owner.ended(id_)).signal == signal.SIGKILL
    assert living(id_) == set()


async def test_the_directory_is_private_and_the_socket_too(world: World, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "keeper").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "keeper/sock").stat().st_mode) == 0o600


async def test_a_failed_start_makes_no_process(world: World, id_: str) -> None:
    world.start(id_, "no-such-program")
    await world.owner.failed(id_)
    assert world.owner.all(Started, id_) == []
    assert world.owner.all(StartFailed, id_) != []
