"""What Rota may run on: hosts, and the groups they are in. A site is a name that hosts share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice

from rota.domain.errors import FieldError, near
from rota.domain.step import OsName

LOCAL = "local"  # the machine Rota runs on; built in
RESERVED_NAMES = frozenset({"all"})
CONNECTORS = ("local", "ssh")
ELSEWHERE = "ssh"  # how a host is reached that was added without a word about it: `local` has to be said
MAX_JUMPS = 5  # hosts that a way leads over; each costs a connection within a connection

NAME = re.compile(r"[A-Za-z0-9._:][A-Za-z0-9._:-]{0,252}")
_ID = re.compile(r"host_[0-9a-f]{4,16}")  # the bare digits may be a name: `db01` is one
TAG_KEY = re.compile(r"[A-Za-z0-9._/][A-Za-z0-9._/-]{0,62}")
TAG_VALUE = re.compile(r"[A-Za-z0-9._:/@+-]{0,255}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MOST_VARIABLE = 64 * 1024  # characters
_MOST_PATH = 4096
NAMES_CONSIDERED = 2000  # for "did you mean": enough to help, few enough to stay quick

_COMES_LATER = frozenset({"winrm", "netdev", "docker"})
_FILES = ("key_file", "passphrase_file", "password_file", "sudo_password_file")
_OF_A_CONNECTION = ("address", "port", "user", *_FILES, "jump")  # what means nothing for this machine itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine that steps run on. `connector` says how it is reached, `address` where (None: by its name).

    Files are paths of the machine that connects; relative ones lie in the instance's `keys` folder.
    """

    name: str
    connector: str = "local"
    address: str | None = None
    port: int | None = None  # None = the connector's own (ssh: 22)
    user: str | None = None  # None = the account that Rota runs as
    key_file: str | None = None  # None = the agent's keys, then those in `keys` and ~/.ssh
    passphrase_file: str | None = None  # of the key
    password_file: str | None = None  # for the login; must be readable by its owner alone
    sudo_password_file: str | None = None
    jump: str | None = None  # name of the host that the way leads over
    os: OsName | None = None  # None = not known yet
    site: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, str] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()  # static ones
    disabled: bool = False  # nothing new starts on it


