"""A plan: the flat steps and variables a run will carry out, content-addressed.

Two runs with equal steps and variables share one stored plan. What dry-run shows and approval binds to is
`plan_digest`: job version, plan content and frozen targets together (DESIGN §1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rota.domain.job import canonical, digest
from rota.domain.step import Json, Step, step_from_dict, step_to_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    steps: tuple[Step, ...]
    variables: Mapping[str, Json]  # job vars over playbook vars
    items: Mapping[str, str]  # library item name -> digest pinned ("playbook/backup" -> sha256)

    def to_dict(self) -> dict[str, Json]:
        return {
            "steps": [step_to_dict(step) for step in self.steps],
            "vars": dict(self.variables),
            "items": dict(self.items),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> Plan:
        raw: dict[str, object] = dict(data)
        return cls(
            steps=tuple(step_from_dict(s) for s in raw["steps"]),  # type: ignore[attr-defined]  # a list, by to_dict
            variables=raw["vars"],  # type: ignore[arg-type]  # a mapping, by to_dict
            items=raw["items"],  # type: ignore[arg-type]  # a mapping, by to_dict
        )

    @property
    def text(self) -> str:
        return canonical(self.to_dict())

    @property
    def digest(self) -> str:
        return digest(self.to_dict())


def plan_digest(*, job_version: str, plan: str, target_set: str) -> str:
    """The digest that dry-run shows. Arguments are the digests of the parts; an ad-hoc run has job_version ''."""
    return digest([job_version, plan, target_set])
