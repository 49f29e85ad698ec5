"""Our own YAML and JSON; which format a file is in; what no file may do."""

from __future__ import annotations

import json

import pytest

from rota.cli.yaml import dump
from rota.domain.errors import InvalidInput
from rota.importing.formats import Format, read
from rota.importing.reading import Entry, Reading

OURS = """\
hosts:
  web-1:
    address: 10.0.0.1
    port: 2222
    tags: {version: 1.10, edge: }
    vars: {mode: 0644}
    groups: [web]
    user: null
  web-2:
groups:
  - name: prod
    selector: tag:env=prod
    hosts: [web-1]
  - name: web
    hosts: [web-2]
"""


def hosts(reading: Reading) -> list[dict[str, object]]:
    assert not reading.faults
    return [dict(entry.fields) for entry in reading.hosts]


def told(reading: Reading) -> list[str]:
    return [str(fault) for fault in reading.faults]


def test_values_stay_the_text_that_was_written() -> None:
    reading = read(OURS, name="hosts.yaml")
    assert hosts(reading) == [
        {
            "name": "web-1", "address": "10.0.0.1", "port": 2222, "tags": {"version": "1.10", "edge": None},
            "vars": {"mode": "0644"}, "groups": ["web"], "user": None,
        },
        {"name": "web-2"},
    ]  # fmt: skip


def test_groups_stand_beside_the_hosts() -> None:
    assert [entry.fields for entry in read(OURS, name="hosts.yaml").groups] == [
        {"name": "prod", "selector": "tag:env=prod"}, {"name": "web", "hosts": ["web-2"]},
    ]  # fmt: skip


LISTED = {
    "items": [
        {"id": "host_1", "name": "local", "connector": "local", "port": None, "version": None, "in_all": False},
        {
            "id": "host_2", "name": "web-1", "connector": "ssh", "port": 22, "tags": {"a": ""}, "vars": {},
            "groups": [], "disabled": False, "in_all": True, "version": 3, "updated_at": "2026-01-01T00:00:00Z",
        },
    ],
    "next": None,
}  # fmt: skip


@pytest.mark.parametrize(("text", "name"), [(dump(LISTED), "h.yaml"), (json.dumps(LISTED), "h.json")])  # type: ignore[arg-type]  # JSON
def test_what_hosts_list_prints_is_read(text: str, name: str) -> None:
    reading = read(text, name=name)
    (web,) = hosts(reading)
    assert (web["name"], web["port"], web["disabled"]) == ("web-1", 22, False)
    assert not web.keys() & {"id", "in_all", "version", "updated_at"}
    assert next(reading.left_out()).startswith("host local, which is built in")


def test_what_groups_list_prints_is_read() -> None:
    listed = {"items": [
        {"name": "web", "description": "The web", "selector": None, "hosts": ["web-1"]},
        {"name": "prod", "description": "", "selector": "tag:env=prod", "hosts": ["web-1"]},
    ], "next": None}  # fmt: skip
    reading = read(json.dumps(listed), name="groups.json")
    assert (reading.hosts, reading.faults) == ([], [])
    assert [entry.fields for entry in reading.groups] == [
        {"name": "web", "description": "The web", "selector": None, "hosts": ["web-1"]},
        {"name": "prod", "description": "", "selector": "tag:env=prod"},
    ]


def test_bare_names_are_hosts() -> None:
    assert hosts(read("- web-1\n- web-2\n", name="h.yaml")) == [{"name": "web-1"}, {"name": "web-2"}]


def test_every_fault_is_told_with_its_line() -> None:
    text = "- name: web-1\n  adress: x\n  port: ssh\n- [x]\n- name: web-2\n  tags: x\n  user: [y]\n"
    assert told(read(text, name="h.yaml")) == [
        "line 2 web-1: 'adress' is not known here; did you mean \"address\"?",
        "line 3 web-1 port: 'ssh' is not a port (expected 1 to 65535)",
        "line 4: is no mapping (expected the fields of a host)",
        "line 6 web-2 tags: is no mapping (expected KEY: VALUE)",
        "line 7 web-2 user: is a list or a mapping (expected a text)",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- !!python/object/apply:os.system [id]\n", "is no mapping"),
        ("a: &a [x]\nb: *a\n", "aliases are not read"),
        ("hosts: [a\n", "is not YAML"),
        ("- a\n---\n- b\n", "second document"),
        ("- name: a\n  name: b\n", "twice in one mapping"),
        ("- " * 100 + "a\n", "nested too deep"),
        ("[" * 100_000, "nested too deep"),
        ("- name: a\0b\n", "is no text file"),
        ("- ? [a]\n  : b\n", "key that is a list"),
        ("x" * (16 * 1024 * 1024 + 1), "is longer than"),
    ],
)
def test_a_hostile_file_is_refused(text: str, why: str) -> None:
    try:
        found = "; ".join(told(read(text, name="h.yaml", format=Format.YAML)))
    except InvalidInput as error:
        found = str(error)
    assert why in found


@pytest.mark.parametrize(
    ("name", "text", "marks"),
    [
        ("h.csv", "name\nx\n", "x"),
        ("config", "User y\nHost x\n", "x"),
        ("whatever", "# mine\nHost x\n", "x"),
        ("hosts", "x\n", "x"),
        ("inventory", "[web]\nx\n", "x"),
        ("h.yml", "- x\n", "x"),
        ("h.yml", "web:\n  hosts:\n    x:\n", "x"),
        ("standard input", "- name: x\n", "x"),
        ("standard input", "name,user\nx,y\n", "x"),
        ("standard input", '[{"name": "x"}]', "x"),
    ],
)
def test_the_format_is_seen_from_the_name_or_the_text(name: str, text: str, marks: str) -> None:
    assert [entry.name for entry in read(text, name=name).hosts] == [marks]


def test_a_file_that_shows_no_format_asks_for_one() -> None:
    with pytest.raises(InvalidInput, match=r"--format yaml\|csv\|ssh-config\|ansible"):
        read("???\n", name="standard input")


def test_what_the_server_says_is_told_by_the_place_in_the_file() -> None:
    reading = Reading(hosts=[Entry("line 2", {"name": "a"}), Entry("line 7", {"name": "b"})])
    from rota.domain.errors import FieldError

    faults = [
        FieldError(field="hosts[1].port", message="no"),
        FieldError(field="hosts[1].name", message="also as hosts[0]"),
    ]
    assert [str(fault) for fault in reading.in_places(faults)] == ["line 7 b port: no", "line 7 b: also as line 2"]


def test_all_hosts_of_a_file_can_join_a_group_that_the_file_has_too() -> None:
    reading = read("hosts: [a, b]\ngroups: [{name: web, hosts: [z]}]\n", name="h.yaml")
    reading.join_all("web")
    assert [entry.fields for entry in reading.groups] == [{"name": "web", "hosts": ["z", "a", "b"]}]
