"""What clients may send, and reading it so that every fault is found, the ones of a later kind too.

Each body has only optional fields: what must be there is said by the use case, together with all its other faults.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from rota.domain.calendars import OnHit
from rota.domain.errors import FieldError, InvalidInput, near
from rota.domain.policy import Missed, Overlap
from rota.domain.step import Backoff, OnLost, OsName

MOST_BYTES = 4 * 1024 * 1024  # a playbook of 1 MiB, escaped, with room to spare


class Body(BaseModel):
    """Unknown keys and wrong types are faults; "5" is not a number."""

    # Built where one is first read: most commands send none, and building all of them takes as long as they do.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


B = TypeVar("B", bound=Body)
Word = Annotated[str, Field(max_length=300)]
Line = Annotated[str, Field(max_length=10_000)]
Variables = Annotated[dict[str, str], Field(max_length=1000)]


class TriggerBody(Body):
    """`when`, `describe` or `rrule`, or a kind and its fields.

    `every`: "20s" for an interval, 2 for a calendar trigger.
    """

    kind: Literal["cron", "interval", "once", "calendar", "continuous", "on_start", "manual", "triggered"] | None = None
    name: Word | None = None
    timezone: Word | None = None
    type: Word | None = None  # with `value`: seed 3's form of a trigger; with `start`: seed 2's
    value: Line | None = None
    start: Word | None = None
    when: Line | None = None
    describe: Line | None = None
    rrule: Line | None = None
    expression: Line | None = None
    every: Word | int | None = None
    every_seconds: float | None = None
    anchor: Word | None = None
    at: Word | None = None
    unit: Word | None = None
    times: Annotated[list[Word], Field(max_length=1440)] | None = None
    weekdays: Annotated[list[Word], Field(max_length=100)] | None = None
    nth: Annotated[list[Word], Field(max_length=100)] | None = None
    month_days: Annotated[list[int], Field(max_length=100)] | None = None
    months: Annotated[list[int | Word], Field(max_length=100)] | None = None
    overflow: Word | None = None
    gap: Word | None = None
    fold: Word | None = None
    seed: Word | None = None
    gap_seconds: float | None = None
    backoff_seconds: float | None = None


# How a step is tried again: of a step, and of a job with just one.
Retries = Annotated[int, Field(ge=0, le=100)]
Delay = Annotated[float, Field(ge=0, le=86_400)]
Length = Annotated[float, Field(gt=0, le=7 * 86_400)]
Ends = Annotated[list[Word], Field(max_length=50)]  # failed, timed_out, exit:75, …


class StepBody(Body):
    name: Word = ""
    action: Word = ""
    params: dict[str, JsonValue] = {}
    os: OsName | None = None
    when: Line | None = None
    register_: Annotated[Word | None, Field(alias="register")] = None
    continue_on_error: bool = False
    timeout_seconds: Length | None = None
    retries: Retries = 0
    retry_delay_seconds: Delay = 5.0
    retry_backoff: Backoff = Backoff.FIXED
    retry_max_delay_seconds: Delay | None = None
    retry_jitter: float | None = None
    retry_on: Ends = []
    idempotent: bool = False
    on_lost: OnLost | None = None
    total_timeout_seconds: Length | None = None


class WorkBody(Body):
    playbook: Word | None = None
    do: Annotated[str, Field(max_length=256 * 1024)] | None = None
    steps: Annotated[list[StepBody], Field(max_length=500)] | None = None


class SpreadBody(WorkBody):
    """How a run spreads over its hosts. `max_fail`: 3, "3" or "10%"."""

    targets_at_once: int | None = None
    priority: int | None = None
    on_offline: Word | None = None
    lock_hosts: bool | None = None
    throttle: Word | None = None
    batch: Word | None = None
    batch_pause_seconds: float | None = None
    max_fail: int | Word | None = None


class WindowBody(Body):
    """A window of the job's own: "mon-fri 08:00-18:00". `on_hit`: what becomes of starts outside it."""

    window: Annotated[str, Field(max_length=400)]
    timezone: Word | None = None
    on_hit: OnHit | None = None


