"""The registry: every kind describes itself, and all faults of an input are told at once."""

from __future__ import annotations

import pytest

from rota.actions import registry
from rota.actions.do import parse_do
from rota.domain.errors import InvalidInput, NotFound
from rota.domain.step import Json, Step
from rota.templating.quoting import Quoting


@pytest.mark.parametrize("kind", registry.kinds())
def test_the_example_of_each_kind_is_valid(kind: str) -> None:
    assert registry.check(kind, registry.get(kind).example) == []


@pytest.mark.parametrize("kind", registry.kinds())
def test_each_kind_has_a_closed_schema_in_which_every_parameter_is_described(kind: str) -> None:
    schema = registry.schema(kind)
    assert schema["additionalProperties"] is False
    assert schema["title"] == kind and schema["description"]
    spec = registry.get(kind)
    assert set(spec.templates) | ({spec.main} if spec.main else set()) <= set(schema.get("properties", {}))


@pytest.mark.parametrize("kind", registry.kinds())
def test_an_unknown_parameter_is_refused_by_each_kind(kind: str) -> None:
    faults = registry.check(kind, {**registry.get(kind).example, "nonsense": 1})
    assert [fault.field for fault in faults] == ["params.nonsense"]


def test_all_faults_are_told_at_once() -> None:
    params: dict[str, Json] = {
        "comand": "ls", "argv": ["{{ x() }}", 3],
        "env": {"ROTA_X": "1", "A B": "2", "C": "{{ d | lowr }}"}, "cwd": "here",
    }  # fmt: skip
    faults = {fault.field: "; ".join(filter(None, [fault.message, fault.hint]))
              for fault in registry.check("shell", params)}  # fmt: skip
    assert faults == {
        "params.comand": 'is not a parameter; did you mean "command"?',
        "params.argv[0]": "a call is not allowed",
        "params.argv[1]": "is not text",
        "params.env.ROTA_X": "names that begin with ROTA_ are set by Rota",
        "params.env.A B": "is not of the right form",
        "params.env.C": 'there is no filter `lowr`; did you mean "lower"?',
        "params.cwd": "is not of the right form",
    }


@pytest.mark.parametrize(
    ("kind", "params", "field"),
    [
        ("shell", {}, "params.command"),
        ("shell", {"command": "a", "argv": ["a"]}, "params.command"),
        ("shell", {"command": ""}, "params.command"),
        ("shell", {"command": "a\0b"}, "params.command"),
        ("shell", {"command": "echo `{{ x }}`"}, "params.command"),
        ("shell", {"command": "a", "run_as": "-root"}, "params.run_as"),
        ("shell", {"command": "a", "env": {"{{ x }}": "1"}}, "params.env.{{ x }}"),
        ("script", {"script": "echo {{ vars.x }}"}, "params.script"),
        ("script", {"script": "x", "interpreter": "python '"}, "params.interpreter"),
        ("http", {"url": "ftp://example.org"}, "params.url"),
        ("http", {"url": "http://u:p@example.org"}, "params.url"),
        ("http", {"url": "http://example.org/a b"}, "params.url"),
        ("http", {"url": "http://h", "body": "a", "json": {}}, "params.body"),
        ("http", {"url": "http://h", "headers": {"A": "b\r\nC: d"}}, "params.headers.A"),
        ("http", {"url": "http://h", "timeout": 0.0}, "params.timeout"),
        ("http", {"url": "http://h", "expect": [20]}, "params.expect[0]"),
        ("playbook", {"playbook": "../x"}, "params.playbook"),
        ("fs_write", {"path": "relative", "content": ""}, "params.path"),
        ("fs_write", {"path": "/a", "content": "", "mode": 420}, "params.mode"),
        ("fs_chmod", {"path": "/a", "mode": "0999"}, "params.mode"),
        ("fs_read", {"path": "/a", "max_bytes": 10_000_000}, "params.max_bytes"),
        ("service", {"name": "--now", "action": "start"}, "params.name"),
        ("service", {"name": "cron", "action": "begin"}, "params.action"),
    ],
)  # fmt: skip
def test_a_bad_parameter_is_named(kind: str, params: dict[str, Json], field: str) -> None:
    assert field in [fault.field for fault in registry.check(kind, params)]


def test_a_template_need_not_look_like_what_it_will_be() -> None:
    assert registry.check("fs_read", {"path": "{{ vars.dir }}/x"}) == []
    assert registry.check("service", {"name": "{{ vars.name }}", "action": "started"}) == []


def test_an_unknown_kind_names_one_that_is_near() -> None:
    with pytest.raises(NotFound, match='did you mean "shell"'):
        registry.get("shel")
    assert 'did you mean "shell"' in registry.check("shel", {})[0].hint


def test_raw_is_shown_for_the_plan() -> None:
    step = Step(name="a", action="shell", params={"command": "ls {{ vars.flags | raw }}"})
    assert registry.uses_raw(step) == ["vars.flags"]


def test_a_playbook_step_takes_no_modifiers_of_its_own() -> None:
    step = Step(name="a", action="playbook", params={"playbook": "backup"}, retries=3, when="true")
    assert [fault.field for fault in registry.check_step(step)] == ["when", "retries"]


def test_a_faulty_condition_is_a_fault_of_its_step() -> None:
    step = Step(name="a", action="noop", when="a b")
    assert [fault.field for fault in registry.check_step(step, where="steps[0]")] == ["steps[0].when"]


def test_shell_text_is_quoted_for_a_shell_and_nothing_else_is() -> None:
    quoted = {(kind, name) for kind in registry.kinds() for name, quoting in registry.get(kind).templates.items()
              if quoting is Quoting.SHELL}  # fmt: skip
    assert quoted == {("shell", "command"), ("exec", "command"), ("sudo", "command")}


@pytest.mark.parametrize(
    ("text", "kind", "params"),
    [
        ("shell: df -h", "shell", {"command": "df -h"}),
        ("shell:df -h: x", "shell", {"command": "df -h: x"}),
        ("shell: {{ vars.x }}", "shell", {"command": "{{ vars.x }}"}),
        ("shell: {argv: [ls, -l]}", "shell", {"argv": ["ls", "-l"]}),
        ("script: echo a", "script", {"script": "echo a"}),
        ("playbook: backup", "playbook", {"playbook": "backup"}),
        ("noop", "noop", {}),
        ("noop:", "noop", {}),
        ("http: https://example.org/", "http", {"url": "https://example.org/"}),
        ("http: POST https://example.org/", "http", {"method": "POST", "url": "https://example.org/"}),
        ('http: {"url": "http://h", "method": "PUT"}', "http", {"url": "http://h", "method": "PUT"}),
        ("fs_remove: {path: /tmp/x}", "fs_remove", {"path": "/tmp/x"}),
    ],
)  # fmt: skip
def test_do_reads_one_step_from_one_line(text: str, kind: str, params: dict[str, Json]) -> None:
    assert parse_do(text) == Step(name=kind, action=kind, params=params)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shel: df", 'did you mean "shell"'),
        ("df -h", "--do 'shell: df -h'"),
        ("", "no action kind"),
        ("shell:", "neither"),
        ("noop: now", "takes no text"),
        ("fs_remove: /tmp/x", "takes no text"),
        ("http: {url: http://h, metod: PUT}", 'did you mean "method"'),
        ("http: {url: [}", "not YAML"),
        ("http: SEND http://h", "--do.url"),
    ],
)
def test_do_refuses(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_do(text)
    assert message in str(raised.value)
