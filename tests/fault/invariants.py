"""What must hold of a store whatever was killed, worked out again with plain arithmetic and an outside witness."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tests.support.daemon import Home

SECOND = 1_000_000

# The shell's `>>` opens with O_APPEND, and a line this short is one write: an outside record of each start.
WITNESS = "echo $ROTA_ATTEMPT_TOKEN >> $TMPDIR/witness"


def assert_nothing_lost_or_doubled(home: Home) -> None:
    """Each nominal instant of each interval job, up to what was planned, is covered once: by a run or a ledger span."""
    for job, rule, high_water in home.rows(
        "SELECT j.name, tt.rule, d.high_water FROM job j JOIN trigger t ON t.job_id = j.id"
        " JOIN timetable tt ON tt.id = t.timetable_id JOIN due d ON d.trigger_id = t.id WHERE tt.kind = 'interval'"
    ):
        anchor, every = _interval(rule)
        covered: Counter[int] = Counter(
            row["nominal"]
            for row in home.rows(
                "SELECT nominal FROM run WHERE nominal IS NOT NULL AND job_id = (SELECT id FROM job WHERE name = ?)",
                job,
            )
        )
        for span in home.rows("SELECT * FROM ledger WHERE job_name = ? AND trigger_id IS NOT NULL", job):
            instants = range(span["first_nominal"], span["last_nominal"] + 1, every)
            assert span["count"] == len(instants), f"{job}: a span counts {span['count']}, and has {len(instants)}"
            covered.update(instants)
        expected = Counter(range(anchor + every, high_water + 1, every))
        assert expected, f"{job} never came due"
        assert covered == expected, f"{job}: lost {expected - covered}, doubled {covered - expected}"


def _interval(rule: str) -> tuple[int, int]:
    """(anchor, period) in µs, from the canonical rule of an interval trigger."""
    spec = json.loads(rule)
    return int(spec["anchor"]), int(spec["every"])


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
