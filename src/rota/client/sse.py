"""Server-sent events, read from pieces of bytes (WHATWG HTML, 9.2 "Server-sent events")."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """`id` is the last id the stream gave, also where this event had none of its own."""

    name: str
    data: str
    id: str = ""


def parse(pieces: Iterable[bytes]) -> Iterator[Event]:
    """Yield each event as soon as the blank line that ends it has come; an unfinished one at the end is dropped."""
    name, last_id = "", ""
    data: list[str] = []
    for line in _lines(pieces):
        if not line:
            if data:
                yield Event(name or "message", "\n".join(data), last_id)
            name, data = "", []
            continue
        field, _, value = line.partition(":")  # a line that starts with a colon is a comment: field ""
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value:
            last_id = value


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Split at \\r\\n, \\n or \\r, wherever the pieces were cut: inside a character or between \\r and \\n."""
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    rest: list[str] = []  # of a line whose end has not come; joined once, so that long lines stay linear
    after_cr = False
    for piece in pieces:
        text = decode(piece)
        if after_cr and text:
            text = text.removeprefix("\n")
            after_cr = False
        if text.endswith("\r"):
            after_cr = True
        *ended, last = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in ended:
            yield "".join(rest) + line
            rest.clear()
        if last:
            rest.append(last)
