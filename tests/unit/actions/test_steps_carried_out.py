"""From a step to its result: prepared, carried out by real children, read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rota.actions.commands import leftovers, read_exit
from rota.actions.playbook_file import read_playbook
from rota.actions.prepare import Instant, Ordered, Perform, Skip, prepare, prepare_now
from rota.domain.errors import NotFound
from rota.domain.step import Command, Exit, Json, Step
from rota.templating.renderer import Renderer
from tests.unit.actions.doing import a_context, carry_out, do

EXAMPLES = Path(__file__).parents[3] / "src/rota/examples/playbooks"


def a_step(kind: str, *, when: str | None = None, system: str | None = None, **params: Json) -> Step:
    return Step(name="s", action=kind, params=params, when=when, os=system)  # type: ignore[arg-type]


async def test_a_hostile_variable_is_one_argument(renderer: Renderer) -> None:
    context = a_context(variables={"x": "'; echo owned; $(echo owned) `echo owned`\n--flag \""})
    result = await do(a_step("exec", command="printf '<%s>' {{ x }} \"{{ vars.x }}\""), context, renderer)
    assert result.registered["stdout"] == "<{0}><{0}>".format(context.variables["x"])


async def test_a_hostile_output_of_an_earlier_step_is_one_argument(renderer: Renderer) -> None:
    context = a_context(registered={"out": {"stdout": "{{ 7*7 }} $(id) `id`"}})
    result = await do(a_step("shell", command="printf %s {{ out.stdout }}"), context, renderer)
    assert result.registered["stdout"] == "{{ 7*7 }} $(id) `id`"


async def test_an_argv_is_read_by_no_shell(renderer: Renderer) -> None:
    context = a_context(variables={"x": "-n $HOME; id"})
    result = await do(a_step("shell", argv=["printf", "%s|", "{{ x }}", "*"]), context, renderer)
    assert result.registered["stdout"] == "-n $HOME; id|*|"


async def test_a_command_registers_its_output_and_exit_code(renderer: Renderer) -> None:
    result = await do(a_step("exec", command="echo out; exit 3"), a_context(), renderer)
    assert (result.ok, result.exit_code, result.changed, result.message) == (False, 3, None, "exit 3")
    assert result.registered == {"stdout": "out\n", "exit_code": 3, "ok": False, "changed": None, "skipped": False}


@pytest.mark.parametrize(
    ("left", "said"),
    [(0, ""), (1, "1 process may still be running"), (2, "2 processes may still be running")],
)
def test_what_a_command_left_behind_is_counted_apart_from_how_it_ended(left: int, said: str) -> None:
    ended = Exit(exit_code=0, left_running=left)
    assert leftovers(ended) == said
    assert read_exit(ended, changed=None).message == "exit 0"


async def test_output_that_is_not_utf_8_is_registered_readably(renderer: Renderer) -> None:
    result = await do(a_step("exec", command="printf 'a\\377b'"), a_context(), renderer)
    assert result.registered["stdout"] == "a\N{REPLACEMENT CHARACTER}b"


async def test_a_child_sees_its_run(renderer: Renderer) -> None:
    command = "echo $ROTA_RUN_ID $ROTA_JOB $ROTA_HOST $ROTA_ATTEMPT $ROTA_DUE_AT $ROTA_TRIGGER"
    for action in ("shell", "exec", "sudo"):
        result = await do(a_step(action, command=command), a_context(), renderer)
        assert result.registered["stdout"] == "run_1 nightly local 1 2026-03-01T02:00:00Z cron\n"


async def test_env_and_cwd_are_honoured(renderer: Renderer, tmp_path: Path) -> None:
    step = a_step("shell", command='echo "$A"; pwd', env={"A": "{{ x }}"}, cwd=str(tmp_path))
    result = await do(step, a_context(variables={"x": "a b"}), renderer)
    assert result.registered["stdout"] == f"a b\n{tmp_path}\n"


async def test_sudo_is_asked_without_a_password_and_only_by_those_who_need_it(
    renderer: Renderer, tmp_path: Path
) -> None:
    (tmp_path / "sudo").write_text('#!/bin/sh\necho "sudo $1 $2"\nshift 2\nexec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = await do(
        a_step("sudo", command="echo $ROTA_JOB {{ x }}"), a_context(variables={"x": "; id"}), renderer, env=env
    )
    asked = "" if os.geteuid() == 0 else "sudo -n --\n"
    assert result.registered["stdout"] == f"{asked}nightly ; id\n"


async def test_when_decides(renderer: Renderer) -> None:
    context = a_context(registered={"out": {"stdout": "up"}})
    assert await prepare(a_step("noop", when="out.stdout == 'down'"), context, renderer) == Skip(
        "when is false: out.stdout == 'down'"
    )
    assert isinstance(await prepare(a_step("noop", when="out.stdout == 'up'"), context, renderer), Instant)


async def test_a_step_for_another_system_is_skipped_without_rendering() -> None:
    skipped = prepare_now(a_step("exec", command="{{ x }}", when="y", system="windows"), a_context())
    assert skipped == Skip("the step is for windows; the host's system is linux")


async def test_a_missing_variable_fails_the_step(renderer: Renderer) -> None:
    result = await do(a_step("exec", command="echo {{ nmae }}"), a_context(variables={"name": "a"}), renderer)
    assert not result.ok
    assert result.message == 'command: missing variable `nmae`; did you mean "name"?'


async def test_raw_on_an_output_fails_the_step(renderer: Renderer) -> None:
    context = a_context(registered={"out": {"stdout": "id"}})
    assert not (await do(a_step("exec", command="{{ out.stdout | raw }}"), context, renderer)).ok


async def test_parameters_are_checked_again_once_rendered(renderer: Renderer) -> None:
    for value in ("relative", "-rf", ""):
        result = await do(a_step("fs_remove", path="{{ x }}"), a_context(variables={"x": value}), renderer)
        assert not result.ok
        assert "path: is not of the right form" in result.message
    result = await do(a_step("service", name="{{ x }}", action="start"), a_context(variables={"x": "--now"}), renderer)
    assert "name: is not of the right form" in result.message


async def test_an_unknown_kind_is_not_found(renderer: Renderer) -> None:
    assert prepare_now(a_step("nope"), a_context()) is None
    with pytest.raises(NotFound):
        await prepare(a_step("nope"), a_context(), renderer)


def test_steps_without_templates_are_prepared_at_once() -> None:
    context = a_context()
    assert isinstance(prepare_now(a_step("noop"), context), Instant)
    assert isinstance(prepare_now(a_step("exec", command="ls"), context), Ordered)
    assert isinstance(prepare_now(a_step("http", url="http://127.0.0.1/"), context), Perform)
    assert prepare_now(a_step("exec", command="ls {{ x }}"), context) is None
    assert prepare_now(a_step("noop", when="true"), context) is None


async def test_a_script_gets_its_text_as_it_is_and_its_arguments(renderer: Renderer) -> None:
    text = "import sys, os\nprint('{{ x }}', sys.argv[1:], os.environ['A'], repr(sys.stdin.read()))\n"
    step = a_step(
        "script", script=text, interpreter=f"{sys.executable} -I", args=["a b", "{{ x }}"], env={"A": "{{ x }}"}
    )
    result = await do(step, a_context(variables={"x": "'; id"}), renderer)
    assert result.registered["stdout"] == """{{ x }} ['a b', "'; id"] '; id ''\n"""


