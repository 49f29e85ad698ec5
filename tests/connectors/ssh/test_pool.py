"""Connections are shared, bounded, let go of when idle, and found over jump hosts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import asyncssh
import pytest

from rota.clock import SystemClock
from rota.connectors.ssh.connection import Dialer
from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.known_hosts import KnownHosts
from rota.connectors.ssh.pool import CHANNELS, Pool
from rota.connectors.ssh.unreached import Unreached
from rota.demo.sshd import Setup
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from tests.support.clock import ManualClock
from tests.support.sshd import Sshd, StartSshd, host_of, nobody

MakePool = Callable[..., Pool]


@pytest.fixture
async def make_pool(dialer: Dialer) -> AsyncIterator[MakePool]:
    """Make a pool of this inventory and these settings."""
    made: list[Pool] = []

    def make(*hosts: Host, clock: ManualClock | None = None, **settings: float) -> Pool:
        async def find(name: str) -> Host | None:
            return next((host for host in hosts if host.name == name), None)

        made.append(Pool(dialer, clock or SystemClock(), hosts=find, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for pool in made:
        await pool.close()


async def whoami(connection: asyncssh.SSHClientConnection) -> str:
    return str((await connection.run("echo $USER", check=True)).stdout).strip()


async def held(pool: Pool, stack: AsyncExitStack, host: Host, slots: int) -> list[asyncssh.SSHClientConnection]:
    """Take so many slots at once, until the stack ends."""
    return list(await asyncio.gather(*(stack.enter_async_context(pool.channel_slot(host)) for _ in range(slots))))


async def test_a_connection_is_logged_in_and_runs_commands(sshd: Sshd, pool: Pool) -> None:
    async with pool.channel_slot(host_of(sshd)) as connection:
        assert await whoami(connection) == sshd.server.user


async def test_the_next_command_uses_the_same_connection(sshd: Sshd, pool: Pool) -> None:
    async with pool.channel_slot(host_of(sshd)) as first:
        pass
    async with pool.channel_slot(host_of(sshd)) as second:
        assert second is first


async def test_those_who_wait_for_one_host_share_one_connect(sshd: Sshd, pool: Pool) -> None:
    async with AsyncExitStack() as stack:
        connections = await held(pool, stack, host_of(sshd), CHANNELS)
        assert len(set(connections)) == 1


async def test_the_ninth_channel_is_on_a_second_connection(sshd: Sshd, pool: Pool) -> None:
    async with AsyncExitStack() as stack:
        connections = await held(pool, stack, host_of(sshd), CHANNELS + 1)
        assert len(set(connections)) == 2
        assert max(connections.count(one) for one in connections) == CHANNELS


async def test_two_hosts_never_share_a_connection(sshd: Sshd, pool: Pool) -> None:
    async with pool.channel_slot(host_of(sshd, 0)) as one, pool.channel_slot(host_of(sshd, 1)) as other:
        assert one is not other


async def test_a_host_whose_user_was_changed_is_logged_in_to_again(sshd: Sshd, pool: Pool) -> None:
    async with pool.channel_slot(host_of(sshd)):
        pass
    with pytest.raises(Unreached) as caught:
        async with pool.channel_slot(host_of(sshd, user="somebody")):
            pass
    assert caught.value.reason is Reason.AUTH_FAILED


async def test_a_server_that_allows_fewer_channels_gets_fewer(start_sshd: StartSshd, pool: Pool) -> None:
    host = host_of(start_sshd(Setup(options=["MaxSessions 2"])))

    async def occupy(stack: AsyncExitStack) -> asyncssh.SSHClientConnection:
        async with AsyncExitStack() as attempt:
            connection = await attempt.enter_async_context(pool.channel_slot(host))
            await attempt.enter_async_context(connection.create_process("cat"))
            stack.push_async_exit(attempt.pop_all())
            return connection

    async with AsyncExitStack() as stack:
        two = {await occupy(stack), await occupy(stack)}
        with pytest.raises(asyncssh.ChannelOpenError):
            await occupy(stack)
        assert await occupy(stack) not in two


async def test_a_lost_connection_is_replaced(start_sshd: StartSshd, pool: Pool) -> None:
    sshd = start_sshd(Setup())
    async with pool.channel_slot(host_of(sshd)) as first:
        sshd.server.cut()
        await first.wait_closed()
    async with pool.channel_slot(host_of(sshd)) as second:
        assert await whoami(second) == sshd.server.user


async def test_who_waits_while_the_only_connection_is_lost_gets_a_new_one(start_sshd: StartSshd, pool: Pool) -> None:
    sshd = start_sshd(Setup(options=["MaxSessions 1"]))
    host = host_of(sshd)
    async with pool.channel_slot(host) as first, AsyncExitStack() as stack:
        process = await first.create_process("cat")
        with pytest.raises(asyncssh.ChannelOpenError):
            async with pool.channel_slot(host) as same:
                await same.create_process("cat")
        sshd.server.stop()
        with pytest.raises(Unreached):
            await held(pool, stack, host, CHANNELS)
        sshd.server.start()
        await process.wait_closed()
    async with pool.channel_slot(host) as second:
        assert await whoami(second) == sshd.server.user


async def test_a_host_that_gives_no_sign_of_life_any_more_is_lost(
    start_sshd: StartSshd, credentials: Credentials, known_hosts: KnownHosts
) -> None:
    sshd = start_sshd(Setup())
    dialer = Dialer(credentials=credentials, known_hosts=known_hosts, keepalive_seconds=0.05)
    pool = Pool(dialer, SystemClock(), hosts=nobody)
    async with pool.channel_slot(host_of(sshd)) as connection:
        process = await connection.create_process("cat")
        for pid in sshd.server.connections():
            os.killpg(pid, signal.SIGSTOP)
        async with asyncio.timeout(30):
            await process.wait_closed()
    await pool.close()


async def test_a_distrusted_connection_is_given_to_nobody_and_lives_until_its_last_channel_ends(
    sshd: Sshd, pool: Pool
) -> None:
    async with pool.channel_slot(host_of(sshd)) as first:
        pool.distrust(first)
        async with pool.channel_slot(host_of(sshd)) as second:
            assert second is not first
        assert await whoami(first) == sshd.server.user
    await first.wait_closed()


async def test_an_idle_connection_is_closed_by_tidy(sshd: Sshd, make_pool: MakePool) -> None:
    clock = ManualClock()
    pool = make_pool(clock=clock, idle_seconds=60)
    async with pool.channel_slot(host_of(sshd)) as connection:
        clock.advance(1000)
        await pool.tidy()
        assert not connection.is_closed()
    clock.advance(59)
    await pool.tidy()
    assert not connection.is_closed()
    clock.advance(1)
    await pool.tidy()
    await connection.wait_closed()


async def test_idle_connections_make_room_when_too_many_are_open(sshd: Sshd, make_pool: MakePool) -> None:
    clock = ManualClock()
    pool = make_pool(clock=clock, most_open=2)
    opened = []
    for number in range(3):
        clock.advance(1)
        async with pool.channel_slot(host_of(sshd, number)) as connection:
            opened.append(connection)
    await opened[0].wait_closed()
    assert [connection.is_closed() for connection in opened] == [True, False, False]


async def test_a_waiter_who_is_cancelled_takes_no_room(sshd: Sshd, pool: Pool) -> None:
    async with AsyncExitStack() as stack:
        waiting = asyncio.create_task(held(pool, AsyncExitStack(), host_of(sshd), 1))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert len(set(await held(pool, stack, host_of(sshd), CHANNELS))) == 1


async def test_who_comes_in_the_instant_the_only_waiter_leaves_is_connected_all_the_same(
    sshd: Sshd, pool: Pool
) -> None:
    async def visit() -> None:
        async with pool.channel_slot(host_of(sshd)):
            pass

    leaving = asyncio.create_task(visit())
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)  # its connect is being given up now
    async with asyncio.timeout(30):
        await visit()
    assert leaving.cancelled()


async def test_a_closed_pool_connects_to_nobody(sshd: Sshd, pool: Pool) -> None:
    async with pool.channel_slot(host_of(sshd)) as connection:
        await pool.close()
        assert connection.is_closed()
    with pytest.raises(Unreached, match="shutting down"):
        async with pool.channel_slot(host_of(sshd)):
            pass


async def test_close_ends_connects_under_way(sshd: Sshd, pool: Pool) -> None:
    waiting = asyncio.create_task(held(pool, AsyncExitStack(), host_of(sshd), 1))
    await asyncio.sleep(0)
    await pool.close()
    with pytest.raises(Unreached, match="shutting down"):
        await waiting


async def test_many_hosts_are_connected_to_side_by_side(sshd: Sshd, pool: Pool) -> None:
    async with AsyncExitStack() as stack:
        hosts = [host_of(sshd, number % 16, name=f"host{number}") for number in range(40)]
        connections = await asyncio.gather(*(stack.enter_async_context(pool.channel_slot(host)) for host in hosts))
        assert len(set(connections)) == 40


# Over jump hosts


async def test_a_host_is_reached_over_another(sshd: Sshd, make_pool: MakePool) -> None:
    pool = make_pool(host_of(sshd, 1, name="bastion"))
    async with pool.channel_slot(host_of(sshd, 2, jump="bastion")) as connection:
        asked = await connection.run("echo $SSH_CONNECTION", check=True)
    client, _, server, _ = str(asked.stdout).split()
    assert server == "127.0.0.3"
    assert client == "127.0.0.1"  # the bastion's own address when it connects on


async def test_hosts_behind_one_jump_host_share_its_connection(start_sshd: StartSshd, make_pool: MakePool) -> None:
    bastion = start_sshd(Setup())
    behind = start_sshd(Setup(addresses=[f"127.0.0.{number}" for number in range(1, 13)]))
    pool = make_pool(host_of(bastion, name="bastion"))
    async with AsyncExitStack() as stack:
        hosts = [host_of(behind, number, jump="bastion") for number in range(12)]
        await asyncio.gather(*(stack.enter_async_context(pool.channel_slot(host)) for host in hosts))
        assert len(bastion.server.connections()) == 1
        assert len(behind.server.connections()) == 12


async def test_the_connection_to_a_jump_host_is_in_use_as_long_as_one_over_it(sshd: Sshd, make_pool: MakePool) -> None:
    clock = ManualClock()
    pool = make_pool(host_of(sshd, 1, name="bastion"), clock=clock, idle_seconds=60)
    host = host_of(sshd, 2, jump="bastion")
    async with pool.channel_slot(host) as connection:
        clock.advance(1000)
        await pool.tidy()
        assert await whoami(connection) == sshd.server.user


async def test_when_the_jump_host_dies_so_does_what_leads_over_it(start_sshd: StartSshd, make_pool: MakePool) -> None:
    bastion, behind = start_sshd(Setup()), start_sshd(Setup())
    pool = make_pool(host_of(bastion, name="bastion"))
    async with pool.channel_slot(host_of(behind, jump="bastion")) as connection:
        bastion.server.stop()
        await connection.wait_closed()
    with pytest.raises(Unreached, match=r"web1 is reached over bastion: bastion .* refused") as caught:
        async with pool.channel_slot(host_of(behind, jump="bastion")):
            pass
    assert caught.value.reason is Reason.CONNECT_REFUSED


async def test_two_jump_hosts_may_follow_each_other(sshd: Sshd, make_pool: MakePool) -> None:
    inner = host_of(sshd, 1, name="inner", jump="outer")
    pool = make_pool(inner, host_of(sshd, 2, name="outer"))
    async with pool.channel_slot(host_of(sshd, 3, jump="inner")) as connection:
        assert await whoami(connection) == sshd.server.user


async def test_jump_hosts_in_a_circle_are_refused(sshd: Sshd, make_pool: MakePool) -> None:
    inner = host_of(sshd, 1, name="inner", jump="outer")
    pool = make_pool(inner, host_of(sshd, 2, name="outer", jump="inner"))
    with pytest.raises(Unreached, match="web4 over inner over outer over inner"):
        async with pool.channel_slot(host_of(sshd, 3, jump="inner")):
            pass


async def test_too_long_a_chain_of_jump_hosts_is_refused(sshd: Sshd, make_pool: MakePool) -> None:
    chain = [host_of(sshd, number, name=f"jump{number}", jump=f"jump{number + 1}") for number in range(8)]
    with pytest.raises(Unreached, match="more than 5 jump hosts"):
        async with make_pool(*chain).channel_slot(host_of(sshd, 9, jump="jump0")):
            pass


async def test_a_jump_host_that_is_not_there_is_named(sshd: Sshd, pool: Pool) -> None:
    with pytest.raises(Unreached, match="web1 is reached over bastion, and there is no host of that name"):
        async with pool.channel_slot(host_of(sshd, jump="bastion")):
            pass


async def test_a_jump_host_that_forbids_it_says_so(start_sshd: StartSshd, sshd: Sshd, make_pool: MakePool) -> None:
    bastion = start_sshd(Setup(options=["AllowTcpForwarding no"]))
    pool = make_pool(host_of(bastion, name="bastion"))
    with pytest.raises(Unreached, match="bastion lets nobody jump to web1") as caught:
        async with pool.channel_slot(host_of(sshd, jump="bastion")):
            pass
    assert caught.value.reason is Reason.CONNECT_REFUSED


async def test_a_host_that_refuses_its_jump_host_is_told_from_the_jump_host(sshd: Sshd, make_pool: MakePool) -> None:
    pool = make_pool(host_of(sshd, 1, name="bastion"))
    with pytest.raises(Unreached, match=r"web1 \(127.0.0.1 port 1\) refused the connection from bastion") as caught:
        async with pool.channel_slot(host_of(sshd, jump="bastion", port=1)):
            pass
    assert caught.value.reason is Reason.CONNECT_REFUSED
