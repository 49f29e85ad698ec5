"""One order on one channel: what is sent when, what comes back, and how it ended."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Literal

import asyncssh

from rota.connectors.ssh.output import Kept
from rota.connectors.ssh.wrapper import Sealed

MOST_NOISE = 4096  # bytes of what came before the header that are kept for a message

Stage = Literal["opening", "asked", "header", "sudo", "running"]
"""opening: nothing was sent. asked: the order left. header: the host said that it began. sudo: it waits to be let in.
running: what comes now is the command's output."""


class Talk(asyncssh.SSHClientSession[bytes]):
    """What asyncssh calls back for one channel. Once it is closed, `exit_code` or `signal` is known; or neither, where
    the connection was lost."""

    def __init__(
        self, sealed: Sealed, output: Kept, stir: Callable[[], None], grew: Callable[[int], None] | None = None
    ) -> None:
        """`stir` is called when its end is nearer than before, `grew` when there is more output."""
        self._sealed, self._output, self._stir, self._grew = sealed, output, stir, grew
        self.line = sealed.line
        self._nonce, self._prompt = sealed.nonce.encode(), sealed.prompt.encode()
        self._before = bytearray()  # what came and was not understood yet
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._was_asked_for_password = False
        self.stage: Stage = "opening"
        self.group = 0  # process group; 0 = not known
        self.marker = ""  # made, absent, taken, unmarked
        self.shell = ""  # the name of the login shell
        self.refusal = ""  # nowhere: the folder is not there
        self.exit_code: int | None = None
        self.signal: int | None = None
        self.is_closed = False
        self.has_all = False  # end of file: nothing more will come

    @property
    def has_ended(self) -> bool:
        """The command itself has ended; what it left behind may still hold the channel."""
        return self.exit_code is not None or self.signal is not None

    @property
    def noise(self) -> str:
        """The last words that were not the command's: of a login shell, of sudo. One line, printable."""
        lines = [line.strip() for line in self._before.decode(errors="replace").splitlines() if line.strip()]
        text = " / ".join(lines[-3:])[-300:]
        return "".join(letter if letter.isprintable() else "?" for letter in text)

    def end_input(self) -> None:
        """Nothing more will be said to the host."""
        if self._channel is not None and self._channel.can_write_eof():
            self._channel.write_eof()

    def close(self) -> None:
        """Be done with the channel, whatever still holds it."""
        if self._channel is not None:
            self._channel.abort()

    # asyncssh calls these

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        self.stage = "asked"  # asyncssh sends the command in the same step

    def session_started(self) -> None:
        if not self._sealed.is_elevated and self._sealed.preamble:
            self._write(self._sealed.preamble)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype is not None:
            return  # of a login shell: the wrapper has but one stream
        if self.stage == "running":
            self._output.append(data)
        else:
            self._before += data
            while self._understand():
                pass
            if self.marker == "taken":
                self._stir()
            if len(self._before) > 2 * MOST_NOISE:
                del self._before[:-MOST_NOISE]
        if self._grew is not None and self._output.total:
            self._grew(self._output.total)

    def eof_received(self) -> bool:
        self.has_all = True
        self._stir()
        return True  # our own direction stays open

    def exit_status_received(self, status: int) -> None:
        self.exit_code = status
        self._stir()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.signal = _number_of(signal)
        self._stir()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = self.has_all = True
        self._channel = None
        self._stir()

    # What is said before the command speaks

    def _understand(self) -> bool:
        """Take one message of ours off what came. False when there is none (yet)."""
        if self.stage == "sudo" and self._prompt and self._prompt in self._before:
            self._before = self._before.replace(self._prompt, b"", 1)
            self._answer()
            return True
        begin = self._before.find(self._nonce)
        end = self._before.find(b"\n", begin) if begin >= 0 else -1
        if end < 0:
            return False
        words = self._before[begin:end].decode(errors="replace").split()[1:]
        rest = bytes(self._before[end + 1 :])
        del self._before[begin:]
        match words:
            case ["nowhere"]:
                self.refusal = "nowhere"
            case [group, ("made" | "absent" | "unmarked") as marker, shell] if self.stage == "asked" and _is_pid(group):
                self.group, self.marker, self.shell = int(group), marker, shell.rpartition("/")[2]
                self._begin()
            case [_, "taken"] if self.stage == "asked":
                self.marker = "taken"
            case ["in"] if self.stage == "sudo":
                self._before.clear()  # a lecture, perhaps
                self._write(self._sealed.preamble + self._sealed.stdin)
                self.end_input()
            case ["ready"] if self.stage == "sudo":
                self.stage = "running"
        if self.stage == "running":
            self._before.clear()
            self._output.append(rest)
        else:
            self._before += rest
        return self.stage == "sudo"

    def _begin(self) -> None:
        """The host has begun, and waits for us where the start could not be marked."""
        if self.marker == "absent":
            self._write(b"go\n")
        if self._sealed.is_elevated:
            self.stage = "sudo"
            return
        self.stage = "running"
        if self._sealed.stdin:
            self._write(self._sealed.stdin)
            self.end_input()

    def _answer(self) -> None:
        """sudo asks: tell it the password once; a second time says that it was wrong."""
        if self._was_asked_for_password or self._sealed.password is None:
            self.end_input()
            return
        self._was_asked_for_password = True
        self._write(self._sealed.password.value.encode() + b"\n")

    def _write(self, data: bytes) -> None:
        if self._channel is not None and data and not self._channel.is_closing():
            self._channel.write(data)


def _number_of(name: str) -> int:
    """The number of a signal that the protocol names (RFC 4254 §6.10); 0 for one this system has not."""
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        return 0


def _is_pid(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 12
