"""From pieces of output to whole lines with their host in front: `web-1| rotating`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rota.usecases.shapes import Output

# ECMA-48: CSI and OSC sequences, other two-character escapes, and the control characters that move a cursor.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


class Lines:
    """Joins the pieces of each step of each host; a line is given once its end has come, or its step's.

    `harmless`: lines go to a terminal, so what would move its cursor or rewrite its title is taken out.
    """

    def __init__(self, *, harmless: bool) -> None:
        self._harmless = harmless
        self._rest: dict[str, tuple[tuple[str, int], str]] = {}  # host -> ((step, attempt), line without its end)

    def feed(self, piece: Output) -> Iterator[str]:
        host, source = piece["host"], (piece["step"], piece["attempt"])
        if host in self._rest and (self._rest[host][0] != source or piece["cut"]):
            yield from self._end_of(host)
        if piece["cut"]:
            yield f"{host}| … {amount(piece['cut'])} not kept …"
        begun = self._rest.pop(host, (source, ""))[1]
        *ended, rest = (begun + piece["text"]).split("\n")
        yield from (self._line(host, text) for text in ended)
        if rest:
            self._rest[host] = (source, rest)

    def end(self) -> Iterator[str]:
        """Give what never got the end of its line."""
        for host in list(self._rest):
            yield from self._end_of(host)

    def _end_of(self, host: str) -> Iterable[str]:
        return [self._line(host, self._rest.pop(host)[1])]

    def _line(self, host: str, text: str) -> str:
        text = text.removesuffix("\r")
        if self._harmless:
            text = _CONTROL.sub("", text.rpartition("\r")[2])  # of a progress bar, what would be left to see
        return f"{host}| {text}"


def amount(count: int) -> str:
    """`4.2 MB`."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
