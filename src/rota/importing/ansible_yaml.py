"""Ansible's YAML: groups by name, each with `hosts`, `children` and `vars`."""

from __future__ import annotations

from collections.abc import Iterator

from rota.domain.errors import near
from rota.importing.ansible import GroupFound, Inventory, Said
from rota.importing.reading import Reading, line
from rota.importing.yaml_tree import Node, Scalar, Table

_PARTS = ("hosts", "children", "vars")


def read(tree: Table) -> Reading:
    inventory = Inventory()
    for name, node in tree.entries.items():
        _read_group(name, node, line(tree.line_of(name)), inventory)
    return inventory.finish()


def _read_group(name: str, node: Node, place: str, inventory: Inventory) -> None:
    group = inventory.group(name, place)
    for part, value, where in _entries(node, f"group {name}", place, inventory):
        if part not in _PARTS:
            inventory.reading.fault(
                where, f"{part[:80]!r} is no part of a group", expected=" ".join(_PARTS), hint=near(part, _PARTS)
            )
            continue
        for inner, below, at in _entries(value, f"{part} of {name}", where, inventory):
            if part == "hosts":
                said = dict(_variables(below, inner, at, inventory))
                inventory.add_hosts(group, inner, said, at)
            elif part == "children":
                _add_child(group, inner, below, at, inventory)
            else:
                group.said[inner] = (below.text if isinstance(below, Scalar) else None, at)


def _add_child(group: GroupFound, name: str, node: Node, place: str, inventory: Inventory) -> None:
    inventory.add_child(group, name, place)
    if isinstance(node, Table):
        _read_group(name, node, place, inventory)


def _variables(node: Node, host: str, place: str, inventory: Inventory) -> Iterator[tuple[str, Said]]:
    for key, value, at in _entries(node, f"host {host}", place, inventory):
        yield key, (value.text if isinstance(value, Scalar) else None, at)


def _entries(node: Node, what: str, place: str, inventory: Inventory) -> Iterator[tuple[str, Node, str]]:
    """A mapping's keys with what is below them; nothing is as good as an empty one."""
    if isinstance(node, Table):
        for key, value in node.entries.items():
            yield key, value, line(node.line_of(key))
    elif not (isinstance(node, Scalar) and node.text is None):
        inventory.reading.fault(place, f"{what[:80]} is no mapping", expected="names with a colon")
