"""JSON values as YAML. Our own twenty lines, as importing a YAML library costs more than the rest of a command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from rota.domain.step import Json

# Words that no YAML 1.1 or 1.2 reader takes for anything but a string: no digit or sign in front, no indicator
# inside, and none of the words for truth and nothing.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def dump(value: Json) -> str:
    """One document, ending without a newline."""
    return "\n".join(_block(value))


def _block(value: Json) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{_scalar(key)}:", item)
    elif isinstance(value, list) and value:
        for item in value:
            if isinstance(item, (dict, list)) and item:
                first, *rest = _block(item)
                yield f"- {first}"
                yield from (f"  {line}" for line in rest)
            else:
                yield f"- {_scalar(item)}"
    else:
        yield _scalar(value)


def _entry(key: str, item: Json) -> Iterator[str]:
    if isinstance(item, (dict, list)) and item:
        yield key
        yield from (f"  {line}" for line in _block(item))
    else:
        yield f"{key} {_scalar(item)}"


def _scalar(value: Json) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    # JSON's scalars and empty collections are YAML's too; but YAML wants more characters escaped.
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
