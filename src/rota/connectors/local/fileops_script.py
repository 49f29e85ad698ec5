"""Reads one file operation as JSON on stdin, carries it out, prints one line of JSON. Standard library only.

Run as `python -I -S fileops_script.py`; imports nothing of Rota, so that it may be sent to any host with Python 3.
Looks first: `changed` is false when nothing was to do. A write is atomic: a new file in the same folder, flushed,
renamed over the old one, with its owner and, unless another is asked for, its mode. The last part of a path is never
followed when it is a symbolic link (else whoever may write the folder would choose what is overwritten).
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
from pathlib import Path
from typing import TypedDict

LARGEST_READ = 45 * 1024  # bytes; the same number as rota.domain.fileop
_NEVER_REMOVED = (
    "/usr/bin",
    "/usr/lib",
    "/usr/sbin",
    "/usr/share",
    "/usr/local",
    "/var/lib",
    "/var/log",
    "/private/etc",
)


class Request(TypedDict):
    """What stdin holds. `content` is base64; `mode` a number, or null for none."""

    op: str
    path: str
    content: str
    mode: int | None
    parents: bool
    recursive: bool


Answer = dict[str, bool | str]


class Wrong(Exception):
    """The operation cannot or must not be carried out. The text says why."""


def main() -> int:
    try:
        request = json.load(sys.stdin.buffer)
        answer = {"ok": True, **carry_out(request)}
    except Wrong as error:
        answer = {"ok": False, "changed": False, "message": str(error)}
    except OSError as error:
        hint = "; try sudo: true" if isinstance(error, PermissionError) and os.geteuid() != 0 else ""
        place = f"{error.filename}: " if error.filename else ""
        message = f"cannot {request['op']} {request['path']}: {place}{error.strerror}{hint}"
        answer = {"ok": False, "changed": False, "message": message}
    print(json.dumps(answer))  # noqa: T201 - the answer
    return 0 if answer["ok"] else 1


def carry_out(request: Request) -> Answer:
    path = request["path"]
    if path.startswith("~/"):
        path = str(Path.home()) + path[1:]
    if "\0" in path or not path.startswith("/"):
        raise Wrong(f"the path {path!r} is not absolute; expected /… or ~/…")
    path = "/" + os.path.normpath(path).lstrip("/")
    return _OPERATIONS[request["op"]](path, request)


def write(path: str, request: Request) -> Answer:
    content = base64.b64decode(request["content"])
    digest = hashlib.sha256(content).hexdigest()
    folder, name = os.path.split(path)
    if not name:
        raise Wrong(f"{path} is a folder")
    if request["parents"]:
        Path(folder).mkdir(parents=True, exist_ok=True)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        old = look(name, directory)
        if old is not None and stat.S_ISLNK(old.st_mode):
            raise Wrong(f"{path} is a symbolic link to {Path(path).readlink()}; name that file itself")
        if old is not None and not stat.S_ISREG(old.st_mode):
            raise Wrong(f"{path} is not a regular file")
        mode = wanted_mode(request["mode"], old)
        if old is not None and holds(name, directory, old, content):
            if stat.S_IMODE(old.st_mode) == mode:
                return {"changed": False, "message": f"unchanged: {path}", "digest": digest}
            change_mode(name, directory, mode)
            return {"changed": True, "message": f"mode changed: {path} is {mode:04o}", "digest": digest}
        replace(name, directory, content, mode, old)
    finally:
        os.close(directory)
    verb = "written" if old is not None else "created"
    return {"changed": True, "message": f"{verb}: {path} ({len(content)} bytes)", "digest": digest}


def look(name: str, directory: int | None = None) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def wanted_mode(mode: int | None, old: os.stat_result | None) -> int:
    """The mode asked for, else the old file's, else what the umask leaves of 0666."""
    if mode is not None:
        return mode
    if old is not None:
        return stat.S_IMODE(old.st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def holds(name: str, directory: int, old: os.stat_result, content: bytes) -> bool:
    """Whether the file holds exactly `content`."""
    if old.st_size != len(content):
        return False
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except PermissionError:
        return False  # it may still be replaced, where the folder allows it
    with os.fdopen(file, "rb") as opened:
        return opened.read(len(content) + 1) == content


def replace(name: str, directory: int, content: bytes, mode: int, old: os.stat_result | None) -> None:
    """Put a new file in the place of `name`, whole or not at all."""
    temporary = f".{name[:100]}.rota-{secrets.token_hex(6)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(content)
            opened.flush()
            made = os.fstat(opened.fileno())
            if old is not None and (old.st_uid, old.st_gid) != (made.st_uid, made.st_gid):
                os.fchown(opened.fileno(), old.st_uid, old.st_gid)
            os.fchmod(opened.fileno(), mode)
            os.fsync(opened.fileno())
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(temporary, dir_fd=directory)
        raise
    os.fsync(directory)


def change_mode(name: str, directory: int, mode: int) -> None:
    """By an open file where it can be read, so that it is the file that was looked at."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.fchmod(file, mode)
    finally:
        os.close(file)


def read(path: str, request: Request) -> Answer:
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer must not hang us
    with os.fdopen(file, "rb", buffering=0) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise Wrong(f"{path} is not a regular file")
        content = b""
        while len(content) <= LARGEST_READ and (part := opened.read(LARGEST_READ + 1 - len(content))):
            content += part
    if len(content) > LARGEST_READ:
        raise Wrong(f"{path} is larger than {LARGEST_READ} bytes, the most that a step may read")
    return {
        "changed": False,
        "message": f"read: {path} ({len(content)} bytes)",
        "content": base64.b64encode(content).decode(),
        "digest": hashlib.sha256(content).hexdigest(),
    }


def mkdir(path: str, request: Request) -> Answer:
    folder, mode, done = Path(path), request["mode"], ""
    if not folder.is_dir():
        if request["parents"]:
            folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
            done = "created"
        except FileExistsError:
            if not folder.is_dir():  # else somebody has made it in between
                raise
    if mode is not None and stat.S_IMODE(folder.stat().st_mode) != mode:
        if folder.is_symlink():
            raise Wrong(f"{path} is a symbolic link; name the folder itself to change its mode")
        folder.chmod(mode)
        done = done or "mode changed"
    return {"changed": bool(done), "message": f"{done or 'unchanged'}: {path}"}


def remove(path: str, request: Request) -> Answer:
    old = look(path)
    if old is None:
        return {"changed": False, "message": f"unchanged: there is no {path}"}
    if not stat.S_ISDIR(old.st_mode):
        Path(path).unlink()  # a symbolic link goes, and not what it names
        return {"changed": True, "message": f"removed: {path}"}
    refuse_precious(Path(path))
    if request["recursive"]:
        shutil.rmtree(path)
        return {"changed": True, "message": f"removed: {path} with all that was in it"}
    try:
        Path(path).rmdir()
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise Wrong(f"{path} is not empty; write recursive: true to remove all that is in it") from error
        raise
    return {"changed": True, "message": f"removed: {path}"}


def refuse_precious(path: Path) -> None:
    """Folders whose loss nobody means: the root, what stands right under it, homes, mounts, the system's own."""
    real = path.resolve()
    ours = str(real) in _NEVER_REMOVED or real.parent in (Path("/"), Path("/home"), Path("/Users"))
    if ours or real == Path.home().resolve() or real.is_mount():
        raise Wrong(f"{path} is never removed by a step: it belongs to the system, or is a home or a mount")


def chmod(path: str, request: Request) -> Answer:
    old, mode = look(path), request["mode"] or 0
    if old is None:
        raise Wrong(f"there is no {path}")
    if stat.S_ISLNK(old.st_mode):
        raise Wrong(f"{path} is a symbolic link to {Path(path).readlink()}; name that file itself")
    if stat.S_IMODE(old.st_mode) == mode:
        return {"changed": False, "message": f"unchanged: {path} is {mode:04o}"}
    Path(path).chmod(mode)
    return {"changed": True, "message": f"mode changed: {path} is {mode:04o}"}


_OPERATIONS = {"write": write, "read": read, "mkdir": mkdir, "remove": remove, "chmod": chmod}

if __name__ == "__main__":
    sys.exit(main())
