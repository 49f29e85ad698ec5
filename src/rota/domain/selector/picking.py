"""Which hosts a selector picks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import assert_never

from rota.domain.errors import InvalidInput
from rota.domain.ids import in_order
from rota.domain.inventory import LOCAL, Group, Host
from rota.domain.pattern import compile_pattern
from rota.domain.selector.parsing import parse
from rota.domain.selector.parts import All, And, Kind, Not, Pattern, Pick, Selector, Term


class Picker:
    """An inventory to ask any number of selectors of. It is looked through once for each kind of term they use.

    `hosts`: the built-in local host is added where it is not among them. `groups` are those that exist; a host's
    word that it is in another one does not count.
    """

    def __init__(self, hosts: Iterable[Host], groups: Iterable[Group] = ()) -> None:
        self._hosts = {LOCAL: Host(name=LOCAL)} | {host.name: host for host in hosts}
        self._groups = {group.name: group for group in groups}
        self._everyone = frozenset(self._hosts) - {LOCAL} or frozenset({LOCAL})
        self._disabled = frozenset(name for name, host in self._hosts.items() if host.disabled)
        # Filled while asked, each entry at once: several threads may ask.
        self._by_kind: dict[Kind, Mapping[str, frozenset[str]]] = {}
        self._by_dynamic_group: dict[str, frozenset[str]] = {}

    def pick(self, selector: Selector, *, include_disabled: bool = False) -> tuple[str, ...]:
        """Return the names of the hosts that are picked, web-2 before web-10.

        Disabled hosts are left out unless asked for.
        What is named and does not exist picks nothing: a saved job may outlive its hosts, and `require_known` has
        judged it when it was saved. Raises InvalidInput where a dynamic group contains itself.
        """
        picked = self._pick(selector, within=())
        return tuple(sorted(picked if include_disabled else picked - self._disabled, key=self._places.__getitem__))

    @cached_property
    def _places(self) -> Mapping[str, int]:
        """Each host's place among all of them: names are compared once, not with each question."""
        return {name: place for place, name in enumerate(in_order(self._hosts))}

    def _pick(self, selector: Selector, within: tuple[str, ...]) -> frozenset[str]:
        """`within`: the dynamic groups that `selector` stands in, from the outermost."""
        match selector:
            case All():
                return self._everyone
            case Term("host", value):
                return frozenset({value} & self._hosts.keys())
            case Term("group", value):
                return self._members(value, within)
            case Term(kind, value):
                picked = self._of_kind(kind).get(value, frozenset())
                return picked & self._everyone if kind == "os" else picked
            case Pattern(regex):
                search = compile_pattern(regex).search
                return frozenset(name for name in self._everyone if search(name))
            case Not(of):
                return self._everyone - self._pick(of, within)
            case And(parts):
                return frozenset.intersection(*(self._pick(part, within) for part in parts))
            case Pick(include, exclude):
                added = (self._pick(part, within) for part in include)
                picked = frozenset().union(*added) if include else self._everyone
                return picked.difference(*(self._pick(part, within) for part in exclude))
            case _:
                assert_never(selector)

    def _members(self, name: str, within: tuple[str, ...]) -> frozenset[str]:
        group = self._groups.get(name)
        if group is None:
            return frozenset()
        if group.selector is None:
            return self._of_kind("group").get(name, frozenset())
        if name in within:  # refused when groups are saved; what `!` made of it would depend on who looked first
            raise InvalidInput(
                f"group {name} contains itself: {' → '.join((*within[within.index(name) :], name))}",
                hint=f"give it another selector: rota groups update {name} --match SELECTOR",
            )
        if name not in self._by_dynamic_group:
            self._by_dynamic_group[name] = self._pick(parse(group.selector), (*within, name))
        return self._by_dynamic_group[name]

    def _of_kind(self, kind: Kind) -> Mapping[str, frozenset[str]]:
        if kind not in self._by_kind:
            index: dict[str, set[str]] = {}
            for name, host in self._hosts.items():
                for value in _values(host, kind):
                    index.setdefault(value, set()).add(name)
            self._by_kind[kind] = {value: frozenset(found) for value, found in index.items()}
        return self._by_kind[kind]


def _values(host: Host, kind: Kind) -> Iterator[str]:
    """By what a term of that kind finds the host."""
    match kind:
        case "host":
            yield host.name
        case "group":
            yield from host.groups
        case "tag":
            for key, value in host.tags.items():
                yield key
                yield f"{key}={value}"
        case "site":
            yield from [host.site] if host.site else []
        case "os":
            yield from [host.os] if host.os else []
        case _:
            assert_never(kind)
