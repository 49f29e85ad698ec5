"""What to do with due instants and with runs that wait: a job's policies, as values and as functions from them.

Sources: seed 1 "Overlap and Missed-Run Policies"; seed 4 "Overlapping executions" (they queue); DESIGN §5 defaults;
parity C40 (`grace` judges only when planned, `start_within` is set by whoever wants it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Literal, assert_never

from rota.domain.errors import FieldError
from rota.domain.fanout import Throttle, read_rate
from rota.domain.instant import SECOND, Micros
from rota.domain.reasons import Reason
from rota.domain.step import Json

MAX_ALLOWED_AT_ONCE = 3  # seed 1: `allow` means at most 3 concurrent executions of one schedule
MAX_QUEUED = 1  # seed 4's "the next execution will queue"; more would lag for ever behind runs that take too long
MAX_CAUGHT_UP = 100
MOST_UNFINISHED = 1000  # what `overlap_limit` and `catch_up_max` may be at most: all of it is rows in one transaction
LONGEST_SECONDS = 366 * 86_400.0
ONE_A_SECOND = Throttle(1, "s")  # reliability §2 G13: catch-up runs are spread
_OR_NULL = 'to take it away: null, or "" on the command line'
FIELDS = (
    "overlap_limit", "queue_timeout_seconds", "start_within_seconds", "step_timeout_seconds", "catch_up_max",
    "catch_up_window_seconds", "catch_up_rate",
)  # fmt: skip


class Overlap(StrEnum):
    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"
    CANCEL_RUNNING = "cancel_running"


class Missed(StrEnum):
    SKIP = "skip"
    RUN_ONCE = "run_once"
    RUN_ALL = "run_all"


def on_overlap(
    policy: Overlap, unfinished: int, limit: int | None = None
) -> Literal["start", "skip", "queue", "replace"]:
    """Decide for one occurrence. `unfinished` counts the job's unfinished runs (>= 0), waiting ones too.

    `limit`: of `allow` the runs at once, of `queue` those that may wait behind the oldest; None = the default.
    `replace`: the old runs are cancelled and the new one waits until they are really gone. `queue`: it waits for all
    older ones to end.
    """
    if unfinished == 0:
        return "start"
    match policy:
        case Overlap.SKIP:
            return "skip"
        case Overlap.QUEUE:
            return "queue" if unfinished <= (limit or MAX_QUEUED) else "skip"
        case Overlap.ALLOW:
            return "start" if unfinished < (limit or MAX_ALLOWED_AT_ONCE) else "skip"
        case Overlap.CANCEL_RUNNING:
            return "replace"
        case _:
            assert_never(policy)


def most_at_once(policy: Overlap, limit: int | None) -> int:
    """How many runs of the job may be at work beside each other."""
    return limit or MAX_ALLOWED_AT_ONCE if policy is Overlap.ALLOW else 1


def refusal(policy: Overlap, limit: int | None) -> str | None:
    """Why `on_overlap` said "skip", where the reason's own explanation (that of `skip`) is not it."""
    if policy is Overlap.QUEUE:
        return f"the queue behind the running one was full: overlap policy queue, {limit or MAX_QUEUED} at most"
    if policy is Overlap.ALLOW:
        return f"as many of its runs were unfinished as overlap policy allow lets: {limit or MAX_ALLOWED_AT_ONCE}"
    return None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a run may stay unstarted: from when it was due, and from when it was made. Then it expires."""

    start_within: Micros | None = None
    queue_timeout: Micros | None = None

    def is_past(self, due_at: Micros, at: Micros) -> bool:
        """Whether it is too late to make the run at all."""
        return self.start_within is not None and at - due_at >= self.start_within

    def ends(self, *, due_at: Micros, made_at: Micros) -> tuple[Micros, Reason] | None:
        """When a run expires unless it has started by then, and as what."""
        ends = []
        if self.start_within is not None:
            ends.append((due_at + self.start_within, Reason.PAST_DEADLINE))
        if self.queue_timeout is not None:
            ends.append((made_at + self.queue_timeout, Reason.QUEUE_EXPIRED))
        return min(ends, default=None)


@dataclass(frozen=True, slots=True)
class CatchUp:
    """How `run_all` makes up for missed instants: the `most` newest, none older than `window`, `spacing` apart."""

    most: int = MAX_CAUGHT_UP
    window: Micros | None = None
    spacing: Micros = ONE_A_SECOND.spacing


CATCH_UP = CatchUp()  # where nothing was said


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """What a job says beyond `overlap_policy` and `missed_run_policy`. Equal to `PLAIN` where nothing was said."""

    overlap_limit: int | None = None
    queue_timeout_seconds: float | None = None
    start_within_seconds: float | None = None
    step_timeout_seconds: float | None = None  # of each try of a step that has no timeout of its own
    catch_up_max: int | None = None
    catch_up_window_seconds: float | None = None
    catch_up_rate: Throttle | None = None

    @property
    def patience(self) -> Patience | None:
        """None where a run waits as long as it must: that is the default."""
        if self.start_within_seconds is None and self.queue_timeout_seconds is None:
            return None
        return _patience(_micros(self.start_within_seconds), _micros(self.queue_timeout_seconds))

    @property
    def catch_up(self) -> CatchUp:
        """What is too old to start is too old to be caught up, too."""
        if self == PLAIN:
            return CATCH_UP
        windows = [one for one in (self.catch_up_window_seconds, self.start_within_seconds) if one is not None]
        rate = self.catch_up_rate or ONE_A_SECOND
        return CatchUp(self.catch_up_max or MAX_CAUGHT_UP, _micros(min(windows, default=None)), rate.spacing)

    def faults(self, overlap: Overlap, missed: Missed) -> list[FieldError]:
        """What says nothing beside the policies that the job has."""
        faults = []
        if self.overlap_limit is not None and overlap not in {Overlap.QUEUE, Overlap.ALLOW}:
            message = f"{self.overlap_limit} limits nothing: the overlap policy is {overlap}"
            expected = "overlap policy queue or allow"
            faults.append(FieldError(field="overlap_limit", message=message, expected=expected, hint=_OR_NULL))
        if missed is not Missed.RUN_ALL:
            said = [name for name in FIELDS if name.startswith("catch_up") and getattr(self, name) is not None]
            message = f"there is nothing to catch up: the missed-run policy is {missed}"
            expected = "missed-run policy run_all"
            faults += [FieldError(field=name, message=message, expected=expected, hint=_OR_NULL) for name in said]
        return faults

    def to_dict(self) -> dict[str, Json]:
        """What was said, and nothing of the rest: most jobs say nothing, and there may be a million of them."""
        return {
            name: str(value) if isinstance(value, Throttle) else value
            for name in FIELDS
            if (value := getattr(self, name)) is not None
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> Policies:
        """Read what `to_dict` wrote, among other keys."""
        found, faults = read_policies({name: data[name] for name in FIELDS if name in data})
        assert not faults, faults
        return found


PLAIN = Policies()  # nothing was said


def read_policies(given: Mapping[str, Json], before: Policies | None = None) -> tuple[Policies, list[FieldError]]:
    """`before` with what is `given`, in the words of `FIELDS`, and everything that is wrong with it.

    None takes a field away: then its default holds.
    """
    if not given:
        return before or PLAIN, []
    faults: list[FieldError] = []
    words: dict[str, Json] = {**dict.fromkeys(FIELDS), **(before or PLAIN).to_dict(), **given}
    rate = words["catch_up_rate"]
    return Policies(
        overlap_limit=_count("overlap_limit", words, faults),
        queue_timeout_seconds=_seconds("queue_timeout_seconds", words, faults),
        start_within_seconds=_seconds("start_within_seconds", words, faults),
        step_timeout_seconds=_seconds("step_timeout_seconds", words, faults),
        catch_up_max=_count("catch_up_max", words, faults),
        catch_up_window_seconds=_seconds("catch_up_window_seconds", words, faults),
        catch_up_rate=None if rate is None else read_rate("catch_up_rate", rate, faults),
    ), faults


def _count(field: str, words: Mapping[str, Json], faults: list[FieldError]) -> int | None:
    number = words[field]
    if number is None:
        return None
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= MOST_UNFINISHED:
        return number
    got = str(number)[:40]
    faults.append(
        FieldError(field=field, message=f"{got} is out of range", expected=f"1 to {MOST_UNFINISHED}", got=got)
    )
    return None


def _seconds(field: str, words: Mapping[str, Json], faults: list[FieldError]) -> float | None:
    number = words[field]
    if number is None:
        return None
    if isinstance(number, int | float) and not isinstance(number, bool) and 1 <= number <= LONGEST_SECONDS:
        return float(number)
    got = f"{number:g}" if isinstance(number, float) else str(number)[:40]
    expected = f"1 to {LONGEST_SECONDS:.0f} seconds"
    faults.append(FieldError(field=field, message=f"{got} is out of range", expected=expected, got=got))
    return None


@lru_cache(maxsize=1024)
def _patience(start_within: Micros | None, queue_timeout: Micros | None) -> Patience:
    """A herd of jobs says few different things: those are kept once."""
    return Patience(start_within, queue_timeout)


def _micros(seconds: float | None) -> Micros | None:
    return None if seconds is None else round(seconds * SECOND)
