"""A playbook: named steps with variables. Parsed from plain data; every fault is reported at once.

What belongs to an action's parameters and to templates is asked of `StepRules`, so that this module stays pure.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar, get_args

from rota.domain.errors import FieldError, InvalidInput, near
from rota.domain.retry import retry_faults
from rota.domain.step import Backoff, Json, OnLost, OsName, Step, step_to_dict

W = TypeVar("W", bound=StrEnum)
NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
MOST_STEPS: Final = 500
BUILT_IN: Final = frozenset({"vars", "host", "run"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"})
_TOP_KEYS = ("name", "description", "version", "vars", "steps")
_MODIFIERS = (
    "name", "os", "when", "register", "continue_on_error", "timeout_ms", "retries", "retry_delay_ms", "retry_backoff",
    "retry_max_delay_ms", "retry_jitter", "retry_on", "idempotent", "on_lost", "total_timeout_ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reference:
    """A variable that a field's template cannot do without: `name` as written, `x` or `vars.x`."""

    field: str
    name: str


class StepRules(Protocol):
    """What the parser asks about actions and templates."""

    def actions(self) -> Mapping[str, str | None]:
        """Action kinds a playbook's step may name, each with the parameter that a bare text means, or None."""

    def faults(self, action: str, params: Mapping[str, Json], where: str) -> list[FieldError]:
        """All faults of an action's parameters, fields beginning with `where`."""

    def condition_faults(self, expression: str, where: str) -> list[FieldError]:
        """All faults of a `when`."""

    def names(self, action: str, params: Mapping[str, Json], where: str) -> list[Reference]:
        """The variables that an action's templates cannot do without."""

    def condition_names(self, expression: str, where: str) -> list[Reference]:
        """The variables that a `when` cannot do without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """A parsed playbook. `vars` are defaults; a job's variables come over them."""

    name: str
    description: str = ""
    version: int = 1
    vars: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    references: tuple[Reference, ...] = ()  # what neither `vars` nor an earlier `register` defines

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the content: comments, key order and layout do not count."""
        content = {
            "name": self.name,
            "description": self.description,
            "version": self.version,
            "vars": dict(self.vars),
            "steps": [step_to_dict(step) for step in self.steps],
        }
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def to_steps(playbook: Playbook) -> tuple[Step, ...]:
    """The steps in order, as a plan holds them."""
    return playbook.steps


def missing_variables(playbook: Playbook, job_vars: Mapping[str, Json]) -> list[FieldError]:
    """What the playbook needs and neither it nor `job_vars` gives; each name once, with all fields that want it."""
    wanted: dict[str, list[str]] = {}
    for reference in playbook.references:
        name = reference.name.removeprefix("vars.")
        if name not in job_vars and reference.field not in wanted.setdefault(name, []):
            wanted[name].append(reference.field)
    known = [*playbook.vars, *job_vars]
    return [
        FieldError(
            field=f"vars.{name}",
            message=f"missing variable, needed by {', '.join(fields)}",
            expected=f"--var {name}=…",
            hint=near(name, known),
        )
        for name, fields in wanted.items()
        if fields
    ]


def parse(data: Json, rules: StepRules) -> Playbook:
    """Read a playbook from plain data. Raises InvalidInput that names every fault."""
    parser = _Parser(rules)
    playbook = parser.playbook(data)
    if playbook is None or parser.faults:
        raise InvalidInput.of(parser.faults)
    return playbook


class _Parser:
    """Gathers faults while it reads, so that an author sees all of them at once."""

    def __init__(self, rules: StepRules) -> None:
        self.rules = rules
        self.faults: list[FieldError] = []

    def playbook(self, data: Json) -> Playbook | None:
        if not isinstance(data, dict):
            self._fault("", "a playbook is a mapping", "name: …, steps: […]", _type(data))
            return None
        self._unknown_keys(data, _TOP_KEYS, "")
        name = self._name(data)
        description = self._get(data, "description", str, "", "")
        version = self._get(data, "version", int, 1, "")
        if version < 1:
            self._fault("version", "must be 1 or more", "a whole number", str(version))
        variables = self._vars(data.get("vars"))
        steps, references = self._steps(data.get("steps"), variables)
        return Playbook(
            name=name, description=description, version=version, vars=variables, steps=steps, references=references
        )

    def _name(self, data: dict[str, Json]) -> str:
        name = data.get("name")
        if name is None:
            self._fault("name", "is missing", "name: my-playbook")
        elif not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name):
            self._fault("name", "is not a name", "letters, digits, . _ -; at most 100", str(name)[:100])
        return str(name)

    def _vars(self, data: Json) -> dict[str, str]:
        """Variables are text: 30 and true become "30" and "true", as `--var` would give them."""
        if data is None:
            return {}
        if not isinstance(data, dict):
            self._fault("vars", "is not a mapping", "name: value", _type(data))
            return {}
        variables = {}
        for name, value in data.items():
            where = f"vars.{name}"
            self._identifier(name, where)
            if isinstance(value, bool):
                variables[name] = "true" if value else "false"
            elif isinstance(value, str | int | float):
                variables[name] = str(value)
            else:
                self._fault(where, "is not text", "text or a number", _type(value))
        return variables

    def _steps(self, data: Json, variables: Mapping[str, str]) -> tuple[tuple[Step, ...], tuple[Reference, ...]]:
        if not isinstance(data, list) or not data:
            message = "is missing" if data is None else "is not a list of steps" if data != [] else "is empty"
            self._fault("steps", message, "at least one step: - name: …, exec: …")
            return (), ()
        if len(data) > MOST_STEPS:
            self._fault("steps", f"has {len(data)} steps", f"at most {MOST_STEPS}")
            return (), ()
        steps: list[Step] = []
        wanted: list[tuple[int, Reference]] = []
        names: dict[str, int] = {}
        registers: dict[str, int] = {}
        for at, item in enumerate(data):
            where = f"steps[{at}]"
            if not isinstance(item, dict):
                self._fault(where, "is not a mapping", "name: …, and one action", _type(item))
                continue
            step = self._step(item, where)
            if step.name and names.setdefault(step.name, at) != at:
                self._fault(f"{where}.name", f'"{step.name}" is also steps[{names[step.name]}]', "a name of its own")
            if step.register is not None:
                if registers.setdefault(step.register, at) != at:
                    self._fault(
                        f"{where}.register",
                        f'"{step.register}" is also registered by steps[{registers[step.register]}]',
                        "a name of its own",
                    )
                if step.register in variables:
                    self._fault(f"{where}.register", f'"{step.register}" is also a variable', "a name of its own")
            wanted += [(at, reference) for reference in self._references(step, item, where)]
            steps.append(step)
        return tuple(steps), tuple(self._unresolved(wanted, registers, variables))

    def _step(self, item: dict[str, Json], where: str) -> Step:
        known = self.rules.actions()
        self._unknown_keys(item, (*_MODIFIERS, *known), where + ".")
        found = [key for key in item if key in known]
        name = self._get(item, "name", str, "", where + ".")
        if "name" not in item:
            self._fault(f"{where}.name", "is missing", "a name that no other step has")
        elif isinstance(item["name"], str) and not 0 < len(name.strip()) <= 200:
            self._fault(f"{where}.name", "is empty or too long", "1 to 200 characters")
        action, params = "", dict[str, Json]()
        if len(found) == 1:
            action = found[0]
            params = self._params(action, known[action], item[action], where)
        elif not found:
            self._fault(where, "has no action", "exactly one of " + " ".join(sorted(known)))
        else:
            self._fault(where, f"has {len(found)} actions: {', '.join(found)}", "exactly one; make two steps of it")
        return self._modified(item, where, name, action, params)

    def _params(self, action: str, main: str | None, value: Json, where: str) -> dict[str, Json]:
        params: dict[str, Json]
        if isinstance(value, dict):
            params = value
        elif value is None:
            params = {}
        elif isinstance(value, str) and main is not None:
            params = {main: value}
        else:
            expected = "text or a mapping" if main is not None else "a mapping"
            self._fault(f"{where}.{action}", "cannot be read", expected, _type(value))
            return {}
        self.faults += self.rules.faults(action, params, f"{where}.{action}")
        return params

    def _modified(self, item: dict[str, Json], where: str, name: str, action: str, params: dict[str, Json]) -> Step:
        dot = where + "."
        system = self._get(item, "os", str, None, dot)
        if system is not None and system not in get_args(OsName):
            self._fault(f"{where}.os", f'"{system}" is no system', "linux, macos or windows")
        when = item.get("when")
        if isinstance(when, bool):
            when = "true" if when else "false"
        elif when is not None and not isinstance(when, str):
            self._fault(f"{where}.when", "is not a condition", 'text, such as vars.env == "prod"', _type(when))
        register = self._get(item, "register", str, None, dot)
        if register is not None:
            self._identifier(register, f"{where}.register")
        when = when if isinstance(when, str) else None
        if when is not None:
            self.faults += self.rules.condition_faults(when, f"{where}.when")
        step = Step(
            name=name,
            action=action,
            params=params,
            os=system,
            when=when,
            register=register,
            continue_on_error=self._get(item, "continue_on_error", bool, False, dot),
            timeout_seconds=self._length(item, "timeout_ms", dot),
            retries=self._number(item, "retries", dot, least=0, most=100) or 0,
            idempotent=self._get(item, "idempotent", bool, False, dot),
            retry_backoff=self._word(item, "retry_backoff", Backoff, dot) or Backoff.FIXED,
            retry_max_delay_seconds=self._length(item, "retry_max_delay_ms", dot, most=86_400_000),
            retry_jitter=self._share(item, "retry_jitter", dot),
            retry_on=self._texts(item, "retry_on", dot),
            on_lost=self._word(item, "on_lost", OnLost, dot),
            total_timeout_seconds=self._length(item, "total_timeout_ms", dot),
        )
        delay = self._length(item, "retry_delay_ms", dot, least=0, most=86_400_000)
        step = step if delay is None else replace(step, retry_delay_seconds=delay)
        for fault in retry_faults(step):
            self.faults.append(replace(fault, field=dot + fault.field.replace("_seconds", "_ms")))
        return step

    def _references(self, step: Step, item: Mapping[str, Json], where: str) -> list[Reference]:
        references = self.rules.names(step.action, step.params, f"{where}.{step.action}") if step.action else []
        if step.when is not None:
            references = [*references, *self.rules.condition_names(step.when, f"{where}.when")]
        return references

    def _unresolved(
        self, wanted: list[tuple[int, Reference]], registers: Mapping[str, int], variables: Mapping[str, str]
    ) -> list[Reference]:
        """What must come from the job. A name that only a later step registers is a fault."""
        unresolved = []
        for at, reference in wanted:
            name = reference.name.removeprefix("vars.")
            if name in variables:
                continue
            if reference.name not in registers:
                unresolved.append(reference)
            elif registers[reference.name] >= at:
                message = f"`{name}` is registered later, by steps[{registers[name]}]"
                self._fault(reference.field, message, "a step before this one")
        return unresolved

    def _length(
        self, item: Mapping[str, Json], key: str, where: str, *, least: int = 1, most: int = 7 * 86_400_000
    ) -> float | None:
        """A number of milliseconds, in seconds."""
        number = self._number(item, key, where, least=least, most=most)
        return None if number is None else number / 1000

    def _word(self, item: Mapping[str, Json], key: str, words: type[W], where: str) -> W | None:
        word = self._get(item, key, str, None, where)
        if word is None or word in map(str, words):
            return None if word is None else words(word)
        self._fault(where + key, f'"{word[:40]}" is not known', "one of " + " ".join(words), hint=near(word, words))
        return None

    def _texts(self, item: Mapping[str, Json], key: str, where: str) -> tuple[str, ...]:
        """One text, or a list of them."""
        value = item.get(key)
        texts = value if isinstance(value, list) else [] if value is None else [value]
        found = [text for text in texts if isinstance(text, str)]
        if len(found) != len(texts):
            self._fault(where + key, "has the wrong type", "text, or a list of texts", _type(value))
        return tuple(found)

    def _share(self, item: Mapping[str, Json], key: str, where: str) -> float | None:
        value = item.get(key)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return None if value is None else float(value)
        self._fault(where + key, "has the wrong type", "a number such as 0.2", _type(value))
        return None

    def _number(self, item: Mapping[str, Json], key: str, where: str, *, least: int, most: int) -> int | None:
        number: int | None = self._get(item, key, int, None, where)
        if number is not None and not least <= number <= most:
            self._fault(where + key, f"{number} is out of range", f"{least} to {most}")
        return number

    def _get(self, item: Mapping[str, Json], key: str, kind: type, default: Any, where: str) -> Any:
        value = item.get(key)
        if value is None:
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self._fault(where + key, "has the wrong type", _NAMES[kind], _type(value))
            return default
        return value

    def _identifier(self, name: str, where: str) -> None:
        if not _IDENTIFIER.fullmatch(name):
            self._fault(where, f'"{name[:80]}" is not an identifier', "letters, digits and _, not a digit first")
        elif name in BUILT_IN or name in _WORDS or name.startswith("_"):
            self._fault(where, f'"{name}" has a meaning of its own', "another name")

    def _unknown_keys(self, item: Mapping[str, Json], known: tuple[str, ...], where: str) -> None:
        for key in item:
            if key not in known:
                self._fault(f"{where}{key}", "is not known", "one of " + " ".join(known), hint=near(key, known))

    def _fault(self, where: str, message: str, expected: str = "", got: str = "", hint: str = "") -> None:
        self.faults.append(FieldError(field=where, message=message, expected=expected, got=got, hint=hint))


_NAMES: dict[type, str] = {str: "text", int: "a whole number", bool: "true or false"}


def _type(value: Json) -> str:
    names: dict[type, str] = {**_NAMES, float: "a number", list: "a list", dict: "a mapping", type(None): "nothing"}
    return names[type(value)]
