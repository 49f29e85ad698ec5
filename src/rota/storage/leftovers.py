"""What nobody refers to any more: superseded versions, plans and target sets without runs, what deleted jobs and hosts
leave behind.

All of it is looked for by readers, a span of ids at a time, and deleted by key. Where something could come into use
again between the two, the delete looks once more.

Plans and target sets are found by their content, by whoever is about to make a run, and no index leads from them to
runs: an index would be paid for by every start. So they are looked at once a day, and go in two steps. Those that were
there a day ago and that nobody uses are set aside, under a digest that nobody looks for; another day later, when
whoever had found them before has long made the run, they are deleted, or brought back where there is such a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from rota.domain.errors import RotaError
from rota.domain.instant import DAY, Micros
from rota.domain.job import JobSpec
from rota.ports import Tx
from rota.storage import freeze
from rota.storage.retention import KEPT_PER_JOB, MOST_ROWS

SPAN = 10_000  # ids of narrow rows that one look covers: about 5 ms
SPAN_OF_WIDE = 200  # of rows that are read as JSON
MOST_HOSTS = 100  # that one write forgets: each costs a walk over the members of groups
BETWEEN: Micros = DAY  # two looks at plans and target sets

Shared = Literal["plan", "target_set"]
Table = Literal["job", "run", "timetable", "host_version", "plan", "target_set"]

_OLD_VERSIONS = f"""
SELECT job_version.job_id, job_version.id
FROM job JOIN job_version ON job_version.job_id = job.id AND job_version.number <= job.version - {KEPT_PER_JOB}
WHERE job.id > ? AND job.id <= ? AND job.version > {KEPT_PER_JOB} AND job_version.created_at < ?
"""  # noqa: S608  # a number of our own
_GONE_JOBS = """
SELECT job.id FROM job
WHERE job.id > ? AND job.id <= ? AND job.deleted_at < ?
  AND NOT EXISTS (SELECT 1 FROM run WHERE run.job_id = job.id)
  AND NOT EXISTS (SELECT 1 FROM ledger WHERE ledger.job_id = job.id)
"""
_OF_JOB = (
    "DELETE FROM due WHERE trigger_id IN (SELECT id FROM trigger WHERE job_id = ?)",
    "DELETE FROM trigger WHERE job_id = ?",
    "DELETE FROM run_quota WHERE job_id = ?",
    "DELETE FROM job_state WHERE job_id = ?",
    "DELETE FROM job_version WHERE job_id = ?",
    "DELETE FROM job WHERE id = ?",
)
_UNUSED_TIMETABLES = """
SELECT id FROM timetable
WHERE id > ? AND id <= ? AND NOT EXISTS (SELECT 1 FROM trigger WHERE trigger.timetable_id = timetable.id)
"""
_DELETE_TIMETABLE = """
DELETE FROM timetable WHERE id = ? AND NOT EXISTS (SELECT 1 FROM trigger WHERE trigger.timetable_id = timetable.id)
"""
_OLD_HOST_VERSIONS = """
SELECT host_version.id FROM host_version JOIN host ON host.id = host_version.host_id
WHERE host_version.id > ? AND host_version.id <= ? AND host_version.created_at < ?
  AND (host.version_id <> host_version.id OR host.deleted_at < ?)
