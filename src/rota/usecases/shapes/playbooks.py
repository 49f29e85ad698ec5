"""Playbooks and what is wrong with them."""

from __future__ import annotations

from typing_extensions import TypedDict

from rota.usecases.shapes.faults import Fault
from rota.usecases.shapes.jobs import Step


class PlaybookItem(TypedDict):
    """`steps` counts them; `faults` say why a newer text of its file was not taken."""

    id: str
    name: str
    description: str
    digest: str
    steps: int
    source: str
    updated_at: str
    faults: list[str]


class PlaybookFault(TypedDict):
    source: str
    errors: list[str]


class Playbooks(TypedDict):
    """`faults`: files of the playbook folder that could not be taken."""

    items: list[PlaybookItem]
    next: None
    faults: list[PlaybookFault]


class Playbook(TypedDict):
    id: str
    name: str
    description: str
    digest: str
    steps: list[Step]
    source: str
    updated_at: str
    text: str
    vars: dict[str, str]


class Validation(TypedDict):
    valid: bool
    errors: list[Fault]
