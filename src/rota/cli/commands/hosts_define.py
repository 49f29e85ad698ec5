"""`hosts add|update|remove`: what a host is, as it is typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rota.cli.command import Command
from rota.cli.emit import emit
from rota.cli.inventory_flags import in_flags
from rota.cli.options import Faults, dry_run, one_of, with_options
from rota.cli.session import Session, out, say
from rota.cli.texts import short_id

if TYPE_CHECKING:
    from rota.domain.step import Json
    from rota.usecases.shapes import Host

F = TypeVar("F", bound=Callable[..., Any])
_NOT_REMOVED = 7

# Options that are one text each, and are taken away by an empty one.
_TEXTS = {
    "user": "The account to log in as. Default: the one that Rota runs as.",
    "os": "What it runs: linux, macos or windows.",
    "site": "The place it is at, as site:NAME in selectors.",
    "key_file": "Its private key; a relative path lies in the instance's keys folder.",
    "passphrase_file": "The passphrase of the key, in a file that only its owner can read.",
    "password_file": "The password for the login, in a file that only its owner can read.",
    "sudo_password_file": "The password for sudo, in a file that only its owner can read.",
    "jump": "The host that the way leads over.",
}


def _facts(command: F) -> F:
    """The options that `add` and `update` share."""
    return with_options(
        command,
        click.option("--address", metavar="ADDRESS[:PORT]", help="Where it is. Default: its name."),
        click.option("--port", metavar="PORT", help="Default: 22."),
        *(
            click.option(f"--{name.replace('_', '-')}", metavar="FILE" if "file" in name else name.upper(), help=text)
            for name, text in _TEXTS.items()
        ),
        click.option("--connector", **one_of(["ssh", "local"]), help="How it is reached. Default: ssh."),
        click.option("--tag", "tags", metavar="KEY[=VALUE]", multiple=True, help="A tag; may be repeated."),
        click.option("--var", "variables", metavar="KEY=VALUE", multiple=True, help="A variable; may be repeated."),
        click.option("--disabled/--enabled", default=None, help="Whether it is left out of all targets."),
        dry_run,
    )


@click.command(
    "add",
    cls=Command,
    example="rota hosts add web-1 --address 10.0.0.11 --user deploy --tag env=prod\n"
    "rota hosts add here --connector local",
)
@click.argument("name")
@_facts
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="A group it is in; may be repeated.")
@click.pass_obj
def add(session: Session, /, name: str, dry_run: bool, groups: Sequence[str], **options: Any) -> None:
    """Add a host."""
    faults = Faults()
    body = {"name": name, **_body(options, faults)}
    if groups:
        body["groups"] = [*groups]
    if faults:
        with session.client(may_pretend=True) as client:
            faults.join(lambda: in_flags(lambda: client.add_host(body, dry_run=True)))
        faults.raise_any(hint="such as: rota hosts add web-1 --address 10.0.0.11 --user deploy")
    with session.client(may_create=not dry_run, may_pretend=dry_run) as client:
        is_first = client.host("local")["in_all"]
        host = in_flags(lambda: client.add_host(body, dry_run=dry_run))
    told = f'Host "{host["name"]}" ' + ("would be added" if dry_run else f"added (ID: {short_id(host['id'])})")
    emit(session, host, people=lambda: out(told))
    _warn(host)
    if dry_run:
        return
    if host["connector"] == "ssh":
        say(f"Next, to see and trust its key: rota hosts trust host:{host['name']}")
    if is_first:
        say('From now on "all" means the hosts you add. This machine is still there, as host:local.')


@click.command(
    "update",
    cls=Command,
    example="rota hosts update web-1 --tag env=staging --disabled\nrota hosts update web-1 --jump '' --untag edge",
)
@click.argument("name")
@_facts
@click.option("--untag", "--unset-tag", "untag", metavar="KEY", multiple=True, help="Take a tag away; may be repeated.")
@click.option("--unset-var", "unset", metavar="KEY", multiple=True, help="Take a variable away; may be repeated.")
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="All groups it is in; may be repeated.")
@click.pass_obj
def update(
    session: Session,
    /,
    name: str,
    dry_run: bool,
    untag: Sequence[str],
    unset: Sequence[str],
    groups: Sequence[str],
    **options: Any,
) -> None:
    """Change a host; what is not named stays as it is.

    An empty value takes away what was said: --user ''. Runs under way keep the host as it was.
    """
    faults = Faults()
    body = _body(options, faults)
    _take_away(body, "tags", untag)
    _take_away(body, "vars", unset)
    if groups:
        body["groups"] = [group for group in groups if group]
    if not body and not faults:
        faults.add("", "nothing to change", expected="an option that names what to change")
        faults.raise_any(hint=f"such as: rota hosts update {name} --tag env=prod")
    with session.client() as client:
        if faults:
            faults.join(lambda: in_flags(lambda: client.update_host(name, body, dry_run=True)))
        faults.raise_any()
        before = client.host(name)
        host = in_flags(lambda: client.update_host(name, body, dry_run=dry_run))
    if all(host.get(field) == value for field, value in before.items()):
        told = "is like that already; nothing changed"
    else:
        told = "would be updated" if dry_run else "updated"
    emit(session, host, people=lambda: out(f'Host "{host["name"]}" {told}'))
    _warn(host)


@click.command("remove", cls=Command, example="rota hosts remove web-1 --yes")
@click.argument("name")
@dry_run
@click.pass_obj
def remove(session: Session, name: str, dry_run: bool) -> int:
    """Remove a host. Its part in the history stays."""
    with session.client() as client:
        host = client.host(name)
        client.remove_host(name, dry_run=True)  # what stands in the way is told before anything is asked
        if not dry_run:
            if not session.confirm(f'Remove host "{host["name"]}"? Its part in the history stays.'):
                say("Not removed.")
                return _NOT_REMOVED
            client.remove_host(name)
    word = "would be removed" if dry_run else "removed"
    answer = {"removed": host["name"], "id": host["id"]}
    emit(session, answer, people=lambda: out(f'Host "{host["name"]}" {word}'), name="removed")
    return 0


def _body(options: dict[str, Any], faults: Faults) -> dict[str, Json]:
    """The API's fields for what was typed; an empty text is null."""
    body: dict[str, Json] = {name: options[name] or None for name in _TEXTS if options[name] is not None}
    if options["connector"] is not None:
        body["connector"] = options["connector"]
    if options["address"] is not None:
        address, port = _address(options["address"])
        body["address"] = address or None
        if port is not None:
            if options["port"] is not None:
                faults.add("--port", f"does not go with --address {options['address']}", expected="one of them")
            _put_port(body, "--address", port, faults)
    if options["port"] is not None:
        _put_port(body, "--port", options["port"], faults)
    if options["tags"]:
        body["tags"] = {key: value for key, _, value in (pair.partition("=") for pair in options["tags"])}
    if pairs := faults.variables(options["variables"]):
        body["vars"] = {**pairs}
    if options["disabled"] is not None:
        body["disabled"] = options["disabled"]
    return body


def _address(text: str) -> tuple[str, str | None]:
    """`10.0.0.1:2222`, `[fe80::1]:2222`, `fe80::1`: the address and, where one is said, the port."""
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        return address, rest.removeprefix(":") or None
    address, colon, port = text.partition(":")
    return (address, port) if colon and ":" not in port else (text, None)


def _put_port(body: dict[str, Json], option: str, text: str, faults: Faults) -> None:
    if not text:
        body["port"] = None
    elif text.isascii() and text.isdecimal() and len(text) <= 9:
        body["port"] = int(text)
    else:
        faults.add(option, f'"{text[:80]}" is not a port', expected="1 to 65535", got=text[:80])


def _take_away(body: dict[str, Json], field: str, keys: Sequence[str]) -> None:
    if keys:
        said = body.get(field)
        body[field] = {**(said if isinstance(said, dict) else {}), **dict.fromkeys(keys)}


def _warn(host: Host) -> None:
    for warning in host.get("warnings", []):
        say(f"Warning: {warning}")
