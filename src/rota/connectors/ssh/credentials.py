"""What one logs in with: keys, certificates, the agent, passwords. Read once, and again when a file has changed.

A secret lives in this process's memory and goes to the host that asks for it; it is in no log, error or `repr`.
"""

from __future__ import annotations

import asyncio
import operator
import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import asyncssh
import structlog

from rota.connectors.ssh.unreached import Unreached
from rota.domain.inventory import Host
from rota.domain.reasons import Reason

_MAX_BYTES = 64 * 1024  # the largest key in use is some 15 KB; a password is shorter still
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# The order in which ssh tries them: small and quick ones first.
_DEFAULT_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")

_Stamp = tuple[int, int, int]  # ctime in ns, size, inode; zeros where there is no file

log: structlog.stdlib.BoundLogger = structlog.get_logger("rota.ssh")


@dataclass(frozen=True, slots=True)
class Secret:
    """A password, shown as `***` wherever it might be printed."""

    value: str = field(repr=False)

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, eq=False)
class Login:
    """All that one logs in with: to any host that is given the same files and account. One is equal only to itself.

    `offered` says in people's words what is tried, for the message when all of it is refused.
    """

    user: str
    keys: tuple[asyncssh.SSHKeyPair, ...]
    password: Secret | None
    agent: str | None  # path of its socket
    offered: tuple[str, ...]
    skipped: tuple[str, ...] = ()  # default keys that could not be used, and why

    @cached_property
    def summary(self) -> str:
        """`tried the key …, the password`, and what was left out."""
        tried = ", ".join(self.offered) if self.offered else "nothing, as no key, agent or password was found"
        return "; ".join([f"tried {tried}", *self.skipped])

    @cached_property
    def signs_at_once(self) -> bool:
        """Whether the key that comes first lies here: an agent or a token would be asked, and might ask its owner."""
        return self.agent is None and bool(self.keys) and not self.keys[0].use_executor


@dataclass(frozen=True, slots=True)
class _Kept:
    """A login, the files it was made from (those that were not there, too), and how they were then."""

    files: Sequence[str]
    stamps: Sequence[_Stamp]
    login: Login

    @property
    def is_fresh(self) -> bool:
        return all(map(operator.eq, map(_stamp, self.files), self.stamps))


class Credentials:
    """The logins of an instance's hosts, one object for each set of account and files."""

    def __init__(self, keys_dir: Path, *, home: Path | None = None, agent: str | None = None) -> None:
        """`keys_dir` is where relative paths lie and default keys are looked for first, then `home`/.ssh.

        `home`: the account's own, None = the home of the user this process runs as. `agent`: the socket of an
        ssh-agent (SSH_AUTH_SOCK), asked for hosts that name no key file.
        """
        self._keys_dir = keys_dir
        self._ssh_dir = (home or _account_home()) / ".ssh"
        self._agent = agent
        self._logins: dict[tuple[str | None, ...], _Kept] = {}
        self._reading = asyncio.Lock()

    async def of(self, host: Host) -> Login:
        """How to log in to `host`. Raises Unreached (credential_missing) where what it names is not there, is no key,
        or may be read by others."""
        which = (host.user, host.key_file, host.passphrase_file, host.password_file)
        kept = self._logins.get(which)
        if kept is None or not kept.is_fresh:
            async with self._reading:  # of a thousand hosts with one key, one reads it
                kept = self._logins.get(which)
                if kept is None or not kept.is_fresh:
                    files = [str(file) for file in self._files_of(host)]
                    stamps = list(map(_stamp, files))  # before they are read: a change meanwhile is seen next time
                    # A passphrase is slow to try on purpose: in a thread.
                    login = await asyncio.to_thread(self._read, host)
                    kept = self._logins[which] = _Kept(files, stamps, login)
        return kept.login

    def path(self, name: str) -> Path:
        """Where a key or password file lies that a host names."""
        return self._keys_dir / Path(name).expanduser()

    def password(self, host: Host, name: str, *, what: str) -> Secret:
        """Read a password file, of which the first line counts. Raises Unreached (credential_missing).

        `what` names its field for people: "password file".
        """
        path = self.path(name)
        found = _stat(path, host, what)
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS:
            raise _missing(
                host,
                f"the {what} {path} can be read by others or is another account's",
                f"type: chown {_own_name()} {path} && chmod 600 {path}",
            )
        try:
            lines = _read(path).decode().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise _missing(host, f"the {what} {path} cannot be read: {_why(error)}", "expected one line") from error
        if not lines or not lines[0]:
            raise _missing(host, f"the {what} {path} is empty", "expected the password as its first line")
        return Secret(lines[0])

    def _read(self, host: Host) -> Login:
        passphrase = None
        if host.passphrase_file is not None:
            passphrase = self.password(host, host.passphrase_file, what="passphrase file").value
        password = None
        if host.password_file is not None:
            password = self.password(host, host.password_file, what="password file")
        offered: list[str] = []
        skipped: list[str] = []
        pairs: list[asyncssh.SSHKeyPair] = []
        agent = None
        if host.key_file is not None:
            path = self.path(host.key_file)
            pairs += _named_key(path, passphrase, host)
            offered.append(f"the key {path}")
        else:
            agent = self._agent
            if agent is not None:
                offered.append("the agent's keys")
            for path in self._defaults():
                try:
                    pairs += _pairs(path, passphrase)
                    offered.append(f"the key {path}")
                except (OSError, ValueError) as error:
                    skipped.append(f"{path} was left out: {_why(error)}")
        if password is not None:
            offered.append("the password")
        return Login(
            user=host.user or _own_name(),
            keys=tuple(pairs),
            password=password,
            agent=agent,
            offered=tuple(offered),
            skipped=tuple(skipped),
        )

    def _files_of(self, host: Host) -> Iterator[Path]:
        for name in (host.key_file, host.passphrase_file, host.password_file):
            if name is not None:
                yield self.path(name)
        if host.key_file is None:
            yield from (folder / name for folder in (self._keys_dir, self._ssh_dir) for name in _DEFAULT_NAMES)
        else:
            yield _certificate_of(self.path(host.key_file))

    def _defaults(self) -> Iterator[Path]:
        for folder in (self._keys_dir, self._ssh_dir):
            for name in _DEFAULT_NAMES:
                if (path := folder / name).is_file():
                    yield path


