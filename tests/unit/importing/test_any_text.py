"""No text does anything to a reader but be read or be refused, and what was read can be sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.domain.errors import InvalidInput
from rota.importing.formats import Format, read
from rota.importing.known_hosts import KnownHosts

PIECES = (
    "Host ", "Match ", "Include x", "ProxyJump a@b:1,c", "HostName %h", "IdentityFile ~/%r", "[web]", "[a:children]",
    "[a:vars]", "h[1:3]", "h[9:1]", "x=1", "ansible_host=y", "ansible_port=z", "all:", "hosts:", "children:", "vars:",
    "name", "a", "0", "é", "  ", "- ", ",", ";", ": ", "\t", "\n", "\n", "\n", '"', "'", "{", "}", "[", "]", "#", "-",
    "&a ", "*a ", "!t ", "|1|YQ==|YQ== ssh-rsa A", "*.x,!y ssh-rsa A", "\u2028", "\ufeff",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@pytest.mark.parametrize("form", [*Format, None])
@given(text=TEXTS)
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused(form: Format | None, text: str) -> None:
    try:
        reading = read(text, name="inventory", format=form)
    except InvalidInput:
        return
    reading.join_all("all-of-it")
    json.dumps(reading.body(update=False))
    assert all(isinstance(note, str) for note in reading.left_out())


@given(text=TEXTS)
@settings(max_examples=100, deadline=None)
def test_any_text_may_stand_among_known_hosts(text: str) -> None:
    assert all(key.startswith("ssh-rsa A") for key in KnownHosts(text).keys_of("a.x", 22))
