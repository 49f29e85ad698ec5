"""The child that renders: fast, replaced when it dies, and the only one that a template can hurt."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from rota.domain.errors import InvalidInput, Unavailable
from rota.templating.quoting import Quoting
from rota.templating.renderer import Field, Renderer

GROWS = Field("{{ x" + " | replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 9 + " | length }}")
TAKES_LONG = Field("{{ x | split(',') | unique | length }}")
MANY = ",".join(map(str, range(60_000)))


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    async with Renderer() as started:
        yield started


async def test_all_fields_are_rendered_each_for_its_use(renderer: Renderer) -> None:
    fields = {"command": Field("echo {{ x }}", Quoting.SHELL), "cwd": Field("/{{ x }}")}
    assert await renderer.render(fields, {"x": "a b"}) == {"command": "echo 'a b'", "cwd": "/a b"}


async def test_a_condition_is_evaluated(renderer: Renderer) -> None:
    assert await renderer.evaluate("x == 'a'", {"x": "a"}) is True


async def test_faults_name_their_fields(renderer: Renderer) -> None:
    with pytest.raises(InvalidInput) as raised:
        await renderer.render({"a": Field("{{ hots }}"), "b": Field("{{ y }}")}, {"host": {}, "x": ""})
    assert [fault.field for fault in raised.value.errors] == ["a", "b"]
    assert 'did you mean "host"' in raised.value.errors[0].message


async def test_raw_is_refused_on_a_value_from_an_output(renderer: Renderer) -> None:
    fields = {"command": Field("echo {{ out.stdout | raw }}", Quoting.SHELL)}
    with pytest.raises(InvalidInput, match="comes from an output"):
        await renderer.render(fields, {"out": {"stdout": "x"}}, tainted=frozenset({"out"}))
    assert await renderer.render(fields, {"out": {"stdout": "x"}}) == {"command": "echo x"}


async def test_a_template_that_grows_without_bound_hurts_nobody_else(renderer: Renderer) -> None:
    with pytest.raises(InvalidInput, match="more than 64 MB"):
        await renderer.render({"f": GROWS}, {"x": "aaaa"})
    assert await renderer.render({"f": Field("{{ x }}")}, {"x": "well"}) == {"f": "well"}


async def test_a_template_that_takes_too_long_is_stopped(renderer: Renderer) -> None:
    began = time.process_time()
    with pytest.raises(InvalidInput, match="more than 1 s of CPU"):
        await renderer.render({"f": TAKES_LONG}, {"x": MANY})
    assert time.process_time() - began < 0.5, "this process must not have done the work"


async def test_only_the_request_at_hand_is_blamed_when_the_child_dies() -> None:
    async with Renderer(cpu_seconds=0.2) as renderer:
        asked = [renderer.render({"f": Field("{{ x }}")}, {"x": str(number)}) for number in range(20)]
        asked.insert(7, renderer.render({"bad": TAKES_LONG}, {"x": MANY}))
        answers = await asyncio.gather(*asked, return_exceptions=True)
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    assert answers.index(failed[0]) == 7 and len(failed) == 1
    assert [answer["f"] for answer in answers if isinstance(answer, dict)] == [str(number) for number in range(20)]


async def test_a_killed_child_is_replaced(renderer: Renderer) -> None:
    first = renderer.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    while renderer.pid == first:
        await asyncio.sleep(0)
    assert await renderer.render({"f": Field("{{ x }}")}, {"x": "a"}) == {"f": "a"}
    assert renderer.pid != first


async def test_a_child_that_does_not_answer_is_given_up() -> None:
    async with Renderer(wall_seconds=0.1) as renderer:
        assert renderer.pid is not None
        os.kill(renderer.pid, signal.SIGSTOP)
        with pytest.raises(InvalidInput, match=r"not rendered within 0\.1 s"):
            await renderer.render({"f": Field("{{ x }}")}, {"x": "a"})


async def test_a_caller_that_is_cancelled_leaves_the_others_their_answers(renderer: Renderer) -> None:
    async with asyncio.TaskGroup() as tasks:
        gone = tasks.create_task(renderer.render({"f": Field("{{ x }}")}, {"x": "gone"}))
        stays = tasks.create_task(renderer.render({"f": Field("{{ x }}")}, {"x": "stays"}))
        await asyncio.sleep(0)
        gone.cancel()
    assert stays.result() == {"f": "stays"}


async def test_the_child_sees_nothing_of_our_environment(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hush")
    async with Renderer() as other:
        assert other.pid is not None
        assert set(psutil.Process(other.pid).environ()) <= {"PATH", "LC_ALL", "LC_CTYPE"}


async def test_stop_leaves_no_process() -> None:
    renderer = Renderer()
    await renderer.start()
    pid = renderer.pid
    assert pid is not None
    await renderer.stop()
    assert not psutil.pid_exists(pid)
    with pytest.raises(Unavailable, match="stopped"):
        await renderer.render({"f": Field("{{ x }}")}, {"x": "a"})


async def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    """A parent that is killed cannot end its child, so the child sees the end of its input."""
    program = tmp_path / "parent.py"
    program.write_text(
        "import asyncio, sys\n"
        "from rota.templating.renderer import Renderer\n"
        "async def main():\n"
        "    renderer = Renderer()\n"
        "    await renderer.start()\n"
        "    await renderer.evaluate('true', {})\n"
        "    print(renderer.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    import sys

    parent = await asyncio.create_subprocess_exec(sys.executable, str(program), stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    parent.kill()
    await parent.wait()
    await asyncio.to_thread(child.wait, 5)
