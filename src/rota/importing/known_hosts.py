"""Files of host keys as sshd(8) describes them, read to compare with: what a file says of one address."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

_DEFAULT_PORT = 22


class KnownHosts:
    """Keys are `ssh-ed25519 AAAA…`. Lines that cannot be read say nothing, and marked ones (@revoked) speak of no key
    that could be trusted."""

    def __init__(self, text: str) -> None:
        self._plain: dict[str, set[str]] = {}
        self._patterns: list[tuple[list[str], str]] = []
        self._hashed: list[tuple[bytes, bytes, str]] = []
        for line in text.splitlines():
            self._add(line.split())

    def keys_of(self, address: str, port: int) -> frozenset[str]:
        """The keys that the file has for `address` at `port`; none where it does not know it."""
        name = address.lower() if port == _DEFAULT_PORT else f"[{address.lower()}]:{port}"
        found = set(self._plain.get(name, ()))
        found.update(key for patterns, key in self._patterns if _is_about(patterns, name))
        found.update(key for salt, digest, key in self._hashed if _hash(salt, name) == digest)
        return frozenset(found)

    def _add(self, words: list[str]) -> None:
        if len(words) < 3 or words[0].startswith(("#", "@")):
            return
        names, key = words[0], f"{words[1]} {words[2]}"
        if hashed := re.fullmatch(r"\|1\|([^|]+)\|([^|]+)", names):
            try:
                salt, digest = (base64.b64decode(part, validate=True) for part in hashed.groups())
            except binascii.Error:
                return
            self._hashed.append((salt, digest, key))
            return
        listed = names.lower().split(",")
        if any(sign in names for sign in "*?!"):
            self._patterns.append((listed, key))
        else:
            for name in listed:
                self._plain.setdefault(name, set()).add(key)


def _is_about(patterns: list[str], name: str) -> bool:
    return any(_matches(patterns, name, negated=False)) and not any(_matches(patterns, name, negated=True))


def _matches(patterns: list[str], name: str, *, negated: bool) -> Iterator[bool]:
    for pattern in patterns:
        if pattern.startswith("!") == negated:
            # `[` stands for itself here: it begins `[address]:port`.
            yield fnmatchcase(name, pattern.removeprefix("!").replace("[", "[[]"))


def _hash(salt: bytes, name: str) -> bytes:
    return hmac.digest(salt, name.encode(), "sha1")  # what OpenSSH wrote; it hides names, it protects nothing
