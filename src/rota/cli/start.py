"""What `schedule trigger`, `run`, `playbook run` and `runs rerun` have in common: making a run, and what then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.cli.emit import emit
from rota.cli.session import Session, out, say
from rota.cli.texts import short_id, step_lines, value_text
from rota.cli.words import run_status
from rota.domain.errors import Unavailable

if TYPE_CHECKING:
    from rota.client.api import Client
    from rota.usecases.shapes import Planned, Run


def check_can_leave(client: Client, *, no_wait: bool) -> None:
    """Raise Unavailable where `--no-wait` would leave the run to nobody."""
    if no_wait and client.in_process:
        raise Unavailable(
            "--no-wait needs a daemon: without one, this command itself carries out the run",
            hint="start a daemon with: rota daemon, or leave out --no-wait",
        )


def started(session: Session, client: Client, run: Run, *, no_wait: bool) -> int:
    """Watch a new run to its end, or say where to find it. Returns the exit code."""
    if not no_wait:
        from rota.cli.watch import watch

        return watch(session, client, run)

    def people() -> None:
        name = short_id(run["id"])
        out(f"{name} {run_status(run)}")
        out(f"Watch it: rota runs watch {name}")

    emit(session, run, people=people, name="id")
    return 0


def print_plan(session: Session, planned: Planned) -> None:
    """What `--dry-run` of a run shows: hosts, steps, variables; nothing was made."""
    plan = planned["plan"]

    def people() -> None:
        out(f"Would run on: {', '.join(plan.get('hosts', [])) or 'no host'}")
        out("\n".join(step_lines(plan["steps"])))
        if variables := plan["vars"]:
            out("With:")
            for key, value in sorted(variables.items()):
                out(f"  {key} = {value_text(value)}")
        for use in plan.get("raw_uses", []):
            say(f"Warning: pasted into a command unquoted: {use}")
        out(f"Plan: {plan['digest'][:12]}")

    emit(session, planned, people=people)
