"""Which keys hosts have: `known_hosts` in OpenSSH's format (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

A file is read when it has changed, and a key in it is decoded when its host is first asked for: five hundred lines cost
a connect nothing. Lines that cannot be read are skipped, and whoever meets a host that is not known is told of them.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import fcntl
import fnmatch
import hashlib
import hmac
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import asyncssh
import structlog

from rota.domain.errors import Refused, Unavailable
from rota.ports import HostKey

DEFAULT_PORT = 22
_MARKERS = ("@cert-authority", "@revoked")
_MAX_BYTES = 16 * 1024 * 1024  # some 100,000 hosts

Verdict = Literal["known", "unknown", "changed", "revoked"]
_Stamp = tuple[int, int, int]  # mtime in ns, size, inode

log: structlog.stdlib.BoundLogger = structlog.get_logger("rota.ssh")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one address and port. `elsewhere` are keys of the same address at another port's sake:
    a key written without a port is good at every port (as ssh has it), but its absence there is no change. `unread`:
    lines that were skipped, as `FILE line 7: why`; those that name this address first."""

    keys: tuple[asyncssh.SSHKey, ...] = ()
    elsewhere: tuple[asyncssh.SSHKey, ...] = ()
    authorities: tuple[asyncssh.SSHKey, ...] = ()
    revoked: tuple[asyncssh.SSHKey, ...] = ()
    unread: tuple[str, ...] = ()

    def verdict(self, shown: asyncssh.SSHKey) -> Verdict:
        """What to think of a plain key (no certificate) that the host shows."""
        if shown in self.revoked:
            return "revoked"
        if shown in self.keys or shown in self.elsewhere:
            return "known"
        return "changed" if self.keys else "unknown"


class KnownHosts:
    """The instance's own file, which `trust` writes, and others that are only read."""

    def __init__(self, own: Path, others: Sequence[Path] = ()) -> None:
        """Missing files hold nothing. `others` may be OpenSSH's own, such as /etc/ssh/ssh_known_hosts."""
        self.own = own
        self._books = [_Book(path) for path in (own, *others)]
        self._answers: dict[tuple[str, int], Known] = {}

    def of(self, address: str, port: int) -> Known:
        """What the files say now. Looks whether they have changed. Raises Unavailable where one cannot be read."""
        changed = [book for book in self._books if book.refresh()]
        if changed:
            self._answers.clear()
        known = self._answers.get((address, port))
        if known is None:
            known = self._answers[address, port] = self._look_up(address.lower(), port)
        return known

    @property
    def faults(self) -> tuple[str, ...]:
        """The lines that were skipped, as `FILE line 7: why`."""
        return tuple(fault for book in self._books for fault in book.faults)

    async def trust(self, address: str, port: int, line: str) -> None:
        """Write `line` (`ssh-ed25519 AAAA…`) as the only key of that address and port; durable on return.

        Other names of a line, patterns, authorities and revocations stay. Raises Refused for a revoked key,
        Unavailable where the file cannot be written.
        """
        key = asyncssh.import_public_key(line)
        if key in self.of(address, port).revoked:
            raise Refused(
                f"the key {fingerprint(key)} is revoked", hint=f"the line that says so begins with @revoked: {self.own}"
            )
        try:
            await asyncio.to_thread(_rewrite, self.own, known_as(address, port), line)
        except OSError as error:
            raise Unavailable(
                f"cannot write {self.own}: {error.strerror}", hint=f"ls -l {self.own.parent} shows whose it is"
            ) from error

    def _look_up(self, address: str, port: int) -> Known:
        name = known_as(address, port)
        exact = [entry for book in self._books for entry in book.entries_of(name)]
        bare = [entry for book in self._books for entry in book.entries_of(address)] if name != address else []
        both = [*exact, *bare]
        keys, elsewhere = _keys(exact, None), _keys(bare, None)
        authorities, revoked = _keys(both, "@cert-authority"), _keys(both, "@revoked")
        ours = [entry.fault for entry in both if entry.fault is not None]  # now that they have been decoded
        return Known(keys, elsewhere, authorities, revoked, unread=(*ours, *self.faults))


