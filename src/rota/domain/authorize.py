"""Who may do what. Pure, asked in every use case and again before the intent of every attempt.

On an embedded store one account owns everything (SO_PEERCRED let it in), so the answer is short today; roles, scopes
and shell policy of later issues grow here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rota.domain.errors import Refused


class Verb(StrEnum):
    READ = "read"
    WRITE = "write"
    RUN = "run"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: a person known by the account at the other end of the socket, or a stored name the clock acts for.

    `name` is what history and audit show (`Created By: admin`); `uid` is None for a stored principal.
    """

    name: str
    uid: int | None = None
    may_read_only: bool = False


def authorize(principal: Principal, verb: Verb, subject: str) -> None:
    """Return if `principal` may do `verb` to `subject` (`job daily-backup`, `run run_a1…`). Raises Refused if not."""
    if principal.may_read_only and verb is not Verb.READ:
        raise Refused(
            f"{principal.name} may not {verb} {subject}",
            expected="an account with that right",
            hint="ask the owner of this instance",
        )
