"""The service definitions that `rota daemon install` prints."""

from __future__ import annotations

import plistlib
import sys
from pathlib import Path

import pytest

from rota.daemon.units import LABEL, Platform, render, save_path
from rota.domain.errors import InvalidInput
from rota.instance import Instance
from tests.support.systemd import Manager, verify


def an_instance(home: Path | str = "/var/lib/rota") -> Instance:
    return Instance(home=Path(home), kind="option")


def settings_of(unit: str) -> dict[str, str]:
    lines = [line for line in unit.splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("manager", ["system", "user"])
@pytest.mark.parametrize("name", ["home", 'a home with "quotes", 100% and $HOME \\ it'])
def test_systemd_accepts_the_unit_without_a_word(tmp_path: Path, manager: Manager, name: str) -> None:
    unit = tmp_path / "rota.service"
    unit.write_text(render("systemd", an_instance(tmp_path / name), as_root=manager == "system"))
    assert verify(unit, manager) == ""


def test_stopping_the_unit_signals_the_daemon_and_not_its_children() -> None:
    unit = settings_of(render("systemd", an_instance(), as_root=True))
    assert unit["KillMode"] == "process"
    assert unit["OOMPolicy"] == "continue"


@pytest.mark.parametrize("grace", [60, 300])
def test_systemd_waits_longer_than_running_work_may_take(grace: int) -> None:
    unit = settings_of(render("systemd", an_instance(), as_root=True, grace_seconds=grace))
    assert int(unit["TimeoutStopSec"]) > grace


def test_systemd_restarts_after_5_s_and_at_most_5_times_in_10_minutes() -> None:
    unit = settings_of(render("systemd", an_instance(), as_root=True))
    wanted = {"Restart": "always", "RestartSec": "5", "StartLimitBurst": "5", "StartLimitIntervalSec": "600"}
    assert wanted.items() <= unit.items()


def test_the_unit_names_its_instance_and_this_python() -> None:
    unit = settings_of(render("systemd", an_instance("/srv/rota"), as_root=False))
    assert unit["Environment"] == '"ROTA_HOME=/srv/rota"'
    assert unit["ExecStart"] == f'"{sys.executable}" "-m" "rota" "daemon" "run"'


def test_nothing_that_would_bind_the_scheduled_commands_is_set() -> None:
    unit = settings_of(render("systemd", an_instance(), as_root=True))
    binding = ("NoNewPrivileges", "Protect", "Private", "Capability", "Restrict", "SystemCall", "UMask")
    assert [key for key in unit if key.startswith(binding)] == []


def test_a_users_unit_belongs_to_the_users_manager() -> None:
    unit = settings_of(render("systemd", an_instance(), as_root=False))
    assert unit["WantedBy"] == "default.target"
    assert not {"User", "After"} & unit.keys()


def test_the_launchd_plist_runs_at_load_is_kept_alive_and_leaves_children_alone() -> None:
    plist = plistlib.loads(render("launchd", an_instance("/Users/ada/r & d")).encode())
    assert (plist["RunAtLoad"], plist["KeepAlive"], plist["AbandonProcessGroup"]) == (True, True, True)
    assert plist["Label"] == LABEL
    assert plist["EnvironmentVariables"] == {"ROTA_HOME": "/Users/ada/r & d"}
    assert plist["StandardErrorPath"] == "/Users/ada/r & d/logs/daemon.log"
    assert plist["ProgramArguments"] == [sys.executable, "-m", "rota", "daemon", "run"]
    assert plist["ExitTimeOut"] > 60


@pytest.mark.parametrize("platform", ["systemd", "launchd"])
def test_a_path_with_a_line_break_is_refused(platform: Platform) -> None:
    with pytest.raises(InvalidInput, match="cannot stand in a service definition"):
        render(platform, an_instance("/srv/a\nExecStart=/bin/evil"))


def test_each_definition_knows_where_it_belongs() -> None:
    assert save_path("systemd", as_root=False) == "~/.config/systemd/user/rota.service"
    assert save_path("launchd", as_root=False) == "~/Library/LaunchAgents/rota.daemon.plist"
