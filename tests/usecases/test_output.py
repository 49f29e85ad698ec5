from __future__ import annotations

from typing import Any

import pytest

from rota.usecases.output import unfinished_character
from tests.support.builders import Rota


async def an_attempt(rota: Rota, *, output_bytes: int | None = None) -> tuple[dict[str, Any], int]:
    """A run whose only target is at its first attempt; returns the run and the row ids of (run, attempt)."""
    await rota.a_job()
    run = await rota.a_run()
    ((run_id, target_id),) = await rota.sql("SELECT run_id, id FROM run_target")
    await rota.sql(
        "INSERT INTO attempt (id, run_target_id, step, number, state, output_bytes, intended_at)"
        " VALUES (1, ?, 0, 1, 'running', ?, 0)",
        target_id,
        output_bytes,
    )
    return run, run_id


async def page(rota: Rota, run: dict[str, Any], **query: int) -> dict[str, Any]:
    answer = await rota.api.get(f"/runs/{run['id']}/output", **query)
    assert answer.status == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


async def test_each_piece_says_who_wrote_it(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    rota.output.write(run_id, 1, b"hello\n")
    assert (await page(rota, run))["items"] == [
        {"seq": 1, "host": "@controller", "step": "shell", "attempt": 1, "offset": 0, "text": "hello\n", "cut": 0}
    ]


async def test_a_page_goes_on_where_the_one_before_ended(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    for number in range(5):
        rota.output.write(run_id, 1, b"%d\n" % number)
    first = await page(rota, run, limit=3)
    second = await page(rota, run, after=first["next"])
    assert [item["text"] for item in first["items"] + second["items"]] == ["0\n", "1\n", "2\n", "3\n", "4\n"]
    assert (await page(rota, run, after=second["next"])) == {"items": [], "next": second["next"]}


async def test_what_was_not_kept_is_said(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    rota.output.write(run_id, 1, b"head")
    rota.output.write(run_id, 1, b"tail", cut=1000)
    assert [(item["offset"], item["cut"]) for item in (await page(rota, run))["items"]] == [(0, 0), (1004, 1000)]


async def test_a_character_cut_in_two_between_pieces_stays_whole(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    text = "größe €5\n".encode()
    for at in range(len(text)):
        rota.output.write(run_id, 1, text[at : at + 1])
    items = (await page(rota, run))["items"]
    assert "".join(item["text"] for item in items) == "größe €5\n"


async def test_bytes_that_are_no_text_become_replacement_characters(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    rota.output.write(run_id, 1, b"\x00\xff\xfe" + "ä".encode()[:1])
    (item,) = (await page(rota, run))["items"]
    assert item["text"] == "\x00\ufffd\ufffd\ufffd"


async def test_half_a_character_before_a_gap_is_not_joined_to_what_follows(rota: Rota) -> None:
    run, run_id = await an_attempt(rota)
    rota.output.write(run_id, 1, "ä".encode()[:1])
    rota.output.write(run_id, 1, b"b", cut=10)
    assert [item["text"] for item in (await page(rota, run))["items"]] == ["\ufffd", "b"]


@pytest.mark.parametrize("text", ["a", "é", "€", "😀"])
def test_the_beginning_of_a_character_is_recognised(text: str) -> None:
    whole = text.encode()
    assert unfinished_character(whole) == 0
    for size in range(1, len(whole)):
        assert unfinished_character(b"before " + whole[:size]) == size
