"""What attempts work with: the pool, passwords for sudo, a clock, small orders that are carried out to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import asyncssh

from rota.connectors.ssh.credentials import Credentials, Secret
from rota.connectors.ssh.output import Kept
from rota.connectors.ssh.pool import Pool
from rota.connectors.ssh.remote import Talk
from rota.connectors.ssh.sudo import elevation_of
from rota.connectors.ssh.wrapper import PLAIN_SHELLS, Sealed, seal
from rota.domain.inventory import Host
from rota.domain.step import Command
from rota.ports import Clock

OPEN_TRIES = 3  # a kept connection may turn out dead, and a server may allow fewer channels than we thought

Noticed = Callable[[str, str], None]
"""(token, text): something that people should know of an attempt while it goes on."""


Sought = Callable[[str, bool], None]
"""(token, True): the host of an attempt that runs there gives no answer, and is looked for; False: that is over."""


class NoAnswer(Exception):
    """A host was reached and then did not answer, or not to the end. The text is one line for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """One for all attempts of a connector."""

    pool: Pool
    credentials: Credentials
    clock: Clock
    lost_grace_seconds: float
    kill_grace_seconds: float
    noticed: Noticed
    sought: Sought
    plain: dict[tuple[str, str | None], str] = field(
        default_factory=dict
    )  # login shells of PLAIN_SHELLS, by host, account

    def seal(self, command: Command, host: Host, *, token: str | None) -> Sealed:
        """The order as it travels. Raises Unreached where the password for sudo is not to be had."""
        elevation = elevation_of(command, host, self._sudo_password)
        return seal(command, token=token, elevation=elevation, shell=self.plain.get((host.name, host.user)))

    def learn(self, host: Host, talk: Talk) -> bool:
        """Remember what login shell it was. False: another than we thought, so nothing was run, and it is to be sent
        anew."""
        who = (host.name, host.user)
        if talk.shell in PLAIN_SHELLS:
            self.plain[who] = talk.shell
        elif talk.stage == "asked" and talk.has_ended and not talk.marker and not talk.refusal and who in self.plain:
            del self.plain[who]
            return False
        return True

    async def ask(self, command: Command, host: Host, *, seconds: float) -> bytes:
        """Carry a small order of ours out, without a marker, and return the end of what it says.

        Raises Unreached, and NoAnswer after `seconds`, or where the host refuses.
        """
        try:
            async with asyncio.timeout(seconds):
                for _ in range(OPEN_TRIES):
                    over, output = asyncio.Event(), Kept()
                    talk = Talk(self.seal(command, host, token=None), output, over.set)
                    try:
                        async with self.pool.channel_slot(host) as connection:
                            await self._to_the_end(connection, talk, over)
                    except (asyncssh.Error, OSError):
                        continue
                    if talk.has_ended and self.learn(host, talk):
                        if talk.stage != "running":
                            raise NoAnswer(f"{host.name} did not begin it: {talk.noise or 'it said nothing'}")
                        return output.last()
        except TimeoutError:
            raise NoAnswer(f"{host.name} did not answer within {seconds:.0f} s") from None
        raise NoAnswer(f"{host.name} closed the connection before it answered")

    async def begin(self, connection: asyncssh.SSHClientConnection, talk: Talk) -> None:
        """Open a channel and send the order. Raises asyncssh.Error and OSError; then `talk.stage` tells whether the
        order may have left."""
        try:
            await connection.create_session(lambda: talk, talk.line, encoding=None)
        except asyncio.CancelledError:
            self.pool.distrust(connection)  # it may hold half a channel now, for ever
            raise

    async def _to_the_end(self, connection: asyncssh.SSHClientConnection, talk: Talk, over: asyncio.Event) -> None:
        try:
            await self.begin(connection, talk)
            while not talk.is_closed:
                await over.wait()
                over.clear()
        finally:
            talk.close()

    def _sudo_password(self, host: Host, name: str) -> Secret:
        return self.credentials.password(host, name, what="sudo password file")
