"""What a machine's clocks say about each other: the clock was set, the machine slept, the clock cannot be right.

Wall time decides when, and may be set. Monotonic time measures, and stands still while the machine sleeps. Time since
boot does not stand still. So what the wall gained on boot time is how far it was set, and what boot time gained on
monotonic time is how long the machine slept (reference time-and-core §5.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from rota.domain.instant import DAY, SECOND, Micros, format_span, from_micros, parse_rfc3339

NOTICED: Micros = 2 * SECOND  # less than this is drift, or a look that took its time
EARLIEST: Micros = parse_rfc3339("2026-01-01T00:00:00Z")  # this program is younger: an earlier clock is wrong
BEHIND: Micros = DAY  # so far behind the newest record a machine that starts is more likely to be wrong than the record
FAR: Micros = DAY  # set by this or more the clock may be wrong now: what is old by it is not forgotten at once …
SETTLES_SECONDS = 86_400.0  # … but after a day, in which people can see to it
PATIENCE_SECONDS = (
    600.0  # a machine without a battery for its clock gets the time from the network, soon after its boot
)


class Kind(StrEnum):
    SET_BACK = "set_back"
    SET_FORWARD = "set_forward"
    SLEPT = "slept"
    SKEW = "skew"  # this machine's clock and the database's differ, or agree again
    DOUBTED = "doubted"  # nothing is begun: the clock cannot be right
    BELIEVED = "believed"  # after that


class Reading(NamedTuple):
    """The three clocks at one moment. `wall` is the store's time; `monotonic` and `boot` are seconds."""

    wall: Micros
    monotonic: float
    boot: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened to the clock. `at`: what it said afterwards. `by`: how far it was set, or how long it slept."""

    kind: Kind
    at: Micros
    by: Micros = 0

    @property
    def came_from(self) -> Micros:
        """What the clock said before."""
        return self.at + self.by if self.kind is Kind.SET_BACK else self.at - self.by

    def __str__(self) -> str:
        length = format_span(round(self.by / SECOND) * SECOND)
        match self.kind:
            case Kind.SET_BACK:
                return f"the clock was set back by {length}: nothing that ran runs again"
            case Kind.SET_FORWARD:
                return f"the clock was set forward by {length}: what lies between counts as downtime"
            case Kind.SLEPT:
                return f"the machine slept for {length}, which counts as downtime"
            case Kind.SKEW if self.by < NOTICED:
                return "this machine's clock and the database's agree again"
            case Kind.SKEW:
                return f"this machine's clock and the database's differ by {length}: the database's decides"
            case Kind.DOUBTED:
                return "nothing is begun: the clock cannot be right"
            case Kind.BELIEVED:
                return "the clock is believed: everything goes on"


def changes(before: Reading, now: Reading) -> list[Change]:
    """What happened between two readings of one process, a sleep first. Less than `NOTICED` is nothing."""
    found = []
    slept = round((now.boot - before.boot - (now.monotonic - before.monotonic)) * SECOND)
    if slept > NOTICED:
        found.append(Change(kind=Kind.SLEPT, at=now.wall, by=slept))
    step = now.wall - before.wall - round((now.boot - before.boot) * SECOND)
    if step > NOTICED:
        found.append(Change(kind=Kind.SET_FORWARD, at=now.wall, by=step))
    elif step < -NOTICED:
        found.append(Change(kind=Kind.SET_BACK, at=now.wall, by=-step))
    return found


class Doubt(NamedTuple):
    """Why the clock is not believed. `is_certain`: it is wrong; otherwise the records may be."""

    said: str
    is_certain: bool


def doubt(wall: Micros, newest: Micros | None) -> Doubt | None:
    """Judge the clock of a machine that starts, by this program's age and the newest record in the store."""
    shown = f"this machine's clock says {_said(wall)}"
    if wall < EARLIEST:
        return Doubt(f"{shown}, before there was this program", is_certain=True)
    if newest is not None and wall < newest - BEHIND:
        return Doubt(f"{shown}, and the newest record here is of {_said(newest)}", is_certain=False)
    return None


def _said(at: Micros) -> str:
    return f"{from_micros(at):%Y-%m-%d %H:%M} UTC"
