"""What Rota may run on: hosts, and the groups they are in. Sites are only a word on a host so far."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rota.domain.errors import FieldError
from rota.domain.step import OsName

LOCAL = "local"  # the machine Rota runs on; built in
RESERVED_NAMES = frozenset({"all"})

NAME = re.compile(r"[A-Za-z0-9._:][A-Za-z0-9._:-]{0,252}")
_ID = re.compile(r"host_[0-9a-f]{4,16}")  # the bare digits may be a name: `db01` is one
TAG_KEY = re.compile(r"[A-Za-z0-9._/][A-Za-z0-9._/-]{0,62}")
TAG_VALUE = re.compile(r"[A-Za-z0-9._:/@+-]{0,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine that steps run on. `connector` says how it is reached, `address` where (None: by its name)."""

    name: str
    connector: str = "local"
    address: str | None = None
    os: OsName | None = None  # None = not known yet
    site: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, str] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    disabled: bool = False  # nothing new starts on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A named set of hosts. The members are told by the hosts (`Host.groups`)."""

    name: str
    description: str = ""
    vars: Mapping[str, str] = field(default_factory=dict)


def name_faults(name: str, *, what: str = "host", field: str = "name") -> list[FieldError]:
    """What is wrong with the name of a host, group or site; empty when it may be used.

    A name may be an IPv6 address. A leading dash is refused: it would be an option on somebody's command line.
    """
    if name in RESERVED_NAMES:
        return [FieldError(field=field, message=f'"{name}" is a word of the selectors, not a {what} name')]
    if _ID.fullmatch(name):
        return [FieldError(field=field, message=f'"{name}" looks like an id', expected=f"a {what} name")]
    if NAME.fullmatch(name) is None:
        return [
            FieldError(
                field=field,
                message=f"{_shown(name)} is not a {what} name",
                expected="1 to 253 letters, digits or . _ : -, not beginning with a dash",
                got=name[:300],
            )
        ]
    return []


def tag_faults(tags: Mapping[str, str], *, field: str = "tags") -> list[FieldError]:
    """What is wrong with a host's tags; empty when they may be used. An empty value is a tag without one."""
    faults = []
    for key, value in tags.items():
        if TAG_KEY.fullmatch(key) is None:
            faults.append(
                FieldError(
                    field=f"{field}.{key[:80]}",
                    message=f"{_shown(key)} is not a tag name",
                    expected="1 to 63 letters, digits or . _ / -, not beginning with a dash",
                )
            )
        elif TAG_VALUE.fullmatch(value) is None:
            faults.append(
                FieldError(
                    field=f"{field}.{key}",
                    message=f"{_shown(value)} is not a tag value",
                    expected="at most 255 letters, digits or . _ : / @ + -",
                )
            )
    return faults


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")
