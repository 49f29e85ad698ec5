"""What the local connector can tell of the attempts of dead owners, and of those whose keeper died under it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rota.connectors.local.connector import LocalConnector
from rota.domain.errors import NotFound
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from rota.domain.states import Fate
from rota.domain.step import Command, Exit
from rota.keeper.process.protocol import BEGUN, JOURNAL
from tests.support.keepers import a_connector

HERE = Host(name="@controller", connector="local")


class Home:
    """Where owners come and go. They leave their lock files: it is known that they have worked here."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.keepers = folder, folder / "keeper"
        self.living: list[LocalConnector] = []

    async def begins(self, owner: str) -> LocalConnector:
        connector = a_connector(self.folder, owner)
        await connector.open()
        self.living.append(connector)
        return connector

    def came(self, owner: str) -> None:
        """It has worked here, and died before it had a keeper."""
        a_connector(self.folder, owner)

    async def dies(self, connector: LocalConnector) -> None:
        """Its keeper lives on."""
        self.living.remove(connector)
        await connector.close(leave=True)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    home = Home(tmp_path / "home")
    yield home
    for connector in home.living:
        await connector.close(leave=False)


def order(connector: LocalConnector, script: str, token: str) -> asyncio.Task[Exit]:
    command = Command(argv=("/bin/sh", "-c", script))
    return asyncio.ensure_future(
        connector.execute(command, host=HERE, token=token, timeout_seconds=60, grew=lambda total: None)
    )


def is_first(owner: str) -> bool:
    return owner == "own_here_1"


async def test_an_owner_that_never_had_a_keeper_started_nothing(home: Home) -> None:
    home.came("own_here_1")
    second = await home.begins("own_here_2")
    await second.adopt(is_first)
    assert second.fate("att-1", owner="own_here_1") is Fate.NEVER_STARTED


async def test_of_an_owner_that_nobody_knows_here_nothing_can_be_told_whatever_was_adopted(home: Home) -> None:
    first, second = await home.begins("own_here_1"), await home.begins("own_here_2")
    await home.dies(first)
    await second.adopt(is_first)
    assert second.fate("att-1", owner="own_here_1") is Fate.NEVER_STARTED
    assert second.fate("att-1", owner="own_of_another_home") is None


async def test_asked_again_it_answers_the_same_and_the_end_is_still_there(home: Home) -> None:
    first = await home.begins("own_here_1")
    assert (await order(first, "exit 7", "att-1")).exit_code == 7
    await home.dies(first)
    second = await home.begins("own_here_2")
    await second.adopt(is_first)
    await asyncio.sleep(0)  # what the keeper tells first
    assert [second.fate("att-1", owner="own_here_1") for _ in range(3)] == [Fate.ENDED] * 3
    command = Command(argv=("never",))
    end = await second.follow(command, host=HERE, token="att-1", timeout_seconds=60, grew=lambda total: None)
    assert end.exit_code == 7
    second.forget("att-1")


async def test_where_an_owner_died_before_its_keeper_was_born_nothing_was_started(home: Home) -> None:
    home.came("own_here_1")
    begun_like_another(await home.begins("own_here_2"), home.keepers / "own_here_1-1")
    third = await home.begins("own_here_3")
    await third.adopt(is_first)
    assert third.fate("att-1", owner="own_here_1") is Fate.NEVER_STARTED


async def test_on_another_boot_that_is_no_proof_any_more(home: Home) -> None:
    home.came("own_here_1")
    begun_like_another(await home.begins("own_here_2"), home.keepers / "own_here_1-1", boot="another")
    third = await home.begins("own_here_3")
    await third.adopt(is_first)
    assert third.fate("att-1", owner="own_here_1") is Fate.GONE


def begun_like_another(connector: LocalConnector, folder: Path, **changed: str) -> None:
    """A keeper's folder as it is before its process."""
    assert connector._keeper is not None
    begun = json.loads((connector._keeper.directory / BEGUN).read_text())
    folder.mkdir()
    (folder / BEGUN).write_text(json.dumps(begun | changed))


async def test_a_folder_that_was_never_finished_goes_and_proves_nothing(home: Home) -> None:
    home.came("own_here_1")
    second = await home.begins("own_here_2")
    draft = home.keepers / ".own_here_1-1"
    draft.mkdir()
    await second.adopt(is_first)
    assert not draft.exists()
    assert second.fate("att-1", owner="own_here_1") is Fate.NEVER_STARTED


