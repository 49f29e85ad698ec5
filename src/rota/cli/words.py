"""Printed words for the states of the store: the seeds' words in tables, DESIGN's in JSON (parity C5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rota.usecases.shapes import LastRun, LedgerEntry, Run, RunEntry

_STATUS: Mapping[str, str] = {
    "succeeded": "success",
    "partial": "partial_failure",
    "failed": "failure",
}
_LAST_RUN: Mapping[str, str] = {"succeeded": "OK", "failed": "FAIL"}
_STATE_OF_WORD = {word: state for state, word in _STATUS.items()}

UNFINISHED = ("waiting", "queued", "running")

# Exit codes, DESIGN §4. A cancelled run did not do what was asked, so it counts as failed.
EXIT_OF_STATE: Mapping[str, int] = {
    "succeeded": 0,
    "failed": 1,
    "cancelled": 1,
    "partial": 3,
    "timed_out": 8,
    "skipped": 9,
    "expired": 9,
}

_COLOUR: Mapping[str, str] = {
    "succeeded": "32",
    "running": "36",
    "partial": "33",
    "skipped": "33",
    "cancelled": "33",
    "expired": "33",
    "failed": "31",
    "timed_out": "31",
    "unreachable": "31",
    "unknown": "35",
}


def status_word(state: str) -> str:
    """`succeeded` is printed `success`; a state without a word of its own is printed as it is."""
    return _STATUS.get(state, state)


def state_of(word: str) -> str:
    """The state that a printed word stands for; a state's own name is left alone."""
    return _STATE_OF_WORD.get(word, word)


def states_of(words: str) -> str:
    """The same for several with commas, as the API takes them."""
    return ",".join(state_of(word.strip()) for word in words.split(","))


def last_run_word(state: str) -> str:
    """`OK`, `FAIL`, or the state in capitals."""
    return _LAST_RUN.get(state, state.upper())


# What the word says already: most failures are a step's, whose message says more; and who cancelled it knows.
_PLAIN = frozenset({"step_failed", "step_timeout", "run_timeout", "user_cancelled"})


def run_status(run: Run | LastRun) -> str:
    """The STATUS of a run: its word, and in brackets the reason where the word alone would leave one guessing."""
    word, reason = status_word(run["state"]), run["reason"]
    if reason == "daemon_crashed" and (message := run.get("message")):
        return f"{word} ({message})"
    if reason and reason not in _PLAIN:
        return f"{word} ({reason})"
    if run["state"] == "waiting" and (waiting_for := run.get("waiting_for")):
        return f"{word} ({waiting_for})"
    return word


def ledger_status(entry: LedgerEntry) -> str:
    """`missed ×120`, `skipped (overlap_skip)`."""
    word = "missed" if entry["reason"] == "missed" else f"skipped ({entry['reason']})"
    return f"{word} ×{entry['count']}" if entry["count"] > 1 else word


def history_status(entry: RunEntry | LedgerEntry) -> str:
    return ledger_status(entry) if entry["kind"] == "ledger" else run_status(entry)


def painted(text: str, state: str) -> str:
    """`text` in the colour of `state`, with the codes of ECMA-48."""
    colour = _COLOUR.get(state)
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text
