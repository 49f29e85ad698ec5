"""Moving a job's starts off the instant that its timetable names: always by the same length, or each by its own.

Both are hashes, so that a restart, another replica and a preview agree. The nominal instant stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from rota.domain.errors import FieldError
from rota.domain.instant import SECOND, Micros, format_span
from rota.domain.trigger.timetable import Timetable

_INSTANTS_LOOKED_AT = 500  # a cron expression repeats its smallest distance long before that


@dataclass(frozen=True, slots=True)
class Spreading:
    """`spread`: one offset for the whole job, below that. `jitter`: one for each instant. Whole seconds both.

    `seed` is the job's name: so a job that is not saved yet can be previewed exactly.
    """

    seed: str
    spread: Micros = 0
    jitter: Micros = 0

    @property
    def fixed(self) -> Micros:
        """What every start is moved by at least."""
        return _below(self.spread, f"spread {self.seed}")

    def offset(self, nominal: Micros) -> Micros:
        return self.fixed + (_below(self.jitter, f"jitter {self.seed} {nominal}") if self.jitter else 0)


def spreading_of(seed: str, spread_seconds: float, jitter_seconds: float) -> Spreading | None:
    """None where a job starts exactly when it is due: most do."""
    if not spread_seconds and not jitter_seconds:
        return None
    return Spreading(seed, round(spread_seconds * SECOND), round(jitter_seconds * SECOND))


def spreading_faults(
    spread_seconds: float, jitter_seconds: float, timetables: list[Timetable | None], *, now: Micros
) -> list[FieldError]:
    """Both together must be shorter than the time between two instants: starts keep their order, and none is late."""
    moved = round((spread_seconds + jitter_seconds) * SECOND)
    if not moved:
        return []
    shortest = min((_shortest_period(times, now) for times in timetables if times is not None), default=None)
    if shortest is None or moved < shortest:
        return []
    field = "spread_seconds" if spread_seconds >= jitter_seconds else "jitter_seconds"
    both = "spread and jitter together are" if spread_seconds and jitter_seconds else "is"
    return [
        FieldError(
            field=field,
            message=f"{both} {format_span(moved)}, and the job is due every {format_span(shortest)}",
            expected=f"less than {format_span(shortest)}",
            got=format_span(moved),
        )
    ]


def _shortest_period(times: Timetable, now: Micros) -> Micros:
    shortest: Micros = 1 << 62
    before = times.next(now)
    for _ in range(_INSTANTS_LOOKED_AT):
        if before is None or (following := times.next(before)) is None:
            break
        shortest, before = min(shortest, following - before), following
    return shortest


def _below(length: Micros, text: str) -> Micros:
    """A stable hash of `text`, from 0 up to but not including `length`."""
    seconds = length // SECOND
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) % seconds * SECOND if seconds else 0
