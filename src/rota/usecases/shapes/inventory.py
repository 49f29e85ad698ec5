"""Hosts, groups, sites, and their keys."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict


class Host(TypedDict):
    """`in_all`: whether the selector `all` picks it now. `groups`: the static ones. The host that is built in has no
    version."""

    id: str
    name: str
    connector: str
    address: str | None
    port: int | None
    user: str | None
    key_file: str | None
    passphrase_file: str | None
    password_file: str | None
    sudo_password_file: str | None
    jump: str | None
    os: str | None
    site: str | None
    tags: dict[str, str]
    vars: dict[str, str]
    groups: list[str]
    disabled: bool
    in_all: bool
    version: int | None
    updated_at: str | None
    # only in the answer to a save
    warnings: NotRequired[list[str]]


class Hosts(TypedDict):
    items: list[Host]
    next: None


class Names(TypedDict):
    items: list[str]


class Group(TypedDict):
    """`selector` is None for a static group. `hosts` are in it now, disabled ones too."""

    name: str
    description: str
    selector: str | None
    hosts: list[str]


class Groups(TypedDict):
    items: list[Group]
    next: None


class Site(TypedDict):
    name: str
    hosts: list[str]


class Sites(TypedDict):
    items: list[Site]
    next: None


class Imported(TypedDict):
    """What became of each host and group that was named, or would in a dry run."""

    hosts_added: list[str]
    hosts_updated: list[str]
    hosts_unchanged: list[str]
    groups_added: list[str]
    groups_updated: list[str]
    warnings: list[str]


class Ping(TypedDict):
    """`reason` says why it is not `ok`; `system` is what the host calls its system."""

    host: str
    ok: bool
    reason: str | None
    message: str
    seconds: float
    system: str | None


class HostKey(TypedDict):
    """`line` is what a known_hosts file says of it: `ssh-ed25519 AAAA…`."""

    algorithm: str
    fingerprint: str
    line: str


class KeyCheck(TypedDict):
    """The key a host shows. `before` are the keys it was known by, where the verdict is `changed`."""

    host: str
    shown: HostKey
    verdict: Literal["known", "unknown", "changed"]
    before: list[HostKey]


class Removed(TypedDict):
    deleted: str
