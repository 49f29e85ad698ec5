"""Playbooks: content-addressed items, and the names that lead to them. A run pins an item, never a name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, delete, select, update

from rota.domain.instant import Micros
from rota.ports import Tx
from rota.storage import tables
from rota.storage.counters import bump
from rota.storage.insert import insert_row
from rota.storage.references import unknown

PLAYBOOK = "playbook"
_FOLDER_FAULTS = "library_folder_faults"  # key in `instance`: what the last reading of the folder could not take


class Item(NamedTuple):
    """A name and what it leads to now. `source` is `import`, or `file:` and the file's name."""

    id: int
    public_id: str
    name: str
    digest: str
    text: str
    source: str
    updated_at: Micros


def _items() -> Select[Any]:
    name, item = tables.library_name.c, tables.library_item.c
    return (
        select(name.id, name.public_id, name.name, item.digest, item.content, name.source, name.updated_at)
        .join(tables.library_item, item.id == name.item_id)
        .where(name.kind == PLAYBOOK)
        .order_by(name.name)
    )


def list_playbooks(tx: Tx) -> list[Item]:
    """All playbooks by name."""
    return [_item(row) for row in tx.execute(_items())]


def find_playbook(tx: Tx, name: str) -> Item | None:
    row = tx.execute(_items().where(tables.library_name.c.name == name)).first()
    return None if row is None else _item(row)


def get_playbook(tx: Tx, name: str) -> Item:
    """Raises NotFound with a near name."""
    item = find_playbook(tx, name)
    if item is None:
        raise unknown("playbook", name, playbook_names(tx), see="rota playbook list")
    return item


def playbook_names(tx: Tx) -> list[str]:
    name = tables.library_name.c
    return [row.name for row in tx.execute(select(name.name).where(name.kind == PLAYBOOK))]


def put_playbook(tx: Tx, *, name: str, digest: str, text: str, source: str) -> Item:
    """Let `name` lead to this content from now on. Old items stay: runs have pinned them."""
    item_id = _put_item(tx, digest, text)
    old = find_playbook(tx, name)
    if old is None:
        row_id, (public_id,) = tx.take_ids("library_name"), tx.new_public_ids(1)
        insert_row(tx, tables.library_name, (row_id, public_id, PLAYBOOK, name, item_id, source, tx.at))
    else:
        changed = tx.at if old.digest != digest else old.updated_at
        tx.execute(
            update(tables.library_name)
            .where(tables.library_name.c.id == old.id)
            .values(item_id=item_id, source=source, updated_at=changed)
        )
    bump(tx, "library_version")
    return get_playbook(tx, name)


def remove_playbook(tx: Tx, item: Item) -> None:
    """The name is gone; the item stays for the runs that pinned it."""
    tx.execute(delete(tables.library_name).where(tables.library_name.c.id == item.id))
    bump(tx, "library_version")


def folder_faults(tx: Tx) -> Mapping[str, Sequence[str]]:
    """File name -> what is wrong with it, from the last reading of the folder."""
    row = tx.execute(select(tables.instance.c.value).where(tables.instance.c.key == _FOLDER_FAULTS)).first()
    faults: Mapping[str, Sequence[str]] = {} if row is None else json.loads(row.value)
    return faults


def set_folder_faults(tx: Tx, faults: Mapping[str, Sequence[str]]) -> None:
    tx.execute(delete(tables.instance).where(tables.instance.c.key == _FOLDER_FAULTS))
    insert_row(tx, tables.instance, (_FOLDER_FAULTS, json.dumps(faults, ensure_ascii=False)))


def _put_item(tx: Tx, digest: str, text: str) -> int:
    item = tables.library_item.c
    row = tx.execute(select(item.id, item.content).where(item.kind == PLAYBOOK, item.digest == digest)).first()
    if row is None:
        item_id = tx.take_ids("library_item")
        insert_row(tx, tables.library_item, (item_id, PLAYBOOK, digest, text, tx.at))
        return item_id
    if row.content != text:  # the same in meaning (the digest says so), with other comments or layout
        tx.execute(update(tables.library_item).where(item.id == row.id).values(content=text))
    return int(row.id)


def _item(row: Row[Any]) -> Item:
    return Item._make(row)
