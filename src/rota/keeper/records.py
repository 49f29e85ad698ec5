"""From the keeper's JSON to events, and from orders to its JSON. One place for both the socket and the journal."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rota.keeper.orders import Ended, OutputSlice, StartFailed, StartOrder
from rota.keeper.process.protocol import Message, encode

Record = Mapping[str, Any]  # as parsed, one function away from an event


class OrderWriter:
    """Writes orders for one connection. Environments hardly differ, so each is told as what differs from a base."""

    def __init__(self) -> None:
        self._base: Mapping[str, str] = {}

    def lines(self, orders: Iterable[StartOrder]) -> Iterator[bytes]:
        for order in orders:
            changed = self._difference(order.env)
            if 2 * len(changed) > len(order.env):
                self._base = dict(order.env)
                yield encode({"m": "base", "env": self._base})
                changed = {}
            yield _order_line(order, changed)

    def _difference(self, env: Mapping[str, str]) -> dict[str, str | None]:
        """What to set, and with None what to take away, to get from the base to `env`."""
        base = self._base
        changed: dict[str, str | None] = {name: text for name, text in env.items() if base.get(name) != text}
        if len(env) - len(changed) < len(base):
            changed.update((name, None) for name in base if name not in env)
        return changed


def _order_line(order: StartOrder, changed: Mapping[str, str | None]) -> bytes:
    message: Message = {
        "m": "start",
        "id": order.id,
        "argv": order.argv,
        "env": changed,
        "cwd": order.cwd,
        "umask": order.umask,
        "timeout": order.timeout_seconds,
        "grace": order.grace_seconds,
        "head": order.head_bytes,
        "tail": order.tail_bytes,
        "end_leftovers": order.end_leftovers,
    }
    if order.stdin:
        message["stdin"] = base64.b64encode(order.stdin).decode()
    if (who := order.run_as) is not None:
        message["user"] = {"name": who.name, "uid": who.uid, "gid": who.gid, "groups": who.groups}
    return encode(message)


def ended(record: Record) -> Ended:
    return Ended(
        id=record["id"],
        exit_code=record["code"],
        signal=record["sig"],
        started_at=record["t0"],
        ended_at=record["t1"],
        output_total=record["total"],
        cpu_seconds=record["cpu"],
        max_rss_bytes=record["rss"],
        held=record["held"],
        cause=record["cause"],
        left_running=tuple(record["left"]),
    )


def start_failed(record: Record) -> StartFailed:
    return StartFailed(id=record["id"], errno=record["errno"], stage=record["stage"], message=record["message"])


def memory_slice(kept: bytes, offset: int, limit: int, total: int) -> OutputSlice:
    """A piece of an output that was small enough to have no file."""
    return slice_of(kept[offset : offset + limit], offset, len(kept), total)


def slice_of(data: bytes, offset: int, kept: int, total: int) -> OutputSlice:
    """`data` from the first `kept` bytes; what the disk refused after them counts as cut."""
    cut = ((kept, total),) if kept < total else ()
    return OutputSlice(data=data, offset=offset if data else total, total=total, cut=cut)
