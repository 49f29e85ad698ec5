"""Names and public ids: a kind prefix and 16 hex digits; people type any unique prefix of at least 4 of them.

Source: DESIGN §2 Identity. Inside, rows have 64-bit integers; storage keeps the 16 hex digits without the prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from rota.domain.errors import FieldError

SHOWN = 8  # hex digits shown to people
_ID_LIKE = re.compile(r"(?:(?:sched|run|host|play|tgt|att|cal|pause)_)?[0-9a-f]{4,16}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]*")
_DIGITS = re.compile(r"([0-9]+)")
MAX_NAME = 100
# The group's own words, so that `schedule pause` never means a job of that name (parity C15).
RESERVED = frozenset({"list", "pause", "resume", "delete", "show", "create", "update", "all"})


class Kind(StrEnum):
    JOB = "sched"
    RUN = "run"
    HOST = "host"
    PLAYBOOK = "play"
    TARGET = "tgt"
    ATTEMPT = "att"
    CALENDAR = "cal"
    PAUSE = "pause"


def public(kind: Kind, digits: str) -> str:
    """`public(Kind.JOB, "a1b2…")` is `sched_a1b2…`."""
    return f"{kind}_{digits}"


def digits_of(reference: str, kind: Kind) -> str | None:
    """Return the hex digits to look up by prefix if `reference` may be an id of this kind, else None."""
    text = reference.removeprefix(f"{kind}_")
    return text if re.fullmatch(r"[0-9a-f]{4,16}", text) else None


def name_faults(name: str, *, field: str = "name", what: str = "job") -> list[FieldError]:
    """Say what is wrong with a name somebody wants to give, all faults at once."""
    if not name:
        return [FieldError(field=field, message=f"a {what} needs a name")]
    faults = []
    if len(name) > MAX_NAME:
        faults.append(
            FieldError(
                field=field,
                message="the name is too long",
                expected=f"at most {MAX_NAME} characters",
                got=f"{len(name)}",
            )
        )
    if not _NAME.fullmatch(name):
        faults.append(
            FieldError(
                field=field,
                message=f"{name[:MAX_NAME]!r} has characters a name may not have",
                expected="letters, digits and . _ : @ + - after a first letter or digit",
                got=name[:MAX_NAME],
            )
        )
    if _ID_LIKE.fullmatch(name):
        faults.append(
            FieldError(
                field=field,
                message=f"{name!r} looks like an id",
                expected="a name that no id can be mistaken for",
            )
        )
    if name in RESERVED:
        faults.append(
            FieldError(field=field, message=f"{name!r} is a word of the command line", expected="another name")
        )
    return faults


def in_order(names: Iterable[str]) -> list[str]:
    """Names as people count: web-2 before web-10."""
    return sorted(names, key=_as_counted)


def _as_counted(name: str) -> list[tuple[bool, int, str]]:
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in _DIGITS.split(name) if part]
