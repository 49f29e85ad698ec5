"""Rota's kinds of click commands: with the global options, an example each, and groups that load when used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from rota.cli.session import FORMATS, Session


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Put a global option into the session. Callbacks run from the root inwards, so the innermost one wins."""
    if value is not None and value is not False and param.name:
        setattr(ctx.ensure_object(Session), param.name, value)


def _global_options() -> list[click.Parameter]:
    def option(*names: str, **settings: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_remember, **settings)

    return [
        option("-o", "--output", type=click.Choice(FORMATS), metavar="FORMAT", help=f"One of: {', '.join(FORMATS)}."),
        option("--home", metavar="FOLDER", help="Which instance: its folder. Also ROTA_HOME."),
        option("--server", metavar="URL", help="Which instance: a server. Also ROTA_SERVER."),
        option("--no-color", is_flag=True, help="No colours. Also NO_COLOR."),
        option("-y", "--yes", is_flag=True, help="Ask nothing, and take yes for the answer."),
        option("--no-input", is_flag=True, help="Ask nothing, and refuse what would need an answer."),
    ]


GLOBAL_OPTIONS = _global_options()


class Command(click.Command):
    """A command with an example, which its help prints."""

    def __init__(self, *args: Any, example: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.epilog = example

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _format_options(super().get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _format_example(self.epilog, formatter)


class Lazy(NamedTuple):
    """A subcommand that is imported when it is used. `help` is its short help, so that a listing imports nothing."""

    target: str  # "module:attribute"
    help: str


class Group(click.Group):
    """A group whose subcommands are named in a table; `aliases` are other names for some of them."""

    command_class = Command

    def __init__(
        self,
        *args: Any,
        example: str,
        lazy: Mapping[str, Lazy] | None = None,
        aliases: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.epilog = example
        self.lazy, self.aliases = dict(lazy or {}), dict(aliases or {})

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = self.aliases.get(cmd_name, cmd_name)
        if name not in self.lazy:
            return super().get_command(ctx, name)
        module, _, attribute = self.lazy[name].target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), f"{self.lazy[name].target} is not a command"
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            # click looks for near names among the commands it has loaded, and here that is none.
            known = self.list_commands(ctx)
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=known, ctx=ctx) from error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        _format_options(super().get_params(ctx), ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, entry.help) for name, entry in self.lazy.items()]
        rows += [(name, command.get_short_help_str(70)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _format_example(self.epilog, formatter)


def _format_options(own: list[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter) -> None:
    common = {id(option) for option in GLOBAL_OPTIONS}
    for title, options in (
        ("Options", [param for param in own if id(param) not in common]),
        ("Global options", GLOBAL_OPTIONS),
    ):
        records = [record for param in options if (record := param.get_help_record(ctx)) is not None]
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def _format_example(example: str | None, formatter: click.HelpFormatter) -> None:
    with formatter.section("Example"):
        for line in (example or "").splitlines():
            formatter.write(f"{' ' * formatter.current_indent}{line.strip()}\n")
