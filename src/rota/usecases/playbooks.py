"""Playbooks: import, validate, list, show, remove, and the folder that is read at start and on change."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rota.actions.playbook_file import read_playbook
from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import Conflict, FieldError, InvalidInput
from rota.domain.ids import Kind, public
from rota.domain.playbook import NAME_PATTERN, Playbook
from rota.ports import Tx
from rota.storage import audit, jobs, library
from rota.storage.freeze import parsed
from rota.storage.library import Item
from rota.usecases import resources, shapes
from rota.usecases.context import Context

IMPORTED = "import"
FOLDER = "folder"  # who changes the library when a file changed: whoever may write there owns the instance
_SUFFIXES = frozenset({".yaml", ".yml"})
_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What reading the folder changed: names, sorted; and file name -> why it was not taken."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    faults: Mapping[str, tuple[str, ...]]


async def import_text(ctx: Context, principal: Principal, text: str, *, name: str | None = None) -> shapes.Playbook:
    """Keep a playbook; one that was imported under the same name before is replaced. Raises InvalidInput, Conflict.

    `name` is what it goes by, whatever name its text gives; the text stays as it is.
    """
    try:
        playbook = read_playbook(text)
    except InvalidInput as error:
        raise InvalidInput.of([*_name_faults(name), *error.as_faults()]) from error
    if faults := _name_faults(name):
        raise InvalidInput.of(faults)
    called = name or playbook.name
    authorize(principal, Verb.WRITE, f"playbook {called}")

    def save(tx: Tx) -> shapes.Playbook:
        old = library.find_playbook(tx, called)
        if old is not None and old.source != IMPORTED:
            raise Conflict(
                f'playbook "{called}" is kept in {old.source.removeprefix("file:")} of the playbook folder',
                expected="another name",
                hint="edit that file instead; the daemon reads it on change",
            )
        item = library.put_playbook(tx, name=called, digest=playbook.digest, text=text, source=IMPORTED)
        audit.record(tx, principal.name, "import", _subject(item), {"name": item.name, "digest": item.digest})
        return _whole(item, playbook)

    saved = await ctx.store.write(save)
    ctx.launcher.jobs_changed()
    return saved


def _name_faults(name: str | None) -> list[FieldError]:
    if name is None or re.fullmatch(NAME_PATTERN, name):
        return []
    expected = "letters, digits, . _ -; at most 100"
    return [FieldError(field="name", message="is not a name", expected=expected, got=name[:100])]


async def validate(ctx: Context, principal: Principal, text: str) -> shapes.Validation:
    """Say everything that is wrong with a playbook's text, and keep nothing."""
    authorize(principal, Verb.READ, "playbooks")
    try:
        read_playbook(text)
    except InvalidInput as error:
        return {"valid": False, "errors": list(map(resources.fault, error.as_faults()))}
    return {"valid": True, "errors": []}


async def list_all(ctx: Context, principal: Principal) -> shapes.Playbooks:
    """All playbooks by name, and the files of the folder that could not be taken."""
    authorize(principal, Verb.READ, "playbooks")

    def read(tx: Tx) -> shapes.Playbooks:
        faults = library.folder_faults(tx)
        items: list[shapes.PlaybookItem] = []
        for item in library.list_playbooks(tx):
            playbook = parsed(item.text)
            of_file = faults.get(item.source.removeprefix("file:"), ())
            items.append(resources.playbook_item(item, playbook.description, len(playbook.steps), of_file))
        told: list[shapes.PlaybookFault] = [
            {"source": f"file:{file}", "errors": list(errors)} for file, errors in faults.items()
        ]
        return {"items": items, "next": None, "faults": told}

    return await ctx.store.read(read)


async def show(ctx: Context, principal: Principal, name: str) -> shapes.Playbook:
    """One playbook with its text. Raises NotFound with a near name."""
    authorize(principal, Verb.READ, f"playbook {name}")

    def read(tx: Tx) -> shapes.Playbook:
        item = library.get_playbook(tx, name)
        return _whole(item, parsed(item.text))

    return await ctx.store.read(read)


async def remove(ctx: Context, principal: Principal, name: str) -> shapes.Removed:
    """Forget an imported playbook. Runs that pinned it keep it. Raises Conflict naming the jobs that use it."""
    authorize(principal, Verb.WRITE, f"playbook {name}")

    def delete(tx: Tx) -> shapes.Removed:
        item = library.get_playbook(tx, name)
        if users := _users_of(tx, name):
            raise Conflict(
                f'playbook "{name}" is used by {", ".join(users)}',
                expected="a playbook that no schedule uses",
                hint=f"give them another: rota schedule update {users[0]} --playbook NAME",
            )
        if item.source != IMPORTED:
            file = item.source.removeprefix("file:")
            raise Conflict(
                f'playbook "{name}" is kept in {file} of the playbook folder',
                hint=f"delete the file {file}; the daemon then forgets the playbook",
            )
        library.remove_playbook(tx, item)
        audit.record(tx, principal.name, "remove", _subject(item), {"name": name})
        return {"deleted": name}

    removed = await ctx.store.write(delete)
    ctx.launcher.jobs_changed()
    return removed


