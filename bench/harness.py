"""What every benchmark has in common: contenders take turns, each figure is compared within its round.

A *turn* is one contender's measurement: a function that returns a `Sample`, starting and ending whatever it needs.
A *round* is one turn of each contender, back to back; the order changes from round to round, so that neither always
has the warmer machine. The ratio of a figure is the median of the rounds' own ratios: what slows the machine for a
minute slows both turns of that round. A turn that fails is kept and printed as failed; it is not tried again.
"""

from __future__ import annotations

import statistics
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ROUNDS = 5

Note = str | int | float


class TurnFailed(Exception):
    """A contender did not do what it was asked; the message says what it did instead."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one turn measured: figures by name, and notes (counts that were checked, sizes, side figures)."""

    figures: Mapping[str, float]
    notes: Mapping[str, Note] = field(default_factory=dict)


Turn = Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Goal:
    """`at most 0.35` or `at least 0.7`. Of the ratio ours ÷ theirs; where there is no peer, of our own median."""

    side: Literal["at most", "at least"]
    value: float

    def holds(self, measured: float) -> bool:
        return measured <= self.value if self.side == "at most" else measured >= self.value

    def __str__(self) -> str:
        return f"{self.side} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number to compare: `ours` ÷ `theirs`, contenders by name. `theirs` None: it stands alone.

    `resolution`: what is smaller counts as this much in the ratio, where a figure may be next to nothing.
    """

    name: str
    unit: str
    ours: str
    theirs: str | None = None
    goal: Goal | None = None
    resolution: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One benchmark. `prepare` gets a scratch folder (removed afterwards) and gives the contenders' turns by name."""

    name: str
    what: str
    prepare: Callable[[Path, ExitStack], Mapping[str, Turn]]
    figures: Sequence[Figure]
    raised: Mapping[str, str] = field(default_factory=dict)  # settings that are not the default, and why
    warm_up: str = "none: each turn starts its processes anew"
    discarded: int = 0  # rounds at the beginning that are not counted
    least_rounds: int = 1


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure over all rounds. None stands where a turn failed; `ratio` is the median of the rounds' ratios."""

    figure: Figure
    ours: tuple[float | None, ...]
    theirs: tuple[float | None, ...]

    @property
    def ratios(self) -> tuple[float | None, ...]:
        least = self.figure.resolution
        return tuple(ratio(ours, theirs, least) for ours, theirs in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float | None:
        return median(self.ratios)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is no goal. A figure of which a turn failed meets none."""
        goal = self.figure.goal
        if goal is None:
            return None
        if None in self.ours:
            return False
        measured = median(self.ours) if self.figure.theirs is None else self.ratio
        return measured is not None and goal.holds(measured)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All samples of a benchmark, by contender in the order of the rounds; a text is the reason a turn failed."""

    bench: Bench
    rounds: int
    samples: Mapping[str, Sequence[Sample | str]]

    def compared(self) -> list[Compared]:
        return [
            Compared(figure, self._series(figure, figure.ours), self._series(figure, figure.theirs))
            for figure in self.bench.figures
        ]

    def _series(self, figure: Figure, contender: str | None) -> tuple[float | None, ...]:
        if contender is None:
            return (None,) * self.rounds
        return tuple(
            None if isinstance(sample, str) else sample.figures.get(figure.name) for sample in self.samples[contender]
        )


def median(values: Sequence[float | None]) -> float | None:
    """The median of what is there; None if nothing is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def ratio(ours: float | None, theirs: float | None, resolution: float = 0.0) -> float | None:
    """ours ÷ theirs, each taken for `resolution` where it is less.

    None where either is missing, or where there is nothing to divide by.
    """
    if ours is None or theirs is None or not (divisor := max(theirs, resolution)):
        return None
    return max(ours, resolution) / divisor


def order(names: Sequence[str], number: int) -> list[str]:
    """Who goes when in round `number`: every other round backwards."""
    return list(names) if number % 2 == 0 else list(reversed(names))


def run(bench: Bench, *, rounds: int, tell: Callable[[str], None], scratch: Path | None = None) -> Outcome:
    """Run all rounds of a benchmark. `tell` hears of each turn as it ends; `scratch` is where its files go."""
    rounds = max(rounds, bench.least_rounds)
    with (
        tempfile.TemporaryDirectory(prefix="rota-bench-", dir=scratch, ignore_cleanup_errors=True) as folder,
        ExitStack() as stack,
    ):
        turns = bench.prepare(Path(folder), stack)
        samples: dict[str, list[Sample | str]] = {name: [] for name in turns}
        for number in range(-bench.discarded, rounds):
            for name in order(list(turns), number):
                sample = _take(turns[name])
                if number >= 0:
                    samples[name].append(sample)
                tell(f"  {_label(number):<8} {name:<22} {_line(sample)}")
    return Outcome(bench, rounds, samples)


def _take(turn: Turn) -> Sample | str:
    try:
        return turn()
    except TurnFailed as failure:
        return str(failure)
    except Exception as error:  # a peer may fail in any way, and the other rounds are still worth having
        return "".join(traceback.format_exception_only(error)).strip()


def _label(number: int) -> str:
    return f"round {number + 1}" if number >= 0 else "warm-up"


def _line(sample: Sample | str) -> str:
    if isinstance(sample, str):
        return f"FAILED: {sample}"
    words = [f"{name} {value:.4g}" for name, value in sample.figures.items()]
    return "  ".join(words + [f"{name}={value}" for name, value in sample.notes.items()])