def known_as(address: str, port: int) -> str:
    """How a known_hosts file names an address: bare at port 22, `[address]:port` elsewhere."""
    address = address.lower()
    return address if port == DEFAULT_PORT else f"[{address}]:{port}"


def fingerprint(key: asyncssh.SSHKey) -> str:
    """`SHA256:…`, as ssh-keygen -l shows it."""
    return key.get_fingerprint()


def host_key(key: asyncssh.SSHKey) -> HostKey:
    """A key in the words of the port."""
    line = key.export_public_key("openssh").decode().strip()
    algorithm, blob = line.split()[:2]  # a comment, if any, is its owner's business
    return HostKey(algorithm=algorithm, fingerprint=fingerprint(key), line=f"{algorithm} {blob}")


# One file


@dataclass(slots=True)
class _Entry:
    """A line. Its key is decoded at first use: None afterwards where that failed."""

    marker: str | None
    text: str  # "ssh-ed25519 AAAA…"
    place: str
    key: asyncssh.SSHKey | None = None
    fault: str | None = None
    decoded: bool = False


@dataclass(slots=True)
class _Book:
    path: Path
    faults: list[str] = field(default_factory=list)
    _stamp: _Stamp | None = None
    _exact: dict[str, list[_Entry]] = field(default_factory=dict)
    _hashed: list[tuple[bytes, bytes, _Entry]] = field(default_factory=list)  # salt, HMAC-SHA1 of the name
    _patterns: list[tuple[tuple[str, ...], _Entry]] = field(default_factory=list)

    def refresh(self) -> bool:
        """Read the file again if it is another than last time. Whether it was."""
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._stamp:
                return False
            with self.path.open("rb") as stream:
                content = stream.read(min(found.st_size, _MAX_BYTES) + 1)
        except FileNotFoundError:
            stamp, content = (0, 0, 0), b""
            if stamp == self._stamp:
                return False
        except OSError as error:
            raise Unavailable(
                f"cannot read the known hosts in {self.path}: {error.strerror}",
                hint=f"ls -l {self.path} shows whose it is",
            ) from error
        self._read(content)
        self._stamp = stamp
        for fault in self.faults:
            log.warning("a line of known hosts was skipped", fault=fault)
        return True

    def entries_of(self, name: str) -> Iterator[_Entry]:
        """The lines that mean this name: bare, or with its port in brackets."""
        yield from self._exact.get(name, ())
        for salt, digest, entry in self._hashed:
            if hmac.compare_digest(_hash(name, salt), digest):
                yield entry
        for patterns, entry in self._patterns:
            if _matches(name, patterns):
                yield entry

    def _read(self, content: bytes) -> None:
        self._exact, self._hashed, self._patterns, self.faults = {}, [], [], []
        if len(content) > _MAX_BYTES:
            self.faults.append(f"{self.path}: only the first {_MAX_BYTES >> 20} MiB were read")
            content = content[: content.rfind(b"\n", 0, _MAX_BYTES) + 1]
        for number, raw in enumerate(content.split(b"\n"), start=1):
            line = raw.decode(errors="replace").strip()
            if line and not line.startswith("#"):
                place = f"{self.path} line {number}"
                try:
                    self._take(line, place)
                except ValueError as error:
                    self.faults.append(f"{place}: {error}")

    def _take(self, line: str, place: str) -> None:
        marker, names, text = _split(line)
        entry = _Entry(marker, text, place)
        if names.startswith("|"):
            self._hashed.append((*_salt_and_digest(names), entry))
            return
        patterns = tuple(names.lower().split(","))
        if any(sign in names for sign in "*?!"):
            self._patterns.append((patterns, entry))
        else:
            for name in patterns:
                self._exact.setdefault(name, []).append(entry)


def _keys(entries: Sequence[_Entry], marker: str | None) -> tuple[asyncssh.SSHKey, ...]:
    found = []
    for entry in entries:
        if entry.marker == marker and (key := _decoded(entry)) is not None and key not in found:
            found.append(key)
    return tuple(found)