async def sync_folder(ctx: Context, folder: Path) -> Synced:
    """Bring the library in line with the `*.yaml` and `*.yml` in `folder`. Cheap, and no write, if nothing changed.

    A file that cannot be taken leaves the last good text in place, and is told of in `list_all`. So is a file
    whose playbook goes by a name that is taken, and one that is gone while a job still uses its playbook.
    """
    files = await asyncio.to_thread(lambda: dict(_read_files(folder)))
    if not await ctx.store.read(lambda tx: bool(_differences(tx, files))):
        return Synced(faults=await ctx.store.read(_faults))
    synced = await ctx.store.write(lambda tx: _bring_in_line(tx, files))
    ctx.launcher.jobs_changed()
    return synced


@dataclass(frozen=True, slots=True)
class _File:
    """What one file holds: a playbook and its text, or why it cannot be taken."""

    text: str = ""
    playbook: Playbook | None = None
    faults: tuple[str, ...] = ()


def _read_files(folder: Path) -> Iterator[tuple[str, _File]]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in paths:
        if path.suffix in _SUFFIXES and not path.name.startswith("."):
            yield path.name, _read_file(path)


def _read_file(path: Path) -> _File:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        return _File(faults=(f"cannot be read: {error.strerror}",))
    if len(raw) > _MOST_BYTES:
        return _File(faults=("is larger than 1 MiB",))
    try:
        text = raw.decode()
        return _File(text, parsed(text))
    except UnicodeDecodeError:
        return _File(faults=("is not UTF-8 text",))
    except InvalidInput as error:
        return _File(faults=tuple(map(str, error.as_faults())))


@dataclass(slots=True)
class _Differences:
    """What is to be done: put (file, playbook, text), forget items; and the faults to be told from now on."""

    put: list[tuple[str, Playbook, str]]
    forget: list[Item]
    faults: dict[str, tuple[str, ...]]
    faults_changed: bool

    def __bool__(self) -> bool:
        return bool(self.put or self.forget or self.faults_changed)


def _differences(tx: Tx, files: Mapping[str, _File]) -> _Differences:
    known = {item.name: item for item in library.list_playbooks(tx)}
    faults = {file: content.faults for file, content in files.items() if content.faults}
    put = []
    holder: dict[str, str] = {}
    for file, content in files.items():
        playbook = content.playbook
        if playbook is None:
            continue
        item = known.get(playbook.name)
        first = holder.setdefault(playbook.name, file)
        if first != file:
            faults[file] = (f'its playbook "{playbook.name}" is in {first} already',)
        elif item is not None and item.source == IMPORTED:
            faults[file] = (f'a playbook "{playbook.name}" was imported before: rota playbook remove {playbook.name}',)
        elif item is None or (item.text, item.source) != (content.text, f"file:{file}"):
            put.append((file, playbook, content.text))
    forget = []
    for item in known.values():
        file = item.source.removeprefix("file:")
        broken = file in files and files[file].playbook is None
        if item.source == IMPORTED or item.name in holder or broken:
            continue
        if users := _users_of(tx, item.name):
            faults[file] = (*faults.get(file, ()), f'"{item.name}" is no longer there, but {", ".join(users)} use it')
        else:
            forget.append(item)
    return _Differences(put, forget, faults, faults != _faults(tx))


def _bring_in_line(tx: Tx, files: Mapping[str, _File]) -> Synced:
    differences = _differences(tx, files)
    known = set(library.playbook_names(tx))
    new: list[str] = []
    changed: list[str] = []
    for file, playbook, text in differences.put:
        item = library.put_playbook(tx, name=playbook.name, digest=playbook.digest, text=text, source=f"file:{file}")
        audit.record(tx, FOLDER, "import", _subject(item), {"name": item.name, "digest": item.digest, "file": file})
        (changed if playbook.name in known else new).append(playbook.name)
    for item in differences.forget:
        library.remove_playbook(tx, item)
        audit.record(tx, FOLDER, "remove", _subject(item), {"name": item.name})
    if differences.faults_changed:
        library.set_folder_faults(tx, differences.faults)
    removed = tuple(sorted(item.name for item in differences.forget))
    return Synced(new=tuple(sorted(new)), changed=tuple(sorted(changed)), removed=removed, faults=differences.faults)


def _faults(tx: Tx) -> dict[str, tuple[str, ...]]:
    return {file: tuple(errors) for file, errors in library.folder_faults(tx).items()}


def _users_of(tx: Tx, name: str) -> list[str]:
    """The live jobs that run the playbook."""
    return [
        job
        for job, spec in jobs.users_of(tx, f'"playbook":"{name}"')
        if any(step.action == "playbook" and step.params.get("playbook") == name for step in spec.steps)
    ]


def _whole(item: Item, playbook: Playbook) -> shapes.Playbook:
    return resources.playbook(item, playbook.description, playbook.vars, playbook.steps)


def _subject(item: Item) -> str:
    return f"playbook {public(Kind.PLAYBOOK, item.public_id)}"
