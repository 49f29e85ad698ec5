"""`shell`: a command line for /bin/sh, or an argv that no shell reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from rota.actions.commands import Account, EnvName, Folder, environment, read_command
from rota.actions.spec import ActionSpec, OnHost, Params, Text
from rota.domain.errors import FieldError
from rota.domain.step import Command, Json, StepContext
from rota.templating.quoting import Quoting


class ShellParams(Params):
    """Exactly one of `command` and `argv`."""

    command: Annotated[Text | None, Field(description="run by /bin/sh -c; values in {{ }} are quoted")] = None
    argv: Annotated[
        list[str] | None, Field(description="run directly; each value stays one argument", min_length=1)
    ] = None
    env: Annotated[dict[EnvName, str], Field(description="variables added to the environment", default_factory=dict)]
    cwd: Annotated[Folder | None, Field(description="folder to run in, an absolute path")] = None
    run_as: Annotated[Account | None, Field(description="account to run as")] = None


def one_of_both(params: Mapping[str, Json]) -> list[FieldError]:
    """Exactly one of `command` and `argv` must be given."""
    given = [name for name in ("command", "argv") if params.get(name) is not None]
    if len(given) == 1:
        return []
    message = "both are given" if given else "neither `command` nor `argv` is given"
    return [FieldError(field="command", message=message, expected="exactly one of `command` and `argv`")]


def order(params: ShellParams, context: StepContext) -> Command:
    argv = ("/bin/sh", "-c", params.command) if params.command is not None else tuple(params.argv or ())
    return Command(argv=argv, env=environment(context, params.env), cwd=params.cwd, run_as=params.run_as)


SHELL = ActionSpec(
    kind="shell",
    summary="Run a command line with /bin/sh, or an argv without a shell",
    example={"command": "df -h {{ vars.path | default('/') }}", "env": {"LC_ALL": "C"}},
    params=ShellParams,
    work=OnHost(order, read_command),
    main="command",
    templates={
        "command": Quoting.SHELL,
        "argv": Quoting.PLAIN,
        "env": Quoting.PLAIN,
        "cwd": Quoting.PLAIN,
    },
    rules=one_of_both,
)
