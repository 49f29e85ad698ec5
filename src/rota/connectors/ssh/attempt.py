"""One attempt on one host: sent once, watched, ended in time, and looked for where the connection was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import asyncssh

from rota.connectors.ssh import killing, marker
from rota.connectors.ssh.marker import Found, Trace
from rota.connectors.ssh.means import OPEN_TRIES, Means, NoAnswer
from rota.connectors.ssh.output import Kept
from rota.connectors.ssh.remote import Talk
from rota.connectors.ssh.unreached import Unreached
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from rota.domain.step import Command, Exit

BEGIN_SECONDS: Final = 30.0  # for a host that has taken the order to say that it begins: login shells may be slow
END_OF_OUTPUT_SECONDS: Final = 1.0  # after the end of a command, for what it left in the pipe
MOST_SENDS: Final = 3  # of one order, while the host knows nothing of it
LOOK_SECONDS: Final = 20  # at a time, for the end of a command that is followed
_ANSWER_SECONDS: Final = 15.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
# Asking again cannot help, and might lock an account.
_FINAL = frozenset({Reason.AUTH_FAILED, Reason.HOST_KEY_CHANGED, Reason.HOST_KEY_UNKNOWN, Reason.CREDENTIAL_MISSING})


class Attempt:
    def __init__(
        self,
        command: Command,
        *,
        host: Host,
        token: str,
        mark: str,
        timeout_seconds: float | None,
        grew: Callable[[int], None],
        means: Means,
        needs_output: bool,
    ) -> None:
        """`token` is the engine's name for it, `mark` the one that no other attempt on any host ever had.

        `needs_output`: without the whole of its output an exit code says nothing.
        """
        self._command, self._host, self._token, self._mark = command, host, token, mark
        self._timeout, self._grew, self._means, self._needs_output = timeout_seconds, grew, means, needs_output
        self._give_up_at = float("inf")
        self._cause: str | None = None
        self._grace = means.kill_grace_seconds
        self._patience: asyncio.Timeout | None = None  # set while we wait for what a wish to end may cut short
        self._stirred = asyncio.Event()
        self._group = 0
        self._is_unmarked = False  # it runs, or ran, and left no marker
        self._is_left = False
        self._is_sought = False
        self._note: str | None = None
        self.output = Kept()

    def cancel(self, cause: str, *, grace: float | None = None) -> None:
        """End it. What has not left yet does not."""
        if self._cause is None:
            self._cause = cause
        if grace is not None:
            self._grace = grace
        self._stirred.set()
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time())

    def leave(self) -> None:
        """This process ends, and the next owner follows it: nothing is to be said of it any more."""
        self._is_left = True

    async def carry_out(self) -> Exit:
        """Send the order and say how it ended. Raises nothing."""
        for _ in range(MOST_SENDS):
            exit_ = await self._send()
            if exit_ is None:
                await self._stay_if_left()
                exit_ = await self._find_out(Reason.CONNECTION_LOST)
            if exit_ is not None:
                await self._stay_if_left()
                return exit_
        why = f"{self._host.name} closed the connection {MOST_SENDS} times before it began"
        return Exit(unreached=Reason.CONNECT_REFUSED, failure=why)

    async def take_up(self) -> Exit:
        """Say how an attempt ended that a dead owner sent, or send it where it never began. Raises nothing."""
        self._start_the_clock()
        exit_ = await self._find_out(Reason.DAEMON_CRASHED)
        await self._stay_if_left()
        return exit_ if exit_ is not None else await self.carry_out()

    # Sending and watching

    async def _send(self) -> Exit | None:
        """Send it once. None: the connection was lost after it may have left."""
        why = ""
        for _ in range(OPEN_TRIES):
            try:
                sealed = self._means.seal(self._command, self._host, token=self._mark)
            except ValueError as error:
                return Exit(failure=str(error))
            except Unreached as error:
                return Exit(unreached=error.reason, failure=error.message)
            talk = Talk(sealed, self.output, self._stirred.set, self._grew)
            try:
                exit_ = await self._over_a_channel(talk)
                if self._means.learn(self._host, talk):
                    return exit_
                why = "its login shell changed"
            except Unreached as error:
                return Exit(unreached=error.reason, failure=error.message)
            except (asyncssh.Error, OSError) as error:
                if talk.stage != "opening":
                    return None
                why = str(error)
            finally:
                talk.close()
        return Exit(unreached=Reason.CONNECT_REFUSED, failure=f"{self._host.name} opens no channel: {why}")

    async def _over_a_channel(self, talk: Talk) -> Exit | None:
        """Raises Unreached; asyncssh.Error and OSError, where `talk` tells whether the order may have left."""
        if (cause := self._wish()) is not None:
            return Exit(cause=cause)
        self._patience = patience = asyncio.timeout(None)
        try:
            async with patience, self._means.pool.channel_slot(self._host) as connection:
                patience.reschedule(asyncio.get_running_loop().time() + BEGIN_SECONDS)
                try:
                    await self._means.begin(connection, talk)
                except asyncssh.ChannelOpenError:
                    if talk.stage == "asked" and not talk.is_closed:
                        return Exit(failure=f"{self._host.name} runs no commands: its SSH server refused")
                    raise
                self._patience = None
                patience.reschedule(None)
                return await self._watch(talk)
        except TimeoutError:
            if talk.stage != "opening":
                return None  # it may have left
            if (cause := self._wish()) is not None:
                return Exit(cause=cause)
            why = f"{self._host.name} opened no channel within {BEGIN_SECONDS:.0f} s"
            return Exit(unreached=Reason.CONNECT_TIMEOUT, failure=why)
        finally:
            self._patience = None

    async def _watch(self, talk: Talk) -> Exit | None:
        """Wait for the end of what was sent."""
        self._start_the_clock()
        clock = self._means.clock
        begun_by = clock.monotonic() + BEGIN_SECONDS
        while not (talk.has_ended or talk.is_closed or talk.marker == "taken"):
            self._group = talk.group
            if self._wish():
                return await self._end(talk)
            now, limit = clock.monotonic(), self._give_up_at
            if talk.stage != "running":
                if now >= begun_by:
                    return await self._end_silent(talk)
                limit = min(limit, begun_by)
            await clock.sleep(min(limit - now, 3600.0), wake=self._stirred)
        self._group, self._is_unmarked = talk.group, talk.marker == "absent"
        if talk.has_ended and talk.marker != "taken":
            return await self._ended(talk)
        if talk.is_closed:
            self._means.noticed(self._token, f"the connection to {self._host.name} was lost; it is asked what goes on")
        return None

    async def _ended(self, talk: Talk) -> Exit | None:
        name = self._host.name
        if talk.stage != "running":  # asyncssh tells the end at once, and what came before it in a moment
            await self._until(lambda: talk.has_all or talk.is_closed, END_OF_OUTPUT_SECONDS)
            if talk.marker == "taken":
                return None
        if talk.refusal:
            return Exit(failure=f"{name} has no folder {self._command.cwd or 'to begin in'} that the account may enter")
        if talk.stage == "sudo":
            return Exit(failure=f"sudo on {name} did not let us become {self._command.run_as}: {_said(talk)}")
        if talk.stage != "running":
            return Exit(failure=f"{name} did not run it: {_said(talk)} (exit {talk.exit_code})")
        left = 0
        if not await self._until(lambda: talk.has_all or talk.is_closed, END_OF_OUTPUT_SECONDS):
            left = (await self._count()).count  # something in the background holds the pipe
        return self._exit(talk, left=left)

    def _exit(self, talk: Talk, *, left: int = 0) -> Exit:
        return Exit(
            exit_code=talk.exit_code, signal=talk.signal, cause=self._cause,
            output=self.output.last(), output_total=self.output.total, left_running=left, note=self._note,
        )  # fmt: skip

    # Ending

    async def _end(self, talk: Talk) -> Exit:
        """End its whole tree over another channel, and say what is left."""
        if talk.stage == "sudo":
            await self._turn_back(talk)
            return Exit(cause=self._cause)
        survivors = await self._kill()
        await self._until(lambda: talk.has_all or talk.is_closed, END_OF_OUTPUT_SECONDS)
        return self._exit(talk, left=survivors.count)

    async def _end_silent(self, talk: Talk) -> Exit:
        """It was sent, and the host does not say that it begins."""
        name, said = self._host.name, _said(talk)
        if talk.stage == "sudo":
            await self._turn_back(talk)
            return Exit(failure=f"sudo on {name} waits for something else than a password: {said}")
        survivors = await self._kill()  # a login shell that waits, or prints for ever
        message = f"{name} did not begin it within {BEGIN_SECONDS:.0f} s: {said}"
        if survivors.count:
            return Exit(lost=Reason.CONNECTION_LOST, failure=message, left_running=survivors.count)
        return Exit(unreached=Reason.CONNECT_TIMEOUT, failure=message)

    async def _turn_back(self, talk: Talk) -> None:
        """Before sudo let us in nothing runs; and nothing will once there is nobody to tell."""
        talk.end_input()
        await self._until(lambda: talk.has_ended or talk.is_closed, END_OF_OUTPUT_SECONDS)
        talk.close()

    async def _kill(self) -> killing.Survivors:
        order = killing.kill_command(self._mark, self._group, grace_seconds=self._grace, run_as=self._command.run_as)
        return await self._survivors(order, self._grace + _ANSWER_SECONDS)

    async def _count(self) -> killing.Survivors:
        order = killing.count_command(self._mark, self._group, run_as=self._command.run_as)
        return await self._survivors(order, _ANSWER_SECONDS)

    async def _survivors(self, order: Command, seconds: float) -> killing.Survivors:
        try:
            return killing.survivors(await self._means.ask(order, self._host, seconds=seconds))
        except (Unreached, NoAnswer) as error:
            self._note = f"nobody could look: {error}"
            self._means.noticed(self._token, f"may still be running on {self._host.name}: {error}")
            return killing.NOBODY_LOOKED

    # After a loss

    async def _find_out(self, reason: Reason) -> Exit | None:
        """Ask the host what became of it, until it ends or nobody can tell. None: it never started, and may be sent."""
        try:
            return await self._seek(reason)
        finally:
            self._tell_sought(False)

    def _tell_sought(self, is_sought: bool) -> None:
        if is_sought is not self._is_sought:
            self._is_sought = is_sought
            self._means.sought(self._token, is_sought)

    async def _seek(self, reason: Reason) -> Exit | None:
        clock = self._means.clock
        seek_until, pause = clock.monotonic() + self._means.lost_grace_seconds, _FIRST_PAUSE
        while True:
            if (cause := self._wish()) is not None:
                survivors = await self._kill()
                return Exit(
                    cause=cause, output=self.output.last(), output_total=self.output.total,
                    left_running=survivors.count, note=self._note,
                )  # fmt: skip
            try:
                found = await self._look()
            except TimeoutError:
                continue  # its time is up, or somebody wishes its end
            except (Unreached, NoAnswer) as error:
                await self._stay_if_left()
                is_final = isinstance(error, Unreached) and error.reason in _FINAL
                left = min(seek_until, self._give_up_at) - clock.monotonic()
                if is_final or seek_until <= clock.monotonic():
                    return self._lost(reason, f"{error}; it may still be running on {self._host.name}")
                self._tell_sought(True)
                await clock.sleep(max(0.0, min(pause, left)), wake=self._stirred)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            self._tell_sought(False)
            seek_until, pause = clock.monotonic() + self._means.lost_grace_seconds, _FIRST_PAUSE
            if found.trace is Trace.RUNNING:
                self._group = found.group
                continue
            if found.trace is Trace.NEVER and not self._is_unmarked:
                return None
            if found.trace is Trace.ENDED and not self._needs_output:
                assert found.exit_code is not None
                note = f"the connection to {self._host.name} was lost; {found.evidence}"
                self._means.noticed(self._token, note)
                return Exit(
                    exit_code=found.exit_code, output=self.output.last(), output_total=self.output.total, note=note
                )
            return self._lost(reason, f"{self._host.name} was asked what became of it: {found.evidence}")

    async def _look(self) -> Found:
        """Raises Unreached, NoAnswer; TimeoutError at the end of its time or of our patience."""
        left = self._give_up_at - self._means.clock.monotonic()
        seconds = LOOK_SECONDS + _ANSWER_SECONDS
        self._patience = asyncio.timeout(left if left < seconds else None)
        try:
            async with self._patience:
                order = marker.look_command(self._mark, wait_seconds=LOOK_SECONDS)
                said = await self._means.ask(order, self._host, seconds=seconds)
        finally:
            self._patience = None
        found = marker.found(said)
        if found is None:
            raise NoAnswer(f"{self._host.name} gave no answer that makes sense")
        return found

    def _lost(self, reason: Reason, why: str) -> Exit:
        return Exit(lost=reason, failure=why, output=self.output.last(), output_total=self.output.total)

    # Time

    def _wish(self) -> str | None:
        """Why it is to end; None while it is not."""
        if self._cause is None and self._means.clock.monotonic() >= self._give_up_at:
            self._cause = "timeout"
        return self._cause

    def _start_the_clock(self) -> None:
        if self._timeout is not None:
            self._give_up_at = min(self._give_up_at, self._means.clock.monotonic() + self._timeout)

    async def _until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait until it is so, at most for `seconds`."""
        deadline = self._means.clock.monotonic() + seconds
        while not is_so() and (left := deadline - self._means.clock.monotonic()) > 0:
            await self._means.clock.sleep(left, wake=self._stirred)
        return is_so()

    async def _stay_if_left(self) -> None:
        """Where the next owner is to find out, say nothing more until this process ends."""
        if self._is_left:
            await asyncio.get_running_loop().create_future()


def _said(talk: Talk) -> str:
    return talk.noise or "it said nothing"
