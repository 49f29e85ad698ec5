"""The file of a backup: a plain tar, manifest first, every file with its digest. Reading checks all of it.

Plain, so that any `tar` opens it; not compressed, which would cost a second of CPU for every 50 MB while jobs run.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

from rota.backup.manifest import MANIFEST, MOST_BYTES, Entry, Manifest, read_manifest
from rota.domain.errors import NotFound, Unavailable
from rota.domain.instant import SECOND

_PIECE = 1024 * 1024  # bytes; the daemon's other threads run while one is read, written or digested
_HINT = "see which backups there are: rota backup list"
_EXPECTED = "a file of rota backup create"


def entry_of(path: Path) -> Entry:
    """The digest and size of a file. Never of a database in use (see `storage.backup.snapshot`)."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Entry(digest, file.tell())


def write(path: Path, manifest: Manifest, sources: Mapping[str, Path]) -> None:
    """Write the archive to the new file `path`, mode 0600, and sync it. `sources`: the file for each name.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as raw:  # noqa: PTH123  # a descriptor
        with tarfile.TarFile(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT, copybufsize=_PIECE) as tar:
            text = manifest.to_json()
            tar.addfile(_header(MANIFEST, len(text), manifest), BytesIO(text))
            for name, source in sources.items():
                with source.open("rb") as file:
                    tar.addfile(_header(name, manifest.files[name].bytes, manifest), file)
        raw.flush()
        os.fsync(raw.fileno())


def manifest_of(path: Path) -> Manifest:
    """What a backup says of itself; nothing else is read. Raises NotFound, Unavailable for what is no backup."""
    with _opened(path) as tar:
        return _first(tar, path)


def check(path: Path, *, into: Path | None = None) -> tuple[Manifest, list[str]]:
    """Read all of a backup. Returns its manifest and every difference between that and what is there.

    With `into` the files are written to that folder, which must be empty, files mode 0600 and folders 0700; on any
    difference they are not to be used. Raises NotFound, Unavailable for what is no backup, OSError where `into` does
    not take them.
    """
    with _opened(path) as tar:
        manifest = _first(tar, path)
        missing, faults = dict(manifest.files), list[str]()
        try:
            while (member := tar.next()) is not None:
                expected = missing.pop(member.name, None)
                if expected is None or not member.isreg():
                    faults.append(f"{member.name!r} is in it, and should not be")
                    continue
                source = tar.extractfile(member)
                assert source is not None  # a regular file
                found = _take(source, None if into is None else into / member.name)
                if found != expected:
                    faults.append(f"{member.name} is not what was put in: {_difference(found, expected)}")
        except (tarfile.TarError, EOFError) as error:
            faults.append(f"it is cut off or damaged: {error}")
    faults += [f"{name} is missing" for name in missing]
    return manifest, faults


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """Turns what cannot be read into words. Not `r:*`: a file that unpacks to terabytes is none of ours."""
    try:
        with tarfile.open(path, mode="r:") as tar:
            yield tar
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}", hint=_HINT) from error
    except (IsADirectoryError, tarfile.ReadError) as error:
        raise Unavailable(f"{path} is no backup: {error}", expected=_EXPECTED, hint=_HINT) from error
    except PermissionError as error:
        raise Unavailable(f"{path} may not be read", hint=f"ls -l {path} shows whose it is") from error


def _first(tar: tarfile.TarFile, path: Path) -> Manifest:
    try:
        member = tar.next()
        if member is None or member.name != MANIFEST or not member.isreg():
            raise ValueError("it does not begin with a manifest")
        if member.size > MOST_BYTES:
            raise ValueError("its manifest is too large")
        file = tar.extractfile(member)
        assert file is not None  # a regular file
        return read_manifest(file.read())
    except (ValueError, tarfile.TarError, EOFError) as error:
        raise Unavailable(f"{path} is no backup: {error}", expected=_EXPECTED, hint=_HINT) from error


def _take(source: IO[bytes], target: Path | None) -> Entry:
    """Read a file to its end, keeping it at `target` if there is one, and say what it was."""
    digest, size = hashlib.sha256(), 0
    if target is None:
        while piece := source.read(_PIECE):
            digest.update(piece)
            size += len(piece)
        return Entry(digest.hexdigest(), size)
    for folder in reversed(target.relative_to(target.anchor).parents):
        Path(target.anchor, folder).mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor
        while piece := source.read(_PIECE):
            digest.update(piece)
            size += file.write(piece)
    return Entry(digest.hexdigest(), size)


def _difference(found: Entry, expected: Entry) -> str:
    if found.bytes != expected.bytes:
        return f"{found.bytes} bytes, expected {expected.bytes}"
    return f"SHA-256 {found.sha256[:12]}…, expected {expected.sha256[:12]}…"


def _header(name: str, size: int, manifest: Manifest) -> tarfile.TarInfo:
    """The same for the same content: neither owners nor modes of this machine."""
    header = tarfile.TarInfo(name)
    header.size, header.mode, header.mtime = size, 0o600, manifest.made_at // SECOND
    return header
