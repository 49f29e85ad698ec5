"""What processes cost, as the kernel says; and ending them by their id."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench import process
from bench.process import Cost


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for its standard input to end, and can be found by a word."""
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", "a-word-of-its-own"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


def test_the_cpu_of_another_process_is_counted_finer_than_ticks(waiting: subprocess.Popen[bytes]) -> None:
    cost = Cost.of([waiting.pid])
    assert 0 < cost.cpu_seconds < 5
    assert cost.cpu_seconds != pytest.approx(cost.ticks / 100, abs=1e-9)


def test_a_process_that_only_waits_costs_nothing_more(waiting: subprocess.Popen[bytes]) -> None:
    assert Cost.of([waiting.pid]).wake_ups >= 0
    assert Cost.of([waiting.pid]).resident_mib > 1


def test_costs_of_processes_add_up(waiting: subprocess.Popen[bytes]) -> None:
    one = Cost.of([waiting.pid]).resident_mib
    assert Cost.of([waiting.pid, waiting.pid]).resident_mib == pytest.approx(2 * one)


def test_a_process_that_has_ended_has_no_cost_to_read() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    with pytest.raises(OSError, match=r".*"):
        Cost.of([done.pid])


def test_a_process_is_found_by_a_word_of_its_arguments(waiting: subprocess.Popen[bytes]) -> None:
    assert process.with_word("a-word-of-its-own") == [waiting.pid]


def test_a_process_is_ended_by_its_id(waiting: subprocess.Popen[bytes]) -> None:
    process.end(waiting.pid)
    assert waiting.wait(5) != 0


def test_ending_what_has_ended_is_no_error() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    process.end(done.pid)
