"""What a person asked a job to be, field by field, and how that becomes a `JobSpec`.

A draft is of a new job or of changes to one: what is `UNSET` takes the default, or stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, TypeVar

from rota.actions.do import parse_do
from rota.domain.errors import FieldError, InvalidInput
from rota.domain.instant import SECOND, Micros, parse_duration, parse_rfc3339
from rota.domain.job import JobSpec, NamedTrigger
from rota.domain.policy import Missed, Overlap
from rota.domain.step import Step
from rota.domain.trigger.spec import (
    CronTrigger,
    IntervalTrigger,
    ManualTrigger,
    OnceTrigger,
    TriggerSpec,
    from_dict,
    parse_zone,
)
from rota.domain.trigger.wall import read_wall

T = TypeVar("T")


class _Unset(Enum):
    UNSET = auto()


UNSET: Final = _Unset.UNSET
