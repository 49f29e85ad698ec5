"""`script`: a program text run by an interpreter, by way of a private temporary file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from rota.actions.commands import Account, EnvName, Folder, environment, read_command
from rota.actions.spec import ActionSpec, OnHost, Params, Text
from rota.domain.errors import FieldError
from rota.domain.step import Command, Json, StepContext
from rota.templating.quoting import Quoting

LARGEST_SCRIPT = 512 * 1024  # characters

# A file and not /dev/fd, because node and others ask for the file's real path. The text comes by stdin, so that it
# is in no argv. The traps keep a TERM from leaving the file: they run once the interpreter, which is sent the same
# signal, has ended. Only a KILL of this very shell leaves it.
BOOTSTRAP = """\
umask 077
file=$(mktemp "${TMPDIR:-/tmp}/rota-script.XXXXXXXX") || exit 126
trap 'rm -f "$file"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
cat > "$file" || exit 126
"""


class ScriptParams(Params):
    """The text is never rendered: only its own language knows how to quote. Values come as `args` and `env`."""

    script: Annotated[Text, Field(description="the program text, as it is", max_length=LARGEST_SCRIPT)]
    interpreter: Annotated[
        Text, Field(description="program that runs it, with options: python3 -u", max_length=1000)
    ] = "/bin/sh"
    args: Annotated[list[str], Field(description="arguments of the script", default_factory=list)]
    env: Annotated[dict[EnvName, str], Field(description="variables added to the environment", default_factory=dict)]
    cwd: Annotated[Folder | None, Field(description="folder to run in, an absolute path")] = None
    run_as: Annotated[Account | None, Field(description="account to run as")] = None


def no_templates(params: Mapping[str, Json]) -> list[FieldError]:
    """Refuse what an author clearly meant to be rendered, and an interpreter that no shell could split."""
    faults = []
    script, interpreter = params.get("script"), params.get("interpreter")
    if isinstance(script, str) and re.search(r"\{\{-?\s*\.?(vars|Vars|host|run)\.", script):
        message = "a script's text is not a template, as Rota does not know how its language quotes"
        faults.append(FieldError(field="script", message=message, expected="the value as an item of `args` or `env`"))
    if isinstance(interpreter, str):
        try:
            words = shlex.split(interpreter)
        except ValueError as error:
            faults.append(FieldError(field="interpreter", message=str(error), expected="a program and its options"))
        else:
            if not words:
                faults.append(FieldError(field="interpreter", message="is empty", expected="such as python3 -u"))
    return faults


def order(params: ScriptParams, context: StepContext) -> Command:
    words = shlex.split(params.interpreter)
    run = f'{" ".join(shlex.quote(word) for word in words)} "$file" "$@" < /dev/null'
    return Command(
        argv=("/bin/sh", "-c", BOOTSTRAP + run, "rota-script", *params.args),
        env=environment(context, params.env),
        cwd=params.cwd,
        run_as=params.run_as,
        stdin=params.script.encode(),
    )


SCRIPT = ActionSpec(
    kind="script",
    summary="Run a program text with an interpreter",
    example={"script": 'echo "hello $1"\n', "args": ["{{ host.name }}"]},
    params=ScriptParams,
    work=OnHost(order, read_command),
    main="script",
    templates={"args": Quoting.PLAIN, "env": Quoting.PLAIN, "cwd": Quoting.PLAIN},
    rules=no_templates,
)
