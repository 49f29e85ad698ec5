"""Carries out prepared steps on this machine, as the local connector would, for the tests of actions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from rota.actions.prepare import SKIPPED, Instant, Ordered, Perform, Skip, prepare
from rota.connectors.local.fileops import command_for
from rota.domain.step import Exit, FileOp, Json, Order, Step, StepContext, StepResult
from rota.templating.renderer import Renderer


def a_context(
    *,
    variables: Mapping[str, Json] | None = None,
    registered: Mapping[str, Mapping[str, Json]] | None = None,
    host: Mapping[str, Json] | None = None,
) -> StepContext:
    return StepContext(
        variables=variables or {},
        registered=registered or {},
        host=host or {"name": "local", "os": "linux"},
        run={
            "id": "run_1",
            "job": "nightly",
            "attempt": 1,
            "token": "a1",
            "due_at": "2026-03-01T02:00:00Z",
            "trigger": "cron",
        },
    )


async def carry_out(order: Order, *, env: Mapping[str, str] | None = None) -> Exit:
    """Run the order as a child process; its stdout and stderr are its output."""
    command = command_for(order) if isinstance(order, FileOp) else order
    child = await asyncio.create_subprocess_exec(
        *command.argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=command.cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(Path.home()), **(env or {}), **command.env},
    )
    output, _ = await child.communicate(command.stdin)
    code = child.returncode or 0
    return Exit(
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        output=output[-65536:],
        output_total=len(output),
    )


async def do(
    step: Step, context: StepContext, renderer: Renderer, *, env: Mapping[str, str] | None = None
) -> StepResult:
    """Prepare a step and see it through."""
    match await prepare(step, context, renderer):
        case Skip(reason):
            return StepResult(ok=True, message=reason, registered=SKIPPED)
        case Ordered(order, read):
            return read(await carry_out(order, env=env))
        case Perform(perform):
            return await perform()
        case Instant(result):
            return result
