"""`hosts trust`: the keys by which hosts are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Command
from rota.cli.concurrently import ask
from rota.cli.emit import emit
from rota.cli.selectors import picked, typed_selector
from rota.cli.session import Session, out, say
from rota.cli.table import render
from rota.domain.errors import InvalidInput, RotaError

if TYPE_CHECKING:
    from rota.client.api import Client
    from rota.usecases.shapes import KeyCheck

_SOME, _CONFLICT, _UNAVAILABLE, _DECLINED = 3, 5, 6, 7
_LARGEST_BYTES = 16 * 1024 * 1024


@click.command(
    "trust",
    cls=Command,
    example="rota hosts trust group:web\nrota hosts trust web-1 --fingerprint SHA256:jq3v…\n"
    "rota hosts trust all --known-hosts /etc/ssh/ssh_known_hosts",
)
@click.argument("selector")
@click.option("--fingerprint", metavar="SHA256:…", help="Trust the key with this fingerprint, and no other.")
@click.option("--known-hosts", metavar="FILE", help="Trust what this file of host keys says as well.")
@click.option("--replace", is_flag=True, help="Give up the key a host was known by, where it shows another now.")
@click.pass_obj
def trust(session: Session, selector: str, fingerprint: str | None, known_hosts: str | None, replace: bool) -> int:
    """See and trust the keys that hosts show.

    SELECTOR may be the bare name of a host. Compare the fingerprints with what the hosts themselves say
    (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) before you agree. A key that has changed is only replaced with
    --replace. The exit code is 3 where only some of the hosts are known afterwards, 5 where keys have changed and 6
    where hosts cannot be asked.
    """
    if fingerprint is not None and known_hosts is not None:
        raise InvalidInput("--known-hosts does not go with --fingerprint", expected="one of them")
    with session.client() as client:
        names = picked(client, typed_selector(selector))
        says = _judge(client, fingerprint, known_hosts)
        checks = dict(ask(names, client.host_key))
        shown: dict[str, KeyCheck] = {}
        notes: dict[str, str] = {}
        for name in names:
            if isinstance(check := checks[name], RotaError):
                notes[name] = check.happened
            else:
                shown[name], notes[name] = check, _note(check, says, replace=replace)
        wanted = [name for name, check in shown.items() if _is_wanted(check, replace=replace) and not says(check)]
        if wanted and session.is_for_people:
            out(_table(shown, notes))
        is_said = fingerprint is not None or known_hosts is not None
        if wanted and not is_said and not session.confirm(_question(wanted, shown)):
            say("Not trusted.")
            return _DECLINED
        trusted: set[str] = set()
        for name, answer in ask(
            wanted, lambda name: client.trust_host(name, shown[name]["shown"]["fingerprint"], replace=replace)
        ):
            if isinstance(answer, RotaError):
                notes[name] = str(answer)
            else:
                trusted.add(name)
                notes[name] = "trusted now"
    known = trusted | {name for name, check in shown.items() if check["verdict"] == "known"}
    _tell(session, names, shown, notes, trusted, known, shown_before=bool(wanted))
    if len(known) == len(names):
        return 0
    if known:
        return _SOME
    return _CONFLICT if shown else _UNAVAILABLE


def _judge(client: Client, fingerprint: str | None, known_hosts: str | None) -> Callable[[KeyCheck], str]:
    """What speaks against a key by what the user gave to compare with; empty where nothing does."""
    if fingerprint is not None:
        return lambda check: "" if check["shown"]["fingerprint"] == fingerprint else f"not {fingerprint}"
    if known_hosts is None:
        return lambda check: ""
    from rota.importing.known_hosts import KnownHosts

    file = KnownHosts(_read(known_hosts))
    hosts = {host["name"]: host for host in client.hosts()["items"]}

    def says(check: KeyCheck) -> str:
        host = hosts[check["host"]]
        keys = file.keys_of(host["address"] or host["name"], host["port"] or 22)
        if not keys:
            return f"not in {known_hosts}"
        return "" if check["shown"]["line"] in keys else f"another key than in {known_hosts}"

    return says


def _read(name: str) -> str:
    path = Path(name).expanduser()
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read {name}: {error.strerror}", expected="a file such as known_hosts") from error
    if len(content) > _LARGEST_BYTES:
        raise InvalidInput(f"{name} is too large", expected=f"at most {_LARGEST_BYTES >> 20} MiB")
    return content.decode(errors="replace")


def _is_wanted(check: KeyCheck, *, replace: bool) -> bool:
    return check["verdict"] == "unknown" or (check["verdict"] == "changed" and replace)


def _note(check: KeyCheck, says: Callable[[KeyCheck], str], *, replace: bool) -> str:
    """What is to be said of a key before anything is done."""
    if check["verdict"] == "known":
        return "known"
    against = says(check)
    if check["verdict"] == "unknown":
        return against or "unknown"
    before = ", ".join(key["fingerprint"] for key in check["before"])
    told = f"CHANGED, was {before}"
    return f"{told}; {against}" if against else told if replace else f"{told}; to replace it add --replace"


def _question(wanted: list[str], shown: Mapping[str, KeyCheck]) -> str:
    changed = sum(shown[name]["verdict"] == "changed" for name in wanted)
    about = "this key" if len(wanted) == 1 else f"these {len(wanted)} keys"
    return f"Trust {about}" + (f", {changed} of which replace another?" if changed else "?")


def _table(shown: Mapping[str, KeyCheck], notes: Mapping[str, str]) -> str:
    rows = [
        [name, shown[name]["shown"]["algorithm"], shown[name]["shown"]["fingerprint"], note]
        if name in shown
        else [name, times.NONE, times.NONE, note]
        for name, note in notes.items()
    ]
    # Never cut to the terminal's width: half a fingerprint cannot be compared.
    return render(["HOST", "KEY", "FINGERPRINT", "IS"], rows, width=None)


def _tell(
    session: Session,
    names: list[str],
    shown: Mapping[str, KeyCheck],
    notes: Mapping[str, str],
    trusted: set[str],
    known: set[str],
    *,
    shown_before: bool,
) -> None:
    items = [{"host": name, **shown.get(name, {}), "trusted": name in trusted, "note": notes[name]} for name in names]

    def people() -> None:
        if not shown_before:
            out(_table(shown, notes))
        else:
            out("\n".join(f"{name}: {notes[name]}" for name in names))
        say(f"{len(known)}/{len(names)} hosts are known")

    emit(session, {"items": items}, people=people, name="host")
