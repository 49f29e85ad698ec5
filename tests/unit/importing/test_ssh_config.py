"""OpenSSH's client configuration, read as ssh reads it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rota.importing.formats import no_includes
from rota.importing.reading import Reading
from rota.importing.ssh_config import read


def hosts(reading: Reading) -> dict[str, dict[str, object]]:
    return {
        entry.name: {k: v for k, v in entry.fields.items() if k not in ("name", "connector")} for entry in reading.hosts
    }


def found(text: str) -> dict[str, dict[str, object]]:
    reading = read(text, no_includes)
    assert not reading.faults
    return hosts(reading)


def test_each_literal_name_is_a_host_reached_over_ssh() -> None:
    reading = read(
        "Host web-1 web-2\n  HostName 10.0.0.1\n  Port 2222\n  User deploy\nHost *.example.com\n", no_includes
    )
    facts = {"address": "10.0.0.1", "port": 2222, "user": "deploy"}
    assert hosts(reading) == {"web-1": facts, "web-2": facts}
    assert {entry.fields["connector"] for entry in reading.hosts} == {"ssh"}


def test_the_first_value_that_is_found_counts_as_in_ssh() -> None:
    text = "User first\nHost web-1\n  User second\n  Port 22\nHost web-*\n  Port 23\n  IdentityFile ~/.ssh/id_web\n"
    assert found(text) == {"web-1": {"user": "first", "port": 22, "key_file": "~/.ssh/id_web"}}


def test_a_pattern_with_an_exclamation_mark_takes_away() -> None:
    text = "Host web-1 web-2\nHost web-* !web-2\n  User deploy\n"
    assert found(text) == {"web-1": {"user": "deploy"}, "web-2": {}}


def test_equal_signs_quotes_capitals_and_comments_are_read_as_ssh_does() -> None:
    text = '# mine\nHOST=web-1\n\thostname = 10.0.0.1\n  IdentityFile "my key"  # the old one\n'
    assert found(text) == {"web-1": {"address": "10.0.0.1", "key_file": "my key"}}


def test_tokens_that_are_known_are_written_out_and_others_told() -> None:
    text = "Host web-1\n  HostName %h.example.com\n  IdentityFile %d/id\nHost db-1\n  IdentityFile ~/%r.key\n"
    reading = read(text, no_includes)
    assert hosts(reading) == {"web-1": {"address": "web-1.example.com", "key_file": "~/id"}, "db-1": {}}
    assert list(reading.left_out()) == ["~/%r.key with its tokens (line 5)"]


@pytest.mark.parametrize(
    "line",
    [
        "ProxyJump bastion",
        "ProxyCommand ssh -W %h:%p bastion",
        "ProxyCommand /usr/bin/ssh bastion -W [%h]:%p",
    ],
)
def test_a_jump_in_any_words_is_a_jump(line: str) -> None:
    assert found(f"Host bastion\nHost web-1\n  {line}\n")["web-1"] == {"jump": "bastion"}


def test_a_jump_without_a_block_becomes_a_host() -> None:
    text = "Host web-1 web-2\n  ProxyJump ops@bastion.example.com:2200\nHost *\n  IdentityFile id\n"
    assert found(text)["bastion.example.com"] == {"user": "ops", "port": 2200, "key_file": "id"}


def test_a_jump_for_all_hosts_does_not_lead_the_jump_over_itself() -> None:
    assert found("Host bastion web-1\nHost *\n  ProxyJump bastion\n") == {"bastion": {}, "web-1": {"jump": "bastion"}}


def test_the_first_of_jump_and_proxy_command_counts() -> None:
    text = "Host bastion\nHost web-1\n  ProxyJump none\n  ProxyCommand ssh -W %h:%p bastion\n"
    assert found(text)["web-1"] == {}


def test_what_cannot_be_taken_is_told_where_it_stands_first() -> None:
    text = "Host a b\n  ForwardAgent yes\n  ProxyJump x,y\nHost c\n  ForwardAgent yes\nMatch user root\n  User never\n"
    reading = read(text, no_includes)
    assert hosts(reading) == {"a": {}, "b": {}, "c": {}}
    assert list(reading.left_out()) == [
        "ForwardAgent (line 2, and 1 more)", "Match (line 6)", "ProxyJump x,y (line 1)",
    ]  # fmt: skip


def test_included_files_are_read_in_their_place() -> None:
    def includes(pattern: str) -> Sequence[tuple[str, str]]:
        return [("work", "Host web-1\n  User deploy\n")] if pattern == "config.d/*" else []

    reading = read("Include config.d/*\nHost web-1\n  User later\nHost db-1\n  Port x\n", includes)
    assert hosts(reading) == {"web-1": {"user": "deploy"}, "db-1": {}}
    assert [(entry.name, entry.place) for entry in reading.hosts] == [("web-1", "work line 1"), ("db-1", "line 4")]
    assert [str(fault) for fault in reading.faults] == ["line 5 db-1 port: 'x' is not a port (expected 1 to 65535)"]


def test_what_follows_an_include_belongs_to_the_block_around_it() -> None:
    def includes(pattern: str) -> Sequence[tuple[str, str]]:
        return [("inner", "Host other\n")]

    assert hosts(read("Host web-1\n  Include inner\n  User deploy\n", includes))["web-1"] == {"user": "deploy"}


def test_a_file_that_includes_itself_ends() -> None:
    reading = read("Include me\n", lambda pattern: [("me", "Include me\n")])
    assert "is too deep" in str(reading.faults[0])


def test_every_fault_of_grammar_is_told() -> None:
    reading = read('Host web-1\n  User "open\n  Port\n', no_includes)
    assert [str(fault) for fault in reading.faults] == [
        "line 2: 'User' has a quote that is not closed", "line 3: 'Port' says nothing (expected a value)",
    ]  # fmt: skip


@pytest.mark.timeout(60)
def test_ten_thousand_blocks_are_read_in_a_moment() -> None:
    text = "".join(f"Host h{number}\n  HostName 10.0.0.1\n" for number in range(10_000))
    assert len(read(text, no_includes).hosts) == 10_000
