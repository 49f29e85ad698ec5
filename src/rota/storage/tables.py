"""Every table, once. Narrow hot rows (due, run, run_target, attempt, job_state) stand apart from wide cold ones.

Instants are integer µs UTC. `public_id` is the 16 hex digits of the public id without its kind prefix.
Reasons are free text here on purpose: the closed list is `domain.reasons`, and a CHECK would freeze it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from rota.domain.states import UNFINISHED_RUN, UNFINISHED_TARGET, AttemptState, RunState, TargetState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite gives 64-bit row ids only to a column typed INTEGER; PostgreSQL needs BIGINT.
Id = BigInteger().with_variant(Integer(), "sqlite")
Micros = BigInteger().with_variant(Integer(), "sqlite")


# Not `IN (…)`: SQLite builds a temporary index for the list at every single execution of a prepared statement, which
# made a run's insert and update three times as slow (measured: 10.7 and 9.5 µs against 4.9 and 2.6 without checks).
def _any_of(column: str, states: Iterable[StrEnum]) -> str:
    return " OR ".join(f"{column} = '{state}'" for state in states)


def _one_of(column: str, states: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(_any_of(column, states), name=column)


def _finished_with(states: Iterable[StrEnum]) -> CheckConstraint:
    """`finished_at` is set exactly when the state is final."""
    return CheckConstraint(f"(finished_at IS NULL) = ({_any_of('state', states)})", name="finished")


def _where(condition: str) -> dict[str, Any]:
    """Of a partial index. PostgreSQL's are made by the migrations: to say so here loads that dialect at each start."""
    return {"sqlite_where": text(condition)}


