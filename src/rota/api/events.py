"""A run's events as a stream of server-sent events (WHATWG HTML 9.2)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from rota.api.answers import to_json
from rota.usecases.follow import Changed, End, Ping, RunEvent, Snapshot, Wrote


async def encoded(events: AsyncGenerator[RunEvent, None]) -> AsyncIterator[bytes]:
    """Each event as it comes; pieces of output that came together are sent together."""
    async with aclosing(events):
        async for event in events:
            match event:
                case Snapshot(run):
                    yield _event("run", run)
                case Changed(change):
                    yield _event("change", change)
                case Wrote(outputs):
                    yield b"".join(_event("output", output, f"id: {output['seq']}\n") for output in outputs)
                case End(run):
                    yield _event("end", run)
                case Ping():
                    yield b": ping\n\n"


def _event(name: str, data: Mapping[str, object], more: str = "") -> bytes:
    # JSON has no line breaks of its own, so one `data:` line always holds it.
    return f"event: {name}\n{more}data: ".encode() + to_json(data) + b"\n\n"
