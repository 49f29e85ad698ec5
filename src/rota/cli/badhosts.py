"""What went wrong on which hosts: equal troubles are told once, with the hosts they hit."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rota.cli.words import status_word
from rota.domain.ids import in_order

if TYPE_CHECKING:
    from rota.usecases.shapes import Target

GOOD = frozenset({"succeeded", "skipped"})
_TROUBLES_TOLD = 10
_HOST_LINES = 3  # of names, for one trouble
_NUMBERS = re.compile(r"[0-9]+")


def step_of(target: Target) -> str | None:
    """The step a host is at; where it has ended, the step it was at last."""
    return target["step"] or (target["attempts"][-1]["step"] if target["attempts"] else None)


def told(targets: Iterable[Target], *, width: int) -> Iterator[str]:
    """Lines about the targets that did not go well, the commonest trouble first.

    One host is one line; hosts with the same trouble are named under it, within `width` columns.
    """
    groups: dict[tuple[str, ...], list[Target]] = {}
    for target in targets:
        if target["state"] not in GOOD or target["reason"]:
            groups.setdefault(_trouble(target), []).append(target)
    largest_first = sorted(groups.values(), key=lambda group: -len(group))
    for group in largest_first[:_TROUBLES_TOLD]:
        if len(group) == 1:
            yield f"  {group[0]['host']}: {_what(group[0])}"
            continue
        yield f"  {len(group)} hosts: {_what(group[0], one_of_many=True)}"
        names = ", ".join(in_order(target["host"] for target in group))
        yield from _few(textwrap.wrap(names, width - 6, break_on_hyphens=False), len(group))
    if left := sum(len(group) for group in largest_first[_TROUBLES_TOLD:]):
        yield f"  and {left} more hosts with {len(groups) - _TROUBLES_TOLD} other troubles"


def _trouble(target: Target) -> tuple[str, ...]:
    """Equal for hosts that one sentence can tell of: names and numbers in the message may differ."""
    if target["state"] == "unreachable" and target["reason"]:  # the reason tells all; keys and addresses differ
        return target["state"], target["reason"], step_of(target) or ""
    message = _message(target).replace(target["host"], "HOST")
    return target["state"], target["reason"] or "", step_of(target) or "", _NUMBERS.sub("#", message)


def _what(target: Target, *, one_of_many: bool = False) -> str:
    """`failure at step "rotate" (step_failed): exit code 1`."""
    text = status_word(target["state"])
    if step := step_of(target):
        text += f' at step "{step}"'
    if target["reason"]:
        text += f" ({target['reason']})"
    message = _message(target)
    if not message:
        return text
    return f"{text}, such as: {message}" if one_of_many and target["host"] in message else f"{text}: {message}"


def _message(target: Target) -> str:
    failed = [attempt for attempt in target["attempts"] if attempt["state"] not in GOOD]
    return target["message"] or (failed[-1]["message"] if failed else None) or ""


def _few(lines: list[str], count: int) -> Iterator[str]:
    yield from (f"      {line}" for line in lines[:_HOST_LINES])
    if len(lines) > _HOST_LINES:
        shown = sum(line.count(",") + (not line.endswith(",")) for line in lines[:_HOST_LINES])
        yield f"      and {count - shown} more"