"""
_UNNAMED_ITEMS = """
SELECT id, digest FROM library_item
WHERE created_at < ? AND NOT EXISTS (SELECT 1 FROM library_name WHERE library_name.item_id = library_item.id)
ORDER BY id LIMIT ?
"""
_DELETE_ITEM = """
DELETE FROM library_item
WHERE id = ? AND NOT EXISTS (SELECT 1 FROM library_name WHERE library_name.item_id = library_item.id)
"""
_WANTED_JOBS = """
SELECT job_version.spec FROM job JOIN job_version ON job_version.id = job.version_id
WHERE job.id > ? AND job.id <= ? AND job.enabled AND job.deleted_at IS NULL
"""
_ASIDE = "aside"  # a digest "aside SINCE DIGEST"
_SEEN = "leftovers_seen"


def ids_of(tx: Tx, table: Table) -> tuple[int, int]:
    """The smallest and the largest id of the table; (1, 0) where it is empty."""
    # Each in a query of its own: SQLite finds one end of an index at once, and both by reading all of it.
    statement = f"SELECT (SELECT min(id) FROM {table}), (SELECT max(id) FROM {table})"  # noqa: S608  # names of our own
    first, last = tx.driver.execute(statement).fetchone()
    return (1, 0) if last is None else (first, last)


def find_old_versions(tx: Tx, after: int, *, before: Micros) -> list[int]:
    """Versions of the next SPAN jobs from before `before` that no run has, but for the last 20 of each."""
    old: dict[int, set[int]] = {}
    for job_id, version_id in tx.driver.execute(_OLD_VERSIONS, (after, after + SPAN, before)).fetchall():
        old.setdefault(job_id, set()).add(version_id)
    for job_id, versions in old.items():
        runs = tx.driver.execute("SELECT DISTINCT job_version_id FROM run WHERE job_id = ?", (job_id,))
        versions -= {version_id for (version_id,) in runs.fetchall()}
    return sorted(version_id for versions in old.values() for version_id in versions)


def find_gone_jobs(tx: Tx, after: int, *, before: Micros) -> list[int]:
    """Of the next SPAN jobs those deleted before `before` of which no history is left."""
    return _ids(tx, _GONE_JOBS, after, after + SPAN, before)


def forget_jobs(tx: Tx, job_ids: Iterable[int]) -> None:
    rows = [(job_id,) for job_id in job_ids]
    for statement in _OF_JOB:
        tx.driver.executemany(statement, rows)


def find_unused_timetables(tx: Tx, after: int) -> list[int]:
    return _ids(tx, _UNUSED_TIMETABLES, after, after + SPAN)


def delete_timetables(tx: Tx, ids: Iterable[int]) -> None:
    tx.driver.executemany(_DELETE_TIMETABLE, [(row_id,) for row_id in ids])


def used_by_runs(tx: Tx, after: int) -> tuple[set[int], set[int]]:
    """The plans and the target sets of the next SPAN runs."""
    statement = "SELECT DISTINCT plan_id, target_set_id FROM run WHERE id > ? AND id <= ?"
    rows = tx.driver.execute(statement, (after, after + SPAN)).fetchall()
    return {plan for plan, _ in rows}, {target_set for _, target_set in rows}


class Seen(NamedTuple):
    """The last look at plans and target sets: when it was, and the largest ids there were."""

    at: Micros
    plan: int
    target_set: int


def last_look(tx: Tx) -> Seen:
    """Kept in the store, so that a daemon that is started every day gets on with it."""
    row = tx.driver.execute("SELECT value FROM instance WHERE key = ?", (_SEEN,)).fetchone()
    return Seen(0, 0, 0) if row is None else Seen(*json.loads(row[0]))


def looked(tx: Tx, seen: Seen) -> None:
    tx.driver.execute("DELETE FROM instance WHERE key = ?", (_SEEN,))
    tx.driver.execute("INSERT INTO instance (key, value) VALUES (?, ?)", (_SEEN, json.dumps(seen)))


def look_now(tx: Tx) -> Seen:
    return Seen(tx.at, ids_of(tx, "plan")[1], ids_of(tx, "target_set")[1])


class Unused(NamedTuple):
    """Plans or target sets by id: those nobody uses, with their digests; set aside long ago, and used again."""

    fresh: dict[int, str]
    overdue: list[int]
    wanted: dict[int, str]


def find_unused(tx: Tx, table: Shared, after: int, *, used: set[int], known: int) -> Unused:
    """Look at the next SPAN rows. `used` are the ids that runs have; what is younger than `known` is left alone."""
    found = Unused({}, [], {})
    statement = f"SELECT id, digest FROM {table} WHERE id > ? AND id <= ?"  # noqa: S608  # names of our own
    for row_id, digest in tx.driver.execute(statement, (after, after + SPAN)).fetchall():
        if not digest.startswith(_ASIDE):
            if row_id not in used and row_id <= known:
                found.fresh[row_id] = digest
            continue
        _, since, own = digest.split(" ")
        if row_id in used:
            found.wanted[row_id] = own
        elif int(since) <= tx.at - BETWEEN:
            found.overdue.append(row_id)
    return found


class Needs(NamedTuple):
    """What runs of jobs would be made from as things stand: digests of plans, and selectors."""

    plans: set[str]
    selectors: set[str | None]


def needs_of_jobs(tx: Tx, after: int) -> Needs:
    """Of the next SPAN_OF_WIDE jobs that may fire. The planner may know their plans by heart, for days."""
    needs = Needs(set(), set())
    for (text,) in tx.driver.execute(_WANTED_JOBS, (after, after + SPAN_OF_WIDE)).fetchall():
        spec = JobSpec.from_dict(json.loads(text))
        needs.selectors.add(spec.target)
        try:
            needs.plans.add(freeze.plan_of(tx, spec).digest)
        except RotaError:
            continue  # it cannot run: what it names is gone
    return needs


def target_set_needed(tx: Tx, selector: str | None) -> str | None:
    """The digest of the hosts that a selector picks now; None where it cannot be read any more."""
    try:
        return freeze.digest_of(freeze.members_of(tx, selector))
    except RotaError:
        return None


def set_aside(tx: Tx, table: Shared, rows: Mapping[int, str]) -> None:
    """Let nobody find these any more. `rows`: their digests by id."""
    tx.driver.executemany(
        f"UPDATE {table} SET digest = ? WHERE id = ? AND digest = ?",  # noqa: S608  # names of our own
        [(f"{_ASIDE} {tx.at} {digest}", row_id, digest) for row_id, digest in rows.items()],
    )


def bring_back(tx: Tx, table: Shared, rows: Mapping[int, str]) -> None:
    """A run was made of these after all. Where there is an equal one by now both stay, this one for its runs only."""
    tx.driver.executemany(
        f"UPDATE {table} SET digest = ? WHERE id = ?"  # noqa: S608  # names of our own
        f" AND NOT EXISTS (SELECT 1 FROM {table} AS other WHERE other.digest = ?)",
        [(digest, row_id, digest) for row_id, digest in rows.items()],
    )


def find_old_host_versions(tx: Tx, after: int, *, before: Micros) -> list[int]:
    """Of the next SPAN those that are no longer their host's, or whose host is gone."""
    return _ids(tx, _OLD_HOST_VERSIONS, after, after + SPAN, before, before)


