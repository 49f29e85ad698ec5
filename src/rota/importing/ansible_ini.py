"""Ansible's INI: `[web]`, `[web:children]`, `[web:vars]`, and hosts with variables behind them."""

from __future__ import annotations

import re
import shlex

from rota.importing.ansible import GroupFound, Inventory, Said
from rota.importing.reading import Reading, line

_SECTION = re.compile(r"\[\s*([^:\]\s]+)\s*(?::\s*([a-z]+)\s*)?\]\s*(?:[#;].*)?")
_PORT = re.compile(r"([^:\[\]]+(?:\[[^\]]*\][^:\[\]]*)*):([0-9]{1,5})")  # web-1:2222, and web[1:3]:2222


def read(text: str) -> Reading:
    inventory = Inventory()
    group: GroupFound | None = None
    kind = "hosts"
    for number, raw in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        place, stripped = line(number), raw.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if stripped.startswith("["):
            section = _SECTION.fullmatch(stripped)
            if section is None or section[2] not in (None, "hosts", "vars", "children"):
                expected = "[GROUP], [GROUP:children] or [GROUP:vars]"
                inventory.reading.fault(place, f"{stripped[:80]!r} is no section", expected=expected)
                group, kind = None, "unknown"
            else:
                group, kind = inventory.group(section[1], place), section[2] or "hosts"
        elif kind == "hosts":
            _read_host(stripped, group, place, inventory)
        elif kind == "children" and group is not None:
            inventory.add_child(group, stripped.partition("#")[0].strip(), place)
        elif kind == "vars" and group is not None:
            key, _, value = stripped.partition("=")
            group.said[key.strip()] = (_unquoted(value.strip()), place)
    return inventory.finish()


def _read_host(text: str, group: GroupFound | None, place: str, inventory: Inventory) -> None:
    try:
        pattern, *words = shlex.split(text, comments=True)
    except ValueError:
        inventory.reading.fault(place, f"{text[:80]!r} has a quote that is not closed")
        return
    said: dict[str, Said] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            said[key] = (value, place)
        else:
            inventory.reading.fault(place, f"{word[:80]!r} is no variable", expected="KEY=VALUE")
    if found := _PORT.fullmatch(pattern):
        pattern = found[1]
        said.setdefault("ansible_port", (found[2], place))
    inventory.add_hosts(group, pattern, said, place)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
