"""Output: bounded, byte-exact, and readable while it grows."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from rota.domain.errors import NotFound
from rota.keeper.process.ring import Output, Ring, read_ring
from tests.keeper.keeper_world import World

MEGABYTE = 1 << 20


async def test_a_hundred_megabytes_keep_head_and_tail_and_the_true_total(world: World, id_: str) -> None:
    ended = await world.result_of(id_, "sh", "-c", "echo first; head -c 104857600 /dev/zero; echo last")
    assert ended.output_total == 100 * MEGABYTE + 6 + 5
    (head_at, head), *middle, (tail_at, tail) = await world.pieces(id_)
    assert (head_at, head[:6], len(head)) == (0, b"first\n", 65_536)
    assert tail.endswith(b"\0last\n")
    assert tail_at + len(tail) == ended.output_total
    assert sum(len(data) for _, data in middle) + len(tail) == 196_608
    assert (await world.keeper.read(id_, 0)).cut == ((65_536, ended.output_total - 196_608),)


async def test_binary_output_is_byte_exact(world: World, id_: str, tmp_path: Path) -> None:
    content = random.Random(7).randbytes(3 * MEGABYTE + 17)
    (tmp_path / "binary").write_bytes(content)
    await world.result_of(id_, "cat", str(tmp_path / "binary"))
    for offset, data in await world.pieces(id_):
        assert content[offset : offset + len(data)] == data
    assert await world.output(id_) == content[:65_536] + content[-196_608:]


async def test_the_file_of_a_large_output_stays_small(world: World, id_: str, tmp_path: Path) -> None:
    await world.result_of(id_, "head", "-c", "50000000", "/dev/zero")
    assert (tmp_path / "keeper/out" / id_).stat().st_size == 32 + 65_536 + 196_608


async def test_small_output_makes_no_file(world: World, id_: str, tmp_path: Path) -> None:
    await world.result_of(id_, "head", "-c", "16384", "/dev/zero")
    assert list((tmp_path / "keeper/out").iterdir()) == []
    assert await world.output(id_) == bytes(16_384)


async def test_small_bounds_cut_small_output(world: World, id_: str) -> None:
    await world.result_of(id_, "printf", "0123456789", head_bytes=3, tail_bytes=2)
    assert await world.pieces(id_) == [(0, b"012"), (8, b"89")]
    assert (await world.keeper.read(id_, 5)).cut == ((3, 8),)


@pytest.mark.parametrize("size", [10, 100_000], ids=["in memory", "in a file"])
async def test_output_is_readable_while_the_command_runs(world: World, id_: str, size: int) -> None:
    world.sh(id_, f"head -c {size} /dev/zero; sleep 300")
    await world.owner.grown(id_, size)
    piece = await world.keeper.read(id_, size - 5)
    assert (piece.data, piece.offset, piece.total) == (bytes(5), size - 5, size)
    world.keeper.kill(id_, cause="enough")
    await world.owner.ended(id_)


async def test_reading_at_the_end_returns_nothing(world: World, id_: str) -> None:
    await world.result_of(id_, "echo", "hello")
    piece = await world.keeper.read(id_, 6)
    assert (piece.data, piece.offset, piece.total) == (b"", 6, 6)


async def test_the_output_of_an_unknown_attempt_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="never-heard-of"):
        await world.keeper.read("never-heard-of", 0)


async def test_a_reader_beside_a_fast_writer_never_sees_wrong_bytes(world: World, id_: str) -> None:
    """Each 16-byte line holds its own number, so a byte of another lap of the ring would show."""
    world.start(id_, "seq", "-f", "%015.0f", "0", "3000000", head_bytes=1600, tail_bytes=160_000)
    await world.owner.grown(id_, 1)
    offset, seen = 0, 0
    while True:
        piece = await world.keeper.read(id_, offset - offset % 16, 8_000)
        for start in range(-piece.offset % 16, len(piece.data) - 15, 16):
            assert int(piece.data[start : start + 16]) == (piece.offset + start) // 16
            seen += 1
        offset = piece.offset + len(piece.data)
        if piece.total == 16 * 3_000_001 and offset >= piece.total:
            break
    assert seen > 10_000


@pytest.mark.parametrize(("head", "tail"), [(0, 7), (5, 0), (5, 7), (100, 7), (0, 0)])
@pytest.mark.parametrize("seed", range(20))
def test_a_ring_keeps_exactly_its_head_and_tail(tmp_path: Path, head: int, tail: int, seed: int) -> None:
    chance = random.Random(seed)
    ring, written = Ring(str(tmp_path / "ring"), head=head, tail=tail), b""
    for _ in range(chance.randrange(12)):
        chunk = chance.randbytes(chance.randrange(1, 20))
        ring.append(memoryview(chunk))
        written += chunk
    ring.close()
    kept, offset = [], 0
    while (piece := read_ring(str(tmp_path / "ring"), offset, 4))[0]:
        kept.append(piece[:2])
        offset = piece[1] + len(piece[0])
    assert all(written[at : at + len(data)] == data for data, at in kept)
    size = min(len(written), head) + min(max(0, len(written) - head), tail)
    assert sum(len(data) for data, _ in kept) == size
    cut = read_ring(str(tmp_path / "ring"), 0, 4)[3]
    assert sum(end - start for start, end in cut) == len(written) - size


def test_what_a_full_disk_swallows_is_counted(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "no-such-folder" / "file"), head=100, tail=100, inline=10)
    assert output.append(memoryview(b"12345678")) is None
    assert "No such file" in (output.append(memoryview(b"12345678")) or "")
    assert output.append(memoryview(b"12345678")) is None
    assert (bytes(output.kept), output.total) == (b"12345678", 24)
    assert not output.in_file


def test_a_foreign_file_is_no_ring(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(64))
    with pytest.raises(ValueError, match="not an output file"):
        read_ring(str(tmp_path / "file"), 0, 10)
