"""`hosts import`: files are read here, and sent as one request that is carried out whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rota.cli.command import Command
from rota.cli.emit import emit
from rota.cli.options import dry_run, one_of
from rota.cli.session import Session, out, say
from rota.domain.errors import FieldError, InvalidInput, NotFound, RotaError

if TYPE_CHECKING:
    from rota.importing.reading import Reading
    from rota.usecases.shapes import Imported

_FORMATS = ["yaml", "csv", "ssh-config", "ansible"]
_SHOWN = 10


@click.command(
    "import",
    cls=Command,
    example="rota hosts import hosts.csv --group web\nrota hosts import ~/.ssh/config --dry-run\n"
    "rota hosts import inventory.ini --format ansible --update",
)
@click.argument("file")
@click.option("--format", "form", **one_of(_FORMATS), help="What the file is. Default: what it looks like.")
@click.option("--group", metavar="GROUP", help="Put all of them into this group too.")
@click.option("--update", is_flag=True, help="Change hosts that exist and differ; without it they are faults.")
@dry_run
@click.pass_obj
def import_(session: Session, file: str, form: str | None, group: str | None, update: bool, dry_run: bool) -> None:
    """Add many hosts from a file, all or none.

    FILE is YAML or JSON as "rota hosts list" prints it, CSV with a header, an ssh configuration, or an Ansible
    inventory (INI or YAML); - is standard input. What the file says and Rota has no use for is told.
    """
    reading = _read(file, form)
    if group is not None:
        reading.join_all(group)
    if reading.faults:
        raise InvalidInput.of([*reading.faults, *_judged(session, reading, update=update)], hint=_hint(file))
    with session.client(may_create=not dry_run, may_pretend=dry_run) as client:
        try:
            imported = client.import_hosts(reading.body(update=update), dry_run=dry_run)
        except (InvalidInput, NotFound) as error:
            faults = reading.in_places(error.errors)
            raise type(error)(error.happened, errors=faults, hint=error.hint) from error
    changed = [*imported["hosts_added"], *imported["hosts_updated"]]
    answer = {"items": [{"name": name} for name in changed]} if session.output == "name" else imported
    emit(session, answer, people=lambda: out("\n".join(_told(imported, dry_run=dry_run))))
    for what in reading.left_out():
        say(f"Not taken: {what}")
    for warning in imported["warnings"]:
        say(f"Warning: {warning}")
    if imported["hosts_added"] and not dry_run:
        say("Next, to see and trust their keys: rota hosts trust SELECTOR")


def _read(file: str, form: str | None) -> Reading:
    from rota.importing.formats import Format, read
    from rota.importing.reading import LARGEST

    if form is not None and form not in _FORMATS:
        fault = FieldError(field="--format", message=f'"{form}" is not known', expected=" or ".join(_FORMATS))
        raise InvalidInput.of([fault])
    if file == "-":
        text, name = _decoded(sys.stdin.buffer.read(LARGEST + 1), "standard input"), "standard input"
    else:
        path = Path(file).expanduser()
        try:
            with path.open("rb") as opened:
                text, name = _decoded(opened.read(LARGEST + 1), file), path.name
        except OSError as error:
            raise InvalidInput(f"cannot read {file}: {error.strerror}", expected="a file of hosts, or -") from error
    beside = Path.home() / ".ssh" if file == "-" else Path(file).expanduser().parent

    def includes(pattern: str) -> Sequence[tuple[str, str]]:
        return list(_included(beside, pattern))

    return read(text, name=name, format=None if form is None else Format(form), includes=includes)


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not text", expected="a file in UTF-8") from error


def _included(folder: Path, pattern: str) -> Iterator[tuple[str, str]]:
    """What `Include` of an ssh configuration means: files by a pattern; as ssh does, unreadable ones are none."""
    from glob import glob

    from rota.importing.reading import LARGEST

    for found in sorted(glob(str(folder / Path(pattern).expanduser()))):  # noqa: PTH207  # the pattern may be absolute
        path = Path(found)
        try:
            if path.is_file() and path.stat().st_size <= LARGEST:
                yield path.name, path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue


def _judged(session: Session, reading: Reading, *, update: bool) -> list[FieldError]:
    """What the server thinks of the rest, so that all faults are told at once."""
    try:
        with session.client(may_pretend=True) as client:
            client.import_hosts(reading.body(update=update), dry_run=True)
    except (InvalidInput, NotFound) as error:
        told = {fault.field for fault in reading.faults}
        return [fault for fault in reading.in_places(error.errors) if fault.field not in told]
    except RotaError:
        return []  # there is none to ask; what was found here is told all the same
    return []


def _hint(file: str) -> str:
    return f"nothing was imported; mend {file} and try again" if file != "-" else "nothing was imported"


def _told(imported: Imported, *, dry_run: bool) -> Iterator[str]:
    would = "would be " if dry_run else ""
    if added := imported["hosts_added"]:
        yield f"{_count(added, 'host')} {would}added: {_some(added)}"
    if updated := imported["hosts_updated"]:
        yield f"{_count(updated, 'host')} {would}updated: {_some(updated)}"
    if unchanged := imported["hosts_unchanged"]:
        yield f"{_count(unchanged, 'host')} unchanged"
    if groups := imported["groups_added"]:
        yield f"{_count(groups, 'group')} {would}added: {_some(groups)}"
    if changed := imported["groups_updated"]:
        yield f"{_count(changed, 'group')} {would}updated: {_some(changed)}"


def _count(names: list[str], what: str) -> str:
    return f"{len(names)} {what}" + ("" if len(names) == 1 else "s")


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
