"""`rota.yaml`: what is accepted, and how each fault is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rota.domain.errors import InvalidInput, Unavailable
from rota.instance import Instance
from rota.settings import Settings, load, masked

Load = Callable[..., Settings]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Load settings from a `rota.yaml` of this text, under these environment variables."""

    def loading(text: str | bytes | None = None, /, **env: str) -> Settings:
        instance = Instance(home=tmp_path, kind="option")
        if text is not None:
            instance.config.write_bytes(text.encode() if isinstance(text, str) else text)
        return load(instance, env)

    return loading


def fault(loaded: Load, text: str | bytes | None = None, /, **env: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        loaded(text, **env)
    return caught.value


def test_without_a_file_the_defaults_are_those_of_the_manual(loaded: Load) -> None:
    settings = loaded()
    assert settings.model_dump() == {
        "schedule": {
            "enabled": True,
            "sync_interval_sec": 300,
            "retention_days": 90,
            "max_concurrent_schedules": 5,
        },
        "on_shutdown": "cancel",
        "shutdown_grace_seconds": 60,
        "targets_at_once": 10,
        "log": {"level": "info", "format": "text"},
        "backup": {"keep": 7},
        "ssh": {
            "known_hosts": (),
            "connect_timeout_seconds": 10,
            "idle_seconds": 60,
            "keepalive_seconds": 15,
            "lost_grace_seconds": 120,
            "kill_grace_seconds": 10,
        },
        "database": {"url": "sqlite", "lease_seconds": 60, "lost_grace_seconds": 120},
        "trust_clock": False,
    }


def test_an_empty_file_and_an_empty_section_mean_the_defaults(loaded: Load) -> None:
    assert loaded("") == loaded("# nothing here\n") == loaded("schedule: {}\n") == Settings()


def test_the_block_of_seed_1_is_accepted_as_printed(loaded: Load) -> None:
    settings = loaded(
        "schedule:\n  enabled: true\n  sync_interval_sec: 300\n  retention_days: 90\n  max_concurrent_schedules: 5\n"
    )
    assert settings == Settings()


def test_what_is_written_is_taken(loaded: Load) -> None:
    settings = loaded("schedule: {enabled: false, retention_days: 0}\non_shutdown: leave\nlog: {format: json}\n")
    assert not settings.schedule.enabled
    assert settings.schedule.retention_days == 0
    assert (settings.on_shutdown, settings.log.format) == ("leave", "json")


def test_an_unknown_key_is_refused_with_its_line_and_a_near_name(loaded: Load, tmp_path: Path) -> None:
    error = fault(loaded, "schedule:\n  enabled: true\n  retention_day: 30\n")
    assert [item.field for item in error.errors] == ["schedule.retention_day"]
    assert 'did you mean "retention_days"?' in str(error)
    assert f"{tmp_path}/rota.yaml line 3" in str(error)


def test_all_faults_are_told_at_once(loaded: Load) -> None:
    error = fault(
        loaded,
        "schedule:\n  enabled: maybe\n  sync_interval_sec: 0\n  retention_days: -1\n"
        "  max_concurrent_schedules: many\non_shutdwn: leave\nlog: loud\n",
    )
    assert [item.field for item in error.errors] == [
        "schedule.enabled",
        "schedule.sync_interval_sec",
        "schedule.retention_days",
        "schedule.max_concurrent_schedules",
        "log",
        "on_shutdwn",
    ]
    assert all(f"line {line}" in str(error) for line in (2, 3, 4, 5, 6, 7))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schedule: {sync_interval_sec: 0}", "1 or more"),
        ("schedule: {sync_interval_sec: -5}", "1 or more"),
        ("schedule: {retention_days: -1}", "0 or more"),
        ("schedule: {max_concurrent_schedules: 0}", "1 or more"),
        ("targets_at_once: 0", "1 or more"),
        ("shutdown_grace_seconds: -1", "0 or more"),
        ("shutdown_grace_seconds: 100000", "3600 or less"),
        ("schedule: {enabled: 'true'}", "true or false"),
        ("schedule: {retention_days: '90'}", "a whole number"),
        ("schedule: {retention_days: true}", "a whole number"),
        ("schedule: {retention_days: 1.5}", "a whole number"),
        ("schedule: {retention_days: [1, 2]}", "a whole number"),
        ("on_shutdown: kill", "'cancel' or 'leave'"),
        ("log: {level: loud}", "'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_senseless_value_is_refused_with_what_was_expected(loaded: Load, text: str, expected: str) -> None:
    (error,) = fault(loaded, text).errors
    assert error.expected == expected


def test_another_database_is_refused_without_showing_its_password(loaded: Load) -> None:
    error = fault(loaded, "database: mysql://rota:hunter2@db/rota\n")
    assert "there is no store of this kind (mysql://rota@db/rota)" in str(error)
    assert "hunter2" not in str(error) + str(error.errors)


def test_a_database_is_named_in_the_file_or_by_the_usual_variable(loaded: Load) -> None:
    url = "postgresql://rota@db/rota"
    assert loaded(f"database: {{url: {url}}}").database.url == url
    assert loaded(f"database: {url}").database.url == url
    assert loaded("database: sqlite", ROTA_DATABASE_URL=url).database.url == url
    assert loaded("").database.is_embedded


@pytest.mark.parametrize("url", ["postgresql://rota:hunter2@db/rota", "postgresql:///rota?user=x&password=hunter2&a=b"])
def test_a_masked_url_shows_no_password(url: str) -> None:
    assert "hunter2" not in masked(url)
    assert masked(url).startswith("postgresql://")


def test_the_environment_beats_the_file(loaded: Load) -> None:
    settings = loaded("schedule: {retention_days: 7, enabled: false}", ROTA_SCHEDULE__RETENTION_DAYS="30")
    assert (settings.schedule.retention_days, settings.schedule.enabled) == (30, False)


def test_a_fault_of_the_environment_names_the_variable(loaded: Load) -> None:
    error = fault(loaded, ROTA_SCHEDULE__ENABLED="perhaps", ROTA_SCHEDULE__RETENTOIN_DAYS="1")
    assert "in ROTA_SCHEDULE__ENABLED" in str(error)
    assert 'did you mean "retention_days"?, in ROTA_SCHEDULE__RETENTOIN_DAYS' in str(error)


def test_a_variable_that_is_no_yaml_is_told_with_the_other_faults(loaded: Load) -> None:
    error = fault(loaded, "nonsense: 1", ROTA_ON_SHUTDOWN="{")
    assert [item.field for item in error.errors] == ["ROTA_ON_SHUTDOWN", "nonsense"]


def test_variables_that_are_no_settings_are_left_alone(loaded: Load) -> None:
    assert loaded(ROTA_HOME="/x", ROTA_RUN_ID="run_1", PATH="/bin", ROTA___="x") == Settings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("schedule: [", "line 1"),
        ("schedule: {enabled: true", "line 1"),
        ("\t", "line 1"),
        ("{{{{", "line 1"),
        ("a: &a [*a]", "unknown setting"),
        ("!!python/x 1", "not a mapping"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"\x80" * 5000, "UTF-8"),
        ("a: \x00b\n", "unacceptable character"),
        ("schedule:\n  enabled: true\n enabled: x\n", "line 3"),
        ("a: 1\na: 2\n", 'found duplicate key "a"'),
        ("- a list\n", "not a mapping"),
        ("just words", "not a mapping"),
        (b"schedule: \xff\xfe", "not UTF-8"),
        ("a: 1\n---\nb: 2\n", "line 2"),
        ("x" * (1024 * 1024 + 1), "larger than 1 MiB"),
        ("a: " + "[" * 1_000, "nested"),
        ("{a: " * 10 + "1" + "}" * 10, "nested deeper than 8 levels"),
        ("a: &a {b: *a}", "unknown setting"),
        ("a: !!python/object/apply:os.system ['true']", "unknown setting"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(loaded: Load, tmp_path: Path, text: str, told: str) -> None:
    error = fault(loaded, text)
    assert told in str(error)
    assert str(tmp_path / "rota.yaml") in str(error)


def test_a_small_file_that_aliases_make_huge_is_refused(loaded: Load) -> None:
    bomb = "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(9))}}}\n" for n in range(1, 8)
    )
    assert "more than 1000 keys" in str(fault(loaded, bomb))


def test_a_merged_key_is_found_though_it_has_no_line(loaded: Load) -> None:
    error = fault(loaded, "log: &base {levle: info}\nschedule:\n  <<: *base\n")
    assert [item.field for item in error.errors] == ["schedule.levle", "log.levle"]


def test_a_file_that_cannot_be_read_is_no_missing_file(loaded: Load, tmp_path: Path) -> None:
    (tmp_path / "rota.yaml").mkdir()
    with pytest.raises(Unavailable, match="cannot read"):
        loaded()


def test_files_of_known_hosts_are_a_list(loaded: Load) -> None:
    settings = loaded("ssh:\n  known_hosts:\n    - /etc/ssh/ssh_known_hosts\n    - ~/.ssh/known_hosts\n")
    assert settings.ssh.known_hosts == ("/etc/ssh/ssh_known_hosts", "~/.ssh/known_hosts")
    assert loaded(ROTA_SSH__KNOWN_HOSTS="[/a, /b]").ssh.known_hosts == ("/a", "/b")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ssh: {known_hosts: /etc/known}\n", "ssh.known_hosts: '/etc/known' is not a list"),
        ("ssh:\n  known_hosts:\n    - 1\n", "ssh.known_hosts.0: 1 is not a text, in"),
        ("ssh: {known_hosts: [" + "a, " * 30 + "a]}\n", "ssh.known_hosts: has too many values"),
        ("schedule: [1, 2]\n", "schedule: is not a mapping"),
        ("ssh: {connect_timeout_seconds: 0}\n", "ssh.connect_timeout_seconds: 0 is too small"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(loaded: Load, text: str, told: str) -> None:
    assert told in str(fault(loaded, text))


def test_lists_of_lists_of_lists_do_not_grow_without_end(loaded: Load) -> None:
    bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for below, above in zip("abcde", "bcdef", strict=True):
        bomb += f"{above}: &{above} [" + ", ".join([f"*{below}"] * 9) + "]\n"
    assert "more than 1000 keys" in str(fault(loaded, bomb))
