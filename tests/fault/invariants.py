"""What must hold of a store whatever was killed, worked out again with plain arithmetic and an outside witness."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rota.domain.instant import SECOND, parse_rfc3339
from tests.support.daemon import Home

# The shell's `>>` opens with O_APPEND, and a line this short is one write: an outside record of each start.
WITNESS = "echo $ROTA_ATTEMPT_TOKEN >> $TMPDIR/witness"


def planned_beyond(home: Home, instant: int) -> dict[str, int]:
    """Up to where each job is planned, once each has been planned after `instant` (µs) or has nothing to come."""
    rows = home.rows(
        "SELECT j.name, d.high_water, d.nominal FROM job j JOIN trigger t ON t.job_id = j.id JOIN due d"
        " ON d.trigger_id = t.id"
    )
    is_beyond = all(row["high_water"] > instant or row["nominal"] is None for row in rows)
    return {row["name"]: row["high_water"] for row in rows} if is_beyond else {}


def assert_nothing_lost_or_doubled(home: Home, planned: Mapping[str, int]) -> None:
    """Each nominal instant of each interval and once job, from its creation to where `planned` says that it was planned
    (job → µs, read from a living daemon), is covered once: by a run or in a ledger span."""
    for job, created_at, rule in home.rows(
        "SELECT j.name, j.created_at, tt.rule FROM job j JOIN trigger t ON t.job_id = j.id"
        " JOIN timetable tt ON tt.id = t.timetable_id"
    ):
        spec = json.loads(rule)
        if spec["kind"] == "interval":
            anchor, every = parse_rfc3339(spec["anchor"]), int(spec["every_seconds"] * SECOND)
            first = created_at - (created_at - anchor) % every + every
            expected = set(range(first, planned[job] + 1, every))
        else:
            expected, every = {parse_rfc3339(spec["at"])}, SECOND
        covered = _covered(home, job, every)
        assert expected, f"{job} never came due"
        assert expected <= covered.keys(), f"{job}: lost {expected - covered.keys()}"
        assert set(covered.values()) == {1}, f"{job}: doubled, {covered}"
        strays = {instant for instant in covered if instant <= planned[job]} - expected
        assert not strays, f"{job}: never due, {strays}"


def _covered(home: Home, job: str, every: int) -> Counter[int]:
    """How often each instant of `job` has a run, or lies in a ledger span."""
    runs = home.rows(
        "SELECT nominal FROM run JOIN job ON job.id = job_id WHERE nominal IS NOT NULL AND job.name = ?", job
    )
    covered = Counter(int(row["nominal"]) for row in runs)
    for span in home.rows("SELECT * FROM ledger WHERE job_name = ? AND trigger_id IS NOT NULL", job):
        instants = range(span["first_nominal"], span["last_nominal"] + 1, every)
        assert span["count"] == len(instants), f"{job}: a span counts {span['count']}, and has {len(instants)}"
        covered.update(instants)
    return covered


def assert_started_at_most_once(home: Home) -> None:
    """No attempt was started twice, and each that is said to have succeeded was started."""
    starts = Counter(witnessed(home.tmp))
    twice = [token for token, times in starts.items() if times > 1]
    assert not twice, f"started twice: {twice}"
    succeeded = {
        f"att-{row['id']}"
        for row in home.rows(
            "SELECT a.id FROM attempt a JOIN run_target t ON t.id = a.run_target_id JOIN run r ON r.id = t.run_id"
            " WHERE a.state = 'succeeded' AND r.title IN (SELECT name FROM job WHERE name LIKE 'witness%')"
        )
    }
    assert succeeded <= starts.keys(), f"said to have succeeded, but never started: {succeeded - starts.keys()}"


def witnessed(folder: Path) -> list[str]:
    """The attempts that started, as they said themselves."""
    file = folder / "witness"
    return file.read_text().split() if file.exists() else []


def assert_counters_are_true(home: Home) -> None:
    """With nothing unfinished, no slot is taken, no job has an active run, no target is held and no outbox row open."""
    assert home.unfinished() == 0
    assert home.rows("SELECT * FROM run_limit WHERE used != 0") == []
    assert home.rows("SELECT * FROM job_state WHERE active != 0") == []
    assert home.rows("SELECT * FROM run_target WHERE finished_at IS NULL") == []
    assert home.rows("SELECT * FROM attempt WHERE finished_at IS NULL") == []
    assert home.rows("SELECT * FROM run WHERE open_targets != 0") == []
    assert home.rows("SELECT * FROM run_turn") == []
