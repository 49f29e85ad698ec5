"""What the kinds that run a command have in common: their environment, and how an exit is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from rota.domain.step import Exit, Json, StepContext, StepResult

LONGEST_STDOUT = 64 * 1024  # bytes; the tail, as the end of an output says most


def _not_ours(name: str) -> str:
    if name.startswith("ROTA_"):
        raise ValueError("names that begin with ROTA_ are set by Rota")
    return name


EnvName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=255), AfterValidator(_not_ours)
]
Account = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*\$?$", max_length=64)]
Folder = Annotated[str, StringConstraints(pattern=r"^/", max_length=4096)]


def run_environment(context: StepContext) -> dict[str, str]:
    """The variables every child sees (DESIGN §4)."""
    told = {
        "ROTA_RUN_ID": context.run.get("id"),
        "ROTA_JOB": context.run.get("job"),
        "ROTA_HOST": context.host.get("name"),
        "ROTA_ATTEMPT": context.run.get("attempt"),
        "ROTA_DUE_AT": context.run.get("due_at"),
        "ROTA_TRIGGER": context.run.get("trigger"),
    }
    return {name: "" if value is None else str(value) for name, value in told.items()}


def environment(context: StepContext, extra: Mapping[str, str]) -> dict[str, str]:
    """`extra` and what every child sees."""
    return {**extra, **run_environment(context)}


def read_command(params: object, ended: Exit) -> StepResult:
    """Judge a command by its exit code: 0 is good. `changed` is not known."""
    return read_exit(ended, changed=None)


def read_exit(ended: Exit, *, changed: bool | None) -> StepResult:
    """Judge a command by its exit code. Registered: stdout exit_code ok changed."""
    ok = ended.exit_code == 0
    stdout = ended.output[-LONGEST_STDOUT:].decode(errors="replace")
    registered: dict[str, Json] = {
        "stdout": stdout,
        "exit_code": ended.exit_code,
        "ok": ok,
        "changed": changed,
        "skipped": False,
    }
    return StepResult(ok=ok, message=_message(ended), exit_code=ended.exit_code, changed=changed, registered=registered)


def leftovers(ended: Exit) -> str:
    """What of a command's tree lives on, in words; empty for nothing. It goes behind any action's message."""
    if not ended.left_running:
        return ""
    count = "1 process" if ended.left_running == 1 else f"{ended.left_running} processes"
    return f"{count} may still be running"


def _message(ended: Exit) -> str:
    if ended.failure is not None:
        return f"did not start: {ended.failure}"
    if ended.signal is not None:
        return f"ended by signal {ended.signal}" + (f" ({ended.cause})" if ended.cause else "")
    return f"exit {ended.exit_code}"
