"""Policies with the real program: queues, patience, further tries, and what is made up for after a daemon was away."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support.daemon import Home, until

SKIPPED, FAILED = 9, 1


def create(home: Home, name: str, do: str, *more: str) -> None:
    said = home.rota("schedule", "create", "--name", name, "--do", do, *more)
    assert said.code == 0, said.err


def tries(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def an_hour_ago(home: Home) -> None:
    """As if no daemon had planned for an hour."""
    with closing(sqlite3.connect(home.path / "rota.db")) as store, store:
        store.execute("UPDATE due SET nominal = nominal - 3600000000, fire_at = fire_at - 3600000000, high_water = 0")


def test_a_run_queues_behind_the_one_before_it_and_then_starts(served: Home) -> None:
    gate, was_here = served.gate(), served.tmp / "was-here"
    command = f"shell: test -e {was_here} || read line < {gate.path}; touch {was_here}"
    create(served, "queued", command, "--manual", "--overlap-policy", "queue")
    first, second = (served.client.trigger_job("queued")["id"] for _ in range(2))
    assert served.rota("schedule", "trigger", "queued").code == SKIPPED
    assert "waits until the run before it has really ended" in served.rota("why", second).out
    gate.open()
    assert served.finished(first)["state"] == "succeeded"
    assert served.finished(second)["state"] == "succeeded"
    began = [served.client.run(run)["started_at"] or "" for run in (first, second)]
    assert began == sorted(began)


def test_a_run_that_waits_longer_than_it_may_expires_and_the_command_says_so(served: Home) -> None:
    gate = served.gate()
    create(served, "hasty", f"shell: read line < {gate.path}", "--manual", "--overlap-policy", "queue",
           "--queue-timeout", "1s")  # fmt: skip
    first = served.client.trigger_job("hasty")["id"]
    said = served.rota("schedule", "trigger", "hasty")
    assert said.code == SKIPPED
    [second] = [run for run in served.client.runs(job="hasty", limit=10)["items"] if run["id"] != first]
    assert (second["state"], second["reason"]) == ("expired", "queue_expired")
    gate.open()
    assert served.finished(first)["state"] == "succeeded"


def test_a_step_is_tried_again_after_the_exit_codes_it_names(served: Home) -> None:
    path = served.tmp / "tries"
    command = f"shell: echo x >> {path}; test $(wc -l < {path}) = 3 || exit 75"
    create(served, "again", command, "--manual", "--retries", "5", "--retry-delay", "0s", "--retry-on", "exit:75")
    assert served.rota("schedule", "trigger", "again").code == 0
    assert len(tries(path)) == 3


def test_a_step_is_not_tried_again_after_another_exit_code(served: Home) -> None:
    path = served.tmp / "once"
    create(served, "not-again", f"shell: echo x >> {path}; exit 1", "--manual", "--retries", "5", "--retry-delay", "0s",
           "--retry-on", "exit:75")  # fmt: skip
    assert served.rota("schedule", "trigger", "not-again").code == FAILED
    assert len(tries(path)) == 1


def test_what_a_daemon_missed_is_caught_up_when_it_is_back(home: Home) -> None:
    path = home.tmp / "caught"
    create(home, "poll", f"shell: echo $ROTA_DUE_AT >> {path}", "--every", "1s", "--grace", "1s",
           "--missed-run-policy", "run_all", "--catch-up-max", "3", "--catch-up-rate", "100/s",
           "--overlap-policy", "queue", "--max-runs", "3")  # fmt: skip
    an_hour_ago(home)
    home.daemon()
    until(lambda: len(tries(path)) == 3)
    assert tries(path) == sorted(tries(path))
    [missed] = home.rows("SELECT reason, count, message FROM ledger WHERE reason = 'missed'")
    assert missed["count"] > 3500
    assert missed["message"] == "the 3 newest were caught up"
