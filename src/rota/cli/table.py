"""Plain tables: a thousand rows must cost a few milliseconds, which rules out rich."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

_GAP = "  "
CUT = "…"  # stands where a cell was cut
_NARROWEST = 8  # a column is never cut below this


def render(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None,
    elastic: Sequence[int] = (),
    paint: Mapping[int, Callable[[str], str]] | None = None,
) -> str:
    """Return the table with its titles and a rule under them.

    `width` is the terminal's: then columns are cut with … until a row fits, first the `elastic` ones (by index), and
    of these always the widest. None cuts nothing. `paint` colours the padded cells of a column (by index).
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    natural = [max(map(columns_of, column)) for column in zip(titles, *cells, strict=True)]
    widths = natural if width is None else _fitted(natural, width, elastic)
    cut = widths != natural
    paint = paint or {}

    def line(row: Sequence[str], *, painted: bool) -> str:
        parts = [_padded(_shortened(cell, wide) if cut else cell, wide) for cell, wide in zip(row, widths, strict=True)]
        # Only the end of the last column is stripped: its padding would wrap on a narrow terminal.
        parts[-1] = parts[-1].rstrip()
        if painted:
            parts = [paint[i](part) if i in paint else part for i, part in enumerate(parts)]
        return _GAP.join(parts).rstrip()

    rule = "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    return "\n".join([line(titles, painted=False), rule, *(line(row, painted=bool(paint)) for row in cells)])


def printable(text: str) -> str:
    """`text` on one line and without control characters: a job's name must not move the reader's cursor."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "�" for char in " ".join(text.split()))


def columns_of(text: str) -> int:
    """How many columns of a terminal `text` takes: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _fitted(natural: list[int], width: int, elastic: Sequence[int]) -> list[int]:
    widths = list(natural)
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    for columns in (elastic, range(len(widths))):
        while excess > 0 and columns:
            widest = max(columns, key=widths.__getitem__)
            if widths[widest] <= _NARROWEST:
                break
            widths[widest] -= 1
            excess -= 1
    return widths


def _shortened(text: str, width: int) -> str:
    if columns_of(text) <= width:
        return text
    if text.isascii():
        return text[: width - 1] + CUT
    kept, used = "", 0
    for char in text:
        used += columns_of(char)
        if used > width - 1:
            break
        kept += char
    return kept + CUT


def _padded(text: str, width: int) -> str:
    return text.ljust(width) if text.isascii() else text + " " * (width - columns_of(text))
