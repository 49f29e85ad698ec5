"""What a backup says of itself: `manifest.json`, the first file in the archive."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from rota.domain.errors import InvalidInput
from rota.domain.instant import Micros, format_rfc3339, parse_rfc3339

MANIFEST = "manifest.json"
FORMAT = 1  # of the archive; a newer one is refused
MOST_BYTES = 16 * 1024 * 1024
STORE, OUTPUT, CONFIG, KNOWN_HOSTS, PLAYBOOKS = "rota.db", "output.db", "rota.yaml", "known_hosts", "playbooks"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a backup. `sha256`: 64 hex digits."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`files` by their names in the archive; `counts`: rows of the store, by table."""

    made_at: Micros
    rota: str  # the version of the program that made it
    schema: int
    instance_id: str
    counts: Mapping[str, int]
    files: Mapping[str, Entry]

    def to_json(self) -> bytes:
        fields = asdict(self) | {"format": FORMAT, "made_at": format_rfc3339(self.made_at)}
        return json.dumps(fields, indent=2, ensure_ascii=False).encode()


def read_manifest(text: bytes) -> Manifest:
    """Read a manifest. Raises ValueError, saying what is wrong with it: nothing in it is taken on trust."""
    fields = json.loads(text)
    if not isinstance(fields, dict) or not isinstance(fields.get("format"), int):
        raise ValueError("its manifest is not one of Rota's")
    if fields["format"] > FORMAT:
        raise ValueError(f"it has format {fields['format']}, made by a newer Rota; expected {FORMAT} or older")
    try:
        manifest = Manifest(
            made_at=parse_rfc3339(fields["made_at"]),
            rota=str(fields["rota"]),
            schema=int(fields["schema"]),
            instance_id=str(fields["instance_id"]),
            counts={str(table): int(count) for table, count in fields["counts"].items()},
            files={str(name): Entry(str(it["sha256"]), int(it["bytes"])) for name, it in fields["files"].items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError, InvalidInput) as error:
        raise ValueError(f"its manifest lacks something: {error!r}") from error
    if bad := [name for name, entry in manifest.files.items() if not _may_be(name, entry)]:
        raise ValueError(f"its manifest names what no backup holds: {', '.join(sorted(bad))}")
    if STORE not in manifest.files:
        raise ValueError(f"its manifest names no {STORE}")
    return manifest


def _may_be(name: str, entry: Entry) -> bool:
    """Whether a backup may hold a file of that name: nothing that would be written outside an instance's folder."""
    parts = PurePosixPath(name).parts
    is_plain = ".." not in parts and "\0" not in name and str(PurePosixPath(*parts)) == name
    is_playbook = is_plain and len(parts) > 1 and parts[0] == PLAYBOOKS
    is_known = name in {STORE, OUTPUT, CONFIG, KNOWN_HOSTS} or is_playbook
    return is_known and entry.bytes >= 0 and _DIGEST.fullmatch(entry.sha256) is not None
