"""What is asked of a job about trying again, and how that becomes what its only step says.

A job with several steps, or with a playbook, is not taken to mean all of them: how often a step may be tried again is
for each to say (DESIGN: "a job's retry being that of its only step").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from rota.domain.errors import FieldError
from rota.domain.step import Step

RETRY_FIELDS = (
    "retries", "retry_delay_seconds", "retry_backoff", "retry_max_delay_seconds", "retry_jitter", "retry_on",
    "idempotent", "on_lost", "total_timeout_seconds",
)  # fmt: skip
_DEFAULTS = {field.name: field.default for field in fields(Step) if field.name in RETRY_FIELDS}
_ABOUT_RETRIES = ("retry_backoff", "retry_max_delay_seconds", "retry_jitter", "retry_on")


def with_retries(steps: Sequence[Step], given: Mapping[str, object], faults: list[FieldError]) -> tuple[Step, ...]:
    """The steps, the only one with what is `given` in the words of `RETRY_FIELDS`; None stands for the default.

    Without retries nothing is left of how to try again, unless that is said as well.
    """
    if not given or not steps:  # without any step there is a fault already
        return tuple(steps)
    if len(steps) > 1 or steps[0].action == "playbook":
        several = len(steps) > 1
        message = f"is of one step, and there are {len(steps)}" if several else "is of one step, not of a playbook"
        expected = "it in each step" if several else "it on the playbook's own steps"
        faults += [FieldError(field=name, message=message, expected=expected) for name in given]
        return tuple(steps)
    said = {name: _DEFAULTS[name] if value is None else value for name, value in given.items()}
    if said.get("retries") == 0:
        said = {**{name: _DEFAULTS[name] for name in _ABOUT_RETRIES}, **said}
    return (replace(steps[0], **said),)  # type: ignore[arg-type]  # of the types of Step: read by the API's body
