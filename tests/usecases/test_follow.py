from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from rota.domain.authorize import Principal
from rota.usecases import follow
from rota.usecases.follow import Changed, End, Ping, RunEvent, Snapshot, Wrote
from tests.support.builders import Rota
from tests.usecases.test_output import an_attempt


async def following(rota: Rota, run: dict[str, Any], *, after: int = 0) -> AsyncGenerator[RunEvent, None]:
    row = await follow.find(rota.ctx, Principal("admin"), run["id"])
    async with aclosing(follow.follow(rota.ctx, row, after=after)) as events:
        async for event in events:
            yield event


async def ends(rota: Rota, run_id: int) -> None:
    at = rota.clock.now()
    await rota.sql("UPDATE run_target SET state = 'succeeded', finished_at = ?", at)
    await rota.sql("UPDATE run SET state = 'succeeded', finished_at = ?, ok = 1 WHERE id = ?", at, run_id)
    rota.events.touched(run_id)


async def test_the_end_is_told_at_once_and_waits_for_no_next_look(rota: Rota, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "EAGER_LOOKS", 0)
    monkeypatch.setattr(follow, "PACE_SECONDS", 3600.0)
    run, run_id = await an_attempt(rota)
    events = following(rota, run)
    await anext(events)
    await ends(rota, run_id)
    rota.events.ended(run_id)
    async with asyncio.timeout(30):
        assert isinstance(await anext(events), End)


async def test_a_snapshot_comes_at_once(rota: Rota) -> None:
    run, _ = await an_attempt(rota)
    events = following(rota, run)
    first = await anext(events)
    assert isinstance(first, Snapshot)
    assert first.run["targets"][0]["attempts"][0]["state"] == "running"
    await events.aclose()


async def test_changes_and_output_come_in_order_up_to_the_end(rota: Rota) -> None:
    run, run_id = await an_attempt(rota, output_bytes=10)
    seen: list[str] = []
    async for event in following(rota, run):
        match event:
            case Snapshot():
                seen.append("run")
                rota.output.write(run_id, 1, b"hello")
                rota.events.touched(run_id)
            case Wrote([output]):
                seen.append(output["text"])
                if output["text"] == "hello":
                    rota.output.write(run_id, 1, b"world")
                    await ends(rota, run_id)
            case End(final):
                seen.append(final["state"])
            case Ping():
                pass
    assert seen == ["run", "hello", "world", "succeeded"]


async def test_an_unchanged_run_is_not_told_twice(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    seen = []

    async def watch() -> None:
        async for event in following(rota, run):
            seen.append(type(event))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch())
        for _ in range(5):
            await asyncio.sleep(0.03)
            rota.events.touched(run_id)
        await ends(rota, run_id)
    assert seen == [Snapshot, End]


async def test_the_end_waits_for_output_that_is_still_on_its_way(rota: Rota) -> None:
    run, run_id = await an_attempt(rota, output_bytes=5)
    seen: list[str] = []
    async for event in following(rota, run):
        match event:
            case Snapshot():
                await ends(rota, run_id)
                asyncio.get_running_loop().call_later(0.1, rota.output.write, run_id, 1, b"late\n")
            case Wrote([output]):
                seen.append(output["text"])
            case End():
                seen.append("end")
            case Ping():
                pass
    assert seen == ["late\n", "end"]


async def test_output_that_never_comes_does_not_hold_up_the_end_for_ever(rota: Rota) -> None:
    run, run_id = await an_attempt(rota, output_bytes=5)
    await ends(rota, run_id)
    rota.clock.advance(3)
    assert [type(event) async for event in following(rota, run)] == [End]


async def test_a_stream_resumes_behind_the_last_output_that_was_seen(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    for word in (b"one", b"two", b"three"):
        rota.output.write(run_id, 1, word)
    await ends(rota, run_id)
    rota.clock.advance(3)
    [wrote] = [event async for event in following(rota, run, after=2) if isinstance(event, Wrote)]
    assert [output["text"] for output in wrote.outputs] == ["three"]


async def test_output_that_is_stored_already_is_told_in_one_piece(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    for word in (b"one", b"two"):
        rota.output.write(run_id, 1, word)
    await ends(rota, run_id)
    wrote, end = [event async for event in following(rota, run)]
    assert isinstance(wrote, Wrote)
    assert [output["text"] for output in wrote.outputs] == ["one", "two"]
    assert isinstance(end, End)


async def test_a_flood_is_told_in_parts(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    for _ in range(5):
        rota.output.write(run_id, 1, b"x" * 30_000)
    await ends(rota, run_id)
    told = [len(event.outputs) async for event in following(rota, run) if isinstance(event, Wrote)]
    assert told == [2, 2, 1]


async def test_a_stream_ends_without_an_end_when_the_process_stops(rota: Rota) -> None:
    run, _ = await an_attempt(rota)
    seen = []
    async for event in following(rota, run):
        seen.append(type(event))
        rota.ctx.stopping.set()
    assert seen == [Snapshot]


async def test_nobody_watches_any_more_once_the_stream_is_closed(rota: Rota) -> None:
    run, _ = await an_attempt(rota)
    events = following(rota, run)
    await anext(events)
    assert len(rota.events.watchers) == 1
    await events.aclose()
    assert rota.events.watchers == []


async def test_what_another_process_does_is_seen_without_being_told(
    rota: Rota, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LOOK_AGAIN_SECONDS", 0.05)
    run, run_id = await an_attempt(rota)
    seen = []
    async for event in following(rota, run):
        seen.append(type(event))
        if isinstance(event, Snapshot):
            at = rota.clock.now()
            await rota.sql("UPDATE run SET state = 'succeeded', finished_at = ? WHERE id = ?", at, run_id)
    assert seen == [Snapshot, End]


async def test_a_quiet_stream_shows_that_it_lives(rota: Rota, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "LOOK_AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(follow, "PING_SECONDS", 0.04)
    run, _ = await an_attempt(rota)
    events = following(rota, run)
    await anext(events)
    assert isinstance(await anext(events), Ping)
    await events.aclose()


async def test_changes_of_a_run_that_changes_all_the_time_are_coalesced(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    changes = 0

    async def change() -> None:
        for number in range(60):
            await rota.sql("UPDATE run SET message = ? WHERE id = ?", str(number), run_id)
            rota.events.touched(run_id)
            await asyncio.sleep(0.01)
        await ends(rota, run_id)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(change())
        async for event in following(rota, run):
            changes += isinstance(event, Changed)
    assert 2 <= changes <= 5 + 5  # five at once, then five a second
