"""Caps on runs and on targets, where two nodes meet between two statements (`two_nodes`)."""

from __future__ import annotations

import pytest

from rota.storage import launching, limits
from tests.contract.two_nodes import Node, meet, pass_by
from tests.support.postgres_proxy import COMMIT


@pytest.mark.parametrize("word", [b"SELECT count(*) FROM run_target", b"UPDATE run_target", COMMIT])
async def test_a_cap_on_targets_is_not_overshot_by_two_that_claim(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    await one.sql("INSERT INTO run_limit (key, cap, used) VALUES ('targets', 3, 0)")
    for _ in range(2):
        await one.make(targets=2, owner=None)
    await meet(one.proxy.hold_at(word), one.claim("own_a", slots=2), other.claim("own_b", slots=2), url)
    assert await one.one("SELECT count(*) FROM run_target WHERE state = 'running'") in {2, 3}
    await one.claim("own_a")
    assert await one.one("SELECT count(*) FROM run_target WHERE state = 'running'") == 3


async def meet_at_a_cap_of_one(one: Node, other: Node, url: str, word: bytes) -> None:
    """Two make a run each where there is room for one: the other's waits."""
    await one.cap(1)
    requests = [await node.request() for node in (one, other)]
    await meet(
        one.proxy.hold_at(word), one.launch(requests[0], "own_a"), other.launch(requests[1], "own_b"), url
    )  # fmt: skip
    assert sorted(await one.runs()) == ["running", "waiting"]
    assert await one.used() == 1


@pytest.mark.parametrize("word", [b"SELECT cap, used", b"INSERT INTO run (", COMMIT])
async def test_the_cap_on_runs_is_not_overshot_by_two_that_make_them(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    await meet_at_a_cap_of_one(one, other, url, word)


BATCHES = [b"SAVEPOINT launch", b"INSERT INTO run (", b"UPDATE run_limit", COMMIT]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every start goes the way of a batch of many: the caps are held last."""
    monkeypatch.setattr(launching, "MANY", 1)


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("word", BATCHES)
async def test_the_cap_on_runs_is_not_overshot_by_two_batches_that_both_saw_room(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    await meet_at_a_cap_of_one(one, other, url, word)


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("word", BATCHES)
@pytest.mark.parametrize("key", ["targets", "host:host-1"])
async def test_a_cap_on_targets_is_not_overshot_by_two_batches_that_both_saw_room(
    one: Node, other: Node, url: str, word: bytes, key: str
) -> None:
    await one.sql("INSERT INTO run_limit (key, cap, used) VALUES (?, 1, 0)", key)
    requests = [await node.request(targets=2) for node in (one, other)]
    await meet(
        one.proxy.hold_at(word), one.launch(requests[0], "own_a"), other.launch(requests[1], "own_b"), url
    )  # fmt: skip
    at_work = {row.key: row.used for row in await one.store.read(limits.all_limits)}
    assert at_work[key] == 1
    await one.claim()
    assert {row.key: row.used for row in await one.store.read(limits.all_limits)} == at_work


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("word", BATCHES)
async def test_a_cap_on_targets_is_not_overshot_by_a_batch_and_a_claim(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    await one.sql("INSERT INTO run_limit (key, cap, used) VALUES ('targets', 3, 0)")
    request = await one.request(targets=2)
    await one.make(targets=2, owner=None)
    await meet(one.proxy.hold_at(word), one.launch(request, "own_a"), other.claim("own_b"), url)
    await one.claim("own_a")
    assert await one.one("SELECT count(*) FROM run_target WHERE state = 'running'") == 3


@pytest.mark.usefixtures("batches")
async def test_nobody_waits_for_a_batch_that_is_being_written(one: Node, other: Node) -> None:
    _, [work] = await other.make()
    request = await one.request()
    hold = one.proxy.hold_at(b"INSERT INTO run (")
    await pass_by(hold, one.launch(request, "own_a"), other.end(work))
    assert (await one.runs(), await one.used()) == (["succeeded", "running"], 1)


@pytest.mark.parametrize("word", [b"SELECT cap, used", b"UPDATE run SET state", COMMIT])
async def test_the_cap_on_runs_is_not_overshot_by_two_that_admit(one: Node, other: Node, url: str, word: bytes) -> None:
    await one.a_waiting_run()
    await one.cap(0)
    await one.make()
    await one.cap(1)
    admitted = await meet(one.proxy.hold_at(word), one.admit(), other.admit(), url)
    assert sum(map(len, admitted)) == 1 == await one.used()
