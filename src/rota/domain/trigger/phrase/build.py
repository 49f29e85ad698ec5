"""From what a sentence says to its triggers. Whatever it leaves open is assumed and named, or refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, Micros
from rota.domain.trigger.calendar_words import format_time
from rota.domain.trigger.checks import parse_continuous, parse_interval
from rota.domain.trigger.kinds import ManualTrigger, OnStartTrigger, TriggerSpec, Unit
from rota.domain.trigger.phrase import questions
from rota.domain.trigger.phrase.clocks import in_part
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.moments import DEFAULT_TIME, Now, moments
from rota.domain.trigger.phrase.rules import DayRule, calendar, every_second_of, rules
from rota.domain.trigger.phrase.said import LAST_DAY, DayItem, Period, Said
from rota.domain.trigger.phrase.sentences import contradiction
from rota.domain.trigger.phrase.tokens import Cursor
from rota.domain.trigger.phrase.vocabulary import PARTS_OF_DAY
from rota.domain.trigger.timetable import timetable

MOST_TIMES = 1440  # of a day
_DAY_SECONDS = DAY // SECOND
_NOON = _DAY_SECONDS // 2
_FIRST = DayItem.numbered(1)
# How `twice a day` and `twice a year` are spread where nothing else is said: times of day, and months.
_TWICE_A_DAY, _TWICE_A_YEAR = (9 * 3600, 21 * 3600), frozenset({1, 7})
_QUARTERS, _QUARTER_ENDS = frozenset({1, 4, 7, 10}), frozenset({3, 6, 9, 12})
_BESIDE_EVENTS = ("mode", "gap", "all_day", "zone")
_ALL_WEEK, _ALL_YEAR = frozenset(range(7)), frozenset(range(1, 13))


class Builder:
    """One sentence on its way to its triggers. `assumed` names what was not said, in the order of size."""

    def __init__(self, said: Said, cursor: Cursor, zone: str, now: Micros | None) -> None:
        self.said, self.cursor, self.zone, self._now = said, cursor, said.zone or zone, now
        self.assumed: list[str] = []

    def triggers(self) -> list[TriggerSpec]:
        """Raises Unclear."""
        said = self.said
        if said.part is not None and said.clocks is not None:
            part = said.part
            said.clocks = tuple(in_part(self.cursor, clock, part) for clock in said.clocks)
        if said.mode is not None or (said.all_day and said.length is None):
            return [self._by_event()]
        if said.length is not None:
            return self._rhythm(said.length)
        if said.period is None and (said.day is not None or said.after is not None):
            return self._once()
        if said.window is not None:
            raise questions.how_often(said, self.cursor)
        if not said.is_recurring:
            self._take_for_routine()
        return self._calendar()

    @property
    def now(self) -> Now:
        if self._now is None:
            raise Unclear(
                self.cursor.text, "cannot be read without knowing what time it is", hint="call read_phrase with now=…"
            )
        return Now(self._now, self.zone)

    def _by_event(self) -> TriggerSpec:
        """What no clock decides. Any word about the clock beside it is a contradiction."""
        said = self.said
        own = said.spans.get("mode") or said.spans["all_day"]
        others = [span for name, span in said.spans.items() if name not in _BESIDE_EVENTS]
        if others:
            candidates = contradiction(self.cursor, *sorted((own, others[0]))).candidates
            words = self.cursor.typed(own)
            raise Unclear(words, "does not go together with the rest of the phrase", candidates=candidates)
        if said.mode == "manual":
            return ManualTrigger()
        if said.mode == "on_start":
            return OnStartTrigger()
        return parse_continuous() if said.gap is None else parse_continuous(said.gap)

    def _once(self) -> list[TriggerSpec]:
        said = self.said
        if said.is_recurring or said.has_days or said.has_exceptions or said.window is not None:
            raise questions.once_and_again(said, self.cursor)
        if said.after is not None and said.times is not None:
            raise contradiction(self.cursor, said.spans["after"], said.spans["times"])
        if said.midnight is not None:
            raise questions.which_midnight(said, self.cursor, self.now)
        return [*moments(said, self.cursor, self.now, self.assumed)]

    def _take_for_routine(self) -> None:
        """Decide whether words without "every" mean one day or all such days; several days or times mean all."""
        said = self.said
        if said.is_once:
            raise questions.which_once(said, self.cursor, self._coming() if said.has_days else None)
        if "date" in said.spans:
            raise questions.once_or_yearly(said, self.cursor, self._coming())
        month_days = len(said.days or ()) + len(said.nth or ())
        if month_days:
            if month_days == 1 and len(said.months or ()) < 2:
                raise questions.once_or_monthly(said, self.cursor, self._coming())
            self.assumed.append("every year" if said.months else "every month")
        elif said.weekdays is not None:
            if len(said.weekdays) == 1:
                raise questions.once_or_weekly(said, self.cursor, self._coming())
            self.assumed.append("every week")
        elif said.months is not None:
            raise questions.which_days(said, self.cursor)
        elif said.times is not None:
            if len(said.times) == 1:
                raise questions.once_or_daily(said, self.cursor, None if self._now is None else self.now)
            self.assumed.append("every day")
        else:
            raise questions.no_time_at_all(said, self.cursor)

    # Real time

    def _rhythm(self, length: Micros) -> list[TriggerSpec]:
        """`every 15 minutes`, with or without days and a window."""
        said, cursor = self.said, self.cursor
        for name in ("day", "after", "start", "gap"):
            if getattr(said, name) is not None:
                raise contradiction(cursor, *sorted((said.spans["length"], said.spans[name])))
        if said.times is not None:
            raise questions.rhythm_or_times(said, cursor)
        if said.part is not None:
            raise questions.part_of_day_as_window(said, cursor)
        is_filter = said.period is None or (said.period.count == 1 and (said.period.unit == "day" or said.has_days))
        if not is_filter:
            raise contradiction(cursor, *sorted((said.spans["length"], said.spans["period"])))
        if said.minutes is not None and length % HOUR:
            raise contradiction(cursor, *sorted((said.spans["length"], said.spans["minutes"])))
        is_whole = not (said.has_days or said.has_exceptions or said.window)
        if is_whole and said.minutes is None:
            return [parse_interval(length, self.zone, created=self._now or 0)]
        days = self._day_rule()
        if length < MINUTE and MINUTE % length == 0 and said.window is None and not said.no_times:
            return [every_second_of(length, days, self.zone)]
        return rules(self._times_of_rhythm(length), days, self.zone, rhythmic=not said.no_times)

    def _times_of_rhythm(self, length: Micros) -> list[int]:
        """The seconds of the day at which a rhythm falls due: from midnight, or from the window's beginning."""
        said, step = self.said, length // SECOND
        start, end = 0, _DAY_SECONDS - 1
        if said.window is not None:
            start, end = said.window.start, said.window.end
            if end < start:
                if said.has_days or said.no_weekdays:
                    raise questions.past_midnight(said, self.cursor)
                end += _DAY_SECONDS
        elif DAY % length:
            raise questions.uneven_rhythm(said, self.cursor)
        if (end - start) // step >= MOST_TIMES:
            words = self.cursor.typed(said.spans["length"])
            raise Unclear(
                words, "is too often for part of a day", hint='a cron expression can: --cron "*/10 * 8-17 * * *"'
            )
        if said.minutes is None:
            found = [*range(start, end + 1, step)]
        else:
            first = start - start % 3600
            hours = range(first, end + 1, step)
            found = [hour + 60 * minute for hour in hours for minute in said.minutes]
        times = self._without_exceptions({second % _DAY_SECONDS for second in found if start <= second <= end})
        if not times:
            raise Unclear(self.cursor.typed(said.spans["length"]), "leaves no time of day")
        return sorted(times)

    def _without_exceptions(self, times: set[int]) -> set[int]:
        """Raises Unclear for an exception that none of the times is: it must have meant something else."""
        said = self.said
        if not said.no_times <= times:
            raise Unclear(self.cursor.typed(said.spans["exception"]), "is not one of its times")
        return times - said.no_times

    # The calendar

    def _calendar(self) -> list[TriggerSpec]:
        said = self.said
        self._fill_days()
        times = self._times()
        if said.midnight is not None and (said.has_days or said.has_exceptions):
            raise questions.which_midnight(said, self.cursor, self.now if said.day else None)
        if said.minutes is not None:
            raise questions.minutes_of_which_hour(said, self.cursor)
        if said.day is not None or said.after is not None:
            raise questions.once_and_again(said, self.cursor)
        if said.part == "night" and "weekdays" in said.spans and min(times) < _NOON:
            raise questions.which_night(said, self.cursor, min(times))
        days = self._day_rule()
        if said.period is not None and said.period.count > 1:
            return [self._counted(times, days)]
        found = rules(times, days, self.zone)
        self._require_start(found)
        return found

    def _times(self) -> tuple[int, ...]:
        said = self.said
        if said.times is not None or said.no_times:
            return tuple(sorted(self._without_exceptions(set(said.times or ()))))
        if said.part is not None:
            times: tuple[int, ...] = (PARTS_OF_DAY[said.part][0] * 3600,)
        elif said.per == 2 and said.period is not None and said.period.unit == "day":
            times = _TWICE_A_DAY
        else:
            times = (DEFAULT_TIME,)
        self.assumed += map(format_time, times)
        return times

    def _fill_days(self) -> None:
        """Give a week its day, a month its day, a year its month. Raises Unclear for days that do not fit."""
        said, period = self.said, self.said.period
        if period is None:
            return
        self._require_as_often(period)
        by_month = said.days is not None or said.nth is not None
        one_day = by_month or len(said.weekdays or ()) == 1
        if period.unit == "day" and (one_day if period.count == 1 else said.has_days):
            raise contradiction(self.cursor, *self._period_and_days())
        if period.unit == "week":
            if by_month and not (len(said.weekdays or ()) == len(said.days or ()) == 1):
                raise contradiction(self.cursor, *self._period_and_days())
            if said.weekdays is None:
                said.weekdays = frozenset({0})
                self.assumed.append("Monday")
        elif period.unit in ("month", "quarter") and not by_month:
            if said.weekdays is not None:
                raise questions.which_of_month(said, self.cursor)
            said.days = (_FIRST,)
            self.assumed.append("the 1st")
        if period.unit == "quarter":
            self._fill_quarter()
        if period.unit == "year":
            self._fill_year(by_month=by_month)
        if period.unit == "month" and said.months is None:
            questions.require_in_every_month(said, self.cursor)

    def _require_as_often(self, period: Period) -> None:
        """`twice a week` with two days. Raises Unclear where the rest says another number, or nothing."""
        said = self.said
        if said.per is None:
            return
        chosen = {
            "day": (),
            "week": said.weekdays or (),
            "month": (*(said.days or ()), *(said.nth or ())),
            "quarter": (),
            "year": said.months or (),
        }[period.unit]
        is_said = bool(chosen or (period.unit == "day" and said.times))
        often = max(len(chosen), 1) * len(said.times or (0,))
        is_known = said.per == 1 or (said.per == 2 and period.unit in ("day", "year"))
        if often != said.per and (is_said or not is_known):
            raise questions.when_so_often(said, self.cursor, period, is_said=is_said)

    def _fill_quarter(self) -> None:
        said = self.said
        ends = said.days == (LAST_DAY,) or (said.nth is not None and all(n < 0 for n, _ in said.nth))
        if said.days not in (None, (_FIRST,), (LAST_DAY,)) or said.months is not None:
            raise questions.which_of_quarter(said, self.cursor)
        said.months = _QUARTER_ENDS if ends else _QUARTERS

    def _fill_year(self, *, by_month: bool) -> None:
        said = self.said
        if said.per == 2 and said.months is None and not by_month:
            said.months, said.days = _TWICE_A_YEAR, (_FIRST,)
            self.assumed.append("1 January and 1 July")
        elif said.months is None and not by_month and said.weekdays is None:
            said.months, said.days = frozenset({1}), (_FIRST,)
            self.assumed.append("1 January")
        elif said.months is None and said.days is not None and said.weekdays is None:
            said.months = frozenset({12 if said.days == (LAST_DAY,) else 1})
        elif said.months is not None and not by_month and said.weekdays is None:
            said.days = (_FIRST,)
            self.assumed.append("the 1st")
        elif said.months is None:
            raise contradiction(self.cursor, *self._period_and_days())

    def _period_and_days(self) -> tuple[tuple[int, int], tuple[int, int]]:
        spans = self.said.spans
        days = next(spans[name] for name in ("month days", "days", "nth", "weekdays", "months") if name in spans)
        earlier, later = sorted((spans["period"], days))
        return earlier, later

    def _day_rule(self) -> DayRule:
        """The days that are left after the exceptions. Raises Unclear if none is."""
        said = self.said
        weekdays = (said.weekdays or _ALL_WEEK) - said.no_weekdays
        months = (said.months or _ALL_YEAR) - said.no_months
        days = said.days or ()
        if said.no_days:
            kept = [item for item in days if item.number not in said.no_days]
            days = (
                tuple(kept) if days else tuple(DayItem.numbered(day) for day in range(1, 32) if day not in said.no_days)
            )
        if not weekdays or not months or (said.days and not days):
            raise Unclear(self.cursor.text, "leaves no day at all")
        is_friday_the_13th = len(weekdays) == len(days) == 1 and days[0].number is not None
        if len(weekdays) < 7 and days and not is_friday_the_13th:
            raise questions.weekday_and_day(said, self.cursor)
        return DayRule(
            weekdays=frozenset() if weekdays == _ALL_WEEK else weekdays,
            nth=said.nth or (),
            days=days,
            months=frozenset() if months == _ALL_YEAR else months,
        )

    def _counted(self, times: Iterable[int], days: DayRule) -> TriggerSpec:
        """Every 2 weeks, every 3 months …: counted from the first such day that comes, or from the date said."""
        said, period = self.said, self.said.period
        assert period is not None  # or it would not be counted
        if any(item.number is None for item in days.days):
            words = self.cursor.typed(said.spans["days"])
            raise Unclear(words, "cannot be counted in months", expected="a day of the month, or the last")
        unit, every = (Unit.MONTH, 3 * period.count) if period.unit == "quarter" else (Unit(period.unit), period.count)
        filtered = replace(days, months=frozenset()) if period.unit == "quarter" else days
        first = self._first(times, filtered)
        anchor = first if said.start is None else said.start
        rule = calendar(unit, times, filtered, self.zone, every=every, anchor=anchor.isoformat())
        if said.start is None:
            self.assumed.append(f"the count from {anchor}")
        self._require_start([rule])
        return rule

    def _require_start(self, found: list[TriggerSpec]) -> None:
        """Raises Unclear if the date behind "starting" is not the first: a trigger itself has no beginning."""
        if self.said.start is not None and self._first_of(found) != self.said.start:
            words, day = self.cursor.typed(self.said.spans["start"]), self.said.start
            hint = f"leave it out, and add --start-at {day}"
            raise Unclear(words, "is not when it would be due first", hint=hint)

    def _first(self, times: Iterable[int], days: DayRule) -> date:
        """The first day of the rule that is still to come, were every period due."""
        return self._first_of(rules(list(times), days, self.zone))

    def _first_of(self, found: list[TriggerSpec]) -> date:
        due = [times.next(self.now.at) for rule in found if (times := timetable(rule)) is not None]
        coming = [at for at in due if at is not None]
        if not coming:
            raise Unclear(self.cursor.text, "is never due")
        return self.now.date_of(min(coming))

    def _coming(self) -> date | None:
        """The next day that a sentence without "every" may mean; None where nobody knows what day it is."""
        if self._now is None:
            return None
        return self._first(self.said.times or (DEFAULT_TIME,), self._day_rule())
