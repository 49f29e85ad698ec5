"""What `ports.Connector` says, on every way to carry out an order."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest
import pytest_asyncio

from rota.clock import SystemClock
from rota.connectors.ssh.connection import Dialer
from rota.connectors.ssh.connector import SshConnector
from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.known_hosts import KnownHosts
from rota.connectors.ssh.pool import Pool
from rota.demo.openssh import find
from rota.demo.sshd import Server, Setup, running
from rota.domain.errors import NotFound, Unavailable
from rota.domain.fileop import read_exit
from rota.domain.inventory import Host
from rota.domain.step import Command, Exit, FileOp, Order
from rota.ports import Connector
from tests.support.keepers import a_connector
from tests.support.sshd import Sshd, host_of, learn, nobody, write_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 20.0


@dataclass
class World:
    """A connector, a host of its kind, and a folder there that its commands may write to and we may read."""

    connector: Connector
    host: Host
    folder: Path
    grown: dict[str, int] = field(default_factory=dict)
    grew: asyncio.Event = field(default_factory=asyncio.Event)
    _last: int = 0

    def token(self) -> str:
        self._last += 1
        return f"att-{self._last}"

    async def run(self, order: Order | str, *, token: str | None = None, timeout: float = 60.0) -> Exit:
        """Carry out an order, or a line for /bin/sh."""
        token = token or self.token()
        return await self.connector.execute(
            Command(argv=("/bin/sh", "-c", order)) if isinstance(order, str) else order,
            host=self.host, token=token, timeout_seconds=timeout, grew=lambda total: self._grew(token, total),
        )  # fmt: skip

    async def printed(self, token: str, size: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.grown.get(token, 0) < size:
                await self.grew.wait()
                self.grew.clear()

    def _grew(self, token: str, total: int) -> None:
        self.grown[token] = total
        self.grew.set()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    with running(find(), Setup(), key=key) as (server,):
        yield Sshd(server, write_key(tmp_path_factory.mktemp("keys") / "client", key))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["local", "ssh"])
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One for all tests: a keeper takes its time to leave while it holds results."""
    made = make(request, request.param, tmp_path_factory.mktemp("world"))
    yield made
    await made.connector.close(leave=False)


def make(request: pytest.FixtureRequest, kind: str, scratch: Path) -> World:
    if kind == "local":
        return World(a_connector(scratch, "own_a"), Host(name="local"), scratch)
    sshd: Sshd = request.getfixturevalue("server")
    return World(_ssh(sshd, scratch), host_of(sshd), _folder_on(sshd.server))


@pytest.fixture
def folder(world: World) -> Path:
    """A new folder in that of the world."""
    return _open_to_all(tempfile.mkdtemp(dir=world.folder))


def _ssh(sshd: Sshd, tmp_path: Path) -> SshConnector:
    known_hosts, credentials = KnownHosts(tmp_path / "known_hosts"), Credentials(tmp_path)
    learn(known_hosts, sshd.known_lines())
    clock = SystemClock()
    pool = Pool(Dialer(credentials=credentials, known_hosts=known_hosts), clock, hosts=nobody)
    return SshConnector(pool, credentials, clock, instance=tmp_path.name)


def _folder_on(server: Server) -> Path:
    return _open_to_all(tempfile.mkdtemp(dir=server.home))


def _open_to_all(name: str) -> Path:
    folder = Path(name)
    folder.chmod(0o777)
    return folder


async def test_an_order_is_carried_out_and_says_how_it_ended(world: World) -> None:
    ended = await world.run("echo out; echo err >&2; exit 7")
    assert (ended.exit_code, ended.output, ended.output_total) == (7, b"out\nerr\n", 8)
    assert (ended.signal, ended.failure, ended.unreached, ended.lost, ended.cause) == (None,) * 5
    assert ended.left_running == 0


async def test_the_command_gets_its_input_environment_and_folder(world: World, folder: Path) -> None:
    order = Command(
        argv=("/bin/sh", "-c", 'cat; echo "$A|$ROTA_HOST|$1"; pwd', "sh", "it's\n"),
        env={"A": "a 'b'\nc", "ROTA_HOST": "web1"}, cwd=str(folder), stdin=b"in\xff\0put\n",
    )  # fmt: skip
    ended = await world.run(order)
    assert ended.output == b"in\xff\0put\na 'b'\nc|web1|it's\n\n" + str(folder).encode() + b"\n"


async def test_without_input_a_command_reads_the_end_at_once(world: World) -> None:
    assert (await world.run("cat; echo done")).output == b"done\n"


async def test_a_folder_that_is_not_there_is_a_failure_and_nothing_runs(world: World) -> None:
    ended = await world.run(Command(argv=("/bin/sh", "-c", "echo ran"), cwd="/no/such/folder"))
    assert (ended.exit_code, ended.output) == (None, b"")
    assert "/no/such/folder" in (ended.failure or "")


