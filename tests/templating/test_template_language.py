"""What templates may say, and what is said to those who ask for more."""

from __future__ import annotations

import pytest

from rota.domain.errors import InvalidInput
from rota.domain.step import Json
from rota.templating.environment import evaluate, render
from rota.templating.language import check, check_expression, names_in, needs_render, uses_raw
from rota.templating.quoting import Quoting

VARIABLES: dict[str, Json] = {
    "name": "web", "count": "3", "off": "false", "empty": "", "nothing": None, "list": ["b", "a", "b"], "yes": True,
    "vars": {"items": "an item", "name": "web", "deep": {"er": 1}}, "said": {"stdout": "up\n", "exit_code": 0},
}  # fmt: skip


def rendered(text: str) -> str:
    return render(text, Quoting.PLAIN, VARIABLES)


ATTACKS = [
    "{{ ''.__class__.__mro__ }}",
    "{{ ''.__class__.__base__.__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ x|attr('__class__') }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ '%s'|format(x) }}",
    "{{ x|map(attribute='__class__')|join }}",
    "{{ x|select('callable')|list }}",
    "{{ range(99999999) }}",
    "{{ namespace(a=1) }}",
    "{{ joiner() }}",
    "{{ config }}{{ request() }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{% set x = 1 %}",
    "{% macro m() %}{% endmacro %}",
    "{% import 'os' as os %}",
    "{% include '/etc/passwd' %}",
    "{% extends 'x' %}",
    "{% block b %}{% endblock %}",
    "{% call f() %}{% endcall %}",
    "{% filter upper %}x{% endfilter %}",
    "{% with a = 1 %}{% endwith %}",
    "{% autoescape false %}{% endautoescape %}",
    "{{ 9**9**9 }}",
    "{{ x._private }}",
    "{{ loop.index }}",
    "{{ x.__class__ is defined }}",
    "{{ x | default(y.__class__) }}",
    "{% if x.__class__ %}{% endif %}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "1+" * 20000 + "1 }}",
    "{{ " + " and ".join(["x"] * 10000) + " }}",
    "{% if x %}" * 2000 + "{% endif %}" * 2000,
    "{{ x }}" + "a" * 70_000,
    "{{ x }}" * 9000,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda text: text[:40])
def test_an_attack_is_refused_when_it_is_saved(attack: str) -> None:
    faults = check(attack, where="content")
    if "config" in attack:
        assert any("call" in fault.message for fault in faults)
    assert faults
    assert all(fault.field == "content" for fault in faults)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda text: text[:40])
