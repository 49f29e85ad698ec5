"""What a trigger says, as it is saved with a job: JSON in the store and in the API, loss-free both ways.

One line for each kind; what stands behind `?` may be left out, and is then left out when writing too:

    {"kind": "cron", "expression": "0 2 * * *", "zone": "Europe/Zurich", "gap"?: "skip", "fold"?: "both", "seed"?: "x"}
    {"kind": "interval", "every_seconds": 20, "anchor": "2026-03-05T00:00:00Z", "zone": "UTC"}
    {"kind": "once", "at": "2026-03-05T02:00:00Z", "zone": "UTC"}
    {"kind": "calendar", "every": 2, "unit": "week", "times": ["09:00"], "anchor"?: "2026-03-05", "zone": "UTC",
     "weekdays"?: ["mon", "fri"], "nth"?: ["2 tue", "last fri"], "month_days"?: [15, -1], "months"?: [1, 7],
     "overflow"?: "last_day", "gap"?: "skip", "fold"?: "both"}
    {"kind": "continuous", "gap_seconds": 1, "backoff_seconds": 300}
    {"kind": "on_start"}
    {"kind": "manual"}

Reading also takes `triggered` for `manual`, a zone, an anchor, `every` and the two lengths that are left out.
Values come in by way of `checks`, which refuses what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from rota.domain.errors import near
from rota.domain.instant import SECOND, Micros, format_rfc3339, format_span
from rota.domain.trigger.calendar_words import (
    format_month,
    format_month_day,
    format_nth,
    format_time,
    format_times,
    format_weekday,
    read_month,
    read_nth,
    read_time,
    read_weekday,
)
from rota.domain.trigger.checks import (
    parse_calendar,
    parse_continuous,
    parse_cron,
    parse_interval,
    parse_once,
)
from rota.domain.trigger.faults import Faults
from rota.domain.trigger.kinds import (
    DEFAULT_BACKOFF,
    CalendarTrigger,
    ContinuousTrigger,
    CronTrigger,
    Fold,
    Gap,
    IntervalTrigger,
    ManualTrigger,
    OnceTrigger,
    OnStartTrigger,
    Overflow,
    TriggerSpec,
    Unit,
    ZonedTrigger,
)
from rota.domain.trigger.reader import Reader
from rota.domain.trigger.zones import parse_zone

__all__ = [
    "CalendarTrigger",
    "ContinuousTrigger",
    "CronTrigger",
    "Fold",
    "Gap",
    "IntervalTrigger",
    "ManualTrigger",
    "OnStartTrigger",
    "OnceTrigger",
    "Overflow",
    "TriggerSpec",
    "Unit",
    "ZonedTrigger",
    "from_dict",
    "parse_calendar",
    "parse_continuous",
    "parse_cron",
    "parse_interval",
    "parse_once",
    "parse_zone",
    "short_form",
    "to_dict",
]


def short_form(spec: TriggerSpec) -> str:
    """Write the trigger for the CRON column of a list: `0 2 * * *`, `every 20s`, `at 2026-…Z`, `manual`."""
    match spec:
        case CronTrigger():
            return spec.expression
        case IntervalTrigger():
            return f"every {format_span(spec.every)}"
        case OnceTrigger():
            return f"at {format_rfc3339(spec.at)}"
        case CalendarTrigger():
            return _short_calendar(spec)
        case OnStartTrigger() | ManualTrigger():
            return spec.kind.replace("_", "-")
        case ContinuousTrigger():
            return "continuous" if spec.gap == SECOND else f"continuous {format_span(spec.gap)}"
        case _:
            assert_never(spec)


def _short_calendar(spec: CalendarTrigger) -> str:
    """`every 2 weeks mon,fri 09:00`, `every month 15,last 07:00`, `every year jan,jul 2 tue 12:00`."""
    unit = f"every {spec.unit}" if spec.every == 1 else f"every {spec.every} {spec.unit}s"
    days = [*(format_month_day(day) for day in spec.month_days), *map(format_nth, spec.nth)]
    parts = [
        unit,
        ",".join(format_month(month) for month in spec.months),
        ",".join(days),
        ",".join(map(format_weekday, spec.weekdays)),
        format_times(spec.times),
    ]
    return " ".join(filter(None, parts))


def to_dict(spec: TriggerSpec) -> dict[str, object]:
    """Return the trigger as JSON values; `from_dict` reads it back unchanged."""
    match spec:
        case CronTrigger():
            written: dict[str, object] = {"expression": spec.expression, "zone": spec.zone, **_clock_changes(spec)}
            written |= {"seed": spec.seed} if spec.seed else {}
        case IntervalTrigger():
            written = {"every_seconds": _seconds(spec.every), "anchor": format_rfc3339(spec.anchor), "zone": spec.zone}
        case OnceTrigger():
            written = {"at": format_rfc3339(spec.at), "zone": spec.zone}
        case CalendarTrigger():
            written = _calendar_to_dict(spec)
        case ContinuousTrigger():
            written = {"gap_seconds": _seconds(spec.gap), "backoff_seconds": _seconds(spec.backoff)}
        case OnStartTrigger() | ManualTrigger():
            written = {}
        case _:
            assert_never(spec)
    return {"kind": spec.kind, **written}


def _calendar_to_dict(spec: CalendarTrigger) -> dict[str, object]:
    optional: dict[str, object] = {
        "anchor": spec.anchor,
        "weekdays": [*map(format_weekday, spec.weekdays)],
        "nth": [*map(format_nth, spec.nth)],
        "month_days": [*spec.month_days],
        "months": [*spec.months],
        "overflow": "" if spec.overflow is Overflow.SKIP else spec.overflow.value,
    }
    return {
        "every": spec.every,
        "unit": spec.unit.value,
        "times": [*map(format_time, spec.times)],
        "zone": spec.zone,
        **{key: value for key, value in optional.items() if value},
        **_clock_changes(spec),
    }


def _clock_changes(spec: CronTrigger | CalendarTrigger) -> dict[str, object]:
    """What differs from Debian's rules. Left out otherwise, or rules saved before there was a choice would differ."""
    gap: dict[str, object] = {} if spec.gap is Gap.RUN_AFTER else {"gap": spec.gap.value}
    return gap if spec.fold is Fold.FIRST else {**gap, "fold": spec.fold.value}