instance = Table("instance", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

# Ids are handed out in blocks inside the writing transaction, so that a batch knows its ids before it inserts,
# and an id is never used twice even when retention has emptied a table.
sequence = Table("sequence", metadata, Column("name", Text, primary_key=True), Column("value", Id, nullable=False))

job = Table(
    "job",
    metadata,
    Column("id", Id, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("version_id", Id, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", Micros, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("deleted_at", Micros),
)
Index("uq_job_live_name", job.c.name, unique=True, **_where("deleted_at IS NULL"))

job_version = Table(
    "job_version",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", Id, ForeignKey("job.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("spec", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("created_at", Micros, nullable=False),
    UniqueConstraint("job_id", "number"),
)

job_state = Table(
    "job_state",
    metadata,
    Column("job_id", Id, ForeignKey("job.id"), primary_key=True, autoincrement=False),
    Column("active", Integer, nullable=False),  # unfinished runs, waiting ones too
    Column("last_run_id", Id),
    Column("last_state", Text),
    Column("last_reason", Text),
    Column("last_kind", Text),
    Column("last_started_at", Micros),
    Column("last_finished_at", Micros),
)

timetable = Table(
    "timetable",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("rule", Text, nullable=False),  # canonical JSON of the trigger spec: kind, expression, zone, anchor
    UniqueConstraint("rule"),
)

trigger = Table(
    "trigger",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", Id, ForeignKey("job.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("timetable_id", Id, ForeignKey("timetable.id")),
    UniqueConstraint("job_id", "name"),
)

Index("ix_trigger_timetable", trigger.c.timetable_id)
# Triggers that are due when something happens rather than by a timetable: found at a daemon's start and when runs end.
Index("ix_trigger_event", trigger.c.id, **_where("kind = 'continuous' OR kind = 'on_start'"))

# Runs that the clock triggers of a job have made, for jobs with `max_runs` only.
run_quota = Table(
    "run_quota",
    metadata,
    Column("job_id", Id, ForeignKey("job.id"), primary_key=True, autoincrement=False),
    Column("made", Integer, nullable=False),
    Column("most", Integer, nullable=False),
)

# Which release of the time zone database the due instants were computed with, from when on. What was planned at an
# instant was computed with the newest row that is not later: so it is known for every run at no cost to any.
zone_data = Table(
    "zone_data",
    metadata,
    Column("id", Id, primary_key=True),
    Column("version", Text, nullable=False),
    Column("since", Micros, nullable=False),
)

due = Table(
    "due",
    metadata,
    Column("trigger_id", Id, ForeignKey("trigger.id"), primary_key=True, autoincrement=False),
    Column("nominal", Micros),  # the next instant the timetable names; NULL = none (yet), or disabled
    Column("fire_at", Micros),  # when to plan it (nominal plus any spread); a continuous trigger: when to look at it
    Column("high_water", Micros, nullable=False),  # no instant at or before this is ever planned again
    Column("generation", Integer, nullable=False),  # grows with every edit of the job
    Column("deferred_by", Text),  # the calendar that put it off until `fire_at`; NULL = it is due as its job says
)
Index("ix_due_fire_at", due.c.fire_at, **_where("fire_at IS NOT NULL"))

plan = Table(
    "plan",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("content", Text, nullable=False),
)

target_set = Table(
    "target_set",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("size", Integer, nullable=False),
    Column("members", Text, nullable=False),  # JSON [[host name, host_version id or null, connector, site or null], …]
)

run = Table(
    "run",
    metadata,
    Column("id", Id, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("job_id", Id),
    Column("job_version_id", Id),
    Column("title", Text, nullable=False),  # job name at that time, or the ad-hoc action's short form
    Column("trigger_id", Id),
    Column("nominal", Micros),
    Column("key", Text),
    Column("kind", Text, nullable=False),  # cron interval once manual rerun adhoc
    Column("catch_up", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("message", Text),
    Column("waiting_for", Text),
    Column("priority", Integer, nullable=False),
    Column("plan_id", Id, nullable=False),
    Column("target_set_id", Id, nullable=False),
    Column("total", Integer, nullable=False),
    Column("ok", Integer, nullable=False),
    Column("open_targets", Integer, nullable=False),
    Column("targets_at_once", Integer, nullable=False),
    Column("run_timeout", Micros, nullable=False),
    Column("principal", Text, nullable=False),
    Column("rerun_of", Id),
    Column("created_at", Micros, nullable=False),
    Column("due_at", Micros, nullable=False),
    Column("queued_at", Micros),
    Column("started_at", Micros),
    Column("finished_at", Micros),
    Column("cancel_requested_at", Micros),
    Column("cancel_reason", Text),
    Column("deferred_by", Text),  # the calendar that put it off from `nominal` to `due_at`
    _one_of("state", RunState),
    _finished_with(UNFINISHED_RUN),
)
Index("uq_run_clock", run.c.trigger_id, run.c.nominal, unique=True, **_where("nominal IS NOT NULL"))
Index("uq_run_key", run.c.job_id, run.c.key, unique=True, **_where("key IS NOT NULL"))
Index("ix_run_job", run.c.job_id, run.c.id)
Index("ix_run_unfinished", run.c.job_id, **_where("finished_at IS NULL"))
Index("ix_run_waiting", run.c.priority.desc(), run.c.due_at, run.c.id, **_where("state = 'waiting'"))

run_target = Table(
    "run_target",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", Id, nullable=False),
    Column("host", Text, nullable=False),  # name, or @controller
    Column("host_version_id", Id),
    Column("connector", Text, nullable=False),
    Column("site", Text),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("message", Text),
    Column("priority", Integer, nullable=False),
    Column("batch", Integer, nullable=False, server_default="0"),  # from 1; 0 = its run has no batches
    Column("not_before", Micros),  # while parked: when it is looked at again; NULL = when the host's lock is released
    Column("waiting_for", Text),  # while queued: what it is parked for (retry, host); NULL = it may be claimed
    Column("owner", Text),  # who claimed it (own_…)
    Column("fence", Integer, nullable=False),
    Column("lease_until", Micros),  # judged for remote workers only; NULL for owners on this machine
    Column("cursor", Integer, nullable=False),  # index of the step it is at
    Column("changed", Boolean),
    Column("lost_since", Micros),
    Column("started_at", Micros),
    Column("finished_at", Micros),
    _one_of("state", TargetState),
    _finished_with(UNFINISHED_TARGET),
)
Index("ix_run_target_run", run_target.c.run_id)
# Those that may be claimed. `site` is in it so that the thousands behind a full site are passed over cheaply.
Index(
    "ix_run_target_queued",
    run_target.c.priority.desc(),
    run_target.c.id,
    run_target.c.site,
    **_where("state = 'queued' AND waiting_for IS NULL"),
)
Index("ix_run_target_parked", run_target.c.not_before, **_where("state = 'queued' AND waiting_for IS NOT NULL"))
Index("ix_run_target_locked_out", run_target.c.host, **_where("state = 'queued' AND reason = 'host_locked'"))
Index("ix_run_target_held", run_target.c.owner, **_where("state = 'running'"))
Index("ix_run_target_at_work", run_target.c.run_id, run_target.c.site, **_where("state = 'running'"))
Index(
    "ix_run_target_open_batch", run_target.c.run_id, run_target.c.batch, **_where("batch > 0 AND finished_at IS NULL")
)
Index("ix_run_target_unknown", run_target.c.host, **_where("state = 'unknown'"))

# How a run spreads over its hosts, where it says anything beyond `targets_at_once`. Most runs have no row here.
run_fanout = Table(
    "run_fanout",
    metadata,
    Column("run_id", Id, primary_key=True, autoincrement=False),
    Column("rules", Text, nullable=False),  # JSON: domain.fanout.FanOut as it was said
    Column("on_offline", Text, nullable=False),  # fail, skip, wait
    Column("lock_hosts", Boolean, nullable=False),
    Column("spacing", Micros),  # least time between two starts (throttle)
    Column("last_batch", Integer, nullable=False),  # how many batches there are; 0 = none
    Column("batch_pause", Micros, nullable=False),
    Column("max_fail", Integer),  # with more bad targets than this, the rest is not started
    # what has become of it
    Column("open_batch", Integer, nullable=False),  # targets of this batch and of those before it may be claimed
    Column("next_start_at", Micros),  # no target starts before this: throttle, or the pause between two batches
    Column("bad", Integer, nullable=False),  # targets that ended badly so far
)

Index("ix_run_fanout_next_start_at", run_fanout.c.next_start_at, **_where("next_start_at IS NOT NULL"))

# What a run that has not started waits for beside its older runs and a slot: until when at most (start_within,
# queue_timeout), and when it is caught up in its turn. Most runs have no row here; it goes when they start, or later.
run_turn = Table(
    "run_turn",
    metadata,
    Column("run_id", Id, primary_key=True, autoincrement=False),
    Column("job_id", Id),
    Column("at_once", Integer, nullable=False),  # so many unfinished runs of its job may go beside it
    Column("spacing", Micros),  # least time between two starts of its job's runs that are caught up
    Column("not_before", Micros),
    Column("expires_at", Micros),  # unless it has started by then, it is expired, …
    Column("expires_as", Text),  # … for this reason
)
Index("ix_run_turn_expires_at", run_turn.c.expires_at, **_where("expires_at IS NOT NULL"))
Index("ix_run_turn_not_before", run_turn.c.not_before, **_where("not_before IS NOT NULL"))
Index("ix_run_turn_job", run_turn.c.job_id, **_where("spacing IS NOT NULL"))

# Who holds a host, for runs that want it to themselves.
host_lock = Table(
    "host_lock",
    metadata,
    Column("host", Text, primary_key=True),
    Column("run_id", Id, nullable=False),
    Column("run_target_id", Id, nullable=False, unique=True),
    Column("at", Micros, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_target_id", Id, nullable=False),
    Column("step", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("message", Text),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("changed", Boolean),
    Column("registered", Text),  # JSON, only where the step registers
    Column("output_bytes", Id),
    Column("evidence", Text),  # what was learnt after it had ended `unknown`; moves nothing
    Column("intended_at", Micros, nullable=False),  # committed before anything is started
    Column("started_at", Micros),  # the worker's clock when the order left
    Column("finished_at", Micros),
    _one_of("state", AttemptState),
    UniqueConstraint("run_target_id", "step", "number"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", Id, nullable=False),
    Column("job_name", Text, nullable=False),
    Column("trigger_id", Id),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text),
    Column("first_nominal", Micros, nullable=False),
    Column("last_nominal", Micros, nullable=False),
    Column("count", Integer, nullable=False),
    Column("blocked_by", Id),  # the run that was in the way
    Column("at", Micros, nullable=False),
)
Index("ix_ledger_job", ledger.c.job_id, ledger.c.id)
Index("ix_ledger_at", ledger.c.at)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", Micros, nullable=False),
    Column("delivered_at", Micros),
)
Index("ix_outbox_open", outbox.c.id, **_where("delivered_at IS NULL"))

run_limit = Table(
    "run_limit",
    metadata,
    Column("key", Text, primary_key=True),  # 'runs': max_concurrent_schedules over all jobs; 'targets'; 'site:NAME'
    Column("cap", Integer, nullable=False),
    Column("used", Integer, nullable=False),  # of 'runs'; targets at work are counted where they are claimed
)

owner = Table(
    "owner",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # daemon, command
    Column("pid", Integer, nullable=False),
    Column("started_at", Micros, nullable=False),
    Column("ended_at", Micros),
    Column("node", Text),  # whose home it works in, on a store that several share; NULL = the only one
    Column("seen_at", Micros),  # its last sign of life there
)

host = Table(
    "host",
    metadata,
    Column("id", Id, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("version_id", Id, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("deleted_at", Micros),
)
Index("uq_host_live_name", host.c.name, unique=True, **_where("deleted_at IS NULL"))

host_version = Table(
    "host_version",
    metadata,
    Column("id", Id, primary_key=True),
    Column("host_id", Id, nullable=False),
    Column("spec", Text, nullable=False),  # JSON: the facts of domain.inventory.Host
    Column("created_at", Micros, nullable=False),
    Column("number", Integer, nullable=False, server_default="1"),  # of this host's versions, from 1
)

host_group = Table(
    "host_group",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text, nullable=False, server_default=""),
    Column("selector", Text),  # a dynamic group: a saved selector; NULL = its members are rows of group_member
)

group_member = Table(
    "group_member",
    metadata,
    Column("group_id", Id, ForeignKey("host_group.id"), primary_key=True),
    Column("host_id", Id, ForeignKey("host.id"), primary_key=True),
)

library_item = Table(
    "library_item",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),  # playbook
    Column("digest", Text, nullable=False),
    Column("content", Text, nullable=False),  # the text as it was written
    Column("created_at", Micros, nullable=False),
    UniqueConstraint("digest", "kind"),
)

library_name = Table(
    "library_name",
    metadata,
    Column("id", Id, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("item_id", Id, ForeignKey("library_item.id"), nullable=False),
    Column("source", Text, nullable=False),  # file:backup.yaml, import
    Column("updated_at", Micros, nullable=False),
    UniqueConstraint("kind", "name"),
)

# When things may start. Whom a calendar concerns by itself stands in its spec; jobs name theirs in their versions.
calendar = Table(
    "calendar",
    metadata,
    Column("id", Id, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("spec", Text, nullable=False),  # JSON: domain.calendar_spec.CalendarSpec
    Column("created_at", Micros, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", Micros, nullable=False),
    Column("updated_by", Text, nullable=False),
)

pause = Table(
    "pause",
    metadata,
    Column("id", Id, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("scope", Text, nullable=False),  # all, tag, job
    Column("key", Text, nullable=False),  # `k` or `k=v`; the job's name at that time; empty for all
    Column("job_id", Id),
    Column("since", Micros, nullable=False),
    Column("until", Micros),  # NULL = until somebody resumes
    Column("reason", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("ended_at", Micros),  # resumed before its time was over
    Column("ended_by", Text),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Micros, nullable=False),
    Column("principal", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text),
)

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("key", Text, primary_key=True),
    Column("route", Text, nullable=False),
    Column("request", Text, nullable=False),  # digest of the body: the same key with other words is a conflict
    Column("run_id", Id, nullable=False),
    Column("at", Micros, nullable=False),
)
