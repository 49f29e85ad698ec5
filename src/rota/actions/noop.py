"""`noop`: does nothing, well. For trying out triggers, and as a node that only joins others."""

from __future__ import annotations

from rota.actions.spec import ActionSpec, AtOnce, NoParams
from rota.domain.step import StepContext, StepResult


def instant(params: NoParams, context: StepContext) -> StepResult:
    return StepResult(
        ok=True,
        message="nothing to do",
        changed=False,
        registered={"ok": True, "changed": False, "skipped": False},
    )


NOOP = ActionSpec(kind="noop", summary="Do nothing and succeed", example={}, params=NoParams, work=AtOnce(instant))