async def test_a_scripts_text_is_in_no_argv_and_its_exit_code_is_kept(renderer: Renderer, tmp_path: Path) -> None:
    step = a_step("script", script="echo a secret; exit 7")
    prepared = prepare_now(step, a_context())
    assert isinstance(prepared, Ordered) and isinstance(prepared.order, Command)
    assert not any("secret" in word for word in prepared.order.argv)
    result = prepared.read(await carry_out(prepared.order, env={"TMPDIR": str(tmp_path)}))
    assert (result.exit_code, result.registered["stdout"]) == (7, "a secret\n")
    assert list(tmp_path.iterdir()) == []


async def test_a_script_that_is_ended_leaves_no_file(tmp_path: Path) -> None:
    """As the keeper ends it: TERM to the whole group."""
    prepared = prepare_now(a_step("script", script="echo ready; sleep 30"), a_context())
    assert isinstance(prepared, Ordered) and isinstance(prepared.order, Command)
    child = subprocess.Popen(
        prepared.order.argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
    )
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(prepared.order.stdin)
    child.stdin.close()
    assert child.stdout.readline() == b"ready\n"
    os.killpg(child.pid, signal.SIGTERM)
    assert child.wait(5) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    child.stdout.close()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
async def test_an_example_playbook_runs_green_twice_on_this_machine(
    path: Path, renderer: Renderer, tmp_path: Path
) -> None:
    playbook = read_playbook(path.read_text())
    variables: dict[str, Json] = {**playbook.vars, "dir": str(tmp_path / "with a space; id")}
    (tmp_path / "with a space; id").mkdir()
    (tmp_path / "with a space; id" / "big.log").write_bytes(b"x" * 2_000_000)
    for _ in range(2):
        registered: dict[str, dict[str, Json]] = {}
        for step in playbook.steps:
            result = await do(step, a_context(variables=variables, registered=registered), renderer)
            assert result.ok or step.continue_on_error, (step.name, result)
            if step.register is not None:
                registered[step.register] = dict(result.registered)


SERVICE = """#!/bin/sh
# what a service manager is to the action: state in a file, every act in a log
case $0 in
  */systemctl) action=$1 name=$3; [ "$2" = --quiet ] && name=$4 ;;
  *) name=$1 action=$2 ;;
esac
state=$FAKE/$name
case $action in
  is-active|status) [ -e "$state" ] ;;
  start) echo "$action" >> "$FAKE/log"; touch "$state" ;;
  stop) echo "$action" >> "$FAKE/log"; rm "$state" ;;
  restart|reload) echo "$action" >> "$FAKE/log" ;;
  *) exit 64 ;;
esac
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="launchctl is found by the system, not by PATH")
async def test_a_service_is_only_started_or_stopped_where_it_is_not(renderer: Renderer, tmp_path: Path) -> None:
    for name in ("service", "systemctl"):
        (tmp_path / name).write_text(SERVICE)
        (tmp_path / name).chmod(0o755)
    env = {"FAKE": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    async def changed(action: str) -> bool | None:
        step = a_step("service", name="{{ name }}", action=action)
        result = await do(step, a_context(variables={"name": "web"}), renderer, env=env)
        assert result.ok, result
        return result.changed

    assert [await changed(word) for word in ("started", "started", "start", "restart", "reload", "status")] == [
        True, False, False, True, True, False,
    ]  # fmt: skip
    assert [await changed(word) for word in ("stop", "stopped")] == [True, False]
    assert (tmp_path / "log").read_text().split() == ["start", "restart", "reload", "stop"]
    failed = await do(a_step("service", name="web", action="status"), a_context(), renderer, env=env)
    assert not failed.ok and failed.changed is False
