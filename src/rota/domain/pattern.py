"""Regular expressions that users may write: bounded, so that no pattern can hold up whoever matches it.

Python's engine tries every way in which a pattern can be laid over a text; `(a+)+$` has 2^n of them. So the ways
are counted when the pattern is read, and a pattern with too many is refused, as is what cannot be counted
(look-around, back references).
"""

from __future__ import annotations

import re

# Private, but the same since Python 1.5, and the only parser that is certain to agree with `re` itself.
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from rota.domain.errors import InvalidInput

MAX_LENGTH = 200
LONGEST_TEXT = 253  # what patterns are laid over: names of hosts
MAX_WAYS = 100_000  # two `.*` in one pattern; measured: 0.1 s for the worst text at the longest

_Sequence = Any  # re._parser.SubPattern: a list of (opcode, argument), with getwidth()
_Node = tuple[Any, Any]


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern that is searched for anywhere in a name. Raises InvalidInput."""
    if len(text) > MAX_LENGTH:
        raise InvalidInput(f"the pattern ~{text[:40]}… has {len(text)} characters", expected=f"at most {MAX_LENGTH}")
    if not text:
        raise InvalidInput("a pattern ~ is empty", hint='to choose every host write "all"')
    if doubtful := _doubtful_class(text):
        raise InvalidInput(
            f"the pattern ~{text} has {doubtful} within square brackets, which is no set operation here",
            expected="characters and ranges such as [a-z0-9]",
            hint=f"where it means itself write a backslash before each character of {doubtful}",
        )
    try:
        ways = _ways(parser.parse(text))
        compiled = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidInput(
            f"the pattern ~{text} is not a regular expression: {error}", hint="such as ~^web[0-9]+$"
        ) from error
    except _UncountableError as error:
        raise InvalidInput(
            f"the pattern ~{text} uses {error}",
            expected="characters, classes, groups, alternatives and repeats",
            hint="write the rest with & and !, such as ~^web&!~old",
        ) from error
    if ways > MAX_WAYS:
        raise InvalidInput(
            f"the pattern ~{text} may take for ever to match",
            expected="at most two open repeats, and no repeat within a repeat",
            hint="it is searched for anywhere in the name, so it needs no .* at its ends",
        )
    return compiled


class _UncountableError(Exception):
    """The pattern uses something whose cost we cannot tell. The message names it."""


def _doubtful_class(text: str) -> str:
    """Return what looks like a set operation or POSIX class (`[[:alpha:]]`, `[a--b]`); empty = nothing does.

    Python warns of these as they may change their meaning, and a warning would reach nobody.
    """
    within = False
    characters = iter(enumerate(text))
    for at, character in characters:
        if character == "\\":
            next(characters, None)
        elif not within:
            within = character == "["
        elif character == "]":
            within = False
        elif character == "[" or (character in "-&~|" and text[at + 1 : at + 2] == character):
            return character if character == "[" else character * 2
    return ""


def _ways(nodes: _Sequence) -> int:
    """Count in how many ways a sequence of parsed nodes can be laid over a text; MAX_WAYS + 1 = too many."""
    ways = 1
    for node in nodes:
        ways = min(ways * _ways_of(node), MAX_WAYS + 1)
    return ways


def _ways_of(node: _Node) -> int:
    match node:
        case (op.LITERAL | op.NOT_LITERAL | op.ANY | op.IN | op.AT, _):
            return 1
        case (op.SUBPATTERN, (_, _, _, body)):
            return _ways(body)
        case (op.BRANCH, (_, branches)):
            return min(sum(_ways(branch) for branch in branches), MAX_WAYS + 1)
        case (op.MAX_REPEAT | op.MIN_REPEAT, (low, high, body)):
            if body.getwidth()[0] == 0:
                raise _UncountableError("a repeat of what may be empty")
            most = min(int(high), LONGEST_TEXT)
            within: int = _ways(body) ** min(most, 20)  # 2^20 is too many already
            return min(max(most - int(low) + 1, 1) * within, MAX_WAYS + 1)
        case (op.ASSERT | op.ASSERT_NOT, _):
            raise _UncountableError("look-ahead or look-behind")
        case (op.GROUPREF | op.GROUPREF_EXISTS | op.GROUPREF_IGNORE, _):
            raise _UncountableError("a back reference")
        case (kind, _):
            raise _UncountableError(str(kind).lower())
