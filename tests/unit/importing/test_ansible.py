"""Ansible's inventories, INI and YAML, with what they mean."""

from __future__ import annotations

import pytest

from rota.importing.formats import Format, read
from rota.importing.reading import Reading

INI = """\
lone ansible_port=22

[web]
web[01:02].example.com ansible_user=deploy
web-x:2222 role='the front'   # the odd one

[db]
db-1 ansible_host=10.0.0.5

[prod:children]
web
db

[prod:vars]
env=prod
[web:vars]
env="web"
[all:vars]
env=any
"""
YAML = """\
all:
  vars: {env: any}
  hosts: {lone: {ansible_port: 22}}
  children:
    prod:
      vars: {env: prod}
      children:
        web:
          vars: {env: web}
          hosts:
            web[01:02].example.com: {ansible_user: deploy}
            web-x: {ansible_port: 2222, role: the front}
        db:
          hosts:
            db-1: {ansible_host: 10.0.0.5}
"""


def ansible(text: str, name: str = "inventory") -> Reading:
    return read(text, name=name, format=Format.ANSIBLE)


def hosts(reading: Reading) -> dict[str, dict[str, object]]:
    return {entry.name: {key: value for key, value in entry.fields.items() if key != "name"} for entry in reading.hosts}


def groups(reading: Reading) -> dict[str, dict[str, object]]:
    return {
        entry.name: {key: value for key, value in entry.fields.items() if key != "name"} for entry in reading.groups
    }


def told(reading: Reading) -> list[str]:
    return [str(fault) for fault in reading.faults]


@pytest.mark.parametrize(("text", "name"), [(INI, "hosts.ini"), (YAML, "hosts.yaml")])
def test_both_spellings_of_an_inventory_are_the_same_hosts(text: str, name: str) -> None:
    reading = ansible(text, name)
    assert told(reading) == []
    assert hosts(reading) == {
        "lone": {"port": 22, "vars": {"env": "any"}},
        "web01.example.com": {"user": "deploy", "vars": {"env": "web"}},
        "web02.example.com": {"user": "deploy", "vars": {"env": "web"}},
        "web-x": {"port": 2222, "vars": {"env": "web", "role": "the front"}},
        "db-1": {"address": "10.0.0.5", "vars": {"env": "prod"}},
    }


@pytest.mark.parametrize(("text", "name"), [(INI, "hosts.ini"), (YAML, "hosts.yaml")])
def test_a_group_with_children_becomes_a_dynamic_one(text: str, name: str) -> None:
    assert groups(ansible(text, name)) == {
        "web": {"hosts": ["web01.example.com", "web02.example.com", "web-x"]},
        "db": {"hosts": ["db-1"]},
        "prod": {"selector": "group:web,group:db"},
    }


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("h[1:3]", ["h1", "h2", "h3"]),
        ("h[08:10]", ["h08", "h09", "h10"]),
        ("h[1:5:2]", ["h1", "h3", "h5"]),
        ("h-[a:c].x", ["h-a.x", "h-b.x", "h-c.x"]),
        ("r[1:2]h[1:2]", ["r1h1", "r1h2", "r2h1", "r2h2"]),
    ],
)
def test_ranges_stand_for_names(pattern: str, names: list[str]) -> None:
    assert list(hosts(ansible(f"[g]\n{pattern}\n"))) == names


@pytest.mark.parametrize("pattern", ["h[1:999999]", "h[1:999][1:999]", "h[1:99999999999]", "h[1:2:0]"])
def test_a_range_that_stands_for_too_many_is_refused(pattern: str) -> None:
    assert "stands for too many hosts" in told(ansible(f"[g]\n{pattern}\n"))[0]


def test_connection_variables_become_fields() -> None:
    line = "a ansible_ssh_private_key_file=~/k ansible_connection=ssh ansible_ssh_common_args='-o ProxyJump=b'"
    assert hosts(ansible(f"[g]\nb\n{line}\n"))["a"] == {"key_file": "~/k", "connector": "ssh", "jump": "b"}


def test_a_host_that_is_this_machine_keeps_no_address() -> None:
    reading = ansible("[g]\na ansible_connection=local ansible_host=127.0.0.1\n")
    assert hosts(reading) == {"a": {"connector": "local"}}
    assert list(reading.left_out()) == ["address of a host with ansible_connection=local (line 2)"]


def test_secrets_are_never_taken_nor_shown() -> None:
    reading = ansible("[g]\na ansible_password=hunter2 ansible_become_pass=hunter2 ansible_become=true\n")
    assert "hunter2" not in str(reading.body(update=False)) + " ".join(reading.left_out())
    assert [text.partition(":")[0] for text in reading.left_out()][:2] == ["ansible_password", "ansible_become_pass"]


def test_what_only_ansible_understands_is_left_out_and_told() -> None:
    text = "all:\n  hosts:\n    a: {ansible_python_interpreter: x, path: '{{ home }}/x', list: [1], version: 1.10}\n"
    reading = ansible(text)
    assert hosts(reading) == {"a": {"vars": {"version": "1.10"}}}
    assert list(reading.left_out()) == [
        "ansible_python_interpreter (line 3)",
        "path, which is a template of Ansible's (line 3)",
        "list, which is no text (line 3)",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a:children]\nb\n[b:children]\na\n", "line 1: group a contains itself: a → b → a"),
        ("[a:children]\nb\n", "line 2: group b is named as a child and defined nowhere"),
        ("[a:hots]\nx\n", "line 1: '[a:hots]' is no section (expected [GROUP], [GROUP:children] or [GROUP:vars])"),
        ("[a]\nx 'open\n", 'line 2: "x \'open" has a quote that is not closed'),
        ("[a]\nx role\n", "line 2: 'role' is no variable (expected KEY=VALUE)"),
        ("[a]\nx ansible_port=ssh\n", "line 2 x port: 'ssh' is not a port (expected 1 to 65535)"),
    ],
)
def test_a_fault_says_where_and_what(text: str, fault: str) -> None:
    assert fault in told(ansible(text))


def test_an_unknown_part_of_a_yaml_group_is_told_with_the_one_that_was_meant() -> None:
    (fault,) = told(ansible("web:\n  hots: {a: }\n"))
    assert fault.startswith("line 2: 'hots' is no part of a group")
    assert 'did you mean "hosts"?' in fault


def test_groups_that_nest_without_end_are_refused() -> None:
    text = "".join(f"[g{number}:children]\ng{number + 1}\n" for number in range(3000)) + "[g3000]\nx\n"
    assert "nested too deep" in told(ansible(text))[0]


@pytest.mark.timeout(60)
def test_ten_thousand_hosts_in_many_groups_are_read_in_a_moment() -> None:
    text = "".join(f"[g{number}]\nh{number}[000:099] x=1\n" for number in range(100))
    reading = ansible(text)
    assert (len(reading.hosts), len(reading.groups)) == (10_000, 100)
