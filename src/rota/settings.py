"""`rota.yaml`: what the process needs to know before it opens its store. Everything with an id lives there.

All settings and their defaults:

    schedule:
      enabled: true                # false: the daemon answers, but no schedule fires
      sync_interval_sec: 300       # dashboard sync; ≥ 1
      retention_days: 90           # history older than this is removed daily; 0 = kept for ever
      max_concurrent_schedules: 5  # runs at once over all jobs; more wait for a slot
    on_shutdown: cancel            # or `leave`: children go on, and the next daemon adopts them
    shutdown_grace_seconds: 60     # how long a stopping daemon waits for runs to end; 0 = not at all
    trust_clock: false             # true: begin work even where this machine's clock cannot be right
    targets_at_once: 10            # of one run, where the job does not say
    log: {level: info, format: text}
    backup:
      keep: 7                      # so many stay in HOME/backups, once a newer one is good; 0 = all
    ssh:
      known_hosts: []              # files of host keys that are read beside HOME/known_hosts, never written
      connect_timeout_seconds: 10  # for connection, key exchange and login together, at each host of the way
      idle_seconds: 60             # a connection nobody uses is closed after this
      keepalive_seconds: 15        # a silent host is asked this often; after three such times it is lost
      lost_grace_seconds: 120      # how long a host is sought whose connection was lost while a step ran
      kill_grace_seconds: 10       # between asking a remote command to end and ending it
    database:
      url: sqlite                  # HOME/rota.db; or postgresql://USER@HOST/DATABASE, for several daemons at once
      lease_seconds: 60            # of those, one that was silent for so long is dead to what others can carry on
      lost_grace_seconds: 120      # and after so long again to what its own machine carried out: that is `unknown`

Each can be overridden by an environment variable: `ROTA_` + the path in capitals, levels joined by two
underscores (`ROTA_SCHEDULE__RETENTION_DAYS=30`, `ROTA_ON_SHUTDOWN=leave`); its value is read as YAML. ROTA_DATABASE_URL
is another name of ROTA_DATABASE__URL.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rota.domain.errors import FieldError, InvalidInput, Unavailable, near

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from rota.instance import Instance

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 8
MAX_KEYS = 1000
ENV_PREFIX = "ROTA_"
_ALIASES = {"ROTA_DATABASE_URL": ("database", "url")}  # as other programs have it

Scalar = None | bool | int | float | str
Tree = Scalar | list["Tree"] | dict[str, "Tree"]
Path_ = tuple[str, ...]


class _Section(BaseModel):
    # Strict: `retention_days: "90"` and `enabled: 1` are more likely slips than wishes.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ScheduleSettings(_Section):
    """Seed 1's block, as printed there."""

    enabled: bool = True
    sync_interval_sec: Annotated[int, Field(ge=1, le=86_400 * 365)] = 300
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 90
    max_concurrent_schedules: Annotated[int, Field(ge=1, le=10_000_000)] = 5


