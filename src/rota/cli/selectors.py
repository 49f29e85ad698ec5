"""Selectors as they are typed: `@file` and `-` are read here; and what is said where one picks no host."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rota.domain.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from rota.client.api import Client

_BARE = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]*")
_SHOWN = 8
_LARGEST = 4 * 1024 * 1024  # characters


def typed_selector(text: str) -> str:
    """The selector that was typed. `@hosts.txt` and `-` stand for one host or selector on each line.

    Raises InvalidInput where there is nothing to read, or nothing in it.
    """
    if text != "-" and not text.startswith("@"):
        return text
    from rota.domain.selector import from_lines

    source = "standard input" if text == "-" else text[1:]
    try:
        if text == "-":
            content = sys.stdin.read(_LARGEST + 1)
        else:
            with Path(source).expanduser().open(encoding="utf-8") as file:
                content = file.read(_LARGEST + 1)
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise InvalidInput(f"cannot read {source}: {why}", expected="a file with a host on each line") from error
    if len(content) > _LARGEST:
        raise InvalidInput(f"{source} is too long", expected=f"at most {_LARGEST} characters")
    return from_lines(content.splitlines(), source=source)


def picked(client: Client, selector: str) -> list[str]:
    """The hosts it picks now; the bare name of a host will do. Raises NotFound with what there is, where it picks none.

    For what harms nobody: a target says `host:`, as a bare word could be a group or a tag too.
    """
    if _BARE.fullmatch(selector) and selector != "all":
        return [client.host(selector)["name"]]
    names = client.match_hosts(selector)["items"]
    if not names:
        raise NotFound(nothing_picked(selector), hint="; ".join(what_there_is(client)))
    return names


def nothing_picked(selector: str) -> str:
    return f'"{selector if len(selector) <= 60 else selector[:57] + "..."}" picks no host'


def what_there_is(client: Client) -> Iterator[str]:
    """`3 hosts: …`, `groups: …`, `tags: …`, `sites: …`: what a selector could have meant."""
    hosts = client.hosts()["items"]
    enabled = [host for host in hosts if not host["disabled"]]
    yield f"there are {len(hosts)} hosts: {_some(host['name'] for host in hosts)}"
    if len(enabled) < len(hosts):
        yield f"{len(hosts) - len(enabled)} of them disabled, which no selector picks"
    if groups := client.groups()["items"]:
        yield f"groups: {_some(group['name'] for group in groups)}"
    tags = {f"{key}={value}" if value else key for host in hosts for key, value in host["tags"].items()}
    if tags:
        yield f"tags: {_some(sorted(tags))}"
    if sites := {host["site"] for host in hosts if host["site"]}:
        yield f"sites: {_some(sorted(sites))}"


def _some(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(known[:_SHOWN]) + more
