from __future__ import annotations

import json

from rota.client.sse import Event, parse
from tests.support.builders import Rota
from tests.usecases.test_follow import ends
from tests.usecases.test_output import an_attempt


def read(piece: bytes) -> list[Event]:
    return list(parse([piece]))


async def test_a_stream_gives_run_output_and_end_events(rota: Rota) -> None:
    run, run_id = await an_attempt(rota, output_bytes=6)
    rota.output.write(run_id, 1, b"a\nb\r\nc")
    events: list[Event] = []
    async with rota.api.stream(f"/runs/{run['id']}/events") as pieces:
        async for piece in pieces:
            events += read(piece)
            if events and events[-1].name == "output":
                await ends(rota, run_id)
    assert [event.name for event in events] == ["run", "output", "end"]
    assert (events[1].id, json.loads(events[1].data)["text"]) == ("1", "a\nb\r\nc")
    assert json.loads(events[2].data)["state"] == "succeeded"


async def test_the_first_event_arrives_before_the_second_is_made(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    async with rota.api.stream(f"/runs/{run['id']}/events") as pieces:
        first = await anext(pieces)
        assert read(first)[0].name == "run"
        await ends(rota, run_id)
        assert [event.name async for piece in pieces for event in read(piece)] == ["end"]


async def test_a_client_that_hangs_up_leaves_no_watcher_behind(rota: Rota) -> None:
    run, _ = await an_attempt(rota)
    async with rota.api.stream(f"/runs/{run['id']}/events") as pieces:
        await anext(pieces)
    assert rota.events.watchers == []


async def test_last_event_id_resumes_the_output(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    for word in (b"one", b"two"):
        rota.output.write(run_id, 1, word)
    await ends(rota, run_id)
    rota.clock.advance(3)
    async with rota.api.stream(f"/runs/{run['id']}/events", headers={"Last-Event-ID": "1"}) as pieces:
        events = [event async for piece in pieces for event in read(piece)]
    assert [json.loads(event.data)["text"] for event in events if event.name == "output"] == ["two"]


async def test_an_unknown_run_is_an_error_and_no_stream(rota: Rota) -> None:
    answer = await rota.api.get("/runs/run_0123456789abcdef/events")
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_a_last_event_id_that_is_none_is_a_fault(rota: Rota) -> None:
    run, _ = await an_attempt(rota)
    answer = await rota.api.request("GET", f"/runs/{run['id']}/events", headers={"Last-Event-ID": "x"})
    assert [fault["field"] for fault in answer.json["errors"]] == ["Last-Event-ID"]