class JobBody(SpreadBody):
    """`retries` and what follows it are those of its only step."""

    name: Word | None = None
    description: Line | None = None
    enabled: bool | None = None
    triggers: Annotated[list[TriggerBody], Field(max_length=50)] | None = None
    timezone: Word | None = None
    target: Annotated[str, Field(max_length=256 * 1024)] | None = None
    vars: Annotated[dict[str, str | None], Field(max_length=1000)] | None = None
    overlap_policy: Overlap | None = None
    overlap_limit: int | None = None
    missed_run_policy: Missed | None = None
    catch_up_max: int | None = None
    catch_up_window_seconds: float | None = None
    catch_up_rate: Word | None = None
    grace_seconds: float | None = None
    start_within_seconds: float | None = None
    queue_timeout_seconds: float | None = None
    step_timeout_seconds: float | None = None
    run_timeout_seconds: float | None = None
    retries: Retries | None = None
    retry_delay_seconds: Delay | None = None
    retry_backoff: Backoff | None = None
    retry_max_delay_seconds: Delay | None = None
    retry_jitter: float | None = None
    retry_on: Ends | None = None
    idempotent: bool | None = None
    on_lost: OnLost | None = None
    total_timeout_seconds: Length | None = None
    start_at: Word | None = None
    end_at: Word | None = None
    max_runs: int | None = None
    tags: Annotated[dict[str, str | None], Field(max_length=200)] | None = None
    spread_seconds: float | None = None
    jitter_seconds: float | None = None
    calendars: Annotated[list[Word], Field(max_length=100)] | None = None
    windows: Annotated[list[WindowBody], Field(max_length=100)] | None = None


class RunBody(SpreadBody):
    target: Annotated[str, Field(max_length=256 * 1024)] | None = None
    vars: Variables = {}
    run_timeout_seconds: float | None = None


class LimitBody(Body):
    cap: int | None = None


class TriggerRunBody(Body):
    vars: Variables = {}


class PlaybookBody(Body):
    text: str | None = None
    name: Word | None = None


Pairs = Annotated[dict[str, str | None], Field(max_length=200)]
HostNames = Annotated[list[Word], Field(max_length=100_000)]


class HostBody(Body):
    """`null` takes a fact away; `tags` and `vars` are merged with those there are, and null in them takes one away."""

    name: Word | None = None
    connector: Word | None = None
    address: Word | None = None
    port: int | None = None
    user: Word | None = None
    key_file: Line | None = None
    passphrase_file: Line | None = None
    password_file: Line | None = None
    sudo_password_file: Line | None = None
    jump: Word | None = None
    os: OsName | None = None
    site: Word | None = None
    tags: Pairs | None = None
    vars: Pairs | None = None
    groups: Annotated[list[Word], Field(max_length=1000)] | None = None
    disabled: bool | None = None


class GroupBody(Body):
    """`hosts` are in the group it makes, or join it; with a `selector` it is dynamic."""

    name: Word | None = None
    description: Line | None = None
    selector: Annotated[str, Field(max_length=256 * 1024)] | None = None
    hosts: HostNames | None = None


class GroupChangeBody(Body):
    description: Line | None = None
    selector: Annotated[str, Field(max_length=256 * 1024)] | None = None
    add_hosts: HostNames | None = None
    remove_hosts: HostNames | None = None


class ImportBody(Body):
    """`update`: what exists and differs is changed."""

    hosts: Annotated[list[HostBody], Field(max_length=100_000)] | None = None
    groups: Annotated[list[GroupBody], Field(max_length=10_000)] | None = None
    update: bool = False


class MatchBody(Body):
    selector: Annotated[str, Field(max_length=256 * 1024)] | None = None


class TrustBody(Body):
    """`fingerprint` of the key that the host shows; `replace` gives up the one it was known by."""

    fingerprint: Word | None = None
    replace: bool = False


