"""Playbooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rota.domain.ids import Kind, public
from rota.domain.step import Step as PlanStep
from rota.storage.library import Item
from rota.usecases import shapes
from rota.usecases.resources.common import rfc3339
from rota.usecases.resources.jobs import step


def playbook_item(item: Item, description: str, steps: int, faults: Sequence[str]) -> shapes.PlaybookItem:
    return {
        "id": public(Kind.PLAYBOOK, item.public_id),
        "name": item.name,
        "description": description,
        "digest": item.digest,
        "steps": steps,
        "source": item.source,
        "updated_at": rfc3339(item.updated_at),
        "faults": list(faults),
    }


def playbook(item: Item, description: str, variables: Mapping[str, str], steps: Sequence[PlanStep]) -> shapes.Playbook:
    return {
        "id": public(Kind.PLAYBOOK, item.public_id),
        "name": item.name,
        "description": description,
        "digest": item.digest,
        "steps": list(map(step, steps)),
        "source": item.source,
        "updated_at": rfc3339(item.updated_at),
        "text": item.text,
        "vars": dict(variables),
    }
