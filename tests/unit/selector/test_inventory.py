"""Names and tags that hosts and groups may have."""

from __future__ import annotations

import pytest

from rota.domain.inventory import name_faults, tag_faults


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