# What a version of a host holds. Groups and `disabled` say whether it is meant, not what it is: a run that has been
# made keeps its hosts whatever becomes of those.
FACTS = tuple(each.name for each in fields(Host) if each.name not in {"name", "groups", "disabled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A named set of hosts. The members of a static group are told by the hosts (`Host.groups`); a dynamic group,
    a saved selector, has those that `selector` picks at the time."""

    name: str
    description: str = ""
    selector: str | None = None  # None = static


def name_faults(name: str, *, what: str = "host", field: str = "name") -> list[FieldError]:
    """What is wrong with the name of a host, group or site; empty when it may be used.

    A name may be an IPv6 address. A leading dash is refused: it would be an option on somebody's command line.
    """
    if name in RESERVED_NAMES:
        return [FieldError(field=field, message=f'"{name}" is a word of the selectors, not a {what} name')]
    if _ID.fullmatch(name):
        return [FieldError(field=field, message=f'"{name}" looks like an id', expected=f"a {what} name")]
    if NAME.fullmatch(name) is None:
        return [
            FieldError(
                field=field,
                message=f"{_shown(name)} is not a {what} name",
                expected="1 to 253 letters, digits or . _ : -, not beginning with a dash",
                got=name[:300],
            )
        ]
    return []


def tag_faults(tags: Mapping[str, str], *, field: str = "tags") -> list[FieldError]:
    """What is wrong with a host's tags; empty when they may be used. An empty value is a tag without one."""
    faults = []
    for key, value in tags.items():
        if TAG_KEY.fullmatch(key) is None:
            faults.append(
                FieldError(
                    field=f"{field}.{key[:80]}",
                    message=f"{_shown(key)} is not a tag name",
                    expected="1 to 63 letters, digits or . _ / -, not beginning with a dash",
                )
            )
        elif TAG_VALUE.fullmatch(value) is None:
            faults.append(
                FieldError(
                    field=f"{field}.{key}",
                    message=f"{_shown(value)} is not a tag value",
                    expected="at most 255 letters, digits or . _ : / @ + -",
                )
            )
    return faults


def host_faults(host: Host) -> list[FieldError]:
    """Everything that is wrong with a host by itself, whatever others there are. Fields are named as in `Host`."""
    faults = [*name_faults(host.name), *_connector_faults(host), *_login_faults(host)]
    if host.site is not None:
        faults += name_faults(host.site, what="site", field="site")
    for group in sorted(host.groups):
        faults += name_faults(group, what="group", field="groups")
    return [*faults, *tag_faults(host.tags), *_variable_faults(host.vars)]


def way_fault(host: Host, hosts: Mapping[str, Host]) -> FieldError | None:
    """What is wrong with the way to `host`, which leads over others of `hosts`; None where it can be gone."""
    way, at = [host.name], host
    while (jump := at.jump) is not None:
        told = f"the way to {host.name} leads {' → '.join([*way[1:], jump])}" if len(way) > 1 else f"jump over {jump}"
        if jump in way:
            return FieldError(field="jump", message=f"{told}, in a circle", expected="another host")
        if jump not in hosts:
            meant = near(jump, islice(hosts, NAMES_CONSIDERED))
            return FieldError(field="jump", message=f"{told}: there is no host {_shown(jump)}", hint=meant, got=jump)
        way.append(jump)
        at = hosts[jump]
        if at.connector != "ssh":
            return FieldError(field="jump", message=f"{told}, which is this machine itself", expected="a host over ssh")
        if len(way) - 1 > MAX_JUMPS:
            return FieldError(field="jump", message=f"{told} …", expected=f"a way over at most {MAX_JUMPS} hosts")
    return None


def _connector_faults(host: Host) -> Iterator[FieldError]:
    if host.connector in _COMES_LATER:
        message = f'"{host.connector}" is not in this release'
        yield FieldError(field="connector", message=message, expected=" or ".join(CONNECTORS), got=host.connector)
    elif host.connector not in CONNECTORS:
        message = f"there is no connector {_shown(host.connector)}"
        expected, meant = " or ".join(CONNECTORS), near(host.connector, CONNECTORS)
        yield FieldError(field="connector", message=message, expected=expected, got=host.connector[:80], hint=meant)
    elif host.connector == "local":
        for name in _OF_A_CONNECTION:
            if getattr(host, name) is not None:
                message = "means nothing for a host that is this machine (connector local)"
                yield FieldError(field=name, message=message, expected="none, or connector ssh")


def _login_faults(host: Host) -> Iterator[FieldError]:
    for name in ("address", "user", "jump"):
        text = getattr(host, name)
        if text is not None and NAME.fullmatch(text) is None:
            expected = "1 to 253 letters, digits or . _ : -, not beginning with a dash"
            yield FieldError(field=name, message=f"{_shown(text)} cannot be taken", expected=expected, got=text[:300])
    if host.port is not None and not 1 <= host.port <= 65535:
        yield FieldError(field="port", message=f"{host.port} is not a port", expected="1 to 65535", got=str(host.port))
    for name in _FILES:
        path = getattr(host, name)
        if path is not None and not (0 < len(path) <= _MOST_PATH and path.isprintable()):
            yield FieldError(
                field=name,
                message=f"{_shown(path)} is not a path",
                expected=f"1 to {_MOST_PATH} printable characters",
            )


def _variable_faults(variables: Mapping[str, str]) -> Iterator[FieldError]:
    for name, value in variables.items():
        field = f"vars.{name[:80]}"
        if _VARIABLE.fullmatch(name) is None:
            expected = "at most 64 letters, digits and _, not a digit first"
            yield FieldError(field=field, message=f"{_shown(name)} is not a variable name", expected=expected)
        if len(value) > _MOST_VARIABLE or "\0" in value:
            expected = f"at most {_MOST_VARIABLE} characters, none of them NUL"
            yield FieldError(field=field, message="the value cannot be taken", expected=expected)


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")
