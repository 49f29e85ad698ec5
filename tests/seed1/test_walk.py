"""Seed 1's document, walked from its first command to its last against a real daemon on one home."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rota.domain.errors import Skipped
from tests.seed1 import document
from tests.seed1.document import Example, expected, normal
from tests.seed1.world import World
from tests.support.daemon import Home, a_home

REFUSED = 7


@pytest.fixture
def world() -> Iterator[World]:
    with a_home(document.SETTINGS) as home:
        yield World(home)


def test_the_document_s_commands_print_what_it_says(world: World) -> None:
    for example in document.CREATE:
        shows(world, example)

    as_the_samples_suppose(world)
    shows(world, document.LIST_RUNNING)
    world.daemon.stop()
    stopped = normal(world.type(document.LIST_STOPPED.command).out)
    assert stopped.startswith(expected(document.LIST_STOPPED))
    assert stopped.endswith("LAST RUN " + table(document.LIST_RUNNING))
    world.daemon = world.home.daemon()
    shows(world, document.SHOW)

    for example in document.UPDATE:
        shows(world, example)
    code, screen = world.answer(document.DELETE.command, "n")
    assert (code, "Not deleted." in screen) == (REFUSED, True)

    for example in document.HISTORY:
        shows(world, example)
    world.daemon.stop()
    world.type(document.TRIGGER.command)  # which needs no daemon
    world.daemon = world.home.daemon()
    assert newest(world.home, "daily-backup")["trigger"] == "manual"

    for example in document.POLICIES:
        shows(world, example)
    world.type("rota schedule delete critical-backup --yes")

    for example in (document.BANNER, document.DAEMON_RUN):
        assert world.daemon.stop() == 0
        world.daemon = world.home.daemon(arguments=example.command.split()[1:])
        assert normal("\n".join(world.daemon.banner)) == expected(document.BANNER)
        assert f"Next run: {soonest(world.home)} at" in world.daemon.banner[3]
    assert "[Service]" in world.type(document.INSTALL.command).out

    for example in document.JSON:
        assert json.loads(world.type(example.command).out)
    for command in document.QUICK_REFERENCE:
        assert world.type(f"{command} --help").out.startswith(f"Usage: {command}")


def as_the_samples_suppose(world: World) -> None:
    """What happened between the creating and the listing: two schedules more, and four days of runs."""
    create = "rota schedule create --name"
    world.type(f'{create} rotate-logs --cron "0 0 * * 0" --playbook log-rotate --target all')
    world.type(f'{create} old-cleanup --cron "0 3 1 * *" --playbook cleanup --target tag:staging --enabled false')
    world.type(
        "rota schedule update daily-backup --missed-run-policy run_once --var retention_days=30"
        ' --description "Nightly backup of all hosts"'
    )
    broken = world.home.tmp / "unreachable-web-4"
    broken.touch()
    world.a_night_passes()
    broken.unlink()
    for name in ("daily-backup", "rotate-logs", "web-health", "old-cleanup"):
        world.home.finished(a_run_of(name, world.home))
    world.a_night_passes()
    world.a_night_passes()


def a_run_of(job: str, home: Home) -> str:
    """One that is asked for now; or the one that the clock has just begun, which will do as well."""
    try:
        return str(home.client.trigger_job(job)["id"])
    except Skipped:
        return str(home.client.runs(job=job, limit=1)["items"][0]["id"])


def shows(world: World, example: Example) -> None:
    """Type the command; where the document prints what comes of it, that must come."""
    out = normal(world.type(example.command).out)
    if example.output:
        assert out == expected(example)


def table(example: Example) -> str:
    """The rows of a printed table, without its head."""
    return expected(example).partition("LAST RUN ")[2]


def newest(home: Home, job: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(home.rota("schedule", "history", job, "-o", "json").out)["items"][0]
    return found


def soonest(home: Home) -> str:
    upcoming = home.client.instance()["next"]
    assert upcoming is not None
    return upcoming["job"]
