"""From what people type to rows: a name wins, else any unique prefix (≥ 4 hex digits) of an id (DESIGN §2 Identity)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, select

from rota.domain.errors import InvalidInput, NotFound, near
from rota.domain.ids import Kind, digits_of, public
from rota.ports import Tx

_NAMES_CONSIDERED = 2000  # for "did you mean": enough to help, few enough to stay quick


def find_named(tx: Tx, table: Table, kind: Kind, ref: str, *conditions: ColumnElement[bool]) -> int | None:
    """The row id of `ref` in a table with `name` and `public_id`, among the rows that meet `conditions`.

    None if there is none. Raises InvalidInput naming the candidates of an ambiguous prefix.
    """
    by_name = tx.execute(select(table.c.id).where(table.c.name == ref, *conditions).order_by(table.c.id.desc())).first()
    if by_name is not None:
        return int(by_name.id)
    return find_by_id(tx, table, kind, ref, *conditions)


def find_by_id(tx: Tx, table: Table, kind: Kind, ref: str, *conditions: ColumnElement[bool]) -> int | None:
    """Like `find_named` for rows that have only an id."""
    rows = _by_prefix(tx, table, kind, ref, conditions)
    if len(rows) > 1:
        raise ambiguous(ref, [public(kind, digits) for _, digits in rows])
    return rows[0][0] if rows else None


def names_of(tx: Tx, table: Table, *conditions: ColumnElement[bool]) -> list[str]:
    """Names to compare a mistyped one with."""
    return [row.name for row in tx.execute(select(table.c.name).where(*conditions).limit(_NAMES_CONSIDERED))]


def unknown(what: str, ref: str, known: Sequence[str], *, see: str) -> NotFound:
    """The error for a reference that leads nowhere. `see` is the command that lists what there is."""
    hint = near(ref, known)
    return NotFound(f'there is no {what} "{ref}"', hint=f"{hint} Or see: {see}" if hint else f"see: {see}")


def ambiguous(ref: str, candidates: Sequence[str]) -> InvalidInput:
    return InvalidInput(
        f'"{ref}" may be any of {", ".join(candidates[:5])}{" …" if len(candidates) > 5 else ""}',
        expected="more digits of the id",
        hint="use the name, or the whole id",
    )


def _by_prefix(
    tx: Tx, table: Table, kind: Kind, ref: str, conditions: Sequence[ColumnElement[bool]]
) -> list[tuple[int, str]]:
    digits = digits_of(ref, kind)
    if digits is None:
        return []
    column = table.c.public_id
    # A range, not LIKE: it uses the index whatever the collation. "g" sorts after every hex digit.
    rows = tx.execute(
        select(table.c.id, column).where(column >= digits, column < digits + "g", *conditions).limit(6)
    ).all()
    return [(row.id, row.public_id) for row in rows]
