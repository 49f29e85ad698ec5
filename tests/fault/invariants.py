"""What must hold of a store whatever was killed, worked out again with plain arithmetic and an outside witness."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from rota.domain.instant import SECOND, parse_rfc3339
from tests.support.daemon import Home

# The shell's `>>` opens with O_APPEND, and a line this short is one write: an outside record of each start.
WITNESS = "echo $ROTA_ATTEMPT_TOKEN >> $TMPDIR/witness"


def assert_nothing_lost_or_doubled(home: Home, *, planned_until: int) -> None:
    """Each nominal instant of each interval and once job is covered once, by a run or a ledger span: from the job's
    creation to the last that was planned, which for intervals is not before `planned_until` (µs)."""
    for job, created_at, rule, high_water in home.rows(
        "SELECT j.name, j.created_at, tt.rule, d.high_water FROM job j JOIN trigger t ON t.job_id = j.id"
        " JOIN timetable tt ON tt.id = t.timetable_id JOIN due d ON d.trigger_id = t.id"
    ):
        spec = json.loads(rule)
        if spec["kind"] == "interval":
            anchor, every = parse_rfc3339(spec["anchor"]), int(spec["every_seconds"] * SECOND)
            assert high_water >= planned_until, f"{job}: {planned_until - high_water} µs were never planned"
            first = created_at - (created_at - anchor) % every + every
        else:
            first, every = parse_rfc3339(spec["at"]), SECOND
            assert high_water == first, f"{job} never came due"
        covered, expected = _covered(home, job, every), Counter(range(first, high_water + 1, every))
        assert covered == expected, f"{job}: lost {expected - covered}, doubled {covered - expected}"


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
