"""Rota's cron dialect: expressions and shorthands become masks, or are refused with a reason and a way out.

Vixie cron as in Debian, and past it: five fields, six with seconds first, seven with a year last; names, lists,
ranges, steps, `5/15`, `?` for `*`, 0 and 7 for Sunday; `L L-3 LW 15W 5L 5#3`; `H` and `~`. docs/cron.md is its
manual.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from rota.domain.errors import FieldError, InvalidInput, near
from rota.domain.trigger import refusals
from rota.domain.trigger.days import ever_matches
from rota.domain.trigger.fields import LAYOUTS, CronFields
from rota.domain.trigger.items import is_hashed, read_parts

SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class NotCron(InvalidInput):
    """`@every 5m` or `@reboot`: what a crontab may hold, but another kind of trigger here.

    `kind` is that kind, `rest` the text behind the word (`5m`).
    """

    def __init__(
        self, happened: str, *, kind: Literal["interval", "on_start"], rest: str, expected: str, hint: str
    ) -> None:
        self.kind, self.rest = kind, rest
        super().__init__(happened, expected=expected, hint=hint)


def tidy(expression: str) -> str:
    """Return the expression as it is stored: one space between fields, shorthands in lower case."""
    text = " ".join(expression.split())
    return text.lower() if text.startswith("@") else text


def needs_seed(expression: str) -> bool:
    """Whether the expression has `H` or `~`, so that its meaning depends on the job it belongs to."""
    parts = expression.split()
    kinds = LAYOUTS.get(len(parts), ())
    return any(is_hashed(kind, item) for kind, part in zip(kinds, parts, strict=False) for item in part.split(","))


@lru_cache(maxsize=4096)
def read_cron(expression: str, seed: str = "") -> CronFields:
    """Read an expression or a shorthand; `seed` (a job's id) is what `H` and `~` are hashed from.

    Raises InvalidInput naming every faulty field at once, and NotCron for `@every` and `@reboot`.
    """
    if len(expression) > refusals.LONGEST:
        raise refusals.too_long(expression)
    text = tidy(expression)
    if text.startswith("@"):
        return _read_shorthand(text)
    parts = text.split()
    if len(parts) not in LAYOUTS:
        raise refusals.wrong_count(text, parts)
    fields, faults = read_parts(parts, seed)
    if faults:
        raise refusals.faulty(text, parts, faults)
    if not ever_matches(fields):
        raise refusals.never(text, parts, fields)
    return fields


def _read_shorthand(text: str) -> CronFields:
    word, _, rest = text.partition(" ")
    if text in SHORTHANDS:
        return read_cron(SHORTHANDS[text])
    if word == "@every":
        happened, hint = f'"{text}" is an interval, not cron', f"try: --every {rest or '5m'}"
        raise NotCron(happened, kind="interval", rest=rest, expected=f"five fields: {refusals.ORDER}", hint=hint)
    if text == "@reboot":
        happened, hint = '"@reboot" names no time of day, but the start of the daemon', "try: --when @reboot"
        raise NotCron(happened, kind="on_start", rest="", expected=f"five fields: {refusals.ORDER}", hint=hint)
    raise InvalidInput(
        f'"{text[:24]}" is not a cron shorthand',
        errors=[FieldError(field="cron", message="unknown shorthand", expected=" ".join(SHORTHANDS), got=text)],
        expected="one of " + " ".join(SHORTHANDS),
        hint=near(word, SHORTHANDS) or refusals.try_preview("@daily"),
    )