class LogSettings(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class BackupSettings(_Section):
    keep: Annotated[int, Field(ge=0, le=100_000)] = 7


class SshSettings(_Section):
    # A list in YAML, kept where nothing can be added to it.
    known_hosts: Annotated[tuple[str, ...], Field(strict=False, max_length=20)] = ()
    connect_timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    idle_seconds: Annotated[int, Field(ge=0, le=86_400)] = 60
    keepalive_seconds: Annotated[int, Field(ge=1, le=3600)] = 15
    lost_grace_seconds: Annotated[int, Field(ge=0, le=86_400)] = 120
    kill_grace_seconds: Annotated[int, Field(ge=0, le=3600)] = 10


EMBEDDED = "sqlite"


def _known_kind(url: str) -> str:
    if url != EMBEDDED and not url.startswith(("postgresql://", "postgres://")):
        raise ValueError(f"there is no store of this kind ({masked(url)})")
    return url


class DatabaseSettings(_Section):
    """`url` may hold a password; `masked` is for what is shown."""

    url: Annotated[str, AfterValidator(_known_kind)] = EMBEDDED
    lease_seconds: Annotated[int, Field(ge=2, le=3600)] = 60
    lost_grace_seconds: Annotated[int, Field(ge=0, le=86_400)] = 120

    @property
    def is_embedded(self) -> bool:
        return self.url == EMBEDDED


def _by_its_url(value: object) -> object:
    """`database: sqlite` is short for `database: {url: sqlite}`."""
    return {"url": value} if isinstance(value, str) else value


class Settings(_Section):
    """What `rota.yaml` and the environment say; immutable. Units are in the names."""

    schedule: ScheduleSettings = ScheduleSettings()
    on_shutdown: Literal["cancel", "leave"] = "cancel"
    shutdown_grace_seconds: Annotated[int, Field(ge=0, le=3600)] = 60
    trust_clock: bool = False
    targets_at_once: Annotated[int, Field(ge=1, le=10_000)] = 10
    log: LogSettings = LogSettings()
    backup: BackupSettings = BackupSettings()
    ssh: SshSettings = SshSettings()
    database: Annotated[DatabaseSettings, BeforeValidator(_by_its_url)] = DatabaseSettings()


def load(instance: Instance, env: Mapping[str, str] = os.environ) -> Settings:
    """Read the instance's `rota.yaml` (defaults where there is none) and the environment's overrides.

    Raises InvalidInput with every fault, each naming the file and line or the variable it came from;
    Unavailable where the file is there and cannot be read.
    """
    given = _read(instance.config)
    faults = list(given.overlay(env))
    try:
        settings = Settings.model_validate(given.tree)
    except ValidationError as error:
        faults += [given.fault(details) for details in error.errors()]
    if faults:
        raise InvalidInput.of(faults, hint=f"correct {instance.config} or the variable named, and try again")
    return settings


@dataclass(slots=True)
class _Given:
    """What was written, and where: `places` maps a setting's path to "FILE line 3" or a variable's name."""

    file: Path
    tree: dict[str, Tree] = field(default_factory=dict)
    places: dict[Path_, str] = field(default_factory=dict)

    def overlay(self, env: Mapping[str, str]) -> Iterator[FieldError]:
        """Lay the environment over the file; yield a fault for each variable that cannot be meant."""
        for variable, text in sorted(env.items()):
            path = _path_of(variable)
            if path is None:
                continue
            branch = self.tree
            for key in path[:-1]:
                below = branch.get(key)
                if not isinstance(below, dict):
                    below = branch[key] = {}
                branch = below
            try:
                branch[path[-1]] = _plain(_parse(text), path, places={}, source=variable)
            except _UnreadableError as error:
                yield FieldError(field=variable, message=f"is not a YAML value: {error}", got=text)
            self.places[path] = variable

    def fault(self, details: ErrorDetails) -> FieldError:
        """Put one of pydantic's errors into our words, with its place."""
        path = tuple(str(part) for part in details["loc"])
        place = self.places.get(path) or self.places.get(path[:-1]) or str(self.file)
        message, expected = _explain(path, details)
        return FieldError(
            field=".".join(path),
            message=f"{message}, in {place}",
            expected=expected,
            got=masked(str(details["input"])),
        )


class _UnreadableError(Exception):
    """Text that is no YAML, or no YAML that we take. The message says why and where."""


def _read(file: Path) -> _Given:
    given = _Given(file)
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return given
    except OSError as error:
        raise Unavailable(f"cannot read {file}: {error.strerror}", hint=f"ls -l {file} shows whose it is") from error
    try:
        if len(raw) > MAX_BYTES:
            raise _UnreadableError("it is larger than 1 MiB")
        content = _parse(raw.decode())
        if content is None:
            return given
        tree = _plain(content, (), places=given.places, source=str(file))
        if not isinstance(tree, dict):
            raise _UnreadableError("it is not a mapping of settings to values")
    except (_UnreadableError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise InvalidInput.of(
            [FieldError(field="", message=f"{file} cannot be used: {reason}")],
            hint="an example: schedule: {enabled: true}",
        ) from error
    given.tree = tree
    return given


def _parse(text: str) -> object:
    """Read one YAML document into ruamel's types, which know their lines and construct no objects of ours."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise _UnreadableError(where + (error.problem or error.context or "it is not YAML").strip()) from error
    except (YAMLError, ValueError) as error:
        raise _UnreadableError(str(error).splitlines()[0]) from error
    except RecursionError as error:
        raise _UnreadableError(f"it is nested deeper than {MAX_DEPTH} levels") from error


def _plain(node: object, at: Path_, *, places: dict[Path_, str], source: str) -> Tree:
    """Turn ruamel's tree into plain values, noting in `places` where each key stands.

    Bounded in depth and in keys: aliases may make a small file endless, or 9 to the power of 9 keys large.
    """
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if len(at) > MAX_DEPTH:
        raise _UnreadableError(f"it is nested deeper than {MAX_DEPTH} levels")
    match node:
        case CommentedMap():
            lines = node.lc.data or {}  # a key that came by `<<: *alias` has no line
            tree: dict[str, Tree] = {}
            for key, value in node.items():
                path = (*at, str(key))
                _note(path, f"{source} line {lines[key][0] + 1}" if key in lines else source, places)
                tree[str(key)] = _plain(value, path, places=places, source=source)
            return tree
        case CommentedSeq():
            items: list[Tree] = []
            places_of = node.lc.data or {}
            for number, item in enumerate(node):
                path = (*at, str(number))
                _note(path, f"{source} line {places_of[number][0] + 1}" if number in places_of else source, places)
                items.append(_plain(item, path, places=places, source=source))
            return items
        case bool() | None:
            return node
        case int():
            return int(node)
        case float():
            return float(node)
        case _:
            return str(node)


def _note(path: Path_, place: str, places: dict[Path_, str]) -> None:
    places[path] = place
    if len(places) > MAX_KEYS:
        raise _UnreadableError(f"it has more than {MAX_KEYS} keys")


_KINDS = {
    "bool_type": ("a truth value", "true or false"),
    "int_type": ("a whole number", "a whole number"),
    "string_type": ("a text", "a text"),
    "tuple_type": ("a list", "a list, such as [/etc/ssh/ssh_known_hosts]"),
}


def _explain(path: Path_, details: ErrorDetails) -> tuple[str, str]:
    """Say what is wrong with one setting, and what was expected."""
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            known = _settings_under(path[:-1])
            return f"unknown setting {near(path[-1], known)}".strip(), "one of " + " ".join(known)
        case "literal_error":
            return f"{details['input']!r} is not known", str(context["expected"])
        case "greater_than_equal":
            return f"{details['input']} is too small", f"{context['ge']} or more"
        case "less_than_equal":
            return f"{details['input']} is too large", f"{context['le']} or less"
        case "value_error":
            return str(context["error"]), 'the word "sqlite", or postgresql://USER@HOST/DATABASE'
        case "bool_type" | "int_type" | "string_type" | "tuple_type" as kind:
            what, expected = _KINDS[kind]
            return f"{details['input']!r} is not {what}", expected
        case "too_long":
            return "has too many values", f"at most {context['max_length']}"
        case "model_type":
            return "is not a mapping", " ".join(_settings_under(path))
        case _:
            return f"{details['input']!r}: {details['msg'].lower()}", ""


def _settings_under(path: Path_) -> list[str]:
    model: type[BaseModel] = Settings
    for key in path:
        annotation = model.model_fields[key].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return sorted(model.model_fields)


def _path_of(variable: str) -> Path_ | None:
    """Return the setting that an environment variable means, None where it means none.

    ROTA_HOME and what children are told (ROTA_RUN_ID …) are no settings; but whatever is written below a
    section (`ROTA_SCHEDULE__ENABELD`) is meant as one, and an unknown name there is a fault.
    """
    if not variable.startswith(ENV_PREFIX):
        return None
    path = _ALIASES.get(variable) or tuple(variable.removeprefix(ENV_PREFIX).lower().split("__"))
    return path if path[0] in Settings.model_fields and all(path) else None


def masked(url: str) -> str:
    """A database URL without its password, in whichever of its places that is. Other texts stay as they are."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    account, at, place = rest.rpartition("@")
    account = f"{account.partition(':')[0]}@" if at else ""
    return f"{scheme}{separator}{account}{re.sub(r'(?<=password=)[^&]*', '***', place)}"
