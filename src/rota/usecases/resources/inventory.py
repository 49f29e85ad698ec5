"""Hosts."""

from __future__ import annotations

from rota.domain.ids import Kind, public
from rota.domain.inventory import LOCAL
from rota.domain.inventory import Host as HostFacts
from rota.storage.inventory import HostRow
from rota.usecases import shapes
from rota.usecases.resources.common import rfc3339


def host(row: HostRow) -> shapes.Host:
    known = _host(public(Kind.HOST, row.public_id), row.host, in_all=not row.host.disabled)
    known["version"], known["updated_at"] = row.version, rfc3339(row.changed_at)
    return known


def local_host(*, alone: bool) -> shapes.Host:
    """The built-in host, which has no row. `all` means it only while it is `alone`."""
    return _host(public(Kind.HOST, "0" * 16), HostFacts(name=LOCAL), in_all=alone)


def _host(host_id: str, facts: HostFacts, *, in_all: bool) -> shapes.Host:
    return {
        "id": host_id,
        "name": facts.name,
        "connector": facts.connector,
        "address": facts.address,
        "port": facts.port,
        "user": facts.user,
        "key_file": facts.key_file,
        "passphrase_file": facts.passphrase_file,
        "password_file": facts.password_file,
        "sudo_password_file": facts.sudo_password_file,
        "jump": facts.jump,
        "os": facts.os,
        "site": facts.site,
        "tags": dict(facts.tags),
        "vars": dict(facts.vars),
        "groups": sorted(facts.groups),
        "disabled": facts.disabled,
        "in_all": in_all,
        "version": None,
        "updated_at": None,
    }
