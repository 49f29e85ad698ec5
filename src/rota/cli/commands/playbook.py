"""`rota playbook`: what jobs can be made of."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Group
from rota.cli.emit import emit
from rota.cli.options import Faults, dry_run, variables_option
from rota.cli.session import Session, out, say
from rota.cli.table import render
from rota.cli.texts import labelled, step_lines, value_text
from rota.domain.errors import InvalidInput

if TYPE_CHECKING:
    from rota.domain.step import Json
    from rota.usecases.shapes import Playbooks

_LARGEST_BYTES = 1 << 20
_INVALID = 2
_NOT_REMOVED = 7


@click.group("playbook", cls=Group, example="rota playbook validate backup.yaml\nrota playbook import backup.yaml")
def playbook() -> None:
    """See, check, run and import playbooks: files of steps that schedules and runs name.

    Files in the instance's playbooks folder (rota paths) are there without being imported.
    """


@playbook.command("list", example="rota playbook list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the playbooks."""
    with session.client() as client:
        page = client.playbooks()

    def people() -> None:
        if not page["items"]:
            say("No playbooks yet. Import one: rota playbook import FILE")
            _tell_faults(page)
            return
        titles = ["NAME", "STEPS", "SOURCE", "UPDATED", "DESCRIPTION"]
        rows = [
            [
                item["name"],
                str(item["steps"]),
                item["source"],
                times.utc(item["updated_at"]),
                item["description"] or times.NONE,
            ]
            for item in page["items"]
        ]
        out(render(titles, rows, width=session.terminal_width))
        _tell_faults(page)

    emit(session, page, people=people)


@playbook.command("show", example="rota playbook show backup")
@click.argument("name")
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show a playbook: its variables, its steps, and its text with -o wide."""
    with session.client() as client:
        found = client.playbook(name)

    def people() -> None:
        rows = [
            ("Name", found["name"]),
            ("Description", found["description"] or times.NONE),
            ("Source", found["source"]),
            ("Digest", found["digest"]),
            ("Updated At", times.instant(found["updated_at"])),
        ]
        out("\n".join(labelled(rows)))
        if variables := found["vars"]:
            out("Variables:")
            out("\n".join(f"  {key} = {value_text(value)}" for key, value in sorted(variables.items())))
        out("Steps:")
        out("\n".join(step_lines(found["steps"])))
        if session.wide:
            out(f"\n{found['text']}".rstrip("\n"))

    emit(session, found, people=people)


@playbook.command("validate", example="rota playbook validate backup.yaml")
@click.argument("file")
@click.pass_obj
def validate(session: Session, file: str) -> int:
    """Check a playbook FILE (- is stdin) and name everything that is wrong with it."""
    text = _read(file)
    with session.client(may_pretend=True) as client:
        found = client.validate_playbook(text)

    def people() -> None:
        if found["valid"]:
            out(f"{file} is a valid playbook")
            return
        faults = Faults()
        for fault in found["errors"]:
            faults.add(fault["field"], fault["message"], expected=fault["expected"], hint=fault.get("hint", ""))
        faults.raise_any(hint=f"correct {file} and check again: rota playbook validate {file}")

    emit(session, found, people=people, name="valid")
    return 0 if found["valid"] else _INVALID


@playbook.command("run", example="rota playbook run backup --target group:web --var retention_days=30")
@click.argument("name")
@click.option("--target", metavar="SELECTOR", help="Where: all, host:a, group:web, @FILE and more.")
@variables_option
@click.option("--no-wait", is_flag=True, help="Do not wait for the end; needs a daemon.")
@dry_run
@click.pass_obj
def run(session: Session, name: str, target: str | None, variables: Sequence[str], no_wait: bool, dry_run: bool) -> int:
    """Run a playbook now, and watch it. The same as: rota run --playbook NAME."""
    from rota.cli.commands.run import start_ad_hoc

    faults = Faults()
    pairs, where = faults.variables(variables), faults.target(target)
    faults.raise_any()
    typed: dict[str, Json] = {"playbook": name, "target": where, "vars": {**pairs} or None}
    return start_ad_hoc(session, typed, no_wait=no_wait, dry_run=dry_run)


@playbook.command("import", example="rota playbook import backup.yaml --name nightly-backup")
@click.argument("file")
@click.option("--name", metavar="NAME", help="Call it so. Default: the name in the file.")
@dry_run
@click.pass_context
def import_(context: click.Context, file: str, name: str | None, dry_run: bool) -> int:
    """Store a playbook FILE (- is stdin) in the instance. Runs that were made keep the text they had."""
    if dry_run:
        return int(context.invoke(validate, file=file))
    session = context.ensure_object(Session)
    text = _read(file)
    with session.client(may_create=True) as client:
        found = client.import_playbook(text, name=name)
    emit(session, found, people=lambda: out(f'Playbook "{found["name"]}" imported ({found["digest"][:12]})'))
    return 0


@playbook.command("remove", example="rota playbook remove backup --yes")
@click.argument("name")
@dry_run
@click.pass_obj
def remove(session: Session, name: str, dry_run: bool) -> int:
    """Remove a playbook. Runs that were made keep its text."""
    with session.client() as client:
        found = client.playbook(name)
        answer = {"removed": found["name"], "id": found["id"]}
        if dry_run:
            emit(session, answer, people=lambda: out(f'Playbook "{found["name"]}" would be removed'), name="removed")
            return 0
        if not session.confirm(f'Remove playbook "{found["name"]}"?'):
            say("Not removed.")
            return _NOT_REMOVED
        client.remove_playbook(name)
    emit(session, answer, people=lambda: out(f'Playbook "{found["name"]}" removed'), name="removed")
    return 0


def _tell_faults(page: Playbooks) -> None:
    """Files that were not taken: a playbook that is there, but not as its file now says, must not surprise."""
    for item in page["items"]:
        for fault in item["faults"]:
            say(f"Warning: {item['source']} was not taken, its older text stays: {fault}")
    for file in page["faults"]:
        for fault in file["errors"]:
            say(f"Warning: {file['source']} was not taken: {fault}")


def _read(file: str) -> str:
    """The text of `file`, `-` for stdin. Raises InvalidInput where it cannot be read as text of a sane size."""
    try:
        if file == "-":
            content = sys.stdin.buffer.read(_LARGEST_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise InvalidInput(f"{file} is larger than a playbook may be", expected="at most 1 MiB")
        return content.decode()
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}", expected="a playbook file") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not text", expected="YAML in UTF-8") from error
