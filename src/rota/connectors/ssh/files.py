"""File steps on a host: by SFTP, and by a script where SFTP is denied, cannot do it, or root must.

Both look first, so what a lost connection left half known is simply looked at again.
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncssh

from rota.connectors.ssh import answers, posix_files
from rota.connectors.ssh.answers import Wrong
from rota.connectors.ssh.attempt import Attempt
from rota.connectors.ssh.means import Means
from rota.connectors.ssh.output import Kept
from rota.connectors.ssh.sftp import NeedsShell, Sftp
from rota.connectors.ssh.unreached import Unreached
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from rota.domain.step import Exit, FileOp

START_SECONDS: Final = 15.0  # for the subsystem: a login shell that waits for ever stands in the way of SFTP too
_PAUSE_SECONDS: Final = 1.0

_Gone = (
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    asyncssh.DisconnectError,
    asyncssh.ChannelOpenError,
    OSError,
)


class _Denied(Exception):
    """The host serves no SFTP to us."""


class FileAttempt:
    """Has the face of an `Attempt`. `else_` does the same by the script."""

    def __init__(
        self, op: FileOp, host: Host, timeout_seconds: float | None, *, means: Means, else_: Attempt, denied: set[str]
    ) -> None:
        """`denied` are the names of hosts that are known to serve no SFTP; it is added to."""
        self._op, self._host, self._timeout = op, host, timeout_seconds
        self._means, self._else, self._denied = means, else_, denied
        self._cause: str | None = None
        self._patience: asyncio.Timeout | None = None
        self._has_begun = False

    @property
    def output(self) -> Kept:
        return self._else.output

    def leave(self) -> None:
        self._else.leave()

    def cancel(self, cause: str, *, grace: float | None = None) -> None:
        self._cause = self._cause or cause
        self._else.cancel(cause, grace=grace)
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time())

    async def take_up(self) -> Exit:
        """A dead owner may have begun it: what matters is how the file is now."""
        return await self.carry_out()

    async def carry_out(self) -> Exit:
        """Raises nothing."""
        exit_ = None
        if not self._op.sudo and self._host.name not in self._denied:
            try:
                async with asyncio.timeout(0 if self._cause else self._timeout) as self._patience:
                    exit_ = await self._by_sftp()
            except TimeoutError:
                return Exit(cause=self._cause or "timeout")
            finally:
                self._patience = None
        if exit_ is not None:
            return exit_
        return posix_files.read_answer(self._op, await self._else.carry_out())

    async def _by_sftp(self) -> Exit | None:
        """None: the script must do it."""
        clock = self._means.clock
        give_up_at = clock.monotonic() + self._means.lost_grace_seconds
        while True:
            try:
                return (await self._once()).exit()
            except Wrong as error:
                return answers.failed(str(error))
            except NeedsShell:
                return None
            except _Denied:
                self._denied.add(self._host.name)
                return None
            except Unreached as error:
                if not self._has_begun:
                    return Exit(unreached=error.reason, failure=error.message)
                why = error.message
            except _Gone as error:
                why = f"the connection to {self._host.name} was lost: {error}"
            if clock.monotonic() >= give_up_at:
                return Exit(lost=Reason.CONNECTION_LOST, failure=why)
            await clock.sleep(_PAUSE_SECONDS)

    async def _once(self) -> answers.Answer:
        async with self._means.pool.channel_slot(self._host) as connection:
            client = await self._client(connection)
            async with client:
                sftp = Sftp(client)
                try:
                    answer = await sftp.carry_out(self._op)
                finally:
                    self._has_begun |= sftp.has_begun
        return answer

    async def _client(self, connection: asyncssh.SSHClientConnection) -> asyncssh.SFTPClient:
        try:
            async with asyncio.timeout(START_SECONDS):
                return await connection.start_sftp_client()
        except asyncssh.ChannelOpenError as error:
            if error.code == asyncssh.OPEN_REQUEST_SESSION_FAILED and not connection.is_closed():
                raise _Denied from error
            raise
        except asyncssh.SFTPError as error:
            if connection.is_closed():
                raise
            raise _Denied from error
        except TimeoutError as error:
            raise _Denied from error
