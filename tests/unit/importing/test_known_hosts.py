"""What a file of known hosts says of an address. Hashed lines were written by ssh-keygen -H."""

from __future__ import annotations

import base64
import hmac

import pytest

from rota.importing.known_hosts import KnownHosts

FILE = """\
# comment
10.0.0.1,Web-1 ssh-ed25519 AAAA1 a comment
[10.0.0.1]:2222 ssh-ed25519 AAAA2
*.example.com,!bad.example.com ssh-ed25519 AAAA3
@revoked 10.0.0.9 ssh-ed25519 AAAA4
@cert-authority 10.0.0.9 ssh-ed25519 AAAA5
broken
|1|***|*** ssh-ed25519 AAAA6
10.0.0.1 ssh-rsa BBBB
"""


@pytest.mark.parametrize(
    ("address", "port", "keys"),
    [
        ("10.0.0.1", 22, {"ssh-ed25519 AAAA1", "ssh-rsa BBBB"}),
        ("10.0.0.1", 2222, {"ssh-ed25519 AAAA2"}),
        ("WEB-1", 22, {"ssh-ed25519 AAAA1"}),
        ("a.example.com", 22, {"ssh-ed25519 AAAA3"}),
        ("bad.example.com", 22, set()),
        ("10.0.0.9", 22, set()),
        ("10.0.0.2", 22, set()),
    ],
)
def test_the_keys_of_an_address_are_those_of_its_lines(address: str, port: int, keys: set[str]) -> None:
    assert KnownHosts(FILE).keys_of(address, port) == keys


def test_a_hashed_name_is_found_by_what_it_hides() -> None:
    salt = b"0123456789abcdef0123"
    digest = base64.b64encode(hmac.digest(salt, b"[fe80::1]:2222", "sha1")).decode()
    file = KnownHosts(f"|1|{base64.b64encode(salt).decode()}|{digest} ssh-ed25519 AAAA\n")
    assert file.keys_of("fe80::1", 2222) == {"ssh-ed25519 AAAA"}
    assert file.keys_of("fe80::1", 22) == frozenset()
