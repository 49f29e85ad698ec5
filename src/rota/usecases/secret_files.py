"""The files that hold a host's secrets, as far as this process sees them. A look at a save; judged again at each use.

Nothing is read: whether a file is there, whose it is and who may read it.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from rota.domain.inventory import Host

_SECRET = ("key_file", "passphrase_file", "password_file", "sudo_password_file")


async def warnings_about(hosts: Iterable[Host], *, home: str) -> list[str]:
    """What will keep logins to `hosts` from working, a sentence for each file and at most once.

    `home` is the instance's folder; relative paths lie in its `keys`.
    """
    paths = dict.fromkeys((name, path) for host in hosts for name in _SECRET if (path := getattr(host, name)))
    return await asyncio.to_thread(_look, paths, Path(home) / "keys") if paths else []


def _look(paths: Iterable[tuple[str, str]], keys: Path) -> list[str]:
    return [f"{name} {told}" for name, text in paths for told in _faults(keys, text)]


def _faults(keys: Path, text: str) -> Iterator[str]:
    try:
        path = keys / Path(text).expanduser()
    except RuntimeError:
        yield f"{text} names an account that this machine does not have"
        return
    try:
        found = path.stat()
    except FileNotFoundError:
        yield f"{path} is not there yet"
        return
    except OSError as error:
        yield f"{path} cannot be looked at: {error.strerror}"
        return
    if not stat.S_ISREG(found.st_mode):
        yield f"{path} is no file"
    elif found.st_mode & 0o077:
        yield f"{path} may be read or changed by others; type: chmod 600 {path}"
    elif found.st_uid != os.geteuid():
        yield f"{path} belongs to uid {found.st_uid}, not to the account that Rota runs as"
