"""Output is kept within bounds: head and tail of each attempt stay, and readers are told what was cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rota.clock import SystemClock
from rota.domain.errors import Unavailable
from rota.storage.output import HEAD_BYTES, TAIL_BYTES, Chunk, Outputs, OutputStore
from rota.storage.postgres_output import PostgresOutput
from tests.support.postgres import emptied

PIECE = 32_768


@pytest.fixture(params=["sqlite", "postgres"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Outputs]:
    """Opens the store of this test, as each process that uses it does."""
    if request.param == "sqlite":
        return lambda: OutputStore(tmp_path / "output.db")
    url = emptied(request.getfixturevalue("store_database"))
    return lambda: PostgresOutput(url, clock=SystemClock())


@pytest.fixture
def output(again: Callable[[], Outputs]) -> Iterator[Outputs]:
    made = again()
    yield made
    made.close()


async def write(output: Outputs, size: int, *, run: int = 1, attempt: int = 1, piece: int = PIECE) -> None:
    """Write `size` bytes whose value is the number of their piece."""
    for offset in range(0, size, piece):
        data = bytes([offset // piece % 256]) * min(piece, size - offset)
        await output.append([Chunk(run, attempt, offset, data)])


async def test_output_is_read_back_in_order(output: Outputs) -> None:
    await output.append([Chunk(1, 1, 0, b"one "), Chunk(1, 2, 0, b"other"), Chunk(1, 1, 4, b"two")])
    items = await output.after(1, 0, 10)
    assert [(item.attempt_id, item.offset, item.data, item.cut) for item in items] == [
        (1, 0, b"one ", 0), (2, 0, b"other", 0), (1, 4, b"two", 0),
    ]  # fmt: skip


async def test_reading_goes_on_after_what_was_read(output: Outputs) -> None:
    await output.append([Chunk(1, 1, i, b"x") for i in range(5)])
    first = await output.after(1, 0, 2)
    assert [item.offset for item in await output.after(1, first[-1].seq, 10)] == [2, 3, 4]
    assert await output.after(2, 0, 10) == []


async def test_little_output_is_kept_whole(output: Outputs) -> None:
    await write(output, HEAD_BYTES + TAIL_BYTES)
    items = await output.after(1, 0, 1000)
    assert sum(len(item.data) for item in items) == HEAD_BYTES + TAIL_BYTES
    assert all(item.cut == 0 for item in items)


async def test_of_much_output_head_and_tail_stay_and_the_gap_is_told(output: Outputs) -> None:
    size = 100 * PIECE
    await write(output, size)
    items = await output.after(1, 0, 1000)
    kept = sum(len(item.data) for item in items)
    assert HEAD_BYTES + TAIL_BYTES <= kept <= HEAD_BYTES + TAIL_BYTES + 2 * PIECE
    assert items[0].offset == 0
    assert items[-1].offset + len(items[-1].data) == size
    assert [item.cut for item in items if item.cut] == [size - kept]


async def test_the_bounds_are_those_of_each_attempt(output: Outputs) -> None:
    await write(output, 50 * PIECE, attempt=1)
    await write(output, PIECE, attempt=2)
    await write(output, 50 * PIECE, attempt=3)
    lengths = {1: 0, 2: 0, 3: 0}
    for item in await output.after(1, 0, 1000):
        lengths[item.attempt_id] += len(item.data)
    assert lengths[2] == PIECE
    assert lengths[1] == lengths[3] < 12 * PIECE


async def test_a_reader_who_keeps_up_is_never_told_of_a_cut(output: Outputs) -> None:
    seq, big = 0, 262_144
    for i in range(6):
        await output.append([Chunk(1, 1, i * big, b"x" * big)])
        [item] = await output.after(1, seq, 10)
        assert item.cut == 0
        seq = item.seq


async def test_what_the_source_has_dropped_is_told_as_cut(output: Outputs) -> None:
    await output.append([Chunk(1, 1, 500, b"late")])
    [item] = await output.after(1, 0, 10)
    assert (item.offset, item.cut) == (500, 500)


async def test_the_end_is_where_another_owner_goes_on(output: Outputs) -> None:
    assert await output.end_of(1) == 0
    await write(output, 50 * PIECE)
    assert await output.end_of(1) == 50 * PIECE


async def test_forgotten_output_is_gone_and_the_rest_stays(output: Outputs) -> None:
    await output.append([Chunk(run, run, 0, b"x") for run in (1, 2, 3)])
    await output.forget([1, 3])
    assert [len(await output.after(run, 0, 10)) for run in (1, 2, 3)] == [0, 1, 0]


async def test_a_sequence_number_is_never_used_again(output: Outputs) -> None:
    await output.append([Chunk(1, 1, 0, b"x")])
    [first] = await output.after(1, 0, 10)
    await output.forget([1])
    await output.append([Chunk(1, 1, 0, b"y")])
    [second] = await output.after(1, first.seq, 10)
    assert second.seq > first.seq


async def test_output_outlives_the_process(output: Outputs, again: Callable[[], Outputs]) -> None:
    await output.append([Chunk(1, 1, 0, b"hello")])
    output.close()
    later = again()
    assert [item.data for item in await later.after(1, 0, 10)] == [b"hello"]
    later.close()


async def test_output_may_hold_any_bytes(output: Outputs) -> None:
    data = bytes(range(256))
    await output.append([Chunk(1, 1, 0, data)])
    [item] = await output.after(1, 0, 10)
    assert bytes(item.data) == data


async def test_a_file_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "output.db").write_text("dear diary\n" * 100)
    output = OutputStore(tmp_path / "output.db")
    with pytest.raises(Unavailable):
        await output.append([Chunk(1, 1, 0, b"x")])
    output.close()