async def test_a_program_that_is_not_there_does_not_end_well(world: World) -> None:
    ended = await world.run(Command(argv=("/no/such/program",)))
    assert ended.failure is not None or ended.exit_code == 127


async def test_output_can_be_read_while_the_command_runs(world: World, folder: Path) -> None:
    token, go = world.token(), folder / "go"
    running = asyncio.create_task(world.run(f"echo first; until [ -e {go} ]; do sleep 0.05; done", token=token))
    await world.printed(token, 6)
    piece = await world.connector.read(token, 0, 3)
    assert (piece.data, piece.offset) == (b"fir", 0)
    assert (await world.connector.read(token, 3, 100)).data == b"st\n"
    go.touch()
    assert (await running).exit_code == 0


async def test_all_output_is_announced_before_the_end(world: World) -> None:
    token = world.token()
    ended = await world.run("printf %070000d 1", token=token)
    assert world.grown[token] == ended.output_total == 70_000
    assert len(ended.output) == 65_536


async def test_after_its_time_the_whole_tree_is_ended(world: World, folder: Path) -> None:
    pids = folder / "pids"
    order = f"sleep 300 & echo $! > {pids}; echo begun; sleep 300"
    ended = await world.run(order, timeout=1.0)
    assert (ended.cause, ended.left_running, ended.output) == ("timeout", 0, b"begun\n")
    assert not Path(f"/proc/{pids.read_text().strip()}/exe").exists()


async def test_a_cancel_ends_it_with_that_cause(world: World) -> None:
    token = world.token()
    running = asyncio.create_task(world.run("echo begun; sleep 300", token=token))
    await world.printed(token, 6)
    world.connector.cancel(token, cause="user_cancelled")
    ended = await running
    assert (ended.cause, ended.left_running) == ("user_cancelled", 0)


async def test_what_is_cancelled_at_once_does_nothing_or_is_ended(world: World, folder: Path) -> None:
    token, mark = world.token(), folder / "ran"
    running = asyncio.create_task(world.run(f"sleep 300; touch {mark}", token=token))
    await asyncio.sleep(0)
    world.connector.cancel(token, cause="user_cancelled")
    ended = await running
    assert ended.cause in {"user_cancelled", "taken_back"}
    assert not mark.exists()


async def test_a_second_order_with_the_same_token_does_nothing(world: World, folder: Path) -> None:
    token, seen = world.token(), folder / "seen"
    await world.run(f"echo begun >> {seen}", token=token)
    again = asyncio.create_task(world.run(f"echo begun >> {seen}", token=token))
    await world.run("true")  # and what was asked for before it has been looked at
    again.cancel()
    assert seen.read_text() == "begun\n"


async def test_something_left_in_the_background_holds_nothing_up_and_is_told(world: World, folder: Path) -> None:
    pids = folder / "pids"
    ended = await world.run(f"sleep 300 & echo $! > {pids}; echo begun")
    assert (ended.exit_code, ended.output, ended.left_running) == (0, b"begun\n", 1)


async def test_there_is_no_output_of_what_nobody_knows(world: World) -> None:
    with pytest.raises((NotFound, Unavailable)):
        await world.connector.read("att-never", 0, 10)


async def test_what_is_forgotten_has_no_output_any_more(world: World) -> None:
    token = world.token()
    await world.run("echo hello", token=token)
    world.connector.forget(token)
    with pytest.raises((NotFound, Unavailable)):
        await world.connector.read(token, 0, 10)


async def test_forgetting_or_cancelling_what_is_not_there_does_nothing(world: World) -> None:
    world.connector.forget("att-never")
    world.connector.cancel("att-never", cause="user_cancelled")
    await world.connector.tidy()


async def test_a_file_step_looks_before_it_acts(world: World, folder: Path) -> None:
    path = folder / "a"
    order = FileOp(op="write", path=str(path), content=b"\xffx\n", mode=0o640)
    results = [read_exit(await world.run(order)) for _ in range(2)]
    assert [result.changed for result in results] == [True, False]
    assert path.stat().st_mode & 0o777 == 0o640
    assert read_exit(await world.run(FileOp(op="read", path=f"{folder}/none"))).ok is False


@pytest.mark.parametrize("kind", ["local", "ssh"])
async def test_a_connector_that_closes_ends_what_runs(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    closing = make(request, kind, tmp_path)
    token, pids = closing.token(), closing.folder / "pids"
    running = asyncio.create_task(closing.run(f"echo $$ > {pids}; echo begun; exec sleep 300", token=token))
    await closing.printed(token, 6)
    await closing.connector.close(leave=False)
    assert not Path(f"/proc/{pids.read_text().strip()}/exe").exists()
    running.cancel()
