"""What this Rota is, and whether anything will fire."""

from __future__ import annotations

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.instant import SECOND, format_rfc3339
from rota.domain.trigger.tzversion import zone_data
from rota.ports import Tx
from rota.storage import clock_changes, jobs
from rota.usecases import resources, shapes
from rota.usecases.context import Context


async def describe(ctx: Context, principal: Principal) -> shapes.Instance:
    authorize(principal, Verb.READ, "instance")
    info = ctx.info

    def read(tx: Tx) -> shapes.Instance:
        total, enabled = jobs.count_jobs(tx)
        soonest = jobs.next_due(tx)
        return {
            "version": info.version,
            "home": info.home,
            "database": info.database,
            "instance_id": info.instance_id,
            "in_process": info.in_process,
            "daemon": resources.daemon(info.daemon),
            "jobs": {"total": total, "enabled": enabled},
            "next": None if soonest is None else {"job": soonest[0], "at": format_rfc3339(soonest[1])},
            "clock": _clock(tx, ctx),
            "disk_full_since": resources.instant(ctx.disk_full_since()),
            "zone": info.zone,
            "zone_data": str(zone_data()),
        }

    return await ctx.store.read(read)


def _clock(tx: Tx, ctx: Context) -> shapes.ClockNow:
    change = clock_changes.latest(tx)
    return {
        "doubt": ctx.clock_doubt(),
        "ahead_seconds": None if ctx.clock_ahead is None else ctx.clock_ahead() / SECOND,
        "last_change": None if change is None else resources.clock_change(change),
    }