def _decoded(entry: _Entry) -> asyncssh.SSHKey | None:
    if not entry.decoded:
        entry.decoded = True
        try:
            entry.key = asyncssh.import_public_key(entry.text)
        # A damaged ECDSA key is a ValueError of the library beneath asyncssh, and an RSA one may be an OverflowError.
        except (asyncssh.KeyImportError, ValueError, OverflowError) as error:
            entry.fault = f"{entry.place}: the key is damaged"
            log.warning("a line of known hosts was skipped", fault=entry.fault, error=str(error))
    return entry.key


# The format

_ALGORITHM = re.compile(r"[A-Za-z0-9][A-Za-z0-9@.-]*")


def _split(line: str) -> tuple[str | None, str, str]:
    """Take a line apart: marker or None, names, and `algorithm base64`. Raises ValueError with what is wrong."""
    words = line.split(None, 4)
    marker = words.pop(0) if words[0].startswith("@") else None
    if marker is not None and marker not in _MARKERS:
        raise ValueError(f"{marker[:20]} is no marker; expected {' or '.join(_MARKERS)}")
    if len(words) < 3:
        raise ValueError("expected a host name, the kind of the key, and the key")
    names, algorithm, blob = words[:3]
    if _ALGORITHM.fullmatch(algorithm) is None:
        raise ValueError("expected the kind of the key, such as ssh-ed25519, after the host name")
    try:
        decoded = base64.b64decode(blob, validate=True)
    except binascii.Error:
        raise ValueError("the key is not base64") from None
    if decoded[4 : 4 + len(algorithm)] != algorithm.encode():
        raise ValueError(f"the key is not of the kind {algorithm[:40]}")
    return marker, names, f"{algorithm} {blob}"


def _salt_and_digest(names: str) -> tuple[bytes, bytes]:
    try:
        _, version, salt, digest = names.split("|")
        if version != "1":
            raise ValueError
        return base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
    except ValueError:
        raise ValueError("expected a hashed name as ssh-keygen -H writes it: |1|salt|hash") from None


def _hash(name: str, salt: bytes) -> bytes:
    return hmac.new(salt, name.encode(), hashlib.sha1).digest()


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether `name` is meant: by a pattern, and by none that begins with `!` (ssh_config(5), PATTERNS)."""
    hit = False
    for pattern in patterns:
        if pattern.startswith("!"):
            if fnmatch.fnmatchcase(name, _literal_brackets(pattern[1:])):
                return False
        elif fnmatch.fnmatchcase(name, _literal_brackets(pattern)):
            hit = True
    return hit


def _literal_brackets(pattern: str) -> str:
    return pattern.replace("[", "[[]")  # only * and ? are wild in OpenSSH; brackets hold an address


# Writing


def _rewrite(path: Path, name: str, line: str) -> None:
    """Make `line` the only plain one for `name`: whole or not at all, one writer at a time, for our eyes only."""
    with _locked(path):
        try:
            content = path.read_bytes().decode(errors="surrogateescape").removesuffix("\n")
        except FileNotFoundError:
            content = ""
        # At line feeds only, as when it is read: garbage is full of what else Python takes for the end of a line.
        old = content.split("\n") if content else []
        kept = [rest for one in old if (rest := _without(one, name)) is not None]
        text = "\n".join([*kept, f"{name} {line}", ""])
        descriptor, name_of_draft = tempfile.mkstemp(prefix=".known_hosts-", dir=path.parent)  # 0600 from the start
        draft = Path(name_of_draft)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(text.encode(errors="surrogateescape"))
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink()
            raise
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _without(line: str, name: str) -> str | None:
    """The line less `name`; None where nothing is left of it. What cannot be read stays as it is."""
    try:
        marker, names, _ = _split(line.strip())
    except (ValueError, IndexError):
        return line
    if marker is not None:
        return line
    if names.startswith("|"):
        try:
            salt, digest = _salt_and_digest(names)
        except ValueError:
            return line
        return None if hmac.compare_digest(_hash(name, salt), digest) else line
    listed = names.split(",")
    if name not in [one.lower() for one in listed]:
        return line
    others = [one for one in listed if one.lower() != name]
    return line.replace(names, ",".join(others), 1) if others else None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the right to write `path`, among all processes of this machine. A file beside it, since it is replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
