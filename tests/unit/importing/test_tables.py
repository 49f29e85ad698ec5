"""CSV with a header, and what it may hold."""

from __future__ import annotations

import pytest

from rota.importing import table
from rota.importing.reading import Reading


def fields(text: str) -> list[dict[str, object]]:
    return [dict(entry.fields) for entry in table.read(text).hosts]


def faults(reading: Reading) -> list[str]:
    return [str(fault) for fault in reading.faults]


def test_a_column_is_a_field_and_an_empty_cell_says_nothing() -> None:
    text = "name,address,port,disabled,os\nweb-1,10.0.0.1,22,yes,linux\nweb-2,,,,\n"
    assert fields(text) == [
        {"name": "web-1", "address": "10.0.0.1", "port": 22, "disabled": True, "os": "linux"},
        {"name": "web-2"},
    ]


def test_tags_groups_and_variables_have_columns_of_their_own_or_share_one() -> None:
    text = 'name,tags,groups,tag:rack,var:role\nweb-1,"env=prod; edge","web, all-of-it",b7,front\n'
    assert fields(text) == [
        {
            "name": "web-1",
            "groups": ["web", "all-of-it"],
            "tags": {"env": "prod", "edge": "", "rack": "b7"},
            "vars": {"role": "front"},
        }
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_the_header_is_separated_by_separates_all(separator: str) -> None:
    assert fields(f"name{separator}user\nweb-1{separator}deploy\n") == [{"name": "web-1", "user": "deploy"}]


def test_what_hosts_list_says_beside_the_facts_is_taken_for_granted() -> None:
    assert fields("\ufeffid,name,in_all\nhost_1,web-1,true\n") == [{"name": "web-1"}]


def test_every_fault_is_told_with_its_line() -> None:
    reading = table.read("name,adress,name\nweb-1,x,y,z\nweb-2,\n")
    unknown, twice, cells = faults(reading)
    assert unknown.startswith("line 1: the column 'adress' is not known (expected name connector address user ")
    assert unknown.endswith('did you mean "address"?')
    assert twice == "line 1: the column 'name' is there twice"
    assert cells == "line 2: has 4 cells (expected 3, as the header has)"


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "there is no header"), ("address\nx\n", "there is no column name"), ('name\n"x\n', "this is no CSV")],
)
def test_what_is_no_table_of_hosts_says_why(text: str, told: str) -> None:
    assert told in "; ".join(faults(table.read(text)))


def test_a_cell_of_two_lines_does_not_shift_the_lines_that_are_told() -> None:
    reading = table.read('name,var:motd,port\nweb-1,"two\nlines",\nweb-2,,x\n')
    assert faults(reading) == ["line 4 web-2 port: 'x' is not a port (expected 1 to 65535)"]
