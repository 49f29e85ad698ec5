"""What an edit changed, in the words people use: `trigger` and `timezone`, `playbook` or `action`, `vars.NAME`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rota.domain.job import JobSpec, NamedTrigger, canonical
from rota.domain.step import Json
from rota.domain.trigger.spec import ZonedTrigger, short_form, to_dict
from rota.usecases import shapes
from rota.usecases.resources import action_short

_APART = frozenset({"triggers", "vars", "steps"})


def changes_between(old: JobSpec, new: JobSpec) -> list[shapes.Change]:
    """Every field that differs, old and new. Empty exactly when the specs are equal."""
    before, after = old.to_dict(), new.to_dict()
    changes = [_change(field, before[field], after[field]) for field in before if field not in _APART]
    changes += _of_triggers(old.triggers, new.triggers)
    if old.playbook is not None and new.playbook is not None:
        changes.append(_change("playbook", old.playbook, new.playbook))
    elif old.steps != new.steps:
        shorts = action_short(old.steps), action_short(new.steps)
        changes.append(
            _change("action", *shorts) if shorts[0] != shorts[1] else _change("steps", before["steps"], after["steps"])
        )
    names = sorted({*old.variables, *new.variables})
    changes += [_change(f"vars.{name}", old.variables.get(name), new.variables.get(name)) for name in names]
    return [change for change in changes if change["old"] != change["new"]]


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
