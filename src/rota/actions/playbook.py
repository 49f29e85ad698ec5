"""`playbook`: the steps of a stored playbook, which take its place when the plan is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, StringConstraints

from rota.actions.spec import ActionSpec, Expands, Params
from rota.domain.errors import FieldError, InvalidInput
from rota.domain.playbook import NAME_PATTERN, Playbook
from rota.domain.step import Step


class PlaybookParams(Params):
    """Which playbook. Its name is not a template: a run pins the playbook when its plan is made."""

    playbook: Annotated[str, StringConstraints(pattern=NAME_PATTERN), Field(description="name of a stored playbook")]


def expand(step: Step, find: Callable[[str], Playbook]) -> tuple[Step, ...]:
    """The steps of the playbook that `step` names. `find` raises NotFound.

    Raises InvalidInput where `step` has modifiers: they belong to the playbook's own steps.
    """
    if faults := modifier_faults(step):
        raise InvalidInput.of(faults)
    return find(str(step.params["playbook"])).steps


def modifier_faults(step: Step) -> list[FieldError]:
    """What a `playbook` step may not carry, as nothing would honour it."""
    plain = Step(name=step.name, action=step.action)
    names = (
        "os", "when", "register", "continue_on_error", "timeout_seconds", "retries", "retry_delay_seconds",
        "retry_backoff", "retry_max_delay_seconds", "retry_jitter", "retry_on", "idempotent", "on_lost",
        "total_timeout_seconds",
    )  # fmt: skip
    return [
        FieldError(field=name, message="does not apply to a playbook as a whole", expected="it on the playbook's steps")
        for name in names
        if getattr(step, name) != getattr(plain, name)
    ]


PLAYBOOK = ActionSpec(
    kind="playbook",
    summary="Run the steps of a stored playbook",
    example={"playbook": "health-check"},
    params=PlaybookParams,
    work=Expands(),
    main="playbook",
    in_playbooks=False,
)
