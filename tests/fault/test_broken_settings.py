"""A broken `rota.yaml`: every fault at once, with its line, and exit 2; nothing is started."""

from __future__ import annotations

from tests.support.daemon import Home

USAGE = 2


def test_every_fault_of_the_settings_is_told_at_once_with_its_line(home: Home) -> None:
    home.settings("schedule:\n  enabeld: true\n  retention_days: -1\n  sync_interval_sec: 0\non_shutdown: maybe\n")
    said = home.rota("daemon", "run")
    assert said.code == USAGE
    assert said.out == ""
    assert "4 things are wrong" in said.err
    for line, name in enumerate(("enabeld", "retention_days", "sync_interval_sec", "on_shutdown"), start=2):
        assert any(name in told and f"line {line}" in told for told in said.err.splitlines())
    assert 'did you mean "enabled"?' in said.err
    assert not (home.path / "rota.db").exists()


def test_what_is_not_yaml_is_refused_by_the_daemon(home: Home) -> None:
    """What else is not, or no settings: tests/unit/settings."""
    home.settings("schedule: [")
    said = home.rota("daemon", "run")
    assert said.code == USAGE
    assert "rota.yaml" in said.err
    assert "Traceback" not in said.err


def test_a_command_beside_a_running_daemon_does_not_mind_settings_that_broke_since(home: Home) -> None:
    home.daemon()
    home.settings("schedule: [")
    assert home.rota("schedule", "list").code == 0


def test_a_command_that_carries_out_a_run_itself_needs_good_settings_too(home: Home) -> None:
    home.settings("schedule: [")
    said = home.rota("run", "--do", "noop")
    assert said.code == USAGE
    assert "rota.yaml" in said.err
