"""Whether what a job names exists and fits: actions, playbooks, variables, hosts and groups. All faults at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rota.actions.playbook_file import RegistryRules
from rota.actions.registry import KINDS, check_step
from rota.domain.errors import FieldError, InvalidInput, NotFound, near
from rota.domain.playbook import BUILT_IN, missing_variables
from rota.domain.selector import parse, require_known
from rota.domain.step import Step
from rota.ports import Tx
from rota.storage import inventory, library
from rota.storage.freeze import expand, parsed

_MOST_VALUE = 64 * 1024
_RULES = RegistryRules()


@dataclass(slots=True)
class Findings:
    """`faults`: the words are wrong. `missing`: the words are right and name what is not there."""

    faults: list[FieldError] = field(default_factory=list)
    missing: list[FieldError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def raise_any(self) -> None:
        """Raise InvalidInput with all that is wrong or missing, NotFound where things are only missing."""
        if self.faults:
            raise InvalidInput.of([*self.faults, *self.missing])
        if self.missing:
            raise NotFound("; ".join(map(str, self.missing)), errors=self.missing, hint=_where_to_look(self.missing))


def examine(
    tx: Tx,
    steps: Sequence[Step],
    variables: Mapping[str, str],
    target: str | None,
    *,
    faults: Iterable[FieldError] = (),
) -> Findings:
    """Look at everything, also where `faults` were found before; nothing is raised here."""
    found = Findings(list(faults))
    found.faults += variable_faults(variables)
    for place, step in enumerate(steps):
        # Written as `playbook: NAME` it is told of as that, not as the step it became.
        alone = step.action == "playbook" and len(steps) == 1
        step_faults = check_step(step, where=f"steps[{place}]")
        found.faults += [replace(fault, field="playbook") for fault in step_faults] if alone else step_faults
    _look_at_work(tx, steps, variables, found)
    if target is not None:
        _look_at_target(tx, target, found)
    return found


def variable_faults(variables: Mapping[str, str]) -> list[FieldError]:
    """What is wrong with the names and values of variables themselves."""
    faults = []
    for name, value in variables.items():
        where = f"vars.{name[:80]}"
        if not (name.isascii() and name.isidentifier()) or len(name) > 64:
            expected = "at most 64 letters, digits and _, not a digit first"
            faults.append(FieldError(field=where, message=f"{name[:80]!r} is not a variable name", expected=expected))
        elif name in BUILT_IN:
            faults.append(
                FieldError(field=where, message=f'"{name}" has a meaning of its own', expected="another name")
            )
        if len(value) > _MOST_VALUE or "\0" in value:
            expected = f"at most {_MOST_VALUE} characters, none of them NUL"
            faults.append(FieldError(field=where, message="the value cannot be taken", expected=expected))
    return faults


def _look_at_work(tx: Tx, steps: Sequence[Step], variables: Mapping[str, str], found: Findings) -> None:
    """Playbooks exist, and every variable that the work cannot do without is given by somebody."""
    given = dict(variables)
    complete = True
    for step in steps:
        name = step.params.get("playbook")
        if step.action != "playbook" or not isinstance(name, str):
            continue
        item = library.find_playbook(tx, name)
        if item is None:
            complete = False
            message, meant = f'there is no playbook "{name}"', near(name, library.playbook_names(tx))
            found.missing.append(FieldError(field="playbook", message=message, got=name, hint=meant))
            continue
        playbook = parsed(item.text)
        given |= playbook.vars
        found.faults += missing_variables(playbook, variables)
    if complete and not found.faults:
        try:
            expand(tx, steps, variables)
        except InvalidInput as error:
            found.faults += error.as_faults("vars")
    found.faults += _unresolved(steps, given)


def _unresolved(steps: Sequence[Step], given: Mapping[str, str]) -> list[FieldError]:
    """Variables that the job's own steps need, and that neither it nor an earlier step gives."""
    known = set(given)
    wanted: dict[str, list[str]] = {}
    for place, step in enumerate(steps):
        if step.action in KINDS:
            references = _RULES.names(step.action, step.params, f"steps[{place}].params")
            if step.when is not None:
                references += _RULES.condition_names(step.when, f"steps[{place}].when")
            for reference in references:
                name = reference.name.removeprefix("vars.")
                if name not in known:
                    wanted.setdefault(name, []).append(reference.field)
        if step.register is not None:
            known.add(step.register)
    return [
        FieldError(
            field=f"vars.{name}",
            message=f"missing variable, needed by {', '.join(dict.fromkeys(fields))}",
            expected=f"--var {name}=…",
            hint=near(name, known),
        )
        for name, fields in wanted.items()
    ]


def _look_at_target(tx: Tx, target: str, found: Findings) -> None:
    try:
        selector = parse(target)
    except InvalidInput as error:
        found.faults += error.as_faults("target")
        return
    known = inventory.load(tx)
    try:
        require_known(selector, (host.name for host in known.hosts), known.groups)
    except NotFound as error:
        found.missing += error.errors
        return
    if not known.pick(selector):
        found.warnings.append(f'"{target}" picks no host now; while that is so, its runs are refused with no_targets')


def _where_to_look(missing: Sequence[FieldError]) -> str:
    commands = {
        "playbook": "rota playbook list",
        "target": "rota hosts list, rota groups list",
    }
    return "see: " + ", ".join(dict.fromkeys(commands.get(fault.field, commands["target"]) for fault in missing))
