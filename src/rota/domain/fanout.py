"""How a run spreads over its hosts: in which batches, how fast, how many may go wrong, and what an offline host means.

All of it is optional: a run that says nothing starts as many targets as `targets_at_once` allows and goes on to the
last. The words are Ansible's where it has them (`serial` is `batch` here, as it takes percents of the run's hosts;
`max_fail_percentage` is `max_fail`, which takes a number too).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, count, repeat

from rota.domain.errors import FieldError
from rota.domain.instant import SECOND, Micros
from rota.domain.step import Json

MOST_PER_SECOND = 100  # a start is a durable write; faster than this nothing is held back
MOST_SIZES = 100
MOST_PAUSE_SECONDS = 7 * 86_400.0
_UNITS: Mapping[str, Micros] = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
_THROTTLE = re.compile(r"(\d{1,6})\s*/\s*([smh])")
_SHARE = re.compile(r"(\d{1,6})(\s*%)?")
FIELDS = ("on_offline", "lock_hosts", "throttle", "batch", "batch_pause_seconds", "max_fail")


class OnOffline(StrEnum):
    """What becomes of a target whose host cannot be reached when its turn comes."""

    FAIL = "fail"  # it is unreachable
    SKIP = "skip"  # it is skipped, and the run is none the worse for it
    WAIT = "wait"  # it is looked for again and again, until the run's timeout


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most `count` starts per unit, evenly spaced: `10/s`, `30/m`, `100/h`."""

    count: int
    unit: str  # s, m, h

    @property
    def spacing(self) -> Micros:
        """The least time between two starts."""
        return -(-_UNITS[self.unit] // self.count)

    def __str__(self) -> str:
        return f"{self.count}/{self.unit}"


@dataclass(frozen=True, slots=True)
class Share:
    """So many hosts, or so many percent of the run's: `3`, `10%`."""

    number: int
    is_percent: bool = False

    def of(self, total: int) -> int:
        """How many of `total` hosts; a part of a host does not count."""
        return total * self.number // 100 if self.is_percent else self.number

    def __str__(self) -> str:
        return f"{self.number}%" if self.is_percent else str(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut:
    """The rules of one run. Equal to `PLAIN` where nothing was said."""

    on_offline: OnOffline = OnOffline.FAIL
    lock_hosts: bool = False  # no other run that locks hosts works on a host while this one does
    throttle: Throttle | None = None
    batch: tuple[Share, ...] = ()  # sizes one after the other, the last repeats; empty = all hosts at once
    batch_pause_seconds: float = 0.0  # between the end of a batch and the start of the next
    max_fail: Share | None = None  # with more bad hosts than this, the rest is not started

    @property
    def rules(self) -> FanOut | None:
        """None where nothing was said: such runs take the short way."""
        return None if self == PLAIN else self

    def sizes(self, total: int) -> Iterator[int]:
        """The sizes of the batches of `total` hosts, each at least 1, together exactly `total`."""
        left = total
        for share in chain(self.batch, repeat(self.batch[-1])) if self.batch else ():
            if left <= 0:
                return
            size = min(left, max(1, share.of(total)))
            left -= size
            yield size

    def batch_numbers(self, total: int) -> Iterator[int]:
        """The batch of each of `total` hosts in order, counted from 1; 0 for all of them where there are no batches."""
        if not self.batch:
            return repeat(0, total)
        return chain.from_iterable(repeat(number, size) for number, size in zip(count(1), self.sizes(total)))

    def most_bad(self, total: int) -> int | None:
        """How many of `total` hosts may go wrong before the rest is not started; None = all of them.

        Whoever asks for batches wants to know early: there a single bad host stops the rest, unless `max_fail` says
        otherwise.
        """
        if self.max_fail is None:
            return 0 if self.batch else None
        return self.max_fail.of(total)

    def to_dict(self) -> dict[str, Json]:
        return {
            "on_offline": self.on_offline.value,
            "lock_hosts": self.lock_hosts,
            "throttle": None if self.throttle is None else str(self.throttle),
            "batch": ", ".join(map(str, self.batch)) or None,
            "batch_pause_seconds": self.batch_pause_seconds,
            "max_fail": None if self.max_fail is None else str(self.max_fail),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> FanOut:
        """Read what `to_dict` wrote, among other keys; what is not there has its default (older versions of jobs)."""
        found, faults = read_fan_out({field: data[field] for field in FIELDS if field in data})
        assert not faults, faults
        return found


PLAIN = FanOut()  # nothing was said


def read_fan_out(given: Mapping[str, Json], before: FanOut | None = None) -> tuple[FanOut, list[FieldError]]:
    """`before` with what is `given`, in the words of `FIELDS`, and everything that is wrong with it.

    None takes `throttle`, `batch` and `max_fail` away.
    """
    old, faults = before or PLAIN, list[FieldError]()
    words: dict[str, Json] = {**old.to_dict(), **given}
    found = FanOut(
        on_offline=_on_offline(words["on_offline"], faults),
        lock_hosts=_truth("lock_hosts", words["lock_hosts"], faults),
        throttle=None if words["throttle"] is None else read_rate("throttle", words["throttle"], faults),
        batch=_batch(words["batch"], faults),
        batch_pause_seconds=_pause(words["batch_pause_seconds"], faults),
        max_fail=None if words["max_fail"] is None else _share("max_fail", words["max_fail"], 0, faults),
    )
    if found.batch_pause_seconds and words["batch"] is None:
        message = "there is a pause between batches, and no batches"
        faults.append(FieldError(field="batch_pause_seconds", message=message, expected="0, or a batch beside it"))
    return found, faults


def _on_offline(word: Json, faults: list[FieldError]) -> OnOffline:
    try:
        return OnOffline(str(word))
    except ValueError:
        faults.append(_fault("on_offline", word, "is not known", "one of " + " ".join(OnOffline)))
        return OnOffline.FAIL


def _truth(field: str, word: Json, faults: list[FieldError]) -> bool:
    if not isinstance(word, bool):
        faults.append(_fault(field, word, "is neither", "true or false"))
    return word is True


def read_rate(field: str, text: Json, faults: list[FieldError]) -> Throttle | None:
    """A number of starts per time, `10/s`. What is wrong with it is added to `faults`."""
    match = _THROTTLE.fullmatch(str(text).strip())
    expected = f"a number of starts per s, m or h, such as 10/s, 30/m, 100/h; at most {MOST_PER_SECOND}/s"
    if match is None or int(match[1]) == 0:
        faults.append(_fault(field, text, "is no rate", expected))
        return None
    found = Throttle(int(match[1]), match[2])
    if found.spacing * MOST_PER_SECOND < SECOND:
        faults.append(_fault(field, text, "is too fast", expected))
    return found


def _batch(text: Json, faults: list[FieldError]) -> tuple[Share, ...]:
    if text is None:
        return ()
    words = str(text).split(",")
    if len(words) > MOST_SIZES:
        faults.append(_fault("batch", text, "has too many sizes", f"at most {MOST_SIZES}"))
        return ()
    shares = [_share("batch", word, 1, faults) for word in words]
    return tuple(share for share in shares if share is not None)


def _share(field: str, word: Json, least: int, faults: list[FieldError]) -> Share | None:
    match = _SHARE.fullmatch(str(word).strip())
    found = None if match is None else Share(int(match[1]), bool(match[2]))
    if found is None or found.number < least or (found.is_percent and found.number > 100):
        expected = f"a number of hosts from {least}, or {least}% to 100%"
        if field == "batch":
            expected += "; or several, such as 1, 10%, 100%"
        faults.append(_fault(field, word, "is no number of hosts", expected))
    return found


def _pause(seconds: Json, faults: list[FieldError]) -> float:
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= MOST_PAUSE_SECONDS:
        return float(seconds)
    faults.append(_fault("batch_pause_seconds", seconds, "is out of range", "0 to 604800 (7 days)"))
    return 0.0


def _fault(field: str, word: Json, what: str, expected: str) -> FieldError:
    got = "null" if word is None else str(word)[:40]
    return FieldError(field=field, message=f'"{got}" {what}', expected=expected, got=got)
