"""From the keeper's JSON to events, and from orders to its JSON. One place for both the socket and the journal."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from rota.keeper.orders import Ended, OutputSlice, StartFailed, StartOrder
from rota.keeper.process.protocol import Message, encode

Record = Mapping[str, Any]  # as parsed, one function away from an event


def order_line(order: StartOrder) -> bytes:
    message: Message = {
        "m": "start",
        "id": order.id,
        "argv": order.argv,
        "env": dict(order.env),
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
