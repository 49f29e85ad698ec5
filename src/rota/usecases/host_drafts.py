"""What a person asked a host or a group to be, field by field, and what becomes of the one that there is.

What is `UNSET` takes the default, or stays as it was; None takes a fact away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rota.domain.errors import FieldError
from rota.domain.inventory import Group, Host
from rota.usecases.drafts import UNSET, Unset

Pairs = Mapping[str, str | None]  # merged with those there are; None takes one away


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDraft:
    """`faults` are those found while the words were read (unknown keys, wrong types): told with all others."""

    name: str = ""
    connector: str | Unset = UNSET
    address: str | Unset | None = UNSET
    port: int | Unset | None = UNSET
    user: str | Unset | None = UNSET
    key_file: str | Unset | None = UNSET
    passphrase_file: str | Unset | None = UNSET
    password_file: str | Unset | None = UNSET
    sudo_password_file: str | Unset | None = UNSET
    jump: str | Unset | None = UNSET
    os: str | Unset | None = UNSET
    site: str | Unset | None = UNSET
    tags: Pairs | Unset = UNSET
    vars: Pairs | Unset = UNSET
    groups: Collection[str] | Unset = UNSET  # all it is in
    disabled: bool | Unset = UNSET
    faults: Sequence[FieldError] = ()

    def applied_to(self, host: Host) -> Host:
        """The host as it is to be. Its name stays."""
        said: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN if getattr(self, name) is not UNSET}
        return replace(
            host,
            tags=_merged(host.tags, self.tags),
            vars=_merged(host.vars, self.vars),
            groups=host.groups if isinstance(self.groups, Unset) else frozenset(self.groups),
            **said,
        )


_PLAIN = (
    "connector", "address", "port", "user", "key_file", "passphrase_file", "password_file", "sudo_password_file",
    "jump", "os", "site", "disabled",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDraft:
    """`join` and `leave`: hosts that become members of a static group, and that are no members any more."""

    name: str = ""
    description: str | Unset = UNSET
    selector: str | Unset | None = UNSET
    join: frozenset[str] = frozenset()
    leave: frozenset[str] = frozenset()
    faults: Sequence[FieldError] = ()

    def applied_to(self, group: Group) -> Group:
        return replace(
            group,
            description=group.description if isinstance(self.description, Unset) else self.description,
            selector=group.selector if isinstance(self.selector, Unset) else self.selector,
        )

    def members(self, host: Host) -> Host:
        """The host as it is after those named have joined and left."""
        groups = host.groups
        if host.name in self.join:
            groups |= {self.name}
        if host.name in self.leave:
            groups -= {self.name}
        return host if groups == host.groups else replace(host, groups=groups)


def _merged(old: Mapping[str, str], said: Pairs | Unset) -> Mapping[str, str]:
    if isinstance(said, Unset):
        return old
    merged = {**old, **said}
    return {key: value for key, value in merged.items() if value is not None}
