"""What has become of a trigger's instants by now: which start, which do not and why, and what is due next.

One function from values to values for all that makes it hard: missed instants, several within grace, pauses,
calendars that skip or put off, spread and jitter. The planner puts the answer into rows; `foresee` shows it ahead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from rota.domain.calendars import NO_RULES, Fate, Rules, fate_of, verdict_at
from rota.domain.instant import Micros
from rota.domain.policy import CATCH_UP, CatchUp, Missed
from rota.domain.reasons import Reason
from rota.domain.spreading import Spreading
from rota.domain.trigger.timetable import Timetable
from rota.domain.windows.spans import FOREVER

# A grace of a day on a one-second interval would be 86,400 runs in one transaction; the rest comes with the next batch.
MAX_INSTANTS_AT_ONCE = 1000
_MOST_SPANS = 1000  # of a long outage under a calendar with many windows; beyond that all the rest is one span
_NEWER_IN_TIME = "a newer one was still in time"
_CAUGHT_UP = "the newest of them was caught up"


class Start(NamedTuple):
    """A run is to be made. `due_at`: when it was to start. `deferred_by`: the calendar that put it off.

    `in_turn`: it is one of several that start one after the other, none before `due_at`.
    """

    nominal: Micros
    due_at: Micros
    catch_up: bool = False
    deferred_by: str | None = None
    in_turn: bool = False


class Refused(NamedTuple):
    """So many instants, from `first` to `last`, come to nothing."""

    reason: Reason
    first: Micros
    last: Micros
    occurrences: int
    message: str | None = None


class Pending(NamedTuple):
    """The instant that is settled next, at `fire_at`. `deferred_by`: the calendar that has it wait until then."""

    nominal: Micros
    fire_at: Micros
    deferred_by: str | None = None


@dataclass(slots=True)
class Reckoning:
    """`outcomes` in the order of their instants. `high_water`: the last instant that is settled."""

    high_water: Micros
    outcomes: list[Start | Refused] = field(default_factory=list)
    next: Pending | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """The starts of one trigger as its job moves and holds them."""

    timetable: Timetable
    spreading: Spreading | None = None
    rules: Rules = NO_RULES

    def fire_at(self, nominal: Micros) -> Micros:
        """When an instant is due to start, before any rule is asked."""
        return nominal if self.spreading is None else nominal + self.spreading.offset(nominal)

    def after(self, nominal: Micros) -> Pending | None:
        """What is due next after an instant."""
        following = self.timetable.next(nominal)
        return None if following is None else Pending(following, self.fire_at(following))

    def last_due_before(self, limit: Micros, nominal: Micros) -> Micros:
        """The last instant that is due to start before `limit`; `nominal` itself where none after it is."""
        fixed = 0 if self.spreading is None else self.spreading.fixed
        last = self.timetable.last_at_or_before(limit - fixed - 1, nominal)
        while last is not None and last > nominal and self.fire_at(last) >= limit:
            last = self.timetable.prev(last)
        return nominal if last is None else max(last, nominal)

    def count(self, first: Micros, last: Micros) -> int:
        """How many instants lie in [first, last], both of which are instants."""
        return 1 + self.timetable.count(first, last)


def reckon(
    course: Course,
    pending: Pending,
    *,
    now: Micros,
    grace: Micros,
    missed: Missed,
    catch_up: CatchUp = CATCH_UP,
) -> Reckoning:
    """Settle all instants from `pending` on that are due by `now`. What was due more than `grace` ago was missed.

    `catch_up`: how `run_all` makes up for that.
    """
    reckoning = Reckoning(high_water=pending.nominal - 1, next=pending)
    _settle_missed(course, reckoning, cutoff=now - grace)
    lost = [outcome for outcome in reckoning.outcomes if isinstance(outcome, Refused)]
    _settle_due(course, reckoning, now=now)
    if missed is Missed.RUN_ONCE:
        _catch_up(course, reckoning, lost, now=now)
    elif missed is Missed.RUN_ALL:
        _catch_up_all(course, reckoning, lost, catch_up, now=now)
    return reckoning


def _settle_missed(course: Course, reckoning: Reckoning, *, cutoff: Micros) -> None:
    """Write off what was due before `cutoff`, in spans of one reason each."""
    spans = 0
    while (pending := reckoning.next) is not None and pending.fire_at < cutoff:
        verdict = verdict_at(pending.fire_at, course.rules)
        if verdict.deferred_to is not None and fate_of(pending.fire_at, course.rules).fire_at >= cutoff:
            return  # it is late, but its time is still to come
        spans += 1
        until = cutoff if spans >= _MOST_SPANS else min(verdict.until, cutoff)
        if pending.deferred_by is not None:
            until = max(until, pending.fire_at)
        reason = verdict.reason or Reason.MISSED
        _refuse(course, reckoning, pending, until, reason, verdict.by if verdict.reason else None)


def _settle_due(course: Course, reckoning: Reckoning, *, now: Micros) -> None:
    """Start, refuse or put off what is due by `now`."""
    starts = 0
    while (pending := reckoning.next) is not None and pending.fire_at <= now and starts < MAX_INSTANTS_AT_ONCE:
        fate = fate_of(pending.fire_at, course.rules)
        if fate.reason is not None:
            until = min(verdict_at(pending.fire_at, course.rules).until, now + 1)
            _refuse(course, reckoning, pending, until, fate.reason, fate.by)
        elif fate.fire_at > now:
            reckoning.next = Pending(pending.nominal, fate.fire_at, fate.by)
            return
        else:
            starts += 1
            by = fate.by or pending.deferred_by
            reckoning.outcomes.append(Start(pending.nominal, fate.fire_at, deferred_by=by))
            _move_on(course, reckoning, pending.nominal)
            if by is not None:
                _gather(course, reckoning, fate.fire_at, by)


def _gather(course: Course, reckoning: Reckoning, until: Micros, by: str) -> None:
    """Of all that a window put off, one start is made: what was due before its end goes with it."""
    pending = reckoning.next
    if pending is not None and pending.fire_at < until:
        _refuse(course, reckoning, pending, until, Reason.BLACKOUT, f"{by}: one run stands for all that were put off")


def _refuse(
    course: Course, reckoning: Reckoning, pending: Pending, until: Micros, reason: Reason, message: str | None
) -> None:
    """Refuse the pending instant, and those after it that are due to start before `until`."""
    last = course.last_due_before(until, pending.nominal)
    count = course.count(pending.nominal, last)
    reckoning.outcomes.append(Refused(reason, pending.nominal, last, count, message))
    _move_on(course, reckoning, last)


def _move_on(course: Course, reckoning: Reckoning, settled: Micros) -> None:
    reckoning.high_water, reckoning.next = settled, course.after(settled)


def _catch_up(course: Course, reckoning: Reckoning, lost: list[Refused], *, now: Micros) -> None:
    """`run_once`: the newest instant that was missed starts now, late, unless a newer one did, or is about to."""
    places = [place for place, outcome in enumerate(lost) if outcome.reason is Reason.MISSED]
    if not places:
        return
    later = reckoning.outcomes[len(lost) :]
    waits = reckoning.next is not None and reckoning.next.deferred_by is not None
    if waits or any(isinstance(outcome, Start) for outcome in later):
        _annotate(reckoning, places, _NEWER_IN_TIME)
        return
    place = places[-1]
    span = lost[place]
    fate = fate_of(now, course.rules)
    if fate.reason is not None:  # it would start now, and now nothing may
        reckoning.outcomes[place : place + 1] = [*_without_last(course, span), _lone(span.last, fate)]
    elif fate.fire_at <= now:
        reckoning.outcomes[place : place + 1] = [*_without_last(course, span), Start(span.last, now, catch_up=True)]
        _annotate(reckoning, places, _CAUGHT_UP)
    elif place == len(reckoning.outcomes) - 1:  # nothing after it is settled, so that it may wait
        reckoning.outcomes[place:] = _without_last(course, span)
        reckoning.next = Pending(span.last, fate.fire_at, fate.by)
        reckoning.high_water = course.timetable.prev(span.last) or span.last - 1
    else:
        reckoning.outcomes[place : place + 1] = [*_without_last(course, span), _lone(span.last, fate)]


def _catch_up_all(course: Course, reckoning: Reckoning, lost: list[Refused], rules: CatchUp, *, now: Micros) -> None:
    """`run_all`: the newest instants that were missed start in their order, from now on or when a calendar allows.

    What was due since then follows in the same turn. The work is bounded by `rules.most`, however long the outage was.
    """
    oldest = 0 if rules.window is None else now - rules.window
    fate = fate_of(now, course.rules)
    settled, left = reckoning.outcomes[len(lost) :], rules.most
    for span in reversed(lost):
        kept = _newest(course, span, oldest, left) if span.reason is Reason.MISSED and left else []
        if not kept:
            settled.insert(0, span)
            continue
        left -= len(kept)
        if fate.reason is not None:  # they would start now, and now nothing may
            settled.insert(0, Refused(fate.reason, kept[0], kept[-1], len(kept), fate.by))
        else:
            settled[:0] = [Start(one, fate.fire_at, True, fate.by, in_turn=True) for one in kept]
        before = course.timetable.prev(kept[0])
        if before is not None and before >= span.first:
            message = f"the {rules.most - left} newest were caught up" if fate.reason is None else None
            rest = span._replace(last=before, occurrences=span.occurrences - len(kept), message=message)
            settled.insert(0, rest)
    if any(isinstance(one, Start) and one.in_turn for one in settled):
        settled = [one._replace(in_turn=True) if isinstance(one, Start) else one for one in settled]
    reckoning.outcomes = settled


def _newest(course: Course, span: Refused, oldest: Micros, most: int) -> list[Micros]:
    """Up to `most` instants at the end of a span, none before `oldest`, in order."""
    found: list[Micros] = []
    instant: Micros | None = span.last
    while instant is not None and instant >= max(span.first, oldest) and len(found) < most:
        found.append(instant)
        instant = course.timetable.prev(instant)
    return found[::-1]


def _lone(instant: Micros, fate: Fate) -> Refused:
    """An instant that would have been caught up."""
    return Refused(fate.reason or Reason.BLACKOUT, instant, instant, 1, fate.by)


def _without_last(course: Course, span: Refused) -> list[Start | Refused]:
    before = course.timetable.prev(span.last)
    if span.occurrences == 1 or before is None:
        return []
    return [span._replace(last=before, occurrences=span.occurrences - 1)]


def _annotate(reckoning: Reckoning, places: list[int], message: str) -> None:
    for place in places:
        if place < len(reckoning.outcomes):
            outcome = reckoning.outcomes[place]
            if isinstance(outcome, Refused) and outcome.reason is Reason.MISSED:
                reckoning.outcomes[place] = outcome._replace(message=message)


class Ahead(NamedTuple):
    """What will become of an instant, as things stand: it starts at `fire_at`, or `reason` says why not.

    `by`: what moves or drops it. `last` and `occurrences`: the same becomes of so many instants, up to that one; None
    for all that ever come.
    """

    nominal: Micros
    fire_at: Micros
    reason: Reason | None
    by: str | None
    last: Micros | None
    occurrences: int | None = 1


def foresee(course: Course, *, after: Micros, pending: Pending | None = None) -> Iterator[Ahead]:
    """Say what will become of the instants later than `after`, in order; without end where the timetable has none.

    `pending`, where there is one, is what the planner has already put off, and comes first.
    """
    upcoming = pending or course.after(after)
    while upcoming is not None:
        nominal = upcoming.nominal
        fate = fate_of(upcoming.fire_at, course.rules)
        by = fate.by or upcoming.deferred_by
        last = nominal
        if fate.reason is not None:
            until = verdict_at(upcoming.fire_at, course.rules).until
            if until == FOREVER:
                yield Ahead(nominal, fate.fire_at, fate.reason, by, None, None)
                return
            last = course.last_due_before(until, nominal)
        yield Ahead(nominal, fate.fire_at, fate.reason, by, last, course.count(nominal, last))
        upcoming = course.after(last)
        if fate.reason is None and by is not None and upcoming is not None and upcoming.fire_at < fate.fire_at:
            merged = course.last_due_before(fate.fire_at, upcoming.nominal)
            count = course.count(upcoming.nominal, merged)
            yield Ahead(upcoming.nominal, upcoming.fire_at, Reason.BLACKOUT, by, merged, count)
            upcoming = course.after(merged)
