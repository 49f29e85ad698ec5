"""Tables, YAML and lines: small printers of our own, so that a thousand rows are cheap."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from rota.cli.lines import Lines
from rota.cli.table import columns_of, render
from rota.cli.times import ago, duration, since, upcoming
from rota.cli.yaml import dump
from rota.domain.instant import parse_rfc3339
from rota.domain.step import Json
from rota.usecases.shapes import Output

TITLES = ["NAME", "PLAYBOOK", "LAST RUN"]


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert render(TITLES, [["a", "backup", "never"], ["longer-name", "b", "2h ago OK"]], width=None) == (
        "NAME         PLAYBOOK  LAST RUN\n"
        "────────────────────────────────\n"
        "a            backup    never\n"
        "longer-name  b         2h ago OK"
    )


def test_without_a_terminal_nothing_is_cut() -> None:
    assert "x" * 500 in render(TITLES, [["x" * 500, "", ""]], width=None)


def test_on_a_terminal_the_widest_column_gives_way_and_rows_fit() -> None:
    table = render(TITLES, [["job", "x" * 100, "2h ago OK"]], width=40)
    assert all(columns_of(line) <= 40 for line in table.splitlines())
    assert "job" in table
    assert "2h ago OK" in table
    assert "x…" in table


def test_elastic_columns_give_way_before_others() -> None:
    row = ["2026-03-04 02:00:01", "a-job-with-quite-a-name", "success"]
    cut = render(["STARTED", "SCHEDULE", "STATUS"], [row], width=40, elastic=[1]).splitlines()[2]
    assert cut == "2026-03-04 02:00:01  a-job-wit…  success"


def test_a_column_is_never_cut_below_what_can_be_read() -> None:
    assert render(["A", "B"], [["x" * 50, "y" * 50]], width=5).splitlines()[2] == "xxxxxxx…  yyyyyyy…"


def test_wide_characters_take_two_columns() -> None:
    table = render(["NAME", "X"], [["数据库备份", "1"], ["plain", "2"]], width=None)
    assert [columns_of(line) for line in table.splitlines()[2:]] == [13, 13]
    assert all(columns_of(line) <= 12 for line in render(["NAME", "X"], [["数据库备份", "1"]], width=12).splitlines())


def test_a_name_cannot_move_the_readers_cursor() -> None:
    table = render(["NAME"], [["evil\x1b[2J\nname"]], width=None)
    assert "\x1b" not in table
    assert len(table.splitlines()) == 3


def test_colours_do_not_count_as_width() -> None:
    painted = render(["A", "B"], [["x", "y"]], width=None, paint={0: lambda cell: f"<{cell}>"})
    assert painted.splitlines()[2] == "<x>  y"


json_values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_yaml_is_read_back_as_it_was(value: Json) -> None:
    assert YAML(typ="safe", pure=True).load(io.StringIO(dump(value))) == value


@pytest.mark.parametrize("word", ["yes", "NO", "null", "1e3", "2026-01-01", "0x10", "~", "", " x", "a: b", "- a", "#x"])
def test_a_text_that_yaml_would_take_for_something_else_is_quoted(word: str) -> None:
    assert dump(word).startswith('"')


def piece(text: str, *, host: str = "web-1", step: str = "s", cut: int = 0) -> Output:
    return {"seq": 1, "host": host, "step": step, "attempt": 1, "offset": 0, "text": text, "cut": cut}


def fed(*pieces: Output, harmless: bool = False) -> list[str]:
    lines = Lines(harmless=harmless)
    return [*(line for one in pieces for line in lines.feed(one)), *lines.end()]


def test_pieces_are_joined_to_lines_with_their_host_in_front() -> None:
    assert fed(piece("one\ntw"), piece("x\n", host="web-2"), piece("o\nend")) == [
        "web-1| one",
        "web-2| x",
        "web-1| two",
        "web-1| end",
    ]


def test_a_step_without_a_last_line_end_does_not_run_into_the_next() -> None:
    assert fed(piece("a", step="first"), piece("b\n", step="second")) == ["web-1| a", "web-1| b"]


def test_what_was_cut_is_said() -> None:
    assert fed(piece("head"), piece("tail\n", cut=12_300_000)) == [
        "web-1| head",
        "web-1| … 12.3 MB not kept …",
        "web-1| tail",
    ]


def test_on_a_terminal_output_cannot_move_the_cursor_or_set_the_title() -> None:
    hostile = "\x1b]0;owned\x07red \x1b[31mtext\x1b[0m\x1b[2J\x08\n10%\r50%\r100%\r\n"
    assert fed(piece(hostile), harmless=True) == ["web-1| red text", "web-1| 100%"]
    assert fed(piece(hostile))[0] == "web-1| \x1b]0;owned\x07red \x1b[31mtext\x1b[0m\x1b[2J\x08"


NOW = parse_rfc3339("2026-03-04T04:00:00Z")


def test_ages_are_in_their_largest_unit_and_never_negative() -> None:
    assert ago("2026-03-04T02:00:00Z", NOW) == "2h ago"
    assert ago("2026-03-04T04:00:09Z", NOW) == "0s ago"


def test_durations_have_two_digit_seconds() -> None:
    assert [duration(seconds) for seconds in (188.0, 12.0, 0.4, None)] == ["3m 08s", "12s", "0.4s", "-"]


def test_what_goes_on_is_counted_up_to_now_in_whole_seconds() -> None:
    assert since("2026-03-04T03:58:54.5Z", None, NOW) == "1m 05s"
    assert since("2026-03-04T03:58:54Z", "2026-03-04T03:58:54.25Z", NOW) == "0.2s"
    assert since(None, None, NOW) == "-"


def test_a_zone_that_agrees_with_utc_is_printed_once() -> None:
    moment = {"at": "2026-01-05T02:00:00Z", "local": "2026-01-05 02:00:00 GMT", "timezone": "Europe/London"}
    assert upcoming(moment) == "2026-01-05 02:00:00 GMT"  # type: ignore[arg-type]  # a typed dictionary
