"""The daemon and its clocks."""

from __future__ import annotations

from rota.domain.instant import format_rfc3339
from rota.storage.clock_changes import Recorded
from rota.usecases import shapes
from rota.usecases.context import DaemonInfo
from rota.usecases.resources.common import instant


def daemon(info: DaemonInfo) -> shapes.Daemon:
    return {
        "running": info.running,
        "pid": info.pid,
        "started_at": instant(info.started_at),
        "scheduling": info.scheduling,
    }


def clock_change(change: Recorded) -> shapes.ClockChange:
    before, at = format_rfc3339(change.start), format_rfc3339(change.until)
    return {"kind": change.kind, "before": before, "at": at, "message": change.said}
