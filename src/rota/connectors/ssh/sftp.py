"""File steps by SFTP: look first, act only where something differs, replace a file as a whole.

As the local ones (`connectors/local/fileops_script.py`) but for what the protocol has not: it knows no folder
descriptors, so between the look and the act another process may come in between.
"""

from __future__ import annotations

import posixpath
import secrets
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import asyncssh

from rota.connectors.ssh import answers
from rota.connectors.ssh.answers import Answer, Wrong
from rota.domain.fileop import LARGEST_READ
from rota.domain.step import FileOp

_NEW: Final = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
_WORDS: Final = {
    asyncssh.SFTPNoSuchFile: "No such file or directory",
    asyncssh.SFTPPermissionDenied: "Permission denied",
}


class NeedsShell(Exception):
    """SFTP has no good way to do this: a folder with all that is in it is removed by the host itself."""


class Sftp:
    """One operation over one client. `has_begun` once something may have changed."""

    def __init__(self, client: asyncssh.SFTPClient) -> None:
        self._client = client
        self.has_begun = False

    async def carry_out(self, op: FileOp) -> Answer:
        """Raises Wrong, NeedsShell; asyncssh.SFTPConnectionLost and SFTPNoConnection where the connection is gone."""
        path = answers.path_of(op)
        if path.startswith("~/") or path == "~":
            path = posixpath.normpath(posixpath.join(await self._home(), path[2:]))
        does: dict[str, Callable[[str, FileOp], Awaitable[Answer]]] = {
            "write": self._write,
            "read": self._read,
            "mkdir": self._mkdir,
            "remove": self._remove,
            "chmod": self._chmod,
        }
        try:
            return await does[op.op](path, op)
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection):
            raise
        except asyncssh.SFTPError as error:
            words = _WORDS.get(type(error), error.reason)
            hint = "; try sudo: true" if isinstance(error, asyncssh.SFTPPermissionDenied) else ""
            raise Wrong(f"cannot {op.op} {op.path}: {words}{hint}") from error

    async def _write(self, path: str, op: FileOp) -> Answer:
        folder, name = posixpath.split(path)
        if op.parents and not await self._client.isdir(folder):
            self.has_begun = True
            await self._client.makedirs(folder, exist_ok=True)
        old = await self._look(path)
        if old is not None and stat.S_ISLNK(_mode(old)):
            raise answers.is_link(path, str(await self._client.readlink(path)))
        if old is not None and not stat.S_ISREG(_mode(old)):
            raise answers.not_a_file(path)
        mode = op.mode if op.mode is not None or old is None else stat.S_IMODE(_mode(old))
        if old is not None and mode is not None and await self._holds(path, old, op.content):
            if stat.S_IMODE(_mode(old)) == mode:
                return answers.unchanged(path, op.content)
            self.has_begun = True
            await self._client.chmod(path, mode)
            return answers.mode_set(path, mode, op.content)
        self.has_begun = True
        await self._replace(path, posixpath.join(folder, f".{name[:100]}.rota-{secrets.token_hex(6)}"), op, mode, old)
        return answers.written(path, op.content, is_new=old is None)

    async def _replace(
        self, path: str, temporary: str, op: FileOp, mode: int | None, old: asyncssh.SFTPAttrs | None
    ) -> None:
        """Put a new file in the place of `path`, whole or not at all. No `mode`: what the host's umask leaves."""
        private = asyncssh.SFTPAttrs(permissions=0o600) if mode is not None else asyncssh.SFTPAttrs()
        try:
            async with self._client.open(temporary, _NEW, private, encoding=None) as file:
                await file.write(op.content)
                made = await file.stat()
                if old is not None and (old.uid, old.gid) != (made.uid, made.gid):
                    assert old.uid is not None and old.gid is not None
                    await file.setstat(asyncssh.SFTPAttrs(uid=old.uid, gid=old.gid))
                if mode is not None:
                    await file.chmod(mode)
                with suppress(asyncssh.SFTPOpUnsupported):
                    await file.fsync()
            await self._client.posix_rename(temporary, path)
        except BaseException:
            with suppress(asyncssh.SFTPError):
                await self._client.remove(temporary)
            raise

    async def _holds(self, path: str, old: asyncssh.SFTPAttrs, content: bytes) -> bool:
        """Whether the file holds exactly `content`."""
        if old.size != len(content):
            return False
        try:
            async with self._client.open(path, asyncssh.FXF_READ, encoding=None) as file:
                return _bytes(await file.read(len(content) + 1)) == content
        except asyncssh.SFTPPermissionDenied:
            return False  # it may still be replaced, where the folder allows it

    async def _read(self, path: str, op: FileOp) -> Answer:
        found = await self._client.stat(path)
        if not stat.S_ISREG(_mode(found)):  # a pipe without a writer must not hang us
            raise answers.not_a_file(path)
        async with self._client.open(path, asyncssh.FXF_READ, encoding=None) as file:
            content = _bytes(await file.read(LARGEST_READ + 1))
        if len(content) > LARGEST_READ:
            raise answers.too_large(path)
        return answers.was_read(path, content)

    async def _mkdir(self, path: str, op: FileOp) -> Answer:
        done = ""
        if not await self._client.isdir(path):
            if await self._look(path) is not None:
                raise Wrong(f"cannot mkdir {op.path}: File exists")
            self.has_begun = True
            if op.parents:
                await self._client.makedirs(posixpath.dirname(path), exist_ok=True)
            try:
                await self._client.mkdir(path)
                done = "created"
            except asyncssh.SFTPError:
                if not await self._client.isdir(path):  # else somebody has made it in between
                    raise
        if op.mode is not None and stat.S_IMODE(_mode(await self._client.stat(path))) != op.mode:
            if await self._client.islink(path):
                raise Wrong(f"{path} is a symbolic link; name the folder itself to change its mode")
            self.has_begun = True
            await self._client.chmod(path, op.mode)
            done = done or "mode changed"
        return Answer(changed=bool(done), message=f"{done or 'unchanged'}: {path}")

    async def _remove(self, path: str, op: FileOp) -> Answer:
        old = await self._look(path)
        if old is None:
            return Answer(changed=False, message=f"unchanged: there is no {path}")
        if not stat.S_ISDIR(_mode(old)):
            self.has_begun = True
            await self._client.remove(path)  # a symbolic link goes, and not what it names
            return Answer(changed=True, message=f"removed: {path}")
        raise NeedsShell  # it knows mounts, and needs no question for each file

    async def _chmod(self, path: str, op: FileOp) -> Answer:
        old, mode = await self._look(path), op.mode or 0
        if old is None:
            raise answers.no_such(path)
        if stat.S_ISLNK(_mode(old)):
            raise answers.is_link(path, str(await self._client.readlink(path)))
        if stat.S_IMODE(_mode(old)) == mode:
            return Answer(changed=False, message=f"unchanged: {path} is {mode:04o}")
        self.has_begun = True
        await self._client.chmod(path, mode)
        return answers.mode_set(path, mode)

    async def _look(self, path: str) -> asyncssh.SFTPAttrs | None:
        try:
            return await self._client.lstat(path)
        except asyncssh.SFTPNoSuchFile:
            return None

    async def _home(self) -> str:
        """Where sessions begin, which for SFTP is the account's home too."""
        return await self._client.realpath(".")


def _bytes(data: bytes | str) -> bytes:
    """What asyncssh reads where no encoding was given; its types do not say so."""
    assert isinstance(data, bytes)
    return data


def _mode(attributes: asyncssh.SFTPAttrs) -> int:
    """Kind and permissions. Every server of version 3, which asyncssh asks for, sends them."""
    if attributes.permissions is None:
        raise Wrong("the host's SFTP server does not tell what kind a file is")
    return attributes.permissions
