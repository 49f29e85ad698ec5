"""Walks along a phrase: one sentence after another, clause by clause."""

from __future__ import annotations

from rota.domain.trigger.phrase.clauses import accept_clause
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.said import Said, Twice
from rota.domain.trigger.phrase.tokens import Cursor, Span

_POLITE = ("please", "please run", "run", "runs", "run it", "execute")
_JOINTS = (",", "and", ", and", "&")


def read_sentences(cursor: Cursor) -> list[Said]:
    """What each sentence says. One ends at a semicolon, or at an "and" behind which something is said anew.

    Raises Unclear for the first clause that is not understood.
    """
    cursor.accept_one(_POLITE)
    said = Said()
    found = [said]
    while not cursor.is_done:
        if cursor.accept(";"):
            found.append(Said())
            continue
        joined = bool(cursor.accept_one(_JOINTS))
        place = cursor.place
        try:
            longer = _with_clause(cursor, found[-1])
            begins_anew = joined and longer.is_mixed
        except Twice as twice:
            if not joined:
                raise contradiction(cursor, twice.earlier, twice.later) from twice
            begins_anew = True
        if begins_anew:
            cursor.place = place
            found.append(_with_clause(cursor, Said()))
        else:
            found[-1] = longer
    return found


def contradiction(cursor: Cursor, earlier: Span, later: Span) -> Unclear:
    """The fault of two clauses that say different things: leave out the one or the other."""
    candidates = [cursor.edited({later: ""}), cursor.edited({earlier: ""})]
    words = f"does not go together with {cursor.typed(earlier)!r}".replace("'", '"')
    return Unclear(cursor.typed(later), words, candidates=candidates)


def _with_clause(cursor: Cursor, said: Said) -> Said:
    """`said` and the next clause. A copy: a clause that is refused halfway must leave no trace."""
    copy, place = said.copy(), cursor.place
    if accept_clause(cursor, copy):
        return copy
    if cursor.accept("or"):
        span = cursor.span_from(place)
        raise Unclear(cursor.typed(span), "leaves open which", candidates=[cursor.edited({span: "and"})])
    raise cursor.not_understood()
