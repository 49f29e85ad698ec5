"""What the mutants do wrong about policies: caps, and further tries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rota.domain.states import AttemptState
from rota.domain.step import Step


def has_room_there(self: Any, site: str | None, _host: str, _job_id: int | None) -> bool:
    return bool(self.total > 0 and (site is None or self.sites.get(site, 1) > 0))


def without_counting(right: Callable[..., bool]) -> object:
    def may(step: Step, state: AttemptState, reason: Any, exit_code: int | None, _number: int) -> bool:
        return right(step, state, reason, exit_code, 1)

    return may
