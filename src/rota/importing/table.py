"""CSV with a header: a column for each field. `tags` holds `env=prod;edge`, `groups` names; `tag:env` and `var:port`
are columns of one tag or variable. An empty cell says nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from rota.domain.errors import near
from rota.domain.step import Json
from rota.importing.facts import FIELDS, TOLD_ONLY, pairs, put, words
from rota.importing.reading import MOST_HOSTS, Entry, Reading, line

_FIELDS = tuple(field for field in FIELDS if field != "vars")
_COLUMNS = (*_FIELDS, "tag:KEY", "var:NAME")


def read(text: str) -> Reading:
    reading = Reading()
    text = text.lstrip("\ufeff")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    header: list[str] | None = None
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = _header(row, rows.line_num, reading)
            elif len(reading.hosts) >= MOST_HOSTS:
                reading.fault(line(rows.line_num), "there are too many hosts", expected=f"at most {MOST_HOSTS}")
                break
            else:
                _read_row(header, row, rows.line_num, reading)
    except csv.Error as error:
        reading.fault(line(rows.line_num), f"this is no CSV: {error}")
    if header is None:
        reading.fault(line(1), "there is no header", expected="a first line such as name,address,user,tags")
    return reading


def _delimiter(text: str) -> str:
    """Spreadsheets of half the world write `;`: what the header has most of is meant."""
    return max(",;\t", key=text.lstrip().partition("\n")[0].count)


def _header(row: Sequence[str], at: int, reading: Reading) -> list[str]:
    header = [cell.strip() for cell in row]
    for place, name in enumerate(header):
        if name in header[:place]:
            reading.fault(line(at), f"the column {name[:80]!r} is there twice")
        elif name not in _FIELDS and name not in TOLD_ONLY and name.partition(":")[0] not in ("tag", "var"):
            expected, meant = " ".join(_COLUMNS), near(name, _FIELDS)
            reading.fault(line(at), f"the column {name[:80]!r} is not known", expected=expected, hint=meant)
    if "name" not in header:
        reading.fault(line(at), "there is no column name", expected="a header such as name,address,user,tags")
    return header


def _read_row(header: Sequence[str], row: Sequence[str], at: int, reading: Reading) -> None:
    if len(row) > len(header):
        reading.fault(line(at), f"has {len(row)} cells", expected=f"{len(header)}, as the header has")
    said = {name: text for name, cell in zip(header, row, strict=False) if (text := cell.strip())}
    fields: dict[str, Json] = {"name": said.get("name", "")}
    tags: dict[str, Json] = {}
    variables: dict[str, Json] = {}
    for name, text in said.items():
        kind, _, key = name.partition(":")
        if name == "tags":
            tags |= pairs(text, line(at), reading)
        elif name == "groups":
            fields["groups"] = words(text)
        elif kind == "tag":
            tags[key] = text
        elif kind == "var":
            variables[key] = text
        elif name in _FIELDS:
            put(fields, name, text, line(at), reading)
    if tags:
        fields["tags"] = tags
    if variables:
        fields["vars"] = variables
    reading.hosts.append(Entry(line(at), fields))