class Given(Generic[B]):
    """A body as far as it could be read, and what could not."""

    __slots__ = ("body", "faults")

    def __init__(self, body: B, faults: tuple[FieldError, ...] = ()) -> None:
        self.body = body
        self.faults = faults

    def require(self, **fields: str) -> None:
        """Raise InvalidInput for the faults and for each named field that is absent; values say what is expected."""
        missing = [
            FieldError(field=name, message="is missing", expected=expected)
            for name, expected in fields.items()
            if getattr(self.body, name) is None and not any(fault.field == name for fault in self.faults)
        ]
        if self.faults or missing:
            raise InvalidInput.of([*self.faults, *missing])


class Reads(Generic[B]):
    """A dependency that gives the request's body as `model`. No body counts as an empty one."""

    def __init__(self, model: type[B], *, most: int = MOST_BYTES) -> None:
        self.model, self.most = model, most

    async def __call__(self, request: Request) -> Given[B]:
        raw = await read_bytes(request, most=self.most)
        try:
            return Given(self.model.model_validate_json(raw or b"{}"))
        except ValidationError as error:
            return self._what_can_be_read(raw, error)

    def _what_can_be_read(self, raw: bytes, error: ValidationError) -> Given[B]:
        """Leave out the fields at fault, so that the others are judged too. Raises InvalidInput if nothing is left."""
        details = error.errors(include_url=False, include_context=True)
        faults = tuple(fault_of(self.model, detail) for detail in details)
        try:
            content = json.loads(raw)
            rest = {key: value for key, value in content.items() if key not in {d["loc"][0] for d in details}}
            return Given(self.model.model_validate_json(json.dumps(rest)), faults)
        except (ValueError, AttributeError, IndexError, RecursionError):  # no JSON, or no object
            raise InvalidInput.of(faults, hint='send a JSON object, such as {"name": "daily-backup", …}') from error


async def read_bytes(request: Request, *, most: int = MOST_BYTES) -> bytes:
    """The whole body. Raises InvalidInput as soon as it is too long, whatever Content-Length said."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise InvalidInput("the body is too long", expected=f"at most {most // 1024 // 1024} MiB")
        pieces.append(piece)
    return b"".join(pieces)


def fault_of(model: type[BaseModel] | None, detail: ErrorDetails, *, skip: int = 0) -> FieldError:
    """Put one of pydantic's findings into our words; `skip` parts of its location are not the user's."""
    path = [part for part in detail["loc"][skip:] if part != "[key]"]
    field = ""
    for part in path:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    context, kind = detail.get("ctx", {}), detail["type"]
    got = "" if isinstance(detail["input"], dict | list | bytes) else json.dumps(detail["input"])[:80]
    match kind:
        case "extra_forbidden":
            known = known_fields(model, path[:-1])
            return unknown(field, "is not known here", str(path[-1]), known)
        case "enum" | "literal_error":
            return FieldError(field=field, message=f"{got} is not known", expected=str(context["expected"]), got=got)
        case "json_invalid":
            return FieldError(field=field, message=f"the body is not JSON: {context['error']}")
        case "model_type" | "dict_type":
            return FieldError(field=field, message="is not an object" if field else "the body is not an object")
        case "missing":
            return FieldError(field=field, message="is missing")
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return FieldError(field=field, message=f"{got} is out of range", expected=_words(detail["msg"]), got=got)
        case _:
            return FieldError(
                field=field, message=f"{got or 'the value'} cannot be taken", expected=_words(detail["msg"]), got=got
            )


def unknown(field: str, message: str, word: str, known: Collection[str]) -> FieldError:
    """The fault of a `word` that is none of `known`, and the one that was probably meant."""
    expected = "one of " + " ".join(sorted(known)) if known else "none"
    return FieldError(field=field, message=message, expected=expected, hint=near(word, known))


def known_fields(model: type[BaseModel] | None, path: list[int | str]) -> list[str]:
    """The fields of the model that `path` leads to, within lists and optional fields too."""
    for part in path:
        if model is None or isinstance(part, int):
            continue
        named = {field.alias or name: field for name, field in model.model_fields.items()}
        model = _model_in(named[part].annotation) if part in named else None
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _words(message: str) -> str:
    """pydantic's sentence without its subject: "Input should be a valid integer" -> "a valid integer"."""
    for start in ("Input should be ", "String should have ", "List should have ", "Dictionary should have "):
        message = message.removeprefix(start)
    return message
