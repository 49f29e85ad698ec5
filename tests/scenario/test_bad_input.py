"""What is mistyped: each with its clear error and exit code, all faults of one input at once, and nothing changed."""

from __future__ import annotations

import pytest

from tests.support.daemon import Home, Said

USAGE, NOT_FOUND = 2, 4


def create(home: Home, *arguments: str) -> Said:
    return home.rota("schedule", "create", *arguments)


def test_all_faults_of_a_new_schedule_are_told_at_once(served: Home) -> None:
    said = create(
        served, "--name", "bad", "--cron", "0 25 * * *", "--timezone", "Mars/Olympus", "--playbook", "nope",
        "--target", "grup:web", "--var", "a", "--overlap-policy", "maybe", "--enabled", "perhaps", "--grace", "soon",
    )  # fmt: skip
    assert said.code == USAGE
    assert "8 things are wrong" in said.err
    for fault in (
        "--cron: hour 25 (expected 0-23",
        '--timezone: "Mars/Olympus" is not a time zone',
        '--playbook: there is no playbook "nope"',
        '--target: unknown selector "grup:"',
        'did you mean "group"?',
        '--var: "a" is not a pair (expected KEY=VALUE)',
        '--overlap-policy: "maybe" is not known',
        '--enabled: "perhaps" is neither (expected true or false)',
        '--grace: "soon" is not a duration',
    ):
        assert fault in said.err
    assert "bad" not in {job["name"] for job in served.client.jobs()["items"]}


def test_what_is_only_missing_is_all_told_and_exits_4(served: Home) -> None:
    said = create(
        served, "--name", "x", "--manual", "--playbook", "nope", "--target", "group:none & host:neither"
    )  # fmt: skip
    assert said.code == NOT_FOUND
    for fault in ('there is no playbook "nope"', "host neither does not exist", "group none does not exist"):
        assert fault in said.err


@pytest.mark.parametrize(
    ("cron", "fault"),
    [
        ("0 0 30 2 *", "Feb has no day 30"),
        ("60 * * * *", "minute 60 (expected 0-59"),
        ("* * * *", "4 fields"),
        ("*/0 * * * *", "0"),
        ("0 0 * * mun", "mun"),
        ("", "is empty"),
    ],
)
def test_an_impossible_cron_is_refused_and_named(served: Home, cron: str, fault: str) -> None:
    said = create(served, "--name", "x", "--cron", cron, "--do", "noop")
    assert said.code == USAGE
    assert fault in said.err
    assert "--cron" in said.err


@pytest.mark.parametrize(
    ("do", "fault"),
    [
        ("shel: df -h", '"shel" is no action kind'),
        ("df -h", "is no action kind"),
        ("shell: {command: x, cmd: y}", "cmd: is not a parameter"),
        ("shell: {command: x, cmd: y}", 'did you mean "cwd"?'),
        ("shell: {command: x, argv: [y]}", "exactly one of `command` and `argv`"),
        ("shell:", "neither `command` nor `argv` is given"),
        ("http: PSOT http://127.0.0.1/", "--do"),
        ("shell: echo {{ vars.nowhere }}", "missing variable"),
        ("shell: echo {{ name | frobnicate }}", "there is no filter `frobnicate`"),
        ("shell: echo {{", "--do"),
        ("service: {name: x, action: explode}", "--do"),
    ],
)
def test_a_faulty_action_is_refused_before_anything_runs(served: Home, do: str, fault: str) -> None:
    for said in (create(served, "--name", "x", "--manual", "--do", do), served.rota("run", "--do", do)):
        assert said.code == USAGE
        assert fault in said.err
        assert "nothing to do" not in said.err


FAULTY_PLAYBOOK = """\
name: faulty
steps:
  - name: two
    exec: ls
    sudo: ls
  - exce: ls
    retries: -1
  - name: written
    fs_write: {path: relative, contnt: x}
  - name: two
    exec: "echo {{ vars.never_given }}"
surprise: 1
"""


