"""Which Rota is meant, and where its files lie. Chosen before anything else (DESIGN §4, "Instance first").

Standard library only, and nothing heavy at import: every command line loads this before it does any work.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rota.domain.errors import InvalidInput, Refused, Unavailable

if TYPE_CHECKING:
    from rota.daemon.locks import Holder

Kind = Literal["option", "environment", "system", "user", "server"]

SYSTEM_CONFIG = Path("/etc/rota/rota.yaml")
SYSTEM_HOME = Path("/var/lib/rota")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One Rota with its store. `home` holds everything it keeps; `kind` says how it was chosen.

    `server` is set exactly when `kind` is "server": then the instance lives behind that URL, and `home` only
    holds what this user keeps for himself.
    """

    home: Path
    kind: Kind
    server: str | None = None
    system_config: Path = SYSTEM_CONFIG
    system_home: Path = SYSTEM_HOME

    @property
    def config(self) -> Path:
        """`rota.yaml`. The system instance keeps it in /etc, however its home was named."""
        if self.home == self.system_home and self.system_config.exists():
            return self.system_config
        return self.home / "rota.yaml"

    @property
    def store(self) -> Path:
        return self.home / "rota.db"

    @property
    def output_store(self) -> Path:
        return self.home / "output.db"

    @property
    def reserve(self) -> Path:
        return self.home / "reserve"

    @property
    def socket(self) -> Path:
        return self.home / "rota.sock"

    @property
    def engine_lock(self) -> Path:
        return self.home / "engine.lock"

    @property
    def owners_dir(self) -> Path:
        return self.home / "owners"

    @property
    def keeper_dir(self) -> Path:
        return self.home / "keeper"

    @property
    def playbooks_dir(self) -> Path:
        return self.home / "playbooks"

    @property
    def logs_dir(self) -> Path:
        return self.home / "logs"

    @property
    def backups_dir(self) -> Path:
        return self.home / "backups"

    @property
    def keys_dir(self) -> Path:
        return self.home / "keys"

    @property
    def tmp_dir(self) -> Path:
        return self.home / "tmp"

    @property
    def known_hosts(self) -> Path:
        return self.home / "known_hosts"

    @property
    def exists(self) -> bool:
        """Whether there is a store. Raises Refused where this user may not even look."""
        try:
            return self.store.is_file()
        except PermissionError as error:
            raise _not_yours(self.home, self.owner_uid) from error

    @property
    def owner_uid(self) -> int | None:
        """User id that owns the home; None where there is no home."""
        try:
            return self.home.stat().st_uid
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise _not_yours(self.home, None) from error

    def engine_holder(self) -> Holder | None:
        """Who holds `engine.lock` now: the daemon, or `rota shell` where there is none. None = nobody."""
        from rota.daemon.locks import holder

        try:
            return holder(self.engine_lock)
        except PermissionError as error:
            raise _not_yours(self.home, self.owner_uid) from error

    def node_name(self) -> str:
        """What tells this home from others that share its database. The home is there already.

        A random word, kept, and this machine's id: so a copied disk is not taken for the machine it was copied from.
        """
        import hashlib
        import secrets

        path = self.home / "node"
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(8))
        except FileExistsError:
            pass
        try:
            machine = Path("/etc/machine-id").read_text().strip()
        except OSError:  # not every system has one
            machine = ""
        return hashlib.sha256(f"{path.read_text().strip()} {machine}".encode()).hexdigest()[:16]

    def daemon_pid(self) -> int | None:
        """Process id of the engine's holder; None when nothing fires jobs here.

        Known by trying the lock, never by looking whether some process has a number that a file names:
        numbers are reused and files outlive their writers.
        """
        found = self.engine_holder()
        return found.pid if found else None

    def prepare(self) -> None:
        """Make the home and its folders, mode 0700; those that exist stay as they are.

        Raises Refused where the home belongs to another user (root included: it would leave files that the
        owner cannot open), or where a group or everybody may write to it; Unavailable where it cannot be
        made.
        """
        try:
            # The mode is given to mkdir rather than set by umask, which belongs to the whole process.
            self.home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.home.mkdir(mode=0o700, exist_ok=True)
            self._refuse_unsafe_home()
            for folder in (
                self.owners_dir,
                self.keeper_dir,
                self.playbooks_dir,
                self.logs_dir,
                self.backups_dir,
                self.keys_dir,
                self.tmp_dir,
            ):
                folder.mkdir(mode=0o700, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise Unavailable(
                f"{error.filename} is in the way: it is not a folder",
                hint="choose another folder with --home or ROTA_HOME",
            ) from error
        except OSError as error:
            raise Unavailable(
                f"cannot make {error.filename or self.home}: {error.strerror}",
                expected="a folder that you may write to",
                hint="choose another folder with --home or ROTA_HOME",
            ) from error

    def _refuse_unsafe_home(self) -> None:
        status = self.home.stat()
        if status.st_uid != os.geteuid():
            raise _not_yours(self.home, status.st_uid)
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Refused(
                f"others may write to {self.home} (mode {stat.S_IMODE(status.st_mode):04o})",
                expected="a folder that only you may change, as its files decide what runs under your name",
                hint=f"chmod go-w {self.home}",
            )


def resolve(
    *,
    home: str | None = None,
    server: str | None = None,
    env: Mapping[str, str],
    system_config: Path = SYSTEM_CONFIG,
    system_home: Path = SYSTEM_HOME,
) -> Instance:
    """Choose the instance: what was typed, then the environment, then the system's, then the user's own.

    `home` and `server` are the options `--home` and `--server`; empty values count as not given.
    Raises InvalidInput where both were typed, or where a server is not an http(s) URL.
    """

    def at(path: str, kind: Kind) -> Instance:
        return Instance(home=_absolute(path, env), kind=kind, system_config=system_config, system_home=system_home)

    if home and server:
        raise InvalidInput(
            "--home and --server name two instances",
            expected="one of them",
            hint="leave out --server to work on this machine",
        )
    if home:
        return at(home, "option")
    if server:
        return _behind(server, "--server", env)
    if env.get("ROTA_HOME"):
        return at(env["ROTA_HOME"], "environment")
    if env.get("ROTA_SERVER"):
        return _behind(env["ROTA_SERVER"], "ROTA_SERVER", env)
    if system_config.exists():
        return at(str(system_home), "system")
    return at(str(user_home(env)), "user")


def user_home(env: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Where a user's own instance lies.

    By hand and not by platformdirs, whose import costs more than the rest of this module; the rules are those
    of the XDG base directory specification (a relative XDG_DATA_HOME is ignored) and of Apple's guide.
    """
    home = Path(env.get("HOME") or Path.home())
    if platform == "darwin":
        return home / "Library" / "Application Support" / "rota"
    data_home = Path(env.get("XDG_DATA_HOME") or "")
    return (data_home if data_home.is_absolute() else home / ".local" / "share") / "rota"


def _behind(server: str, source: str, env: Mapping[str, str]) -> Instance:
    if not server.startswith(("https://", "http://")):
        raise InvalidInput(
            f'{source} "{server}" is not a URL',
            expected="https://…",
            hint="for this machine use --home FOLDER",
        )
    return Instance(home=user_home(env), kind="server", server=server.rstrip("/"))


def _absolute(path: str, env: Mapping[str, str]) -> Path:
    if path == "~" or path.startswith("~/"):
        path = str(Path(env.get("HOME") or Path.home()) / path[2:])
    return Path(os.path.abspath(path))  # noqa: PTH100 - unlike Path.resolve it leaves symbolic links as typed


def _not_yours(home: Path, owner_uid: int | None) -> Refused:
    whose = "another user" if owner_uid is None else _name_of(owner_uid)
    return Refused(
        f"{home} belongs to {whose}, and you are {_name_of(os.geteuid())}",
        expected="an instance of your own",
        hint=f"become {whose}, or choose another instance with --home or ROTA_HOME",
    )


def _name_of(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
