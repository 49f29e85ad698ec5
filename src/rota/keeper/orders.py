"""The words between a daemon and its keeper: orders to start, events that come back, pieces of output."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rota.domain.errors import FieldError, InvalidInput, NotFound

MOST_STDIN_BYTES = 1 << 20
MOST_KEPT_BYTES = 1 << 30
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,119}")

Stage = Literal["spawn", "cwd", "identity", "limits", "journal", "cancelled", "duplicate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAs:
    """The user a child becomes, resolved here: the keeper has no name service (and must not wait for one)."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]  # supplementary, `gid` included
    home: str
    shell: str

    @classmethod
    def resolve(cls, name: str) -> RunAs:
        """Look a user up. Raises NotFound; may block on a network name service, so call it in a thread."""
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            raise NotFound(
                f"there is no user {name!r} on this machine", expected="a name of the passwd database",
                hint=f"try: getent passwd {name}",
            ) from None  # fmt: skip
        return cls(
            name=user.pw_name,
            uid=user.pw_uid,
            gid=user.pw_gid,
            groups=tuple(os.getgrouplist(user.pw_name, user.pw_gid)),
            home=user.pw_dir,
            shell=user.pw_shell or "/bin/sh",
        )

    def environment(self) -> dict[str, str]:
        """The variables that name the user. Whoever builds the order's `env` puts them in; the keeper adds none."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name, "SHELL": self.shell}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOrder:
    """One command to start, at most once per `id` whatever dies meanwhile. Raises InvalidInput.

    `id` names files and marks processes: letters, digits and `_.:@-`, at most 120. `env` is the whole environment
    (the keeper adds only its mark, ROTA_ATTEMPT_TOKEN). `argv[0]` is looked up in PATH of `env`. stdin is `/dev/null`
    unless there are bytes for it; they never touch a disk. Of the output, `head_bytes` and `tail_bytes` are kept.
    """

    id: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    run_as: RunAs | None = None
    stdin: bytes = field(default=b"", repr=False)
    timeout_seconds: float | None = None  # from its start; then its tree is ended, cause "timeout"
    grace_seconds: float = 10.0  # between TERM and KILL
    umask: int = 0o022
    head_bytes: int = 65_536
    tail_bytes: int = 196_608
    end_leftovers: bool = False  # end what the command left running, before its end is told

    def __post_init__(self) -> None:
        if faults := list(self._faults()):
            raise InvalidInput.of(faults, hint=f"start order {self.id!r}")

    def _faults(self) -> list[FieldError]:
        faults: list[FieldError] = []
        if not _ID.fullmatch(self.id):
            faults.append(FieldError(field="id", message="not usable", expected="1-120 of A-Z a-z 0-9 _ . : @ -"))
        if not self.argv:
            faults.append(FieldError(field="argv", message="empty", expected="a program and its arguments"))
        if not self.cwd.startswith("/"):
            faults.append(FieldError(field="cwd", message="not absolute", expected="a path from /", got=self.cwd))
        if len(self.stdin) > MOST_STDIN_BYTES:
            faults.append(
                FieldError(field="stdin", message=f"{len(self.stdin)} bytes", expected=f"at most {MOST_STDIN_BYTES}")
            )
        for name in ("head_bytes", "tail_bytes"):
            if not 0 <= getattr(self, name) <= MOST_KEPT_BYTES:
                faults.append(FieldError(field=name, message="out of range", expected=f"0 to {MOST_KEPT_BYTES}"))
        for name in ("timeout_seconds", "grace_seconds"):
            if (getattr(self, name) or 0) < 0:
                faults.append(FieldError(field=name, message="negative", expected="0 or more"))
        return faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The command runs as process `pid` since `at` (µs since the epoch). Told again to an owner that adopts."""

    id: str
    pid: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFailed:
    """No process was made: final, and told again until acknowledged.

    `stage` says what stood in the way: `spawn` (the program), `cwd`, `identity` (the user), `limits` (no process or
    descriptor for 10 s), `journal` (the disk), `cancelled` (taken back by `kill` or `stop` before its start),
    `duplicate` (it ran before, and its result was acknowledged).
    """

    id: str
    errno: int
    stage: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputGrew:
    """A hint that there is more to read; merged, and dropped when the owner is slow."""

    id: str
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The command has ended and its result is durable. Told again until acknowledged.

    Exactly one of `exit_code` and `signal` is set. Times are µs since the epoch. `held`: somebody kept the output
    open after the command's end. `cause`: why the keeper ended it (`timeout`, or the word given to `kill`).
    `left_running`: processes of its tree that live on. `max_rss_bytes` is never below the keeper's own size, about
    12 MB: the kernel counts the moment before exec.
    """

    id: str
    exit_code: int | None
    signal: int | None
    started_at: int
    ended_at: int
    output_total: int
    cpu_seconds: float
    max_rss_bytes: int
    held: bool
    cause: str | None
    left_running: tuple[int, ...]


Event = Started | StartFailed | OutputGrew | Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSlice:
    """Bytes `data` at `offset`, which is later than asked for where bytes were cut; empty when no more are kept.

    `total` counts everything that was written. `cut` are the ranges (first, one past last) that are not kept.
    A slice never spans a cut: go on at `offset + len(data)`.
    """

    data: bytes
    offset: int
    total: int
    cut: tuple[tuple[int, int], ...]