def test_an_attack_that_reaches_the_renderer_gives_nothing(attack: str) -> None:
    with pytest.raises(InvalidInput):
        render(attack, Quoting.PLAIN, {"x": "a"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ name }} {{ vars.name }} {{ vars['name'] }}", "web web web"),
        ("{{ vars.items }}", "an item"),
        ("{{ vars.deep.er + 1 }}", "2"),
        ("{{ list | sort | unique | join(',') }}", "a,b"),
        ("{{ list }}", '["b","a","b"]'),
        ("{{ list[0] }}{{ list.1 }}{{ list | first }}{{ list | last }}", "babb"),
        ("{{ yes }}", "true"),
        ("{{ name | upper }}{{ name | length }}", "WEB3"),
        ("{{ '/etc/hosts' | basename }} {{ '/etc/hosts' | dirname }}", "hosts /etc"),
        ("{{ lost | default('found') }}", "found"),
        ("{{ empty | default('found', true) }}", "found"),
        ("{{ nothing | default('found', true) }}", "found"),
        ("{{ name if count | int > 2 else 'few' }}", "web"),
        ("{% if off %}on{% else %}off{% endif %}", "off"),
        ("{% if not off and name %}x{% endif %}", "x"),
        ("{% if lost is defined %}{{ lost }}{% endif %}.", "."),
        ("{{ said.stdout | trim }}", "up"),
        ("{{ 'a b/c' | urlencode }}", "a%20b%2Fc"),
        ("{{ {'a': [1, true, none]} | tojson }}", '{"a": [1, true, null]}'),
        ("{{ count | int * 2 }}", "6"),
        ("{{ 'abcdef' | truncate(4) }}", "abc…"),
        ("{% raw %}{{.Names}}{% endraw %}", "{{.Names}}"),
        ("{# a remark #}x\n", "x\n"),
    ],
)
def test_templates_give(text: str, expected: str) -> None:
    assert check(text, where="x") == []
    assert rendered(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ nmae }}", 'missing variable `nmae`'),
        ("{{ vars.nmae }}", 'did you mean "name"'),
        ("{{ name.upper }}", "text has no `upper`"),
        ("{{ list.append }}", "a list has no `append`"),
        ("{{ 'a' * 1000000000 }}", "needs two numbers"),
        ("{{ '%999999999d' % 1 }}", "needs two numbers"),
        ("{{ count > 2 }}", "| int"),
        ("{{ nothing }}", "is null"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'a' | replace('a', name) ~ lost }}", "missing variable `lost`"),
    ],
)  # fmt: skip
def test_a_render_that_fails_says_why(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        rendered(text)
    assert message in str(raised.value)


def test_output_is_limited_to_64_kib() -> None:
    with pytest.raises(InvalidInput, match="longer than 65536 bytes"):
        render("{{ x }}{{ x }}", Quoting.PLAIN, {"x": "a" * 40_000})


def test_a_nul_in_a_value_is_refused_in_a_command() -> None:
    with pytest.raises(InvalidInput, match="NUL"):
        render("echo {{ x }}", Quoting.SHELL, {"x": "a\0b"})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("name == 'web'", True),
        ("{{ name == 'web' }}", True),
        ("off", False),
        ("not off", True),
        ("off or name", True),
        ("empty", False),
        ("said.exit_code == 0 and 'up' in said.stdout", True),
        ("count | int >= 3", True),
        ("lost is defined", False),
        ("name is startingwith 'w'", True),
        ("list", True),
        ("nothing", False),
        ("true", True),
    ],
)
def test_when_answers(expression: str, expected: bool) -> None:
    assert check_expression(expression, where="when") == []
    assert evaluate(expression, VARIABLES) is expected


@pytest.mark.parametrize(
    "expression", ["", "a b", "x()", "x.__class__", "1 }} {{ 2", "{% if x %}", "a" * 5000, "(" * 900]
)
def test_a_bad_condition_is_refused(expression: str) -> None:
    assert check_expression(expression, where="when")


def test_all_faults_of_a_template_are_told_at_once() -> None:
    faults = check("{{ a() }} {{ b | lowr }} {{ c.__d__ }}", where="x")
    assert [fault.message.split(";")[0] for fault in faults] == [
        "a call is not allowed",
        "there is no filter `lowr`",
        "`__d__` is private",
    ]


def test_a_fault_in_many_lines_says_which() -> None:
    assert "(line 3)" in check("a\nb\n{{ x() }}", where="x")[0].message


def test_braces_of_another_program_get_a_hint() -> None:
    assert "{% raw %}" in check("docker ps --format '{{.Names}}'", where="x")[0].expected


def test_text_without_braces_needs_no_render() -> None:
    assert not needs_render("echo ${HOME} {a,b} %")
    assert needs_render("{{ x }}") and needs_render("{% if x %}{% endif %}")


def test_raw_is_only_for_the_end_of_a_value_in_a_command() -> None:
    assert check("{{ x | raw | upper }}", where="c", quoting=Quoting.SHELL)
    assert check("{{ x | raw }}", where="content", quoting=Quoting.PLAIN)
    assert check("{{ x | upper | raw }}", where="c", quoting=Quoting.SHELL) == []


def test_raw_is_listed_for_the_plan() -> None:
    assert uses_raw("a {{ vars.flags | raw }} {{ b }} {{ (c ~ d[0]) | raw }}") == ["vars.flags", "c, d"]


def test_the_names_a_template_cannot_do_without_are_known() -> None:
    text = "{{ a }} {{ vars.b }} {{ c | default('') }} {% if d is defined %}{{ d }}{% endif %} {{ host.name }}"
    assert names_in(text) == {"a", "vars.b"}
