"""Playbook files: what is read, and that all faults of a file are told at once, each with its line.

`faults/*.yaml` holds one faulty playbook a file; its comments `# fault: TEXT` are what must be said, no more, no less.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rota.actions.playbook import expand
from rota.actions.playbook_file import read_playbook
from rota.actions.yaml_reader import read_yaml
from rota.domain.errors import InvalidInput, NotFound
from rota.domain.playbook import missing_variables, to_steps
from rota.domain.step import Step

HERE = Path(__file__).parent
EXAMPLES = Path(__file__).parents[3] / "src/rota/examples/playbooks"

FULL = """\
name: full
description: "{{ not.rendered }}"
version: 3
vars: {who: world, days: 30, on: true, mode: 0755}
steps:
  - name: say
    exec: echo {{.Vars.who}} {{ .Vars.days }}
    os: linux
    when: vars.on
    register: said
    continue_on_error: true
    timeout_ms: 1500
    retries: 2
    retry_delay_ms: 250
    idempotent: true
  - name: write
    fs_write: {path: /tmp/x, content: "{{ said.stdout }}", mode: 0644}
  - name: nothing
    noop:
  - name: ask
    http: {url: "http://127.0.0.1/{{ vars.who | urlencode }}"}
"""


def test_every_word_of_a_step_is_read() -> None:
    assert to_steps(read_playbook(FULL))[0] == Step(
        name="say",
        action="exec",
        params={"command": "echo {{ vars.who}} {{ vars.days }}"},
        os="linux",
        when="vars.on",
        register="said",
        continue_on_error=True,
        timeout_seconds=1.5,
        retries=2,
        retry_delay_seconds=0.25,
        idempotent=True,
    )


def test_variables_are_text_as_a_command_line_would_give_them() -> None:
    assert read_playbook(FULL).vars == {"who": "world", "days": "30", "on": "true", "mode": "0755"}


def test_a_mode_written_without_quotes_means_octal() -> None:
    assert read_playbook(FULL).steps[1].params["mode"] == "0644"


def test_the_digest_follows_the_content_and_not_the_layout() -> None:
    digest = read_playbook(FULL).digest
    assert read_playbook("# remark\n" + FULL.replace("{who: world, ", "{  who: 'world',  ")).digest == digest
    assert read_playbook(FULL.replace("world", "moon")).digest != digest


def test_a_variable_that_nobody_gives_is_missing_and_names_its_fields() -> None:
    text = "name: a\nsteps:\n  - {name: s, exec: 'echo {{ vars.retension }} {{ host.name }}', when: x}\n"
    playbook = read_playbook(text)
    missing = missing_variables(playbook, {"retention": "3"})
    assert [fault.field for fault in missing] == ["vars.retension", "vars.x"]
    assert "steps[0].exec.command" in missing[0].message and 'did you mean "retention"' in missing[0].hint
    assert missing_variables(playbook, {"retension": "3", "x": "yes"}) == []


def test_a_playbook_step_stands_for_the_playbooks_steps() -> None:
    playbook = read_playbook(FULL)
    step = Step(name="p", action="playbook", params={"playbook": "full"})
    assert expand(step, {"full": playbook}.__getitem__) == playbook.steps


def test_expanding_an_unknown_playbook_says_what_is_not_found() -> None:
    def find(name: str) -> None:
        raise NotFound(f'no playbook "{name}"')

    with pytest.raises(NotFound):
        expand(Step(name="p", action="playbook", params={"playbook": "x"}), find)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_valid_and_need_no_variables(path: Path) -> None:
    playbook = read_playbook(path.read_text())
    assert playbook.name == path.stem
    assert missing_variables(playbook, {}) == []


@pytest.mark.parametrize("path", sorted((HERE / "faults").glob("*.yaml")), ids=lambda path: path.stem)
def test_all_faults_of_a_file_are_told_at_once(path: Path) -> None:
    text = path.read_text()
    expected = [line.split("# fault: ", 1)[1] for line in text.splitlines() if "# fault: " in line]
    with pytest.raises(InvalidInput) as raised:
        read_playbook(text)
    said = [f"{fault.field}: {replace(fault, field='', expected='')}" for fault in raised.value.errors]
    assert sorted(said) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", '"a" is given twice (line 2, column 1)'),
        ("a: !!python/object/apply:os.system [id]", "the tag"),
        ("a: !x 1", "the tag"),
        ("- " * 40 + "a", "nested too deep"),
        ("[" * 100_000, "nested too deep"),
        ("a: &a [*a]", "no finished anchor"),
        ("a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(8)),
         "too many values"),
        ("a: &a " + "x" * 100_000 + "\nb: [" + ",".join(["*a"] * 50) + "]", "too much text"),
        ("a: " + "x" * 1_100_000, "longer than"),
        ("a: [1", "not YAML"),
        ("a: b: c", "not YAML"),
        ("\ta: b", "not YAML"),
        ("a: \x07", "not YAML"),
        ("a: 1\n---\nb: 2", "second document"),
        ("<<: {a: 1}", "merge keys"),
        ("? [a]\n: b", "a key is a list"),
        ("1e999", "too large"),
    ],
    ids=lambda text: text[:30].strip(),
)  # fmt: skip
def test_yaml_that_could_hurt_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_yaml(text)
    assert message in str(raised.value)


def test_plain_yaml_is_read_by_the_core_schema() -> None:
    text = "a: [1, -2, 0o17, 0x1f, 1.5, 1e3, true, no, null, ~, 0644, '1', 2024-01-01, .5]\nb: &x {c: d}\ne: *x\n"
    assert read_yaml(text).data == {
        "a": [1, -2, 15, 31, 1.5, 1000.0, True, "no", None, None, "0644", "1", "2024-01-01", 0.5],
        "b": {"c": "d"},
        "e": {"c": "d"},
    }
