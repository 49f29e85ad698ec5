"""Further attempts of a step: after which ends, and after what delay. Values in, values out.

Sources: seed 4 (`max_retries`, a fixed `retry_delay_seconds`); seed 5 (exponential: twice as long each time, at most
5 min, give or take 20 %); DESIGN §3: after `unknown` only where the step is idempotent.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from rota.domain.errors import FieldError, near
from rota.domain.instant import SECOND, Micros
from rota.domain.reasons import Reason
from rota.domain.states import AttemptState
from rota.domain.step import Backoff, OnLost, Step

LONGEST_DELAY_SECONDS = 300.0  # of exponential delays, where nothing else is said
JITTER = 0.2  # of exponential delays, likewise
MOST_JITTER = 0.5
MOST_WORDS = 50
# The host may be back later. A key or password that is refused will be refused again, and may lock the account.
AWAY = frozenset({Reason.HOST_OFFLINE, Reason.CONNECT_REFUSED, Reason.CONNECT_TIMEOUT})
_STATES = frozenset({AttemptState.FAILED, AttemptState.TIMED_OUT, AttemptState.UNREACHABLE})
_WORDS = frozenset(map(str, _STATES | AWAY | {Reason.STEP_FAILED, Reason.STEP_TIMEOUT}))
_EXIT = re.compile(r"exit:(\d{1,3})(?:-(\d{1,3}))?")
_ONLY_WITH_RETRIES = ("retry_backoff", "retry_max_delay_seconds", "retry_jitter", "retry_on")


def may_try_again(step: Step, state: AttemptState, reason: Reason | None, exit_code: int | None, number: int) -> bool:
    """Whether another attempt follows the `number`th, which ended like this."""
    if state is AttemptState.UNKNOWN:
        return step.idempotent and step.on_lost in {None, OnLost.RETRY} and number <= max(1, step.retries)
    if number > step.retries or state not in _STATES:
        return False
    if state is AttemptState.TIMED_OUT and reason is not Reason.STEP_TIMEOUT:
        return False  # the run's own time is over
    if state is AttemptState.UNREACHABLE and reason not in AWAY:
        return False
    return not step.retry_on or any(_is_meant(word, state, reason, exit_code) for word in step.retry_on)


def delay_before_next(step: Step, number: int, *, seed: str) -> Micros:
    """How long to wait after the `number`th attempt. Equal seeds give equal delays: a restart changes none."""
    seconds = step.retry_delay_seconds
    jitter = step.retry_jitter or 0.0
    if step.retry_backoff is Backoff.EXPONENTIAL:
        longest = LONGEST_DELAY_SECONDS if step.retry_max_delay_seconds is None else step.retry_max_delay_seconds
        seconds = min(max(longest, seconds), seconds * 2.0 ** (number - 1))
        jitter = JITTER if step.retry_jitter is None else step.retry_jitter
    if not jitter:
        return round(seconds * SECOND)
    return round(seconds * SECOND * (1 + jitter * (2 * _share(f"{seed}/{number}") - 1)))


def retry_faults(step: Step) -> list[FieldError]:
    """What is wrong with a step's words about attempts, or would be honoured by nothing."""
    faults = [fault for word in step.retry_on if (fault := _word_fault(word))]
    if len(step.retry_on) > MOST_WORDS:
        message = f"has {len(step.retry_on)} words"
        faults.append(FieldError(field="retry_on", message=message, expected=f"at most {MOST_WORDS}"))
    plain = Step(name=step.name, action=step.action)
    if not step.retries:
        said = [name for name in _ONLY_WITH_RETRIES if getattr(step, name) != getattr(plain, name)]
        message = "says how to try again, and there are no retries"
        faults += [FieldError(field=name, message=message, expected="retries beside it") for name in said]
    if step.retries and step.retry_backoff is Backoff.FIXED and step.retry_max_delay_seconds is not None:
        message = "bounds a delay that does not grow"
        expected = "retry_backoff exponential beside it"
        faults.append(FieldError(field="retry_max_delay_seconds", message=message, expected=expected))
    elif (most := step.retry_max_delay_seconds) is not None and most < step.retry_delay_seconds:
        message, expected = f"{most:g} is less than the first delay", f"{step.retry_delay_seconds:g} or more"
        faults.append(FieldError(field="retry_max_delay_seconds", message=message, expected=expected, got=f"{most:g}"))
    if step.retry_jitter is not None and not 0 <= step.retry_jitter <= MOST_JITTER:
        got = f"{step.retry_jitter:g}"
        expected = f"0 to {MOST_JITTER}: the share of the delay by which it may differ"
        faults.append(FieldError(field="retry_jitter", message=f"{got} is out of range", expected=expected, got=got))
    if step.on_lost is OnLost.RETRY and not step.idempotent:
        message = "a step that may have done its work is not tried again unless that does no harm"
        faults.append(FieldError(field="on_lost", message=message, expected="idempotent: true beside it"))
    total, each = step.total_timeout_seconds, step.timeout_seconds
    if total is not None and each is not None and total < each:
        message, expected = f"{total:g} is less than the timeout of one try", f"{each:g} or more"
        faults.append(FieldError(field="total_timeout_seconds", message=message, expected=expected, got=f"{total:g}"))
    return faults


def _is_meant(word: str, state: AttemptState, reason: Reason | None, exit_code: int | None) -> bool:
    if match := _EXIT.fullmatch(word):
        return exit_code is not None and int(match[1]) <= exit_code <= int(match[2] or match[1])
    return word in (state, reason)


def _word_fault(word: str) -> FieldError | None:
    match = _EXIT.fullmatch(word)
    if word in _WORDS or (match and int(match[1]) <= int(match[2] or match[1]) <= 255):
        return None
    expected = "exit:N, exit:N-M, or one of " + " ".join(sorted(_WORDS))
    message = f'"{word[:40]}" is no end after which a step may be tried again'
    if word in map(str, AttemptState) or word in map(str, Reason):
        message = f'"{word}" is never tried again by this; for `unknown` see on_lost'
    return FieldError(field="retry_on", message=message, expected=expected, got=word[:40], hint=near(word, _WORDS))


def _share(seed: str) -> float:
    """A number in [0, 1) that looks random and is always the same for a seed."""
    return int.from_bytes(blake2b(seed.encode(), digest_size=6).digest(), "big") / 2**48
