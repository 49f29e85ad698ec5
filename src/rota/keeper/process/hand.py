"""posix_spawn by ctypes, so that two threads can be in it at once.

It returns when the child has become its program, which is most of a start, and `os.posix_spawn` holds the
interpreter's lock until then. Two in it at once start more commands a second (decision 6 has figures).
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable, Mapping

_SETSIGDEF, _SETSIGMASK, _SETSID = 0x04, 0x08, 0x80  # <spawn.h>, the same in glibc and musl
_ROOM = 1024  # bytes; the three structures need 80, 336 and 128 in glibc, and no more in musl
DEFAULTED = [
    number
    for number in signal.valid_signals()
    if number not in (signal.SIGKILL, signal.SIGSTOP) and number < signal.SIGRTMIN
]
_libc = ctypes.CDLL(None)


class Hand:
    """Makes children, one at a time: a session of their own, default signals, stdin, and one pipe for all output."""

    def __init__(self, null: int) -> None:
        """`null` is what stdin mostly is. Raises OSError."""
        self._null = null
        # Named once for all children, and taken while their numbers are low: beyond the limit that a child is to
        # have, posix_spawn refuses to name a descriptor.
        self._stdin, self._output = os.dup(null), os.dup(null)
        self._actions, self._attributes = ctypes.create_string_buffer(_ROOM), ctypes.create_string_buffer(_ROOM)
        _check(_libc.posix_spawn_file_actions_init(self._actions))
        for ours, its in ((self._stdin, 0), (self._output, 1), (self._output, 2)):
            _check(_libc.posix_spawn_file_actions_adddup2(self._actions, ours, its))
        _check(_libc.posix_spawnattr_init(self._attributes))
        _check(_libc.posix_spawnattr_setflags(self._attributes, ctypes.c_short(_SETSIGDEF | _SETSIGMASK | _SETSID)))
        signals = ctypes.create_string_buffer(_ROOM)
        _libc.sigemptyset(signals)
        _check(_libc.posix_spawnattr_setsigmask(self._attributes, signals))
        for number in DEFAULTED:
            _libc.sigaddset(signals, int(number))
        _check(_libc.posix_spawnattr_setsigdefault(self._attributes, signals))

    def spawn(self, program: str, argv: Iterable[str], env: Mapping[str, str], *, stdin: int, output: int) -> int:
        """The pid of the new child. Raises OSError, and ValueError for what no program can be told."""
        words, variables = _strings(argv), _strings(map(_variable, env.items()))
        pid = ctypes.c_int()
        os.dup2(output, self._output, inheritable=False)
        if stdin != self._null:
            os.dup2(stdin, self._stdin, inheritable=False)
        try:
            _check(
                _libc.posix_spawn(
                    ctypes.byref(pid), _string(program), self._actions, self._attributes, words, variables
                )
            )
        finally:  # or the end of this output would never be seen
            os.dup2(self._null, self._output, inheritable=False)
            if stdin != self._null:
                os.dup2(self._null, self._stdin, inheritable=False)
        return pid.value


def _check(number: int) -> None:
    if number:
        raise OSError(number, os.strerror(number))


def _variable(item: tuple[str, str]) -> str:
    name, text = item
    if not name or "=" in name:
        raise ValueError(f"illegal environment variable name {name!r}")
    return f"{name}={text}"


def _string(word: str) -> bytes:
    data = os.fsencode(word)
    if b"\0" in data:  # C would end there
        raise ValueError("embedded null byte")
    return data


def _strings(words: Iterable[str]) -> ctypes.Array[ctypes.c_char_p]:
    encoded = [_string(word) for word in words]
    return (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)