def test_all_faults_of_a_playbook_are_told_at_once_with_their_lines(served: Home) -> None:
    file = served.tmp / "faulty.yaml"
    file.write_text(FAULTY_PLAYBOOK)
    said = served.rota("playbook", "validate", str(file))
    assert said.code == USAGE
    for fault in (
        "surprise: is not known (line 12)",
        "steps[0]: has 2 actions: exec, sudo (line 3)",
        "steps[1].exce: is not known (line 6)",
        'did you mean "exec"?',
        "steps[1].retries: -1 is out of range (line 7)",
        "steps[2].fs_write.path: is not of the right form",
        "steps[2].fs_write.contnt: is not a parameter",
        'did you mean "content"?',
        "steps[3].name",
    ):
        assert fault in said.err


@pytest.mark.parametrize("flag", [["--var", "given=1"], []])
def test_a_variable_that_a_playbook_needs_and_nobody_gives_is_named(served: Home, flag: list[str]) -> None:
    served.client.import_playbook(
        "name: needy\nsteps:\n  - {name: one, exec: 'echo {{ vars.given }} {{ vars.other }}'}\n"
    )
    said = create(served, "--name", "needy", "--manual", "--playbook", "needy", "--target", "all", *flag)
    assert said.code == USAGE
    assert "other" in said.err
    assert ("given" in said.err) is (flag == [])


@pytest.mark.parametrize(
    "value",
    ["; touch pwned", "$(touch pwned)", "`touch pwned`", "' ; touch pwned; '", '" && touch pwned "',
     "a\nb", "-n", "*", "~", "\\", "{{ x }}", "🦊"],
)  # fmt: skip
def test_a_hostile_value_in_a_command_is_only_text(served: Home, value: str) -> None:
    run = served.run(
        steps=[{"name": "say", "action": "exec", "params": {"command": "cd $TMPDIR; printf '<%s>' {{ vars.value }}"}}],
        vars={"value": value},
    )
    assert served.finished(run)["state"] == "succeeded"
    assert served.output(run) == f"<{value}>"
    assert not (served.tmp / "pwned").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "fault"),
    [
        (["schedule", "show", "nope"], NOT_FOUND, 'there is no schedule "nope"'),
        (["schedule", "trigger", "nope"], NOT_FOUND, 'there is no schedule "nope"'),
        (["runs", "show", "run_00000000"], NOT_FOUND, "run_00000000"),
        (["run", "--playbook", "nope"], NOT_FOUND, 'there is no playbook "nope"'),
        (["run", "--do", "noop", "--target", "host:nope"], NOT_FOUND, "host nope does not exist"),
        (["why", "nope"], NOT_FOUND, 'there is no schedule or run "nope"'),
        (["schedule", "lst"], USAGE, "did you mean list?"),
        (["schedule", "list", "--outptu", "json"], USAGE, "did you mean --output?"),
        (["schedule", "history", "--limit", "0"], USAGE, "--limit"),
        (["schedule", "list", "-o", "xml"], USAGE, "xml"),
        (["--home", "/nonexistent/rota", "schedule", "list"], 6, "there is no Rota instance"),
    ],
)
def test_what_does_not_exist_is_named_with_its_exit_code(
    served: Home, arguments: list[str], code: int, fault: str
) -> None:
    said = served.rota(*arguments)
    assert (said.code, said.out) == (code, "")
    assert fault in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "template",
    ["{{ 'a' * 1000000000 }}", "{{ 'aaaaaaaaaa' * 99999 * 99999 }}", "{{ [1] * 99999999 }}"],
)  # fmt: skip
def test_a_template_that_would_be_huge_fails_its_step_and_hurts_nobody(served: Home, template: str) -> None:
    pid = served.client.instance()["daemon"]["pid"]
    run = served.rota("run", "--do", f"shell: echo {template}")
    assert run.code in (1, USAGE)
    assert served.finished(served.run("shell: echo {{ 'still' }} here"))["state"] == "succeeded"
    assert served.client.instance()["daemon"]["pid"] == pid
