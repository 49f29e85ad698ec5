"""One attempt as the keeper knows it, from the order to the acknowledged result."""

from __future__ import annotations

import binascii

from .protocol import INLINE_BYTES, Message
from .ring import Output


class Identity:
    """Whom the child becomes."""

    __slots__ = ("gid", "groups", "name", "uid")

    def __init__(self, name: str, uid: int, gid: int, groups: list[int]) -> None:
        self.name, self.uid, self.gid, self.groups = name, uid, gid, groups


class Attempt:
    """Fields in the order in which they come to be known. Raises KeyError, TypeError or ValueError on a bad order."""

    __slots__ = (  # noqa: RUF023 (by the moment at which they matter)
        "id", "argv", "env", "cwd", "umask", "timeout", "grace", "end_leftovers", "stdin", "identity", "output",
        "retry_until", "pid", "started_at", "bracket", "output_fd", "error_fd", "eof", "timers",
        "cause", "kill_at", "rounds", "known",
        "status", "reaped_tick", "ended_at", "cpu", "rss", "lingering", "lingered", "left",
    )  # fmt: skip

    def __init__(self, order: Message, outputs: str, base: dict[str, str]) -> None:
        self.id = str(order["id"])
        if "/" in self.id:
            raise ValueError("an id names a file")
        self.argv = _strings(order["argv"])
        changes = order["env"]
        if not isinstance(changes, dict) or not self.argv:
            raise ValueError("an order needs argv and env")
        self.env: dict[str, str] = {**base, **changes}
        for name in [name for name, text in changes.items() if text is None]:
            del self.env[name]
        self.cwd = str(order["cwd"])
        self.umask = _integer(order["umask"])
        timeout = order["timeout"]
        self.timeout = None if timeout is None else _number(timeout)
        self.grace = _number(order["grace"])
        self.end_leftovers = bool(order["end_leftovers"])
        self.stdin = binascii.a2b_base64(str(order.get("stdin", "")))
        self.identity = _identity(order.get("user"))
        self.output = Output(
            f"{outputs}/{self.id}", head=_integer(order["head"]), tail=_integer(order["tail"]), inline=INLINE_BYTES
        )
        self.retry_until: float | None = None  # while the machine has no process or descriptor to spare
        self.pid = 0
        self.started_at = 0  # µs since the epoch
        self.bracket = (0.0, 0.0)  # CLOCK_BOOTTIME before and after the spawn
        self.output_fd = self.error_fd = -1
        self.eof = False  # the output's end, which says nothing about the command's end
        self.timers: list[int] = []
        self.cause: str | None = None
        self.kill_at: float | None = None  # when TERM turns into KILL; None while nobody wants an end
        self.rounds = 0
        self.known: dict[int, int] = {}  # pid → start tick of the tree as last seen
        self.status: int | None = None  # wait status, once reaped
        self.reaped_tick = 0
        self.ended_at = 0
        self.cpu, self.rss = 0.0, 0
        self.lingering = self.lingered = False  # waits for the end of its output; has waited long enough
        self.left: list[int] = []

    @property
    def alive(self) -> bool:
        return self.pid != 0 and self.status is None


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("expected a list")
    return [str(word) for word in value]


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("expected an integer")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError("expected a number")
    return float(value)


def _identity(user: object) -> Identity | None:
    if not isinstance(user, dict):
        return None
    return Identity(str(user["name"]), _integer(user["uid"]), _integer(user["gid"]), [*map(int, user["groups"])])
