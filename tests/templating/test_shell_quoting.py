"""Values in commands, judged by the shells themselves: whatever the value, the shell reads back that value."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rota.templating.environment import render
from rota.templating.language import check, read
from rota.templating.quoting import Quoting

SHELLS = [path for name in ("sh", "bash", "dash") if (path := shutil.which(name))]
HOSTILE = [
    "; id", "$(id)", "`id`", "a\nid\n", "'", '"', "\\", "it's \"so\"", "--flag", "-rf", "-oProxyCommand=id", "*", "~",
    "$HOME", "a b", "", "if", "A=b", "#", "\\'; id; '", "\t", "é\u2028\ufeff", "&& id", "| id", "> x", "\r\nid", "!!",
]  # fmt: skip


def output_of(shell: str, template: str, **variables: str) -> str:
    command = render(template, Quoting.SHELL, variables)
    done = subprocess.run([shell, "-c", command], capture_output=True, check=True, stdin=subprocess.DEVNULL)
    return done.stdout.decode()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "template",
    [
        "printf %s {{ x }}",
        'printf %s "{{ x }}"',
        "printf %s '{{ x }}'",
        "v={{ x }}; printf %s \"$v\"",
        'printf %s "$(printf %sE {{ x }})" | sed \'$ s/E$//\' | tr -d "\\001"',
        "set -- {{ x }}; printf %s \"$#$1\" | cut -c2-",
        "sh -c 'printf %s \"$1\"' sh {{ x }}",
        "sh -c \"printf %s {{ x | quote }}\"",
        "printf %s {{ x | quote }}",
    ],
)  # fmt: skip
def test_a_hostile_value_is_one_literal_word(shell: str, template: str) -> None:
    values = [value for value in HOSTILE if "\n" not in value or ("cut" not in template and "sed" not in template)]
    for value in values:
        expected = value + "\n" if "cut" in template else value
        assert output_of(shell, template, x=value) == expected, (template, value)


@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_text_survives_every_kind_of_quotes(value: str) -> None:
    template = "printf '%s\\001' {{ x }} \"{{ x }}\" '{{ x }}' a{{ x }}b"
    parts = output_of(SHELLS[0], template, x=value).split("\1")
    assert "\1" in value or parts == [value, value, value, f"a{value}b", ""]


PIECES = [
    "echo ", "{{ x }}", "{{ x }}", "{{ x | quote }}", '"', '"', "'", "'", "$(", ")", "(", ")", "\\", " ", "#", " # ",
    "\n", "\\\n", ";", "|", "`", "${z}", "${z:-", "}", "$((1+", "))", "$", "a", "case a in a) echo ;; esac", "<<EOF\n",
    "EOF\n", "<<", "{% if t %}", "{% else %}", "{% endif %}", "&&", "$'", "!", "{", "=", "<<<",
]  # fmt: skip
CANARIES = [
    "'; touch canary; '", '"; touch canary; "', "$(touch canary)", "`touch canary`", "\ntouch canary\n",
    "; touch canary #", ") ; touch canary ;", "}; touch canary;", "\nEOF\ntouch canary\n", "\\'; touch canary;'",
    "a'b\"c$(touch canary)`touch canary`\n touch canary\n", "x$((a[$(touch canary)]))",
]  # fmt: skip


@given(
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=12),
    canary=st.sampled_from(CANARIES),
    branch=st.booleans(),
)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_command_that_is_accepted_runs_its_values(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], canary: str, branch: bool
) -> None:
    """Random shell texts: whatever the check accepts must not run what a value says, in any shell."""
    template = "".join(pieces)
    if "{{" not in template or read(template, Quoting.SHELL).faults:
        return
    folder = tmp_path_factory.getbasetemp() / "canaries"
    folder.mkdir(exist_ok=True)
    command = render(template, Quoting.SHELL, {"x": canary, "t": branch})
    for shell in SHELLS:
        subprocess.run([shell, "-c", command], cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        assert not (folder / "canary").exists(), (shell, template, command)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("echo `cat {{ x }}`", "backticks"),
        ("echo $(( {{ x }} + 1 ))", "arithmetic"),
        ('echo "${y:-{{ x }}}"', "${…}"),
        ("ls # {{ x }}", "comment"),
        ("ls \\\n# {{ x }}", "comment"),
        ("(ls)# {{ x }}", "comment"),
        ("cat <<EOF\n{{ x }}\nEOF", "here-document"),
        ("cat <<'A B'\nA B\n{{ x }}", "here-document"),
        ('echo "${{ x }}"', "dollar sign"),
        ("echo \\{{ x }}", "backslash"),
        ("echo $'a' {{ x }}", "$'…'"),
        ('echo "$(case a in a) echo {{ x }};; esac)"', "case"),
        ("{% if x %}'{% endif %}{{ x }}'", "branches"),
        ("a{% if x %} {% endif %}# {{ x }}", "branch"),
        ("sh -c 'rm {{ x }}'", "second shell"),
        ("sudo bash -euc \"rm {{ x }}\"", "second shell"),
        ("eval {{ x }}", "second shell"),
        ("ssh -p 22 host rm {{ x }}", "second shell"),
    ],
)  # fmt: skip
def test_a_place_where_no_quoting_is_safe_is_refused_at_save(template: str, why: str) -> None:
    faults = check(template, where="command", quoting=Quoting.SHELL)
    assert [fault.field for fault in faults] == ["command"]
    assert why in faults[0].message
    assert faults[0].expected


@pytest.mark.parametrize(
    "template",
    [
        "cat <<EOF\nplain\nEOF\necho {{ x }}",
        "cat <<-'END'\n\tplain\n\tEND\necho {{ x }}",
        'echo "$((1 + 2)) ${HOME:-/} {{ x }}"',
        "case {{ x }} in a) echo a;; esac; echo {{ x }}",
        "f() { echo \"$1\"; }; f {{ x }}",
        "grep 'a$' file | awk '{ print $1 }' {{ x }}",
        "ssh -p {{ p }} {{ x }}",
        "echo a#b {{ x }}",
    ],
)  # fmt: skip
def test_ordinary_shell_around_a_value_is_accepted(template: str) -> None:
    assert check(template, where="command", quoting=Quoting.SHELL) == []


def test_raw_pastes_the_value_as_it_is() -> None:
    assert render("ls {{ flags | raw }}", Quoting.SHELL, {"flags": "-l -a"}) == "ls -l -a"


def test_a_rendered_value_is_never_rendered_again() -> None:
    assert render("{{ x }}", Quoting.PLAIN, {"x": "{{ 7*7 }}"}) == "{{ 7*7 }}"


def test_the_quoted_text_of_a_value_in_a_file_is_not_quoted(tmp_path: Path) -> None:
    assert render("a={{ x }}\r\nb\n", Quoting.PLAIN, {"x": "; id"}) == "a=; id\r\nb\n"
