"""`exec` and `sudo`: a playbook's shell command, as the connector's account or as root."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rota.actions.commands import environment, read_command
from rota.actions.spec import ActionSpec, OnHost, Params, Text
from rota.domain.step import Command, StepContext
from rota.templating.quoting import Quoting

# Root needs no sudo, and small images have none. `env` carries Rota's variables over sudo's cleared environment.
AS_ROOT = 'if [ "$(id -u)" -eq 0 ]; then exec "$@"; else exec sudo -n -- "$@"; fi'


class ExecParams(Params):
    """One command line."""

    command: Annotated[Text, Field(description="run by /bin/sh -c; values in {{ }} are quoted")]


def order_exec(params: ExecParams, context: StepContext) -> Command:
    return Command(argv=("/bin/sh", "-c", params.command), env=environment(context, {}))


def order_sudo(params: ExecParams, context: StepContext) -> Command:
    told = environment(context, {})
    carried = ("env", *(f"{name}={value}" for name, value in told.items()))
    return Command(argv=("/bin/sh", "-c", AS_ROOT, "sudo", *carried, "/bin/sh", "-c", params.command), env=told)


EXEC = ActionSpec(
    kind="exec",
    summary="Run a command line with /bin/sh",
    example={"command": "uptime"},
    params=ExecParams,
    work=OnHost(order_exec, read_command),
    main="command",
    templates={"command": Quoting.SHELL},
)

SUDO = ActionSpec(
    kind="sudo",
    summary="Run a command line with /bin/sh as root, through `sudo -n` unless already root",
    example={"command": "systemctl daemon-reload"},
    params=ExecParams,
    work=OnHost(order_sudo, read_command),
    main="command",
    templates={"command": Quoting.SHELL},
)
