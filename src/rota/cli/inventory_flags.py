"""What the server says of a field of a host or group, said of the option that it was typed with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from rota.cli.flags import renamed
from rota.domain.errors import FieldError

T = TypeVar("T")

_FLAGS = {
    "name": "NAME",
    "tags": "--tag",
    "vars": "--var",
    "groups": "--group",
    "hosts": "--host",
    "add_hosts": "--add-host",
    "remove_hosts": "--remove-host",
    "selector": "--match",
}


def in_flags(request: Callable[[], T]) -> T:
    """Do `request`; where the server finds faults in fields, name them as they were typed."""
    return renamed(request, _in_flag)


def _in_flag(fault: FieldError) -> FieldError:
    field, _, key = fault.field.partition(".")
    flag = _FLAGS.get(field, f"--{field.replace('_', '-')}" if field else "")
    return replace(fault, field=f"{flag} {key}".rstrip())
