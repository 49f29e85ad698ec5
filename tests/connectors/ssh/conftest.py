"""A real OpenSSH server and the way to it, for every test of this folder (tests/support/sshd.py)."""

from __future__ import annotations

from tests.connectors.ssh.orders import ssh
from tests.support.sshd import (
    client_key,
    client_key_file,
    credentials,
    dialer,
    keys_dir,
    known_hosts,
    openssh,
    pool,
    sshd,
    start_sshd,
)

__all__ = [
    "client_key",
    "client_key_file",
    "credentials",
    "dialer",
    "keys_dir",
    "known_hosts",
    "openssh",
    "pool",
    "ssh",
    "sshd",
    "start_sshd",
]
