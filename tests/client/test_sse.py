"""Server-sent events are read right however the connection cuts them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rota.client.sse import Event, parse

STREAM = (
    b": ping\n\n"
    b'event: run\ndata: {"state": "running"}\n\n'
    b"event: output\r\nid: 7\r\ndata: first\r\ndata: zw\xc3\xb6lf \xf0\x9f\x8c\x8d\r\n\r\n"
    b"data:bare\r\r"
    b"event: end\ndata: {}\n\n"
)
EVENTS = [
    Event("run", '{"state": "running"}'),
    Event("output", "first\nzwölf 🌍", "7"),
    Event("message", "bare", "7"),
    Event("end", "{}", "7"),
]


def test_events_comments_and_all_three_line_ends_are_understood() -> None:
    assert list(parse([STREAM])) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_where_the_pieces_were_cut_makes_no_difference(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(edges)]
    assert list(parse(pieces)) == EVENTS


def test_an_event_is_given_before_the_stream_goes_on() -> None:
    asked = []

    def pieces() -> Iterator[bytes]:
        asked.append("first")
        yield b"data: 1\n\n"
        asked.append("second")
        yield b"data: 2\n\n"

    assert next(parse(pieces())).data == "1"
    assert asked == ["first"]


def test_an_event_whose_end_never_came_is_dropped() -> None:
    assert list(parse([b"data: half"])) == []
