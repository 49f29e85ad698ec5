"""`hosts ping`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Command
from rota.cli.concurrently import ask
from rota.cli.emit import emit
from rota.cli.selectors import picked, typed_selector
from rota.cli.session import Session, out, say
from rota.cli.table import render
from rota.domain.errors import RotaError

if TYPE_CHECKING:
    from rota.usecases.shapes import Ping

_SOME_FAILED, _NONE_ANSWERED = 3, 6


@click.command("ping", cls=Command, example="rota hosts ping group:web")
@click.argument("selector")
@click.pass_obj
def ping(session: Session, selector: str) -> int:
    """Log in to hosts, to see whether commands could run there.

    SELECTOR may be the bare name of a host. Nothing is changed on them. The exit code is 3 where some do not answer,
    and 6 where none does.
    """
    pings: dict[str, Ping] = {}
    with session.client() as client:
        names = picked(client, typed_selector(selector))
        for name, answer in ask(names, client.ping_host):
            pings[name] = _failed(name, answer) if isinstance(answer, RotaError) else answer
    items = [pings[name] for name in names]
    emit(session, {"items": items}, people=lambda: out(_table(session, items)), name="host")
    good = sum(ping["ok"] for ping in items)
    if session.is_for_people:
        say(f"{good}/{len(items)} hosts answer")
        if any(ping["reason"] == "host_key_unknown" for ping in items):
            say(f"To see and trust keys that are not known: rota hosts trust '{selector}'")
    return 0 if good == len(items) else _SOME_FAILED if good else _NONE_ANSWERED


def _failed(name: str, error: RotaError) -> Ping:
    return {"host": name, "ok": False, "reason": error.code, "message": str(error), "seconds": 0.0, "system": None}


def _result(ping: Ping) -> str:
    return "ok" if ping["ok"] else ping["reason"] or "failed"


def _table(session: Session, pings: list[Ping]) -> str:
    rows = [
        [
            ping["host"],
            _result(ping),
            ping["system"] or times.NONE,
            times.duration(ping["seconds"]) if ping["ok"] else times.NONE,
            times.NONE if ping["ok"] else ping["message"],
        ]
        for ping in pings
    ]
    return render(["HOST", "RESULT", "SYSTEM", "TOOK", "MESSAGE"], rows, width=session.terminal_width, elastic=[4])