def _seconds(length: Micros) -> int | float:
    whole, fraction = divmod(length, SECOND)
    return length / SECOND if fraction else whole


def from_dict(
    data: Mapping[str, object], *, zone: str = "UTC", created: Micros | None = None, path: str = ""
) -> TriggerSpec:
    """Read a trigger from JSON; `zone` and `created` stand in for a zone and an anchor that are left out.

    Raises InvalidInput naming every fault at once, each with its key behind `path` (`trigger.`).
    """
    kind = data.get("kind")
    faults = Faults(path)
    if not isinstance(kind, str) or kind not in _KEYS:
        happened = "is missing" if kind is None else f"is {kind!r}, which is no kind of trigger"
        faults.add("kind", happened, expected=" ".join(_KEYS), hint=near(str(kind), _KEYS))
        faults.raise_any()
    keys, read = _KEYS[str(kind)]
    for key in data:
        if key not in keys:
            faults.add(key, "is not known here", expected=" ".join(keys), hint=near(key, keys))
    spec = read(Reader({"zone": zone, **data}, faults), created)
    faults.raise_any()
    assert spec is not None  # or there was a fault, and it was raised
    return spec


def _read_cron(reader: Reader, _: Micros | None) -> TriggerSpec | None:
    expression, zone = reader.text("expression"), reader.text("zone")
    gap, fold = reader.choice("gap", Gap, Gap.RUN_AFTER), reader.choice("fold", Fold, Fold.FIRST)
    seed = reader.text("seed", "")
    if expression is None or zone is None or gap is None or fold is None or seed is None:
        return None
    return reader.faults.attempt("", lambda: parse_cron(expression, zone, gap=gap, fold=fold, seed=seed))


def _read_interval(reader: Reader, created: Micros | None) -> TriggerSpec | None:
    every, zone = reader.seconds("every_seconds"), reader.text("zone")
    anchor = reader.instant("anchor") if "anchor" in reader.data else None
    if every is None or zone is None or ("anchor" in reader.data and anchor is None):
        return None
    return reader.faults.attempt("", lambda: parse_interval(every, zone, created=created, anchor=anchor))


def _read_once(reader: Reader, _: Micros | None) -> TriggerSpec | None:
    at, zone = reader.instant("at"), reader.text("zone")
    if at is None or zone is None:
        return None
    return reader.faults.attempt("zone", lambda: parse_once(at, zone))


def _read_calendar(reader: Reader, created: Micros | None) -> TriggerSpec | None:
    unit, overflow = reader.choice("unit", Unit), reader.choice("overflow", Overflow, Overflow.SKIP)
    gap, fold = reader.choice("gap", Gap, Gap.RUN_AFTER), reader.choice("fold", Fold, Fold.FIRST)
    every, zone, anchor = reader.whole("every", 1), reader.text("zone"), reader.text("anchor", "")
    times = reader.words("times", read_time)
    weekdays, nth = reader.words("weekdays", read_weekday), reader.words("nth", read_nth)
    month_days, months = reader.wholes("month_days"), reader.wholes("months", read_month)
    if unit is None or every is None or zone is None or anchor is None or times is None or weekdays is None:
        return None
    if nth is None or month_days is None or months is None or overflow is None or gap is None or fold is None:
        return None
    return reader.faults.attempt(
        "",
        lambda: parse_calendar(
            unit, times, zone, every=every, anchor=anchor, created=created, weekdays=weekdays, nth=nth,
            month_days=month_days, months=months, overflow=overflow, gap=gap, fold=fold,
        ),
    )  # fmt: skip


def _read_continuous(reader: Reader, _: Micros | None) -> TriggerSpec | None:
    gap = reader.seconds("gap_seconds", SECOND, least=0)
    backoff = reader.seconds("backoff_seconds", DEFAULT_BACKOFF, least=0)
    if gap is None or backoff is None:
        return None
    return reader.faults.attempt("", lambda: parse_continuous(gap, backoff))


def _read_on_start(_: Reader, __: Micros | None) -> TriggerSpec | None:
    return OnStartTrigger()


def _read_manual(_: Reader, __: Micros | None) -> TriggerSpec | None:
    return ManualTrigger()


_CALENDAR = ("every", "unit", "times", "anchor", "zone", "weekdays", "nth", "month_days", "months", "overflow")
_CHANGES = ("gap", "fold")
_KEYS: dict[str, tuple[tuple[str, ...], Callable[[Reader, Micros | None], TriggerSpec | None]]] = {
    "cron": (("kind", "expression", "zone", *_CHANGES, "seed"), _read_cron),
    "interval": (("kind", "every_seconds", "anchor", "zone"), _read_interval),
    "once": (("kind", "at", "zone"), _read_once),
    "calendar": (("kind", *_CALENDAR, *_CHANGES), _read_calendar),
    "continuous": (("kind", "gap_seconds", "backoff_seconds"), _read_continuous),
    "on_start": (("kind",), _read_on_start),
    "manual": (("kind",), _read_manual),
    "triggered": (("kind",), _read_manual),  # seed 5's other word
}
KINDS = tuple(_KEYS)
"""Every word that `kind` may be."""
