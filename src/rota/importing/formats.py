"""Which format a file is in, and its reader."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import PurePath

from rota.domain.errors import InvalidInput
from rota.importing import ansible_ini, ansible_yaml, rota_yaml, ssh_config, table
from rota.importing.reading import LARGEST, Reading
from rota.importing.ssh_config import Includes
from rota.importing.yaml_tree import Table, read_tree


class Format(StrEnum):
    YAML = "yaml"  # ours; JSON too
    CSV = "csv"
    SSH_CONFIG = "ssh-config"
    ANSIBLE = "ansible"  # INI or YAML


_OF_SUFFIX = {
    ".yaml": Format.YAML, ".yml": Format.YAML, ".json": Format.YAML, ".csv": Format.CSV, ".ini": Format.ANSIBLE,
}  # fmt: skip
_OF_NAME = {"config": Format.SSH_CONFIG, "ssh_config": Format.SSH_CONFIG, "hosts": Format.ANSIBLE}
_SSH_LINE = re.compile(r"\s*(Host|Match|Include)\s", re.IGNORECASE)
_HINT = "say which with --format " + "|".join(Format)


def no_includes(pattern: str) -> Sequence[tuple[str, str]]:
    """For a text that came by itself: the files beside it are not known."""
    return ()


def read(text: str, *, name: str, format: Format | None = None, includes: Includes = no_includes) -> Reading:  # noqa: A002  # the option's name
    """Read an inventory. `name` is the file's, `format` None = by its name and what it looks like.

    Faults within it are in the Reading. Raises InvalidInput where it cannot be read at all.
    """
    if len(text) > LARGEST:
        raise InvalidInput(f"{name} is longer than {LARGEST} characters")
    if "\0" in text:
        raise InvalidInput(f"{name} is no text file", hint=_HINT)
    match format or _guess(text, name):
        case Format.CSV:
            return table.read(text)
        case Format.SSH_CONFIG:
            return ssh_config.read(text, includes)
        case Format.ANSIBLE if not _looks_like_yaml(text, name):
            return ansible_ini.read(text)
        case chosen:
            tree = read_tree(text, what=name)
            if isinstance(tree, Table) and (format is Format.ANSIBLE or not rota_yaml.is_ours(tree)):
                if format is Format.YAML:
                    unknown = ", ".join(sorted(set(tree.entries) - {"hosts", "groups"})[:5])
                    expected = "a list of hosts, or a mapping with hosts and groups"
                    hint = "of an Ansible inventory: --format ansible"
                    raise InvalidInput(f"{name} has {unknown} at its top", expected=expected, hint=hint)
                return ansible_yaml.read(tree)
            if chosen is Format.ANSIBLE:
                raise InvalidInput(f"{name} is no Ansible inventory", expected="groups by name", hint=_HINT)
            return rota_yaml.read(tree)


def _guess(text: str, name: str) -> Format:
    """By the end of the name, else by the name, else by the first line that says anything."""
    path = PurePath(name)
    if path.suffix.lower() in _OF_SUFFIX:
        return _OF_SUFFIX[path.suffix.lower()]
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", ";"))]
    if any(_SSH_LINE.match(line) for line in lines):
        return Format.SSH_CONFIG
    if path.name in _OF_NAME:
        return _OF_NAME[path.name]
    first = lines[0].strip() if lines else ""
    if re.fullmatch(r"\[[^\]{\"']+\].*", first):
        return Format.ANSIBLE
    if first.startswith(("- ", "---", "{", "[")) or re.fullmatch(r"[\w.-]+:", first):
        return Format.YAML
    if "name" in re.split(r"[,;\t]", first):
        return Format.CSV
    raise InvalidInput(f"{name} does not show what format it has", hint=_HINT)


def _looks_like_yaml(text: str, name: str) -> bool:
    """Of an Ansible inventory: INI has sections or bare hosts, YAML a key with a colon at its end."""
    if PurePath(name).suffix.lower() in (".yaml", ".yml", ".json"):
        return True
    first = next((line.strip() for line in text.splitlines() if line.strip() and line.lstrip()[0] not in "#;"), "")
    return first == "---" or first.startswith("{") or re.fullmatch(r"[\w.-]+:", first) is not None
