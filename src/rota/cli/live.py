"""The live view: what hosts write scrolls by, and under it stay the run, how far it is, and its hosts at their steps.

rich is imported here and nowhere else, and only on a terminal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rota.cli import times
from rota.cli.badhosts import step_of
from rota.cli.lines import Lines
from rota.cli.session import harmless
from rota.cli.table import printable
from rota.cli.texts import short_id
from rota.cli.words import UNFINISHED, status_word

if TYPE_CHECKING:
    from rota.domain.instant import Micros
    from rota.usecases.shapes import Output, Run, Target

_TICK_SECONDS = 0.1
_LINES_A_TICK = 200  # more than anybody can read: of a flood the end is shown, and how much was left out
_ROWS_ABOVE_HOSTS = 6  # run line, progress, steps, titles, "more" and the cursor's own
_BAR = 30  # columns

_STYLES = {
    "succeeded": "green",
    "running": "cyan",
    "failed": "red",
    "timed_out": "red",
    "unreachable": "red",
    "unknown": "magenta",
    "partial": "yellow",
    "cancelled": "yellow",
    "skipped": "yellow",
}
# The hosts worth a row when there are more than rows: those that went wrong, then those at work.
_RANK = {"failed": 0, "timed_out": 0, "unreachable": 0, "unknown": 0, "running": 1, "queued": 2}


class LiveView:
    """One thread (the caller's) takes events, another redraws ten times a second, so that a flood costs little."""

    def __init__(self, *, colours: bool, now: Callable[[], Micros], console: Console | None = None) -> None:
        self._now = now
        self._console = console or Console(no_color=not colours, highlight=False, markup=False, emoji=False)
        self._lines = Lines(harmless=True)
        self._lock = threading.Lock()  # holds what is below
        self._pending: list[str] = []
        self._tails: dict[str, str] = {}  # the last line of each host
        self._run: Run | None = None
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()
        self._closing = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="rota-live", daemon=True)
        self._ticker.start()

    def show(self, run: Run) -> None:
        with self._lock:
            self._run = run

    def wrote(self, piece: Output) -> None:
        with self._lock:
            lines = list(self._lines.feed(piece))
            self._pending.extend(lines)
            if lines:
                self._tails[piece["host"]] = lines[-1].partition("| ")[2]

    def say(self, text: str) -> None:
        with self._lock:
            self._pending.append(harmless(text))

    def close(self) -> None:
        """Stop redrawing; what hosts wrote stays on the screen, the run's block gives way to the summary."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._ticker.join()
        with self._lock:
            self._pending.extend(self._lines.end())
        self._draw()
        self._live.stop()

    def _tick(self) -> None:
        while not self._closing.wait(_TICK_SECONDS):
            self._draw()

    def _draw(self) -> None:
        with self._lock:
            lines, self._pending = self._pending, []
            run, tails = self._run, dict(self._tails) if self._run is not None else {}
        if len(lines) > _LINES_A_TICK:
            left_out = len(lines) - _LINES_A_TICK
            lines = [f"… {left_out} lines left out here: rota runs logs …", *lines[-_LINES_A_TICK:]]
        if lines:
            self._console.print(Text("\n".join(lines)), soft_wrap=True)
        if run is not None:
            width, height = self._console.size
            rows = max(1, height - _ROWS_ABOVE_HOSTS)
            self._live.update(block(run, self._now(), width=width, rows=rows, tails=tails), refresh=True)


def block(run: Run, now: Micros, *, width: int, rows: int, tails: Mapping[str, str] | None = None) -> Group:
    """The run and at most `rows` of its hosts, each on one line of a terminal that is `width` columns wide.

    `tails` is what each host wrote last.
    """
    targets = run.get("targets", [])
    parts: list[Text | Table] = [_headline(run, now, width)]
    if len(targets) > 1:
        parts.append(_progress(run, width))
        if len(run.get("plan", {"steps": []})["steps"]) > 1:
            parts.append(_steps(run, targets))
    if targets:
        shown, others = _chosen(targets, rows)
        parts.append(_table(run, now, shown, width=width, tails=tails or {}))
        if others:
            parts.append(Text(f"  {_rest(others)}", style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def _chosen(targets: Sequence[Target], rows: int) -> tuple[list[Target], list[Target]]:
    """The targets that are worth a row, and the others: trouble first, but half of the rows are for those at work."""
    ranked = sorted(targets, key=lambda target: _RANK.get(target["state"], 3))
    bad = sum(_RANK.get(target["state"], 3) == 0 for target in targets)
    at_work = sum(target["state"] == "running" for target in targets)
    told = max(rows - at_work, rows // 2) if bad + at_work > rows else bad
    ranked = ranked[: min(bad, told)] + ranked[bad:] + ranked[min(bad, told) : bad]
    return ranked[:rows], ranked[rows:]


def _table(run: Run, now: Micros, targets: Sequence[Target], *, width: int, tails: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    # Long host names, steps and what hosts wrote give way before states and times do.
    several = len(run.get("plan", {"steps": []})["steps"]) > 1
    for title, most in (("  HOST", width * 3 // 10), ("STEP", width // 5), ("STATE", None), ("TIME", None)):
        if several or title != "STEP":
            table.add_column(title, max_width=most, no_wrap=True, overflow="ellipsis")
    table.add_column("LAST WORD", ratio=1, no_wrap=True, overflow="ellipsis", style="dim")
    for target in targets:
        word = (target["message"] if target["state"] not in UNFINISHED else None) or tails.get(target["host"], "")
        table.add_row(*_row(run, target, now, several=several), Text(printable(word)))
    return table


def _progress(run: Run, width: int) -> Text:
    """`████████░░░░  312/500 hosts: 305 success, 7 failure, 50 running, 138 queued`."""
    counts, total = run["targets_by_state"], max(run["hosts"]["total"], 1)
    ended = {state: count for state, count in counts.items() if state not in UNFINISHED}
    done = sum(ended.values())
    size = min(_BAR, width // 4)
    good = size * ended.get("succeeded", 0) // total
    filled = size * done // total
    going = {state: count for state, count in counts.items() if state in UNFINISHED}
    words = [f"{count} {status_word(state)}" for state, count in {**going, **ended}.items()]
    return Text.assemble(
        "  ",
        ("━" * good, "green"),
        ("━" * (filled - good), "red"),
        ("─" * (size - filled), "dim"),
        f"  {done}/{total} ended: {', '.join(words)}",
        no_wrap=True,
        overflow="ellipsis",
    )


def _steps(run: Run, targets: Sequence[Target]) -> Text:
    """How many hosts have each step behind them: `1 prepare 500 · 2 rotate 312 · 3 verify 20`."""
    names = [step["name"] for step in run["plan"]["steps"]]
    places = {name: place for place, name in enumerate(names)}
    behind = [0] * (len(names) + 1)
    for target in targets:
        behind[len(names) if target["state"] == "succeeded" else places.get(step_of(target) or "", 0)] += 1
    through = [sum(behind[place + 1 :]) for place in range(len(names))]
    told = " · ".join(
        f"{place} {printable(name)} {count}" for place, (name, count) in enumerate(zip(names, through, strict=True), 1)
    )
    return Text(f"  steps done: {told}", style="dim", no_wrap=True, overflow="ellipsis")


def _headline(run: Run, now: Micros, width: int) -> Text:
    title = Text(printable(run["title"]), style="bold")
    title.truncate(width // 3, overflow="ellipsis")
    state, hosts = run["state"], run["hosts"]
    waiting = f" for {run['waiting_for']}" if run["waiting_for"] else ""
    cancelling = " (cancelling)" if run["cancel_requested_at"] and state in UNFINISHED else ""
    return Text.assemble(
        title,
        f"  {short_id(run['id'])}  ",
        (f"{status_word(state)}{waiting}{cancelling}", _STYLES.get(state, "")),
        f"  {times.since(run['started_at'], run['finished_at'], now)}  {hosts['ok']}/{hosts['total']} hosts",
        no_wrap=True,
        overflow="ellipsis",
    )


def _row(run: Run, target: Target, now: Micros, *, several: bool) -> Iterator[Text]:
    state = target["state"]
    reason = f" ({target['reason']})" if target["reason"] else ""
    yield Text(f"  {target['host']}")
    if several:
        yield Text(printable(_step(run, target)))
    yield Text(f"{status_word(state)}{reason}", style=_STYLES.get(state, ""))
    yield Text(times.since(target["started_at"], target["finished_at"], now))


def _step(run: Run, target: Target) -> str:
    """`2/3 rotate`: the step a host is at, or was at when it stopped; `3/3` when it has done all."""
    names = [step["name"] for step in run["plan"]["steps"]] if "plan" in run else []
    if target["state"] == "succeeded":
        return f"{len(names)}/{len(names)}"
    step = step_of(target)
    return f"{names.index(step) + 1}/{len(names)} {step}" if step in names else step or times.NONE


def _rest(targets: list[Target]) -> str:
    counts: dict[str, int] = {}
    for target in targets:
        word = status_word(target["state"])
        counts[word] = counts.get(word, 0) + 1
    return f"and {len(targets)} more: " + ", ".join(f"{count} {word}" for word, count in counts.items())