async def test_an_order_that_died_with_its_keeper_before_it_was_begun_is_carried_out_by_the_next(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROTA_TEST", "1")
    monkeypatch.setenv("ROTA_FAILPOINT", "keeper.accepted")
    connector = await home.begins("own_here_1")
    monkeypatch.delenv("ROTA_TEST")
    end = await order(connector, f"echo once >> {tmp_path}/witness", "att-1")
    assert (end.exit_code, end.lost) == (0, None)
    assert (tmp_path / "witness").read_text() == "once\n"
    connector.forget("att-1")


async def test_an_order_that_may_have_been_begun_is_lost_with_its_keeper(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROTA_TEST", "1")
    monkeypatch.setenv("ROTA_FAILPOINT", "keeper.announced")
    connector = await home.begins("own_here_1")
    monkeypatch.delenv("ROTA_TEST")
    assert (await order(connector, "true", "att-1")).lost is Reason.KEEPER_LOST
    connector.forget("att-1")


async def test_a_keeper_of_which_a_verdict_is_not_written_yet_is_not_let_go(home: Home) -> None:
    connector = await home.begins("own_here_1")
    running = order(connector, "sleep 60", "att-1")
    keeper = connector._keeper
    assert keeper is not None
    await asyncio.sleep(0.2)
    os.kill(keeper.pid, signal.SIGKILL)
    assert (await running).lost is Reason.KEEPER_LOST
    await connector.tidy()
    assert (keeper.directory / JOURNAL).exists()
    connector.forget("att-1")
    await connector.tidy()
    assert not keeper.directory.exists()


async def test_a_stop_while_old_keepers_are_let_go_stops_each_once(home: Home) -> None:
    for number in range(5):
        await home.dies(await home.begins(f"own_here_{number}"))
    last = await home.begins("own_here_last")
    await last.adopt(lambda owner: owner != "own_here_last")
    home.living.remove(last)
    async with asyncio.TaskGroup() as group:
        group.create_task(last.tidy())
        await asyncio.sleep(0)
        group.create_task(last.close(leave=False))
    assert list(home.keepers.iterdir()) == []


async def test_a_keeper_that_may_still_be_asked_about_is_not_let_go(home: Home) -> None:
    first, second = await home.begins("own_here_1"), await home.begins("own_here_2")
    await home.dies(first)
    await second.adopt(is_first)
    await second.tidy(settled=False)
    assert len(list(home.keepers.iterdir())) == 2
    await second.tidy()
    assert [folder.name for folder in home.keepers.iterdir()] == ["own_here_2-1"]


async def test_a_keeper_whose_folder_was_half_removed_speaks_of_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner that removed it died at that, and had other work by then."""
    first, second = await home.begins("own_here_1"), await home.begins("own_here_2")
    await home.dies(first)
    await second.adopt(is_first)
    monkeypatch.setattr(shutil, "rmtree", lambda folder, **_: [(folder / name).unlink() for name in (BEGUN, JOURNAL)])
    await second.tidy()
    monkeypatch.undo()
    await home.dies(second)
    third = await home.begins("own_here_3")
    await third.adopt(lambda owner: owner != "own_here_3")
    assert third.fate("att-1", owner="own_here_2") is Fate.NEVER_STARTED


async def started(home: Home, connector: LocalConnector, token: str, script: str = "echo $$; exec sleep 60") -> int:
    """Start a child that tells its number, and lives on."""
    order(connector, script, token)
    while not (said := await _output(connector, token)):
        await asyncio.sleep(0.01)
    return int(said)


async def _output(connector: LocalConnector, token: str) -> bytes:
    try:
        return (await connector.read(token, 0, 100)).data
    except NotFound:
        return b""


@pytest.mark.parametrize("gone", ["own_here_1-1", "."], ids=["its folder", "the folder of all keepers"])
async def test_what_a_keeper_ran_whose_folder_somebody_removed_is_not_started_again(home: Home, gone: str) -> None:
    first = await home.begins("own_here_1")
    child = await started(home, first, "att-1")
    try:
        await home.dies(first)
        shutil.rmtree(home.keepers / gone)
        second = await home.begins("own_here_2")
        assert await second.adopt(is_first) == set()
        assert second.fate("att-1", owner="own_here_1") is Fate.GONE
    finally:
        os.kill(child, signal.SIGKILL)


async def test_an_owner_speaks_for_what_it_took_over_only_while_that_keeper_s_folder_is_there(home: Home) -> None:
    """Its own keeper says of an attempt of the first that it never started it, which is true and proves nothing."""
    first = await home.begins("own_here_1")
    child = await started(home, first, "att-1")
    try:
        await home.dies(first)
        second = await home.begins("own_here_2")
        await second.adopt(is_first)
        assert second.fate("att-1", owner="own_here_1") is Fate.LIVE
        await home.dies(second)
        shutil.rmtree(home.keepers / "own_here_1-1")
        third = await home.begins("own_here_3")
        await third.adopt(lambda owner: owner != "own_here_3")
        assert third.fate("att-1", owner="own_here_2") is Fate.GONE
    finally:
        os.kill(child, signal.SIGKILL)


async def test_a_keeper_that_was_let_go_of_is_not_missed(home: Home) -> None:
    first, second = await home.begins("own_here_1"), await home.begins("own_here_2")
    await home.dies(first)
    await second.adopt(is_first)
    await second.tidy()
    await home.dies(second)
    third = await home.begins("own_here_3")
    await third.adopt(lambda owner: owner != "own_here_3")
    assert third.fate("att-1", owner="own_here_2") is Fate.NEVER_STARTED
