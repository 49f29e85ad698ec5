"""What a file step comes to on a host, in the words of the local one, and as the Exit that actions read
(`domain.fileop`)."""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
from dataclasses import dataclass
from typing import Final

from rota.domain.fileop import LARGEST_READ
from rota.domain.step import Exit, FileOp, Json

# Whose loss nobody means. What stands right under these, or is a home or a mount, is never removed either.
PARENTS: Final = ("/", "/home", "/Users")
SYSTEM: Final = (
    "/usr/bin", "/usr/lib", "/usr/sbin", "/usr/share", "/usr/local", "/var/lib", "/var/log", "/private/etc",
)  # fmt: skip


class Wrong(Exception):
    """The operation cannot or must not be carried out. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`content` only for a read."""

    changed: bool
    message: str
    content: bytes | None = None
    digest: str | None = None

    def exit(self) -> Exit:
        told: dict[str, Json] = {"ok": True, "changed": self.changed, "message": self.message}
        if self.content is not None:
            told["content"] = base64.b64encode(self.content).decode()
        if self.digest is not None:
            told["digest"] = self.digest
        return _exit(0, told)


def failed(message: str) -> Exit:
    """The exit of an operation that was refused, or did not work."""
    return _exit(1, {"ok": False, "changed": False, "message": message})


def path_of(op: FileOp) -> str:
    """The path without detours: `~/…`, or absolute. Raises Wrong."""
    path = op.path
    if path.startswith("~/") and "\0" not in path:
        return posixpath.normpath(path)
    if "\0" in path or not path.startswith("/"):
        raise Wrong(f"the path {path!r} is not absolute; expected /… or ~/…")
    return "/" + posixpath.normpath(path).lstrip("/")


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def unchanged(path: str, content: bytes | None = None) -> Answer:
    return Answer(changed=False, message=f"unchanged: {path}", digest=None if content is None else digest_of(content))


def written(path: str, content: bytes, *, is_new: bool) -> Answer:
    verb = "created" if is_new else "written"
    return Answer(changed=True, message=f"{verb}: {path} ({len(content)} bytes)", digest=digest_of(content))


def was_read(path: str, content: bytes) -> Answer:
    message = f"read: {path} ({len(content)} bytes)"
    return Answer(changed=False, message=message, content=content, digest=digest_of(content))


def mode_set(path: str, mode: int, content: bytes | None = None) -> Answer:
    digest = None if content is None else digest_of(content)
    return Answer(changed=True, message=f"mode changed: {path} is {mode:04o}", digest=digest)


def is_link(path: str, target: str) -> Wrong:
    return Wrong(f"{path} is a symbolic link to {target}; name that file itself")


def not_a_file(path: str) -> Wrong:
    return Wrong(f"{path} is not a regular file")


def too_large(path: str) -> Wrong:
    return Wrong(f"{path} is larger than {LARGEST_READ} bytes, the most that a step may read")


def not_empty(path: str) -> Wrong:
    return Wrong(f"{path} is not empty; write recursive: true to remove all that is in it")


def precious(path: str) -> Wrong:
    return Wrong(f"{path} is never removed by a step: it belongs to the system, or is a home or a mount")


def no_such(path: str) -> Wrong:
    return Wrong(f"there is no {path}")


def _exit(code: int, told: dict[str, Json]) -> Exit:
    line = json.dumps(told).encode() + b"\n"
    return Exit(exit_code=code, output=line, output_total=len(line))
