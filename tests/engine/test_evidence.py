"""What hosts tell of attempts that ended `unknown` is asked for until it is known."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from rota.domain.errors import Unavailable
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from rota.domain.step import Exit
from rota.engine.evidence import LOOK_SECONDS, Evidence
from rota.ports import Member
from rota.storage.inventory import insert_host
from tests.contract.store_world import a_command
from tests.support.world import Process, World


async def lose_on(world: World, daemon: Process, host: str) -> str:
    """A run on a host whose connection was lost. Returns the token of its attempt, of which the host knows an end."""
    row = await world.store.write(lambda tx: insert_host(tx, Host(name=host, connector="ssh", address="10.0.0.1")))
    await world.trigger(daemon, steps=[a_command()], members=(Member(host, row.version_id, "ssh"),))
    (flight,) = world.connector.live
    flight.end_with(Exit(lost=Reason.CONNECTION_LOST))
    await world.quiet()
    world.connector.known_later[flight.token] = f"exit code 0 on {host}"
    return flight.token


async def evidence(world: World) -> list[Any]:
    return await world.attempts("evidence")


async def test_what_a_host_knows_is_kept_beside_the_attempt(world: World, daemon: Process) -> None:
    token = await lose_on(world, daemon, "web1")
    del world.connector.known_later[token]
    await world.advance(LOOK_SECONDS + 5)
    assert await evidence(world) == [None]
    world.connector.known_later[token] = "exit code 3"
    await world.advance(2 * LOOK_SECONDS)
    assert await evidence(world) == ["exit code 3"]


async def test_a_store_that_is_away_for_a_moment_ends_nobodys_asking(
    world: World, daemon: Process, monkeypatch: Any
) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    for host in ("web1", "web2"):
        await lose_on(world, daemon, host)
    ask = Evidence._ask_host

    async def away_for_the_first(self: Evidence, questions: Any) -> None:
        if questions[0].host == "web1" and not complaints and await evidence(world) == [None, None]:
            raise Unavailable("the store is away")
        await ask(self, questions)

    monkeypatch.setattr(Evidence, "_ask_host", away_for_the_first)
    await world.advance(LOOK_SECONDS + 5)
    assert await evidence(world) == [None, "exit code 0 on web2"]
    await world.advance(LOOK_SECONDS + 5)
    gc.collect()
    assert (await evidence(world), complaints) == (["exit code 0 on web1", "exit code 0 on web2"], [])
