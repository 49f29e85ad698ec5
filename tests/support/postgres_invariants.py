"""What must hold of a store on PostgreSQL whatever was killed, worked out again by SQL and plain arithmetic, and from
what children wrote down themselves."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from rota.domain.instant import SECOND, parse_rfc3339

_UNFINISHED = "SELECT count(*) FROM run WHERE finished_at IS NULL"


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def one(url: str, query: str) -> Any:
    """The only column of the only row."""
    ((value,),) = rows(url, query)
    return value


def is_at_rest(url: str) -> bool:
    """Whether every run has ended and everybody has been told."""
    return not one(url, _UNFINISHED) and not one(url, "SELECT count(*) FROM outbox WHERE delivered_at IS NULL")


def assert_each_instant_is_covered_once(url: str) -> int:
    """Each instant of each interval trigger, from its job's creation to where it was planned, has one run or lies in
    one span of the ledger. Returns how many instants there were."""
    runs, spans, total = _runs(url), _spans(url), 0
    for trigger, created_at, high_water, rule in rows(
        url,
        "SELECT trigger.id, job.created_at, due.high_water, timetable.rule FROM trigger"
        " JOIN job ON job.id = trigger.job_id JOIN due ON due.trigger_id = trigger.id"
        " JOIN timetable ON timetable.id = trigger.timetable_id",
    ):
        spec = json.loads(rule)
        anchor, every = parse_rfc3339(spec["anchor"]), round(spec["every_seconds"] * SECOND)
        expected = range(created_at - (created_at - anchor) % every + every, high_water + 1, every)
        covered = runs[trigger]
        for first, last, count in spans[trigger]:
            instants = range(first, last + 1, every)
            assert count == len(instants), f"trigger {trigger}: a span counts {count}, and has {len(instants)}"
            covered.update(instants)
        lost, strays = set(expected) - covered.keys(), covered.keys() - set(expected)
        assert not lost, f"trigger {trigger}: lost {sorted(lost)[:5]} of {len(expected)}"
        assert not strays, f"trigger {trigger}: never due {sorted(strays)[:5]}"
        twice = [instant for instant, times in covered.items() if times > 1]
        assert not twice, f"trigger {trigger}: doubled {sorted(twice)[:5]}"
        total += len(expected)
    return total


def _runs(url: str) -> defaultdict[int, Counter[int]]:
    found: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for trigger, nominal in rows(url, "SELECT trigger_id, nominal FROM run WHERE nominal IS NOT NULL"):
        found[trigger][nominal] += 1
    return found


def _spans(url: str) -> defaultdict[int, list[tuple[int, int, int]]]:
    found: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for trigger, *span in rows(
        url, "SELECT trigger_id, first_nominal, last_nominal, count FROM ledger WHERE trigger_id IS NOT NULL"
    ):
        found[trigger].append((span[0], span[1], span[2]))
    return found


def assert_counters_are_true(url: str) -> None:
    """With nothing unfinished, no slot is taken, no job has an active run, nothing is held and nobody is untold."""
    assert one(url, _UNFINISHED) == 0
    for what in (
        "run_limit WHERE used <> 0", "job_state WHERE active <> 0", "run_target WHERE finished_at IS NULL",
        "attempt WHERE finished_at IS NULL", "run WHERE open_targets <> 0", "outbox WHERE delivered_at IS NULL",
        "host_lock", "(SELECT 1 FROM attempt GROUP BY run_target_id, step, number HAVING count(*) > 1) AS again",
    ):  # fmt: skip
        assert rows(url, f"SELECT * FROM {what}") == []


class Stay(NamedTuple):
    """One attempt as its child saw it: ns since the epoch by this machine's clock. `end` None: it wrote none."""

    job: str
    token: str
    begin: int
    end: int | None


def witness(folder: Path, *, stays: float) -> str:
    """A step whose child writes down when it begins and when it ends, `stays` seconds later. A line this short is one
    write, and `>>` appends."""
    line = f"$ROTA_JOB $ROTA_ATTEMPT_TOKEN $(date +%s%N) >> {folder / 'witness'}"
    return f"shell: echo begin {line}; sleep {stays:g}; echo end {line}"


def stays(folder: Path) -> list[Stay]:
    """What the children of `witness` wrote. Fails where an attempt began twice, or ended without having begun."""
    begun: dict[tuple[str, str], int] = {}
    ended: dict[tuple[str, str], int] = {}
    file = folder / "witness"
    for line in file.read_text().splitlines() if file.exists() else []:
        what, job, token, at = line.split()
        there = begun if what == "begin" else ended
        assert (job, token) not in there, f"{token} of {job}: {what} twice"
        there[job, token] = int(at)
    assert ended.keys() <= begun.keys()
    return [Stay(job, token, at, ended.get((job, token))) for (job, token), at in begun.items()]


def most_at_once(stays: Iterable[Stay]) -> int:
    """How many of these were at work at one time. Those that wrote no end were killed, nobody knows when: they count
    for the moment of their beginning."""
    edges = []
    for stay in stays:
        edges += [(stay.begin, 1), (stay.end or stay.begin, -1)]
    most = now = 0
    for _, step in sorted(edges):  # at one instant an end comes before a beginning
        now += step
        most = max(most, now)
    return most