def _named_key(path: Path, passphrase: str | None, host: Host) -> list[asyncssh.SSHKeyPair]:
    """The key that a host names, and its certificate. Raises Unreached."""
    found = _stat(path, host, "key file")
    if found.st_uid == os.geteuid() and found.st_mode & _OTHERS:  # as ssh itself refuses it
        raise _missing(host, f"the key file {path} can be read by others", f"type: chmod 600 {path}")
    try:
        return _pairs(path, passphrase)
    except asyncssh.KeyEncryptionError as error:
        raise _missing(
            host,
            f"the key file {path} cannot be opened with its passphrase file",
            f"see whether ssh-keygen -y -f {path} takes that passphrase",
        ) from error
    except asyncssh.KeyImportError as error:
        if passphrase is None and "assphrase" in str(error):
            raise _missing(
                host,
                f"the key file {path} has a passphrase",
                f"type: rota hosts update {host.name} --passphrase-file FILE",
            ) from error
        raise _missing(host, f"the key file {path} is not a private key: {_why(error)}", "expected one") from error
    except (OSError, ValueError) as error:
        raise _missing(host, f"the key file {path} cannot be read: {_why(error)}", "see ls -l") from error


def _pairs(path: Path, passphrase: str | None) -> list[asyncssh.SSHKeyPair]:
    """Read a private key and, where `PATH-cert.pub` lies beside it, its certificate, which is offered first."""
    key = asyncssh.import_private_key(_read(path), passphrase)
    certificate = _certificate_of(path)
    if certificate.is_file():
        return list(asyncssh.load_keypairs([(key, asyncssh.import_certificate(_read(certificate))), key]))
    return list(asyncssh.load_keypairs([key]))


def _certificate_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-cert.pub")


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"it is larger than {_MAX_BYTES >> 10} KiB")
    return content


def _stat(path: Path, host: Host, what: str) -> os.stat_result:
    option = what.replace(" ", "-")
    try:
        found = path.stat()
    except OSError as error:
        happened = f"the {what} {path} cannot be read: {_why(error)}"
        raise _missing(host, happened, f"type: rota hosts update {host.name} --{option} FILE") from error
    if not stat.S_ISREG(found.st_mode):  # a FIFO would be waited for
        raise _missing(host, f"the {what} {path} is not a file", f"type: rota hosts update {host.name} --{option} FILE")
    return found


def _stamp(path: str) -> _Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116 - at every connect, and pathlib costs several times as much
    except OSError:
        return (0, 0, 0)
    return (found.st_ctime_ns, found.st_size, found.st_ino)


def _missing(host: Host, happened: str, hint: str) -> Unreached:
    return Unreached(Reason.CREDENTIAL_MISSING, f"{host.name}: {happened}; {hint}")


def _why(error: Exception) -> str:
    """An error's own words, of one line. asyncssh's never quote what they read."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text[0].lower() + text[1:]


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # an account known only by number, as in some containers
        return str(os.geteuid())


def _account_home() -> Path:
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return Path("/")
