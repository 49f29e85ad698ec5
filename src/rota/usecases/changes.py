"""What an edit changed, in the words people use: `trigger` and `timezone`, `playbook` or `action`, `vars.NAME`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rota.domain.job import JobSpec, NamedTrigger, canonical
from rota.domain.step import Json, Step
from rota.domain.trigger.spec import ZonedTrigger, short_form, to_dict
from rota.usecases import shapes
from rota.usecases.resources import action_short

_APART = frozenset({"triggers", "vars", "steps"})


def changes_between(old: JobSpec, new: JobSpec) -> list[shapes.Change]:
    """Every field that differs, old and new. Empty exactly when the specs are equal."""
    before, after = old.to_dict(), new.to_dict()
    fields = [field for field in {**before, **after} if field not in _APART]
    changes = [_change(field, before.get(field), after.get(field)) for field in fields]
    changes += _of_triggers(old.triggers, new.triggers)
    if old.playbook is not None and new.playbook is not None:
        changes.append(_change("playbook", old.playbook, new.playbook))
    elif _is_same_work(old.steps, new.steps):
        was, now = asdict(old.steps[0]), asdict(new.steps[0])
        changes += [_change(field, _plain(was[field]), _plain(now[field])) for field in was]
    elif old.steps != new.steps:
        shorts = action_short(old.steps), action_short(new.steps)
        changes.append(
            _change("action", *shorts) if shorts[0] != shorts[1] else _change("steps", before["steps"], after["steps"])
        )
    names = sorted({*old.variables, *new.variables})
    changes += [_change(f"vars.{name}", old.variables.get(name), new.variables.get(name)) for name in names]
    return [change for change in changes if change["old"] != change["new"]]


def _is_same_work(old: Sequence[Step], new: Sequence[Step]) -> bool:
    """Whether there is one step, and it only says other things about the trying of it."""
    pair = [*old, *new]
    return (
        len(old) == len(new) == 1
        and len({(step.name, step.action, canonical(dict(step.params))) for step in pair}) == 1
    )


def _plain(value: Any) -> Json:
    """A step's field as JSON."""
    return list(value) if isinstance(value, tuple) else value


def _of_triggers(old: Sequence[NamedTrigger], new: Sequence[NamedTrigger]) -> Iterator[shapes.Change]:
    if old == new:
        return
    rules, zones = (_rules(old), _rules(new)), (_zones(old), _zones(new))
    yield _change("trigger", *rules)
    yield _change("timezone", *zones)
    if rules[0] == rules[1] and zones[0] == zones[1]:  # a name or an anchor
        yield _change("triggers", _exactly(old), _exactly(new))


def _rules(triggers: Sequence[NamedTrigger]) -> str:
    return "; ".join(short_form(named.rule) for named in triggers)


def _zones(triggers: Sequence[NamedTrigger]) -> str | None:
    zones = dict.fromkeys(named.rule.zone for named in triggers if isinstance(named.rule, ZonedTrigger))
    return ", ".join(zones) or None


def _exactly(triggers: Sequence[NamedTrigger]) -> Json:
    return canonical([{"name": named.name, **to_dict(named.rule)} for named in triggers])  # type: ignore[dict-item]  # texts and numbers


def _change(field: str, old: Json, new: Json) -> shapes.Change:
    return {"field": field, "old": old, "new": new}
