"""What hosts and groups may be called, what may be said of a host, and the ways to hosts."""

from __future__ import annotations

import pytest

from rota.domain.inventory import MAX_JUMPS, Host, host_faults, name_faults, tag_faults, way_fault


@pytest.mark.parametrize("name", ["web-1", "db01", "a", "fe80::1", "10.0.0.1", "web.example.com", "x" * 253, "local"])
def test_an_ordinary_name_may_be_used(name: str) -> None:
    assert name_faults(name) == []


@pytest.mark.parametrize("name", ["", "-rf", "a b", "a/b", "wéb", "x" * 254, "a\n", "$(id)", "all", "host_a1b2c3d4"])
def test_a_name_that_could_be_mistaken_for_something_else_is_refused(name: str) -> None:
    assert len(name_faults(name)) == 1


def test_the_fault_says_what_was_named() -> None:
    (fault,) = name_faults("-x", what="group", field="groups[0]")
    assert str(fault).startswith("groups[0]: '-x' is not a group name (expected 1 to 253")


def test_tags_have_names_and_may_have_values() -> None:
    assert tag_faults({"env": "prod", "staging": "", "k8s.io/role": "a+b@c"}) == []


def test_every_faulty_tag_is_named() -> None:
    assert [fault.field for fault in tag_faults({"a b": "", "ok": "1", "env": "x,y"})] == ["tags.a b", "tags.env"]


def test_an_ordinary_host_has_no_faults() -> None:
    host = Host(
        name="web-1", connector="ssh", address="fe80::1", port=65_535, user="deploy", key_file="~/.ssh/id",
        site="hq", tags={"env": "prod"}, vars={"role": "front\nand back"}, groups=frozenset({"web"}),
    )  # fmt: skip
    assert host_faults(host) == []


def test_every_fault_of_a_host_is_named_by_its_field() -> None:
    host = Host(
        name="-x", connector="shh", address="-o", port=0, user="a b", key_file="", site="all",
        tags={"a b": ""}, vars={"0": "", "ok": "\0"}, groups=frozenset({"x y"}),
    )  # fmt: skip
    assert [fault.field for fault in host_faults(host)] == [
        "name", "connector", "address", "user", "port", "key_file", "site", "groups", "tags.a b", "vars.0", "vars.ok",
    ]  # fmt: skip


@pytest.mark.parametrize("connector", ["winrm", "netdev", "docker"])
def test_a_connector_that_comes_later_is_told_as_such(connector: str) -> None:
    (fault,) = host_faults(Host(name="a", connector=connector))
    assert fault.said == f'connector: "{connector}" is not in this release (expected local or ssh)'


def ssh(name: str, jump: str | None = None) -> Host:
    return Host(name=name, connector="ssh", jump=jump)


def told(host: Host, *others: Host) -> str:
    fault = way_fault(host, {each.name: each for each in (host, *others)})
    return fault.said if fault else ""


def test_a_way_may_lead_over_several_hosts() -> None:
    hosts = [ssh("h0"), *(ssh(f"h{number}", f"h{number - 1}") for number in range(1, MAX_JUMPS + 2))]
    assert told(hosts[MAX_JUMPS], *hosts) == ""
    assert "expected a way over at most 5 hosts" in told(hosts[MAX_JUMPS + 1], *hosts)


def test_a_way_that_leads_nowhere_says_where_it_ends() -> None:
    assert told(ssh("a", "a")) == "jump: jump over a, in a circle (expected another host)"
    assert told(ssh("a", "b"), ssh("b", "c"), ssh("c", "b")) == (
        "jump: the way to a leads b → c → b, in a circle (expected another host)"
    )
    assert told(ssh("a", "b")) == "jump: jump over b: there is no host 'b'"
    assert told(ssh("a", "b"), Host(name="b")) == (
        "jump: jump over b, which is this machine itself (expected a host over ssh)"
    )
