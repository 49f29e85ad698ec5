"""From words in a file to the fields of a host, as the API takes them. Shared by all readers."""

from __future__ import annotations

from typing import get_args

from rota.domain.errors import near
from rota.domain.step import Json, OsName
from rota.importing.reading import Reading

TEXTS = (
    "name", "connector", "address", "user", "key_file", "passphrase_file", "password_file", "sudo_password_file",
    "jump", "site",
)  # fmt: skip
FIELDS = (*TEXTS, "port", "os", "disabled", "tags", "vars", "groups")
# What `hosts list` says beside that. It is taken for granted, not taken over.
TOLD_ONLY = frozenset({"id", "in_all", "version", "updated_at", "warnings"})
_SYSTEMS = get_args(OsName)
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def put(fields: dict[str, Json], name: str, text: str, place: str, reading: Reading) -> None:
    """Put what `text` says into the field `name`, one of `TEXTS port os disabled`; a fault where it says nothing."""
    where = f"{place} {fields.get('name', '')} {name}".replace("  ", " ")
    if name == "port":
        if text.isascii() and text.isdecimal() and len(text) <= 9:
            fields[name] = int(text)
        else:
            reading.fault(where, f"{text[:80]!r} is not a port", expected="1 to 65535")
    elif name == "disabled":
        if text.lower() in _TRUTHS:
            fields[name] = _TRUTHS[text.lower()]
        else:
            reading.fault(where, f"{text[:80]!r} is neither", expected="true or false")
    elif name == "os" and text not in _SYSTEMS:
        expected = " or ".join(_SYSTEMS)
        reading.fault(where, f"{text[:80]!r} is not a system", expected=expected, hint=near(text, _SYSTEMS))
    else:
        fields[name] = text


def pairs(text: str, place: str, reading: Reading) -> dict[str, Json]:
    """`env=prod;staging` as tags are written in one cell: separated by blanks, `;` or `,`; a value may be missing."""
    found: dict[str, Json] = {}
    for word in text.replace(";", " ").replace(",", " ").split():
        key, _, value = word.partition("=")
        if key in found:
            reading.fault(place, f"the tag {key[:80]!r} is given twice")
        found[key] = value
    return found


def words(text: str) -> list[Json]:
    """Names in one cell, separated by blanks, `;` or `,`."""
    return [*text.replace(";", " ").replace(",", " ").split()]
