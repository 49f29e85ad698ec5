"""What the mutants do wrong about policies: caps, patience, catching up, further tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rota.domain.policy import CatchUp
from rota.domain.states import AttemptState
from rota.domain.step import Step


def has_room_there(self: Any, site: str | None, _host: str, _job_id: int | None) -> bool:
    return bool(self.total > 0 and (site not in self.sites or self.sites[site].left > 0))


def catch_all_up(right: Callable[..., Any]) -> object:
    def reckon(*given: Any, catch_up: CatchUp, **named: Any) -> Any:
        return right(*given, catch_up=CatchUp(spacing=catch_up.spacing), **named)

    return reckon


def without_counting(right: Callable[..., bool]) -> object:
    def may(step: Step, state: AttemptState, reason: Any, exit_code: int | None, _number: int) -> bool:
        return right(step, state, reason, exit_code, 1)

    return may


def after_any_failure(right: Callable[..., bool]) -> object:
    return lambda step, *given: right(replace(step, retry_on=()), *given)
