"""Output from hosts: untouched, bounded, and readable while it comes."""

from __future__ import annotations

import asyncio
import os
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.connectors.ssh.output import ACTION_BYTES, HEAD_BYTES, TAIL_BYTES, Kept
from rota.domain.errors import NotFound
from tests.connectors.ssh.orders import Ssh, a_command, new_token

MIB = 1 << 20
PACKET_BYTES = 40 * 1024  # whole packets are dropped


async def test_control_bytes_and_colours_pass_untouched(ssh: Ssh) -> None:
    every_byte = bytes(range(256)) + b"\x1b[31mred\x1b[0m\r\n\x1b]0;title\x07"
    token = new_token()
    ended = await ssh.run(a_command("cat", stdin=every_byte), token=token)
    assert ended.output == every_byte
    assert await ssh.output(token) == every_byte


async def test_a_flood_keeps_head_and_tail_and_is_counted(ssh: Ssh) -> None:
    token, size = new_token(), 200 * MIB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = await ssh.run(f"echo first; head -c {size} /dev/zero | tr '\\0' x; echo last", token=token)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert (ended.exit_code, ended.output_total) == (0, size + 11)
    assert (len(ended.output), ended.output[-6:]) == (ACTION_BYTES, b"xlast\n")
    kept = await ssh.output(token)
    assert kept.startswith(b"first\nxxx") and kept.endswith(b"xlast\n")
    assert len(kept) <= HEAD_BYTES + TAIL_BYTES + PACKET_BYTES
    assert grown < 40 * 1024


async def test_another_command_is_quick_beside_a_flood(ssh: Ssh) -> None:
    token = new_token()
    flood = asyncio.create_task(ssh.run("exec cat /dev/zero", token=token))
    await ssh.printed(token, MIB)
    async with asyncio.timeout(30):
        assert (await ssh.run("echo hello")).output == b"hello\n"
    ssh.connector.cancel(token, cause="user_cancelled")
    assert (await flood).left_running == 0


async def test_what_nobody_knows_of_has_no_output(ssh: Ssh) -> None:
    with pytest.raises(NotFound):
        await ssh.connector.read("att-never", 0, 10)


async def test_output_is_there_until_it_is_forgotten(ssh: Ssh) -> None:
    token = new_token()
    await ssh.run("echo hello", token=token)
    assert await ssh.output(token) == b"hello\n"
    ssh.connector.forget(token)
    with pytest.raises(NotFound):
        await ssh.connector.read(token, 0, 10)


def test_what_was_read_and_no_action_may_look_at_costs_no_memory() -> None:
    kept = Kept()
    line = os.urandom(80)
    for _ in range(10_000):
        kept.append(line)
        kept.read(kept.total, 1)
    assert kept.held <= ACTION_BYTES + 4096 + len(line)
    assert kept.last() == (line * 820)[-ACTION_BYTES:]


@given(st.lists(st.binary(min_size=1, max_size=70_000), max_size=12), st.integers(1, 100_000))
def test_small_output_is_read_whole_in_any_pieces(chunks: list[bytes], limit: int) -> None:
    whole = b"".join(chunks)[: HEAD_BYTES + TAIL_BYTES]
    kept = Kept()
    for chunk in chunks:
        kept.append(chunk[: max(0, len(whole) - kept.total)])
    read = b""
    while (piece := kept.read(len(read), limit)).data:
        assert piece.offset == len(read)
        read += piece.data
    assert read == whole
    assert kept.last() == whole[-ACTION_BYTES:]


@given(st.lists(st.tuples(st.binary(max_size=90_000), st.integers(0, 200_000)), max_size=15))
def test_whatever_is_read_is_what_was_written_there(turns: list[tuple[bytes, int]]) -> None:
    whole, offset = b"", 0
    kept = Kept()
    for chunk, limit in turns:
        kept.append(chunk)
        whole += chunk
        piece = kept.read(offset, limit)
        assert piece.offset >= offset
        assert whole[piece.offset : piece.offset + len(piece.data)] == piece.data
        offset = piece.offset + len(piece.data)
        assert kept.total == len(whole)
        assert kept.last() == whole[-ACTION_BYTES:]
        assert kept.held <= HEAD_BYTES + TAIL_BYTES + 90_000