def host_versions_in_sets(tx: Tx, after: int) -> set[int]:
    """The host versions in the next SPAN_OF_WIDE target sets; so in those of all targets, too."""
    statement = "SELECT members FROM target_set WHERE id > ? AND id <= ?"
    rows = tx.driver.execute(statement, (after, after + SPAN_OF_WIDE)).fetchall()
    return {version for (text,) in rows for _, version, *_ in json.loads(text) if version is not None}


def find_gone_hosts(tx: Tx, *, before: Micros) -> list[int]:
    """Hosts deleted before `before` of which no version is left."""
    gone = _ids(tx, "SELECT id FROM host WHERE deleted_at < ?", before)
    left = set(_ids(tx, "SELECT DISTINCT host_id FROM host_version")) if gone else set[int]()
    return [host_id for host_id in gone if host_id not in left]


def find_unnamed_items(tx: Tx, *, before: Micros) -> dict[str, int]:
    """Up to MOST_ROWS texts of playbooks that have no name any more: ids by digest."""
    return {digest: row_id for row_id, digest in tx.driver.execute(_UNNAMED_ITEMS, (before, MOST_ROWS)).fetchall()}


def items_of_plans(tx: Tx, after: int) -> set[str]:
    """The digests of the texts that the next SPAN_OF_WIDE plans were made of."""
    statement = "SELECT content FROM plan WHERE id > ? AND id <= ?"
    rows = tx.driver.execute(statement, (after, after + SPAN_OF_WIDE)).fetchall()
    return {digest for (text,) in rows for digest in json.loads(text)["items"].values()}


def delete_items(tx: Tx, ids: Iterable[int]) -> None:
    tx.driver.executemany(_DELETE_ITEM, [(row_id,) for row_id in ids])


def delete(
    tx: Tx, table: Literal["plan", "target_set", "job_version", "host_version", "host"], ids: Iterable[int]
) -> None:
    """Delete rows that nothing can lead to again."""
    tx.driver.executemany(f"DELETE FROM {table} WHERE id = ?", [(row_id,) for row_id in ids])  # noqa: S608  # ours


def _ids(tx: Tx, statement: str, *values: int) -> list[int]:
    return [row_id for (row_id,) in tx.driver.execute(statement, values).fetchall()]
