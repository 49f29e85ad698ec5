"""Rows become the JSON of the API here, and only here. Shapes: `shapes`."""

from __future__ import annotations

from rota.usecases.resources.common import fault, instant, rfc3339
from rota.usecases.resources.instance import clock_change, daemon
from rota.usecases.resources.inventory import host, local_host
from rota.usecases.resources.jobs import SHOWN_ACTION, action_short, job, job_in_list, step
from rota.usecases.resources.playbooks import playbook, playbook_item
from rota.usecases.resources.runs import (
    attempt,
    fan_out,
    ledger_entry,
    output,
    plan,
    run,
    run_change,
    run_detail,
    sought,
    target,
    waits,
)
from rota.usecases.resources.times import (
    SHOWN_NEXT,
    Standing,
    calendar,
    local,
    next_runs,
    no_next,
    pause,
    recurrence,
    shown_at,
    trigger,
    upcoming,
    zone_of,
)

__all__ = [
    "SHOWN_ACTION",
    "SHOWN_NEXT",
    "Standing",
    "action_short",
    "attempt",
    "calendar",
    "clock_change",
    "daemon",
    "fan_out",
    "fault",
    "host",
    "instant",
    "job",
    "job_in_list",
    "ledger_entry",
    "local",
    "local_host",
    "next_runs",
    "no_next",
    "output",
    "pause",
    "plan",
    "playbook",
    "playbook_item",
    "recurrence",
    "rfc3339",
    "run",
    "run_change",
    "run_detail",
    "shown_at",
    "sought",
    "step",
    "target",
    "trigger",
    "upcoming",
    "waits",
    "zone_of",
]
