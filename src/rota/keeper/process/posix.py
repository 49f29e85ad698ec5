"""posix_spawn(3) by way of ctypes, which lets the other threads run while the child becomes its program.

`os.posix_spawn` holds the interpreter's lock for that long: half of all the time that a start takes.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable

_SETSIGDEF, _SETSIGMASK, _SETSID = 0x04, 0x08, 0x80  # <spawn.h>, of glibc and musl alike
_CLONE_FS = 0x200
_ROOM = 1024  # more than any libc's posix_spawnattr_t, posix_spawn_file_actions_t or sigset_t (336, 80, 128 bytes)

_libc = ctypes.CDLL(None, use_errno=True)  # gives the interpreter's lock away during a call
_quick = ctypes.PyDLL(None)  # keeps it: for calls that only write into memory


class Attributes:
    """A session of its own, no signal blocked, the given ones at their default. Made once, for all calls."""

    def __init__(self, defaulted: Iterable[signal.Signals]) -> None:
        self.memory = ctypes.create_string_buffer(_ROOM)
        signals = ctypes.create_string_buffer(_ROOM)
        _quick.posix_spawnattr_init(self.memory)
        _quick.sigemptyset(signals)
        _quick.posix_spawnattr_setsigmask(self.memory, signals)
        for number in defaulted:
            _quick.sigaddset(signals, int(number))
        _quick.posix_spawnattr_setsigdefault(self.memory, signals)
        _quick.posix_spawnattr_setflags(self.memory, ctypes.c_short(_SETSIGDEF | _SETSIGMASK | _SETSID))


class Call:
    """One command as C wants it, to be run once.

    Raises ValueError where its words or its environment cannot be given to a program, OSError where memory or a
    descriptor is missing. The descriptors are named here
    and not in `run`, as libc takes none that lies above the limit of that moment.
    """

    __slots__ = ("_actions", "_argv", "_env")

    def __init__(self, argv: list[str], env: dict[str, str], stdin: int, output: int) -> None:
        if "=" in "".join(env):
            raise ValueError("illegal environment variable name")
        self._argv = _strings(argv)
        self._env = _strings([f"{name}={text}" for name, text in env.items()])
        self._actions = ctypes.create_string_buffer(_ROOM)
        _quick.posix_spawn_file_actions_init(self._actions)
        for fd, to in ((stdin, 0), (output, 1), (output, 2)):
            if error := _quick.posix_spawn_file_actions_adddup2(self._actions, fd, to):
                raise OSError(error, os.strerror(error))

    def run(self, program: str, attributes: Attributes) -> int:
        """The child's number. Raises OSError when it was not made, or could not become `program`."""
        pid = ctypes.c_int()
        error = _libc.posix_spawn(
            ctypes.byref(pid), os.fsencode(program), self._actions, attributes.memory, self._argv, self._env
        )
        if error:
            raise OSError(error, os.strerror(error))
        return pid.value

    def __del__(self) -> None:
        if hasattr(self, "_actions"):
            _quick.posix_spawn_file_actions_destroy(self._actions)


def leave_shared_place() -> bool:
    """Give the calling thread a directory and a umask of its own. False where that is not allowed (seccomp)."""
    return bool(_libc.unshare(_CLONE_FS) == 0)


def _strings(texts: list[str]) -> ctypes.Array[ctypes.c_char_p]:
    """As a C array that ends with NULL. All are encoded at once: a third of the cost of one by one."""
    words = os.fsencode("\0".join(texts)).split(b"\0") if texts else []
    if len(words) != len(texts):
        raise ValueError("embedded null byte")
    return (ctypes.c_char_p * (len(words) + 1))(*words)


__all__ = ["Attributes", "Call", "leave_shared_place"]
