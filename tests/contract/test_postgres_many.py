"""Many executions of one statement are one statement on PostgreSQL, and come to the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

import psycopg
import pytest

from rota.storage.postgres_dialect import MANY, PostgresDriver, translated
from rota.storage.postgres_many import KEY, for_many, key_of

TABLE = "CREATE TEMPORARY TABLE item (id bigint PRIMARY KEY, word text, is_new boolean, count bigint DEFAULT 0)"
CHANGE = "UPDATE item SET word = ?, is_new = coalesce(?, is_new), count = count + ? WHERE id = ? /*pg key*/"
ODD = ["", "NULL", "null", "a,b", "{}", '"', "\\", '\\"', " x ", "\n\t", "ü €", "'", "$1", "?", "a" * 5000]


def marked() -> list[str]:
    """Every statement of ours that may be executed for many rows at once."""
    texts = [one.read_text() for one in files("rota.storage").joinpath("sql").iterdir() if one.name.endswith(".sql")]
    parts = [part for text in texts for part in re.split(r"^-- name: \w+$", text, flags=re.MULTILINE)]
    return [part.strip() for part in parts if KEY in part]


@pytest.fixture
def connection(store_database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(store_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def driver(connection: psycopg.Connection[tuple[object, ...]]) -> PostgresDriver:
    """A driver with a hundred items."""
    connection.execute(TABLE)
    connection.execute("INSERT INTO item (id) SELECT generate_series(1, 100)")
    return PostgresDriver(connection)


def rows(driver: PostgresDriver) -> list[tuple[object, ...]]:
    return driver.execute("SELECT word, is_new, count FROM item WHERE word IS NOT NULL ORDER BY id").fetchall()


def test_many_rows_are_one_statement(
    driver: PostgresDriver, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    connection.execute("CREATE TEMPORARY TABLE said (what text)")
    connection.execute(
        "CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN INSERT INTO said VALUES (current_query()); RETURN NULL; END$$"
    )
    connection.execute("CREATE TRIGGER note AFTER UPDATE ON item FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.note()")
    driver.executemany(CHANGE, [("word", True, 1, i) for i in range(1, MANY + 1)])
    assert len(connection.execute("SELECT what FROM said").fetchall()) == 1
    assert rows(driver) == [("word", True, 1)] * MANY


def test_few_rows_and_many_come_to_the_same(driver: PostgresDriver) -> None:
    given = [(word, place % 2 == 0 if place % 3 else None, place, place + 1) for place, word in enumerate(ODD)]
    for row in given:
        driver.executemany(CHANGE, [row])
    one_by_one = rows(driver)
    driver.execute("UPDATE item SET word = NULL, is_new = NULL, count = 0")
    assert driver.executemany(CHANGE, given).rowcount == len(given)
    assert rows(driver) == one_by_one
    assert [row[0] for row in one_by_one] == ODD


def test_a_row_that_is_named_twice_is_changed_twice(driver: PostgresDriver) -> None:
    driver.executemany(CHANGE, [("a", None, 1, 1 + i % 5) for i in range(2 * MANY)])
    assert sum(int(str(row[2])) for row in rows(driver)) == 2 * MANY


def test_only_rows_that_were_found_are_counted(driver: PostgresDriver) -> None:
    assert driver.executemany(CHANGE, [("a", None, 1, 95 + i) for i in range(12)]).rowcount == 6


def test_a_nul_is_replaced_as_in_one_row(driver: PostgresDriver) -> None:
    driver.executemany(CHANGE, [("a\0b", None, 1, 1 + i) for i in range(MANY)])
    assert rows(driver) == [("a\N{REPLACEMENT CHARACTER}b", None, 1)] * MANY


def test_new_rows_are_as_they_were_given(driver: PostgresDriver) -> None:
    driver.executemany("INSERT INTO item (id, word, is_new) VALUES (?, ?, FALSE)", list(enumerate(ODD, 101)))
    assert rows(driver) == [(word, False, 0) for word in ODD]


def test_a_nul_is_replaced_in_many_new_rows(driver: PostgresDriver) -> None:
    given = [(101 + i, "a\0b" if i == 3 else None, None) for i in range(MANY)]
    driver.executemany("INSERT INTO item (id, word, is_new) VALUES (?, ?, ?)", given)
    assert rows(driver) == [("a\N{REPLACEMENT CHARACTER}b", None, 0)]


def test_a_statement_without_the_mark_is_executed_for_each_row(driver: PostgresDriver) -> None:
    driver.executemany("UPDATE item SET word = ? WHERE id = ?", [("a", 1 + i) for i in range(MANY)])
    assert rows(driver) == [("a", None, 0)] * MANY


def test_the_key_leads_to_the_rows_whatever_statistics_say_of_them(
    driver: PostgresDriver, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    connection.execute("INSERT INTO item (id, word) SELECT generate_series(101, 20000), 'queued yet'")
    connection.execute("ANALYZE item")
    connection.execute("UPDATE item SET word = 'queued'; SET enable_seqscan = off")  # as in a session of ours
    change = "UPDATE item SET count = ? WHERE id = ? /*pg key*/ AND word = 'queued' AND is_new IS NULL"
    explain = f"EXPLAIN {for_many(translated(change), connection)}"
    ids = f"{{{','.join(map(str, range(1, 1001)))}}}"
    plan = "\n".join(str(line) for (line,) in psycopg.RawCursor(connection).execute(explain, [ids, ids]).fetchall())
    assert re.search(r"Cond: \((item\.)?id = each\.p2\)", plan), plan
    assert driver.executemany(change, [(1, 1 + i) for i in range(MANY)]).rowcount == MANY


@pytest.mark.parametrize("statement", marked(), ids=lambda text: " ".join(text.split()[:2]))
def test_every_marked_statement_has_a_form_for_many_rows(
    statement: str, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    single = translated(statement)
    many = for_many(single, connection)
    assert many.count("unnest(") == 1
    arrays = ["{}"] * (statement.count("?"))
    assert psycopg.RawCursor(connection).execute(many, arrays).rowcount == 0
    key = key_of(statement)
    assert key is not None and f"each.p{key + 1}" in many.partition(" WHERE")[2]
