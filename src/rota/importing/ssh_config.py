"""OpenSSH's client configuration (ssh_config(5)): each literal name of a `Host` line is a host.

As ssh does, the first value that is found for a host counts, in blocks with patterns too. `Match` blocks ask about
the moment of connecting, so they are left out and told.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from rota.domain.step import Json
from rota.importing.facts import put
from rota.importing.reading import MOST_HOSTS, Entry, Reading

Includes = Callable[[str], Sequence[tuple[str, str]]]  # pattern -> (name, text) of each file; unreadable ones are none

_DEEPEST = 16  # as ssh itself
_MOST_FILES = 1000
_FIELD_OF = {"hostname": "address", "port": "port", "user": "user", "identityfile": "key_file", "proxyjump": "jump"}
_KEPT = {*_FIELD_OF, "proxycommand"}
# What says nothing about how a host is reached, or what Rota does by itself.
_NO_MATTER = frozenset({
    "addkeystoagent", "bindaddress", "checkhostip", "compression", "controlmaster", "controlpath", "controlpersist",
    "hashknownhosts", "identitiesonly", "ignoreunknown", "loglevel", "serveralivecountmax", "serveraliveinterval",
    "tcpkeepalive", "updatehostkeys", "usekeychain", "visualhostkey", "xauthlocation",
})  # fmt: skip
_THROUGH_SSH = re.compile(r"(?:/\S*/)?ssh\s+(?:-q\s+)?(?:-W\s+\[?%h\]?:%p\s+(\S+)|(\S+)\s+-W\s+\[?%h\]?:%p)")
_DESTINATION = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:]+|[0-9a-fA-F:]{3,})(?::(?P<port>\d+))?/?"
)


@dataclass(slots=True)
class _Block:
    """A `Host` line and what stands below it. `takes` False: a `Match` block."""

    patterns: Sequence[str]
    place: str
    takes: bool = True
    said: list[tuple[str, str, str]] = field(default_factory=list)  # (keyword in lower case, value, place)

    def is_about(self, name: str) -> bool:
        """ssh_config(5), PATTERNS: any that matches, unless one with `!` does."""
        if any(fnmatchcase(name, pattern[1:]) for pattern in self.patterns if pattern.startswith("!")):
            return False
        return any(fnmatchcase(name, pattern) for pattern in self.patterns if not pattern.startswith("!"))


def read(text: str, includes: Includes) -> Reading:
    reading = Reading()
    blocks = [_Block(("*",), "line 1")]
    _Parser(blocks, includes, reading).read(text, source="", depth=0)
    index = _Index(blocks)
    for name, place in index.names.items():
        if len(reading.hosts) >= MOST_HOSTS:
            reading.fault(place, "there are too many hosts", expected=f"at most {MOST_HOSTS}")
            break
        reading.hosts.append(_host(name, place, index, reading))
    _add_jumps(index, reading)
    return reading


class _Parser:
    def __init__(self, blocks: list[_Block], includes: Includes, reading: Reading) -> None:
        self._blocks, self._includes, self._reading = blocks, includes, reading
        self._files = 0

    def read(self, text: str, *, source: str, depth: int) -> None:
        for number, raw in enumerate(text.splitlines(), start=1):
            place = f"{source} line {number}".lstrip()
            stripped = raw.strip()
            if not stripped or stripped.startswith("#"):
                continue
            keyword, values = _words(stripped)
            if values is None:
                self._reading.fault(place, f"{keyword[:80]!r} has a quote that is not closed")
            elif not values:
                self._reading.fault(place, f"{keyword[:80]!r} says nothing", expected="a value")
            else:
                self._take(keyword.lower(), keyword, values, place, depth)

    def _take(self, keyword: str, written: str, values: list[str], place: str, depth: int) -> None:
        current = self._blocks[-1]
        match keyword:
            case "host":
                self._blocks.append(_Block(values, place))
            case "match":
                self._blocks.append(_Block((), place, takes=False))
                self._reading.leave_out("Match", place)
            case "include":
                for pattern in values:
                    self._include(pattern, place, depth)
                # What follows belongs to the block that the Include stands in.
                if self._blocks[-1] is not current:
                    self._blocks.append(_Block(current.patterns, current.place, takes=current.takes))
            case _ if keyword in _KEPT:
                current.said.append((keyword, values[0] if keyword != "proxycommand" else " ".join(values), place))
            case _ if keyword not in _NO_MATTER and current.takes:
                self._reading.leave_out(written, place)

    def _include(self, pattern: str, place: str, depth: int) -> None:
        if depth >= _DEEPEST:
            self._reading.fault(place, f"Include {pattern} is too deep", expected=f"at most {_DEEPEST} levels")
            return
        for source, text in self._includes(pattern):
            self._files += 1
            if self._files > _MOST_FILES:
                self._reading.fault(place, f"Include {pattern}: too many files", expected=f"at most {_MOST_FILES}")
                return
            self.read(text, source=source, depth=depth + 1)


class _Index:
    """Which blocks are about which name: ten thousand blocks must not be asked ten thousand times."""

    def __init__(self, blocks: Sequence[_Block]) -> None:
        self.names: dict[str, str] = {}  # each literal name, and where it stands first
        self._blocks = blocks
        self._with_patterns: list[int] = []
        self._with_name: dict[str, list[int]] = {}
        for number, block in enumerate(blocks):
            if not block.takes:
                continue
            if not all(map(_literal, block.patterns)):
                self._with_patterns.append(number)
            for name in filter(_literal, block.patterns):
                self.names.setdefault(name, block.place)
                self._with_name.setdefault(name, []).append(number)

    def said_of(self, name: str) -> Iterator[tuple[str, str, str]]:
        """The first value of each keyword. ProxyJump and ProxyCommand are one question: who comes first is right."""
        answered: set[str] = set()
        for number in sorted({*self._with_patterns, *self._with_name.get(name, ())}):
            block = self._blocks[number]
            for keyword, value, place in block.said if block.is_about(name) else ():
                question = "proxyjump" if keyword == "proxycommand" else keyword
                if question not in answered:
                    answered.add(question)
                    yield keyword, value, place


def _words(text: str) -> tuple[str, list[str] | None]:
    """`Port 22`, `Port=22`, `IdentityFile "my key"`. None where a quote is not closed."""
    keyword, rest = re.match(r"(\S+?)(?:\s*=\s*|\s+|$)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]  # the text has a word
    lexer = shlex.shlex(rest, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.escape, lexer.quotes = True, "", '"'
    lexer.commenters = "#"
    try:
        return keyword, list(lexer)
    except ValueError:
        return keyword, None


def _literal(pattern: str) -> bool:
    return not any(sign in pattern for sign in "*?!")


def _host(name: str, place: str, index: _Index, reading: Reading) -> Entry:
    fields: dict[str, Json] = {"name": name, "connector": "ssh"}
    for keyword, value, where in index.said_of(name):
        if keyword == "proxycommand":
            through = _THROUGH_SSH.fullmatch(value)
            if through is None:
                if value.lower() != "none":
                    reading.leave_out("ProxyCommand", where)
                continue
            keyword, value = "proxyjump", through[1] or through[2]  # noqa: PLW2901  # the same in other words
        text = _expanded(keyword, value, name)
        if text is None:
            reading.leave_out(f"{value} with its tokens", where)
        elif keyword not in ("identityfile", "proxyjump") or text.lower() != "none":
            put(fields, _FIELD_OF[keyword], text, where, reading)
    return Entry(place, fields)


def _expanded(keyword: str, value: str, name: str) -> str | None:
    """`%h` of HostName and `%d` of IdentityFile written out; None where another token is in it."""
    known = {"%%": "%", "%h": name} if keyword == "hostname" else {"%%": "%", "%d": "~"}
    text = re.sub(r"%.", lambda token: known.get(token[0], token[0]), value)
    return None if re.search(r"%[a-zA-Z]", text) or "${" in text else text


def _add_jumps(index: _Index, reading: Reading) -> None:
    """`ProxyJump ops@bastion:2222` names a host that may have no block of its own: it becomes one."""
    known = {entry.name for entry in reading.hosts}
    for entry in list(reading.hosts):
        jump = entry.fields.get("jump")
        if not isinstance(jump, str):
            continue
        if jump == entry.name:  # as ssh does: a jump for all hosts does not mean itself
            del entry.fields["jump"]
            continue
        if jump in known:
            continue
        found = _DESTINATION.fullmatch(jump)
        if found is None or "," in jump:
            del entry.fields["jump"]
            reading.leave_out(f"ProxyJump {jump}", entry.place)
            continue
        name = found["host"].strip("[]")
        entry.fields["jump"] = name
        if name not in known:
            known.add(name)
            added = _host(name, f"{entry.place} ProxyJump", index, reading)
            added.fields.pop("jump", None)  # a block for all hosts would lead it over itself
            if found["user"]:
                added.fields["user"] = found["user"]
            if found["port"]:
                added.fields["port"] = int(found["port"])
            reading.hosts.append(added)
