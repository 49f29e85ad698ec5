"""What commands write: a lot of it, binary, without end, late; and what they read when nobody types."""

from __future__ import annotations

import json

from tests.support.daemon import Home

MEGABYTE = 1_000_000
KEPT_BYTES = 65_536 + 196_608  # head and tail, as the keeper's orders say


def test_of_100_mb_the_head_and_the_tail_are_kept_and_what_was_cut_is_said(served: Home) -> None:
    run = served.run("shell: echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last")
    end = served.finished(run)
    ((attempt,),) = (target["attempts"] for target in end["targets"])
    pieces = list(served.client.output(run))
    text = "".join(piece["text"] for piece in pieces)
    assert end["state"] == "succeeded"
    assert attempt["output_bytes"] == 100 * MEGABYTE + len("first\n" + "\n" + "last\n")
    assert text.startswith("first\nxxxx")
    assert text.endswith("xxxx\nlast\n")
    assert len(text) + sum(piece["cut"] for piece in pieces) == attempt["output_bytes"]


def test_of_100_mb_the_store_keeps_little(served: Home) -> None:
    run = served.run("shell: head -c 100000000 /dev/zero | tr '\\0' x")
    served.finished(run)
    assert len(served.output(run)) < MEGABYTE


def test_the_logs_of_a_flood_say_what_is_missing(served: Home) -> None:
    run = served.run("shell: head -c 30000000 /dev/zero | tr '\\0' '\\n'; echo last")
    served.finished(run)
    said = served.rota("runs", "logs", run)
    assert said.code == 0
    assert "MB not kept" in said.out
    assert said.out.endswith("| last\n")


def test_binary_output_is_shown_without_harm(served: Home) -> None:
    run = served.run("shell: printf '\\000\\001\\377\\376\\033[2J text \\342\\202\\254\\n'; head -c 5000 /dev/urandom")
    assert served.finished(run)["state"] == "succeeded"
    assert " text €\n" in served.output(run)
    as_json = served.rota("runs", "logs", run, "-o", "json")
    assert as_json.code == 0
    assert all(json.loads(line) for line in as_json.out.removesuffix("\n").split("\n"))


def test_endless_output_is_ended_by_the_timeout(served: Home) -> None:
    run = served.run("shell: yes", run_timeout_seconds=1)
    end = served.finished(run)
    assert end["state"] == "timed_out"
    assert len(served.output(run)) < MEGABYTE
    assert served.processes_of(run) == {}


def test_a_flooding_run_does_not_keep_another_from_its_end(served: Home) -> None:
    flood = served.run("shell: yes", run_timeout_seconds=30)
    served.await_output(flood, "y\ny\n")
    quick = served.finished(served.run("shell: echo quick"))
    assert quick["state"] == "succeeded"
    assert (quick["duration_seconds"] or 0) < 5
    served.client.cancel_run(flood)
    assert served.finished(flood)["state"] == "cancelled"


def test_a_command_that_reads_its_input_finds_its_end_at_once(served: Home) -> None:
    run = served.run("shell: cat; read answer || echo nobody answers")
    assert served.finished(run)["state"] == "succeeded"
    assert served.output(run) == "nobody answers\n"


def test_output_can_be_read_while_it_is_written(served: Home) -> None:
    gate = served.gate()
    run = served.run(f"shell: echo early; read line < {gate.path}; echo late")
    served.await_output(run, "early\n")
    assert served.client.run(run)["state"] == "running"
    gate.open()
    served.finished(run)
    assert served.output(run) == "early\nlate\n"
