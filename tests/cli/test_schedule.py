"""Seed 1's words: what `rota schedule` asks of the API, and what it prints of the answer."""

from __future__ import annotations

import json

import pytest

from tests.cli.canned import (
    Canned,
    a_daemon,
    a_job,
    a_last_run,
    a_ledger_entry,
    a_run,
    ago,
    an_instance,
    in_utc,
)

CREATE = ("schedule", "create", "--name", "daily-backup", "--cron", "0 2 * * *", "--playbook", "backup")


@pytest.fixture
def daemon(daemon: Canned) -> Canned:
    daemon.on("POST", "/jobs", (201, a_job()))
    daemon.on("GET", "/jobs/daily-backup", (200, a_job()))
    daemon.on("GET", "/instance", (200, an_instance()))
    return daemon


def test_create_prints_the_id_the_rule_and_the_next_three(daemon: Canned) -> None:
    done = daemon.rota(*CREATE, "--target", "all")
    assert done.stdout == (
        'Schedule "daily-backup" created (ID: sched_a1b2c3d4)\n'
        "Cron: 0 2 * * * (Every day at 02:00)\n"
        "Next 3 runs:\n"
        "  2026-03-05 02:00:00 UTC\n"
        "  2026-03-06 02:00:00 UTC\n"
        "  2026-03-07 02:00:00 UTC\n"
    )
    assert (done.stderr, done.returncode) == ("", 0)


def test_create_sends_every_flag_of_seed_1_and_the_users_own_zone(daemon: Canned) -> None:
    daemon.rota(
        *CREATE, "--target", "group:webservers", "--var", "retention_days=30", "--var", "alert=a=b",
        "--overlap-policy", "skip", "--missed-run-policy", "run_once", "--description", "Check", "--enabled", "false",
        "--run-timeout", "1h30m", "--grace", "90s", TZ="Europe/Berlin",
    )  # fmt: skip
    assert daemon.asked("POST", "/jobs").body == {
        "name": "daily-backup",
        "description": "Check",
        "playbook": "backup",
        "target": "group:webservers",
        "vars": {"retention_days": "30", "alert": "a=b"},
        "overlap_policy": "skip",
        "missed_run_policy": "run_once",
        "enabled": False,
        "run_timeout_seconds": 5400.0,
        "grace_seconds": 90.0,
        "triggers": [{"kind": "cron", "expression": "0 2 * * *", "timezone": "Europe/Berlin"}],
    }


@pytest.mark.parametrize(
    ("flags", "trigger"),
    [
        (("--every", "20s"), {"kind": "interval", "every": "20s", "timezone": "Asia/Tokyo"}),
        (("--at", "2026-12-01 02:00"), {"kind": "once", "at": "2026-12-01 02:00", "timezone": "Asia/Tokyo"}),
        (("--manual",), {"kind": "manual"}),
    ],
)
def test_other_rules_than_cron_need_only_an_action(
    daemon: Canned, flags: tuple[str, ...], trigger: dict[str, str]
) -> None:
    done = daemon.rota("schedule", "create", "--name", "x", *flags, "--do", "shell: df -h", "--timezone", "Asia/Tokyo")
    assert done.returncode == 0
    assert daemon.asked("POST", "/jobs").body == {"name": "x", "do": "shell: df -h", "triggers": [trigger]}


@pytest.mark.parametrize(
    ("kind", "short", "line"),
    [
        ("interval", "every 20s", "Every: 20s (Every 20 seconds)"),
        ("once", "at 2026-12-01T02:00:00Z", "At: 2026-12-01T02:00:00Z (Every 20 seconds)"),
        ("manual", "manual", "Trigger: manual (Every 20 seconds)"),
    ],
)
def test_the_rule_has_the_label_of_its_kind(daemon: Canned, kind: str, short: str, line: str) -> None:
    job = a_job(triggers=[{"name": "main", "kind": kind}], trigger_short=short, trigger_text="Every 20 seconds")
    daemon.on("POST", "/jobs", (201, job))
    assert line in daemon.rota(*CREATE, "--target", "all").stdout.splitlines()


def test_a_reading_that_says_the_same_is_left_out(daemon: Canned) -> None:
    job = a_job(
        triggers=[{"name": "main", "kind": "manual"}], trigger_short="manual", trigger_text="Manual", next_runs=[]
    )
    daemon.on("POST", "/jobs", (201, job))
    assert daemon.rota(*CREATE, "--target", "all").stdout.splitlines()[1:] == [
        "Trigger: manual",
        "Next runs: none; start it with: rota schedule trigger daily-backup",
    ]


def test_times_of_another_zone_carry_their_utc_time_and_its_date_where_it_differs(daemon: Canned) -> None:
    moments = [
        {"at": "2026-11-22T07:00:00Z", "local": "2026-11-22 02:00:00 EST", "timezone": "America/New_York"},
        {"at": "2026-11-23T01:00:00Z", "local": "2026-11-22 20:00:00 EST", "timezone": "America/New_York"},
    ]
    daemon.on("POST", "/jobs", (201, a_job(next_runs=moments)))
    assert daemon.rota(*CREATE, "--target", "all").stdout.splitlines()[2:] == [
        "Next 2 runs:",
        "  2026-11-22 02:00:00 EST (07:00:00 UTC)",
        "  2026-11-22 20:00:00 EST (2026-11-23 01:00:00 UTC)",
    ]


def test_create_names_all_four_missing_flags_at_once(daemon: Canned) -> None:
    done = daemon.rota("schedule", "create")
    assert done.returncode == 2
    for flag in ("--name", "--cron", "--playbook", "--target"):
        assert f"  {flag}: missing" in done.stderr
    assert "Hint: rota schedule create --name" in done.stderr
    assert daemon.requests == []


def test_create_names_only_what_is_missing(daemon: Canned) -> None:
    done = daemon.rota(*CREATE)
    assert done.stderr.startswith("Error: --target: missing")
    assert "--cron" not in done.stderr.splitlines()[0]


def test_faults_the_user_can_see_are_all_named(daemon: Canned) -> None:
    done = daemon.rota(
        *CREATE, "--target", "all", "--do", "shell: x", "--manual", "--var", "novalue", "--grace", "soon",
        "--enabled", "maybe",
    )  # fmt: skip
    assert done.returncode == 2
    for part in (
        "--manual: does not go with --cron",
        "--do: does not go with --playbook",
        '"novalue"',
        '"soon"',
        "--enabled",
    ):
        assert part in done.stderr


def test_faults_the_server_finds_are_named_as_they_were_typed(daemon: Canned) -> None:
    errors = [
        {"field": "triggers[0].expression", "message": "hour 25", "expected": "0-23", "got": "25"},
        {"field": "triggers[0].timezone", "message": "unknown zone", "expected": "", "got": "X"},
        {"field": "overlap_policy", "message": "unknown policy", "expected": "skip", "got": "never"},
    ]
    problem = {"code": "invalid_input", "message": "3 faults", "hint": "look again", "expected": "", "errors": errors}
    daemon.on("POST", "/jobs", (422, problem))
    done = daemon.rota(*CREATE, "--target", "all", "--overlap-policy", "never")
    assert done.returncode == 2
    assert done.stderr == (
        "Error: 3 things are wrong\n"
        "  --cron: hour 25 (expected 0-23)\n"
        "  --timezone: unknown zone\n"
        "  --overlap-policy: unknown policy (expected skip)\n"
        "Hint: look again\n"
    )


def test_a_missing_playbook_and_a_missing_group_are_both_named_with_exit_4(daemon: Canned) -> None:
    errors = [
        {"field": "playbook", "message": "no playbook backup", "expected": "", "got": ""},
        {"field": "target", "message": "no group web", "expected": "", "got": ""},
    ]
    daemon.on("POST", "/jobs", (404, {"code": "not_found", "message": "2 missing", "errors": errors}))
    done = daemon.rota(*CREATE, "--target", "group:web")
    assert done.returncode == 4
    assert "--playbook: no playbook backup" in done.stderr
    assert "--target: no group web" in done.stderr


def test_create_says_when_nothing_will_fire(daemon: Canned) -> None:
    daemon.on("GET", "/instance", (200, an_instance(daemon=a_daemon(running=False, scheduling=False))))
    done = daemon.rota(*CREATE, "--target", "all")
    assert done.stderr == "Nothing will fire until a daemon runs: rota daemon\n"
    daemon.on("GET", "/instance", (200, an_instance(daemon=a_daemon(scheduling=False))))
    assert "schedule.enabled is false" in daemon.rota(*CREATE, "--target", "all").stderr


def test_a_dry_run_makes_nothing_and_says_so(daemon: Canned) -> None:
    done = daemon.rota(*CREATE, "--target", "all", "--dry-run")
    assert daemon.asked("POST", "/jobs").query == {"dry_run": "true"}
    assert done.stdout.startswith('Schedule "daily-backup" would be created\n')


def test_list_prints_the_daemon_and_the_six_columns_of_seed_1(daemon: Canned) -> None:
    jobs = [
        a_job(last_run=a_last_run("succeeded", at=ago(hours=2, minutes=1))),
        a_job(
            name="old-cleanup",
            trigger_short="0 3 1 * *",
            action_short="cleanup",
            target="tag:staging",
            enabled=False,
            last_run=a_last_run("failed", at=ago(days=14, hours=1)),
        ),
        a_job(name="fresh", target=None, last_run=None),
        a_job(name="halfway", last_run=a_last_run("partial", at=ago(minutes=3, seconds=5))),
    ]
    daemon.on("GET", "/jobs", (200, {"items": jobs, "next": None, "daemon": a_daemon()}))
    done = daemon.rota("schedule", "list")
    head, blank, titles, rule, *rows = done.stdout.splitlines()
    assert (head, blank) == ("Daemon: running (PID 48201)", "")
    assert titles.split("  ") != [titles]
    assert titles.split() == ["NAME", "CRON", "PLAYBOOK", "TARGET", "STATUS", "LAST", "RUN"]
    assert set(rule) == {"─"}
    assert [" ".join(row.split()) for row in rows] == [
        "daily-backup 0 2 * * * backup all enabled 2h ago OK",
        "old-cleanup 0 3 1 * * cleanup tag:staging disabled 14d ago FAIL",
        "fresh 0 2 * * * backup - enabled never",
        "halfway 0 2 * * * backup all enabled 3m ago PARTIAL",
    ]
    assert daemon.asked("GET", "/jobs").query["fields"] == "list"


def test_list_says_how_to_start_a_daemon_that_is_not_there(daemon: Canned) -> None:
    stopped = a_daemon(running=False, pid=None, started_at=None, scheduling=False)
    daemon.on("GET", "/jobs", (200, {"items": [a_job()], "next": None, "daemon": stopped}))
    done = daemon.rota("schedule", "list")
    assert done.stdout.startswith("Daemon: not running\nStart with: rota daemon\n\nNAME")


def test_an_empty_list_says_what_to_type_next(daemon: Canned) -> None:
    daemon.on("GET", "/jobs", (200, {"items": [], "next": None, "daemon": a_daemon()}))
    done = daemon.rota("schedule", "list")
    assert done.stdout == "Daemon: running (PID 48201)\n"
    assert "rota schedule create --name" in done.stderr


def test_a_schedule_that_was_due_once_is_hidden_until_all_are_asked_for(daemon: Canned) -> None:
    once = a_job(name="moved", triggers=[{"name": "main", "kind": "once", "at": "2020-01-01T00:00:00Z"}])
    daemon.on("GET", "/jobs", (200, {"items": [a_job(), once], "next": None, "daemon": a_daemon()}))
    done = daemon.rota("schedule", "list")
    assert "moved" not in done.stdout
    assert "--all" in done.stderr
    assert "moved" in daemon.rota("schedule", "list", "--all").stdout
    assert "moved" in daemon.rota("schedule", "list", "-o", "name").stdout


def test_a_thousand_and_one_schedules_come_in_pages_and_are_all_listed(daemon: Canned) -> None:
    def page(request):  # type: ignore[no-untyped-def]
        last = request.query.get("after") == "cursor"
        items = [a_job(name="last" if last else "first")]
        return 200, {"items": items, "next": None if last else "cursor", "daemon": a_daemon()}

    daemon.on("GET", "/jobs", page)
    assert daemon.rota("schedule", "list", "-o", "name").stdout == "first\nlast\n"


def test_show_prints_the_labels_of_seed_1_in_their_order(daemon: Canned) -> None:
    assert daemon.rota("schedule", "show", "daily-backup").stdout == (
        "Name:        daily-backup\n"
        "ID:          sched_a1b2c3d4\n"
        "Description: Nightly backup of all hosts\n"
        "Cron:        0 2 * * * (Every day at 02:00)\n"
        "Playbook:    backup\n"
        "Target:      all\n"
        "Enabled:     true\n"
        "Overlap:     skip\n"
        "Missed Run:  run_once\n"
        "Created By:  admin\n"
        "Created At:  2026-02-20T10:30:00Z\n"
        "Variables:\n"
        "  retention_days = 30\n"
        "\n"
        "Last Run: 2026-03-04T02:00:12Z (success)\n"
        "\n"
        "Next 5 runs:\n"
        "  2026-03-05 02:00:00 UTC\n"
        "  2026-03-06 02:00:00 UTC\n"
        "  2026-03-07 02:00:00 UTC\n"
        "  2026-03-08 02:00:00 UTC\n"
        "  2026-03-09 02:00:00 UTC\n"
    )


def test_show_names_a_zone_that_is_not_utc_and_limits_that_are_not_the_default(daemon: Canned) -> None:
    trigger = {"name": "main", "kind": "cron", "expression": "0 2 * * *", "timezone": "Asia/Tokyo"}
    daemon.on("GET", "/jobs/daily-backup", (200, a_job(triggers=[trigger], run_timeout_seconds=600)))
    shown = daemon.rota("schedule", "show", "daily-backup").stdout
    assert "Timezone:    Asia/Tokyo\n" in shown
    assert "Run Timeout: 10m\n" in shown
    assert "Grace" not in shown


def test_show_of_an_action_says_what_it_does(daemon: Canned) -> None:
    step = {"name": "shell", "action": "shell", "params": {"command": "df -h"}}
    job = a_job(playbook=None, steps=[step], vars={}, last_run=None, description="")
    daemon.on("GET", "/jobs/daily-backup", (200, job))
    shown = daemon.rota("schedule", "show", "daily-backup").stdout
    assert "Do:          shell: df -h\n" in shown
    assert "Variables:   -\n" in shown
    assert "Last Run: never\n" in shown


def test_a_disabled_schedule_has_no_next_runs_and_says_how_it_gets_them(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/daily-backup", (200, a_job(enabled=False, next_runs=[])))
    shown = daemon.rota("schedule", "show", "daily-backup").stdout
    assert "Next runs: none, as it is disabled (rota schedule enable daily-backup)\n" in shown


def test_history_prints_the_six_columns_of_seed_1_and_what_did_not_run(daemon: Canned) -> None:
    crashed = a_run(state="cancelled", reason="daemon_crashed", message="daemon crashed during execution")
    entries = [
        {"kind": "run", **a_run()},
        {"kind": "run", **a_run(duration_seconds=188.4)},
        {"kind": "run", **a_run(trigger="manual", duration_seconds=225)},
        {"kind": "run", **a_run(state="partial", hosts={"ok": 3, "total": 4}, duration_seconds=242)},
        a_ledger_entry(),
        a_ledger_entry(reason="missed", count=120),
        {"kind": "run", **crashed},
        {"kind": "run", **a_run(state="cancelled", reason="user_cancelled")},
        {"kind": "run", **a_run(state="timed_out", reason="run_timeout")},
    ]
    daemon.on("GET", "/history", (200, {"items": entries, "next": None}))
    done = daemon.rota("schedule", "history", "daily-backup")
    titles, rule, *rows = done.stdout.splitlines()
    assert titles.split() == ["STARTED", "SCHEDULE", "TRIGGER", "STATUS", "DURATION", "HOSTS"]
    assert set(rule) == {"─"}
    assert [" ".join(row.split()) for row in rows] == [
        "2026-03-04 02:00:01 daily-backup cron success 3m 12s 4/4",
        "2026-03-04 02:00:01 daily-backup cron success 3m 08s 4/4",
        "2026-03-04 02:00:01 daily-backup manual success 3m 45s 4/4",
        "2026-03-04 02:00:01 daily-backup cron partial_failure 4m 02s 3/4",
        "2026-03-03 02:00:00 daily-backup cron skipped (overlap_skip) - -",
        "2026-03-03 02:00:00 daily-backup cron missed ×120 - -",
        "2026-03-04 02:00:01 daily-backup cron cancelled (daemon crashed during execution) 3m 12s 4/4",
        "2026-03-04 02:00:01 daily-backup cron cancelled 3m 12s 4/4",
        "2026-03-04 02:00:01 daily-backup cron timed_out 3m 12s 4/4",
    ]
    assert daemon.asked("GET", "/history").query == {"job": "daily-backup", "limit": "20"}


def test_history_without_a_name_asks_for_all_and_takes_a_limit(daemon: Canned) -> None:
    daemon.on("GET", "/history", (200, {"items": [], "next": None}))
    done = daemon.rota("schedule", "history", "--limit", "5")
    assert daemon.asked("GET", "/history").query == {"limit": "5"}
    assert (done.stdout, done.returncode) == ("", 0)
    assert "rota schedule trigger NAME" in done.stderr


def test_update_sends_only_what_was_typed_and_prints_what_changed(daemon: Canned) -> None:
    changes = [
        {"field": "description", "old": "", "new": "Updated backup"},
        {"field": "enabled", "old": True, "new": False},
        {"field": "vars.keep", "old": None, "new": "9"},
    ]
    daemon.on("PATCH", "/jobs/daily-backup", (200, {"job": a_job(next_runs=in_utc(5, 6, 7, 8)), "changes": changes}))
    done = daemon.rota(
        "schedule", "update", "daily-backup", "--timezone", "Asia/Tokyo", "--description", "Updated backup",
        "--enabled", "false", "--var", "keep=9", "--unset-var", "old", "--name", "nightly",
    )  # fmt: skip
    assert daemon.asked("PATCH", "/jobs/daily-backup").body == {
        "name": "nightly",
        "description": "Updated backup",
        "vars": {"keep": "9", "old": None},
        "enabled": False,
        "timezone": "Asia/Tokyo",
    }
    assert done.stdout.splitlines()[:5] == [
        'Schedule "daily-backup" updated',
        "  description: - → Updated backup",
        "  enabled: true → false",
        "  vars.keep: - → 9",
        "Next 3 runs:",
    ]


def test_a_new_rule_keeps_the_zone_of_the_old_one_and_is_refused_if_that_changed(daemon: Canned) -> None:
    trigger = {"name": "main", "kind": "cron", "expression": "0 2 * * *", "timezone": "Asia/Tokyo"}
    daemon.on("GET", "/jobs/daily-backup", (200, a_job(triggers=[trigger], version=7)))
    daemon.on("PATCH", "/jobs/daily-backup", (412, {"code": "precondition", "message": "it is at version 8"}))
    done = daemon.rota("schedule", "update", "daily-backup", "--cron", "30 1 * * *", TZ="Europe/Berlin")
    asked = daemon.asked("PATCH", "/jobs/daily-backup")
    assert asked.body == {"triggers": [{"kind": "cron", "expression": "30 1 * * *", "timezone": "Asia/Tokyo"}]}
    assert asked.headers["if-match"] == '"7"'
    assert (done.stderr, done.returncode) == ("Error: it is at version 8\n", 5)


def test_an_update_of_nothing_is_a_usage_error(daemon: Canned) -> None:
    done = daemon.rota("schedule", "update", "daily-backup")
    assert (done.returncode, daemon.requests) == (2, [])
    assert "nothing to change" in done.stderr


@pytest.mark.parametrize("word", ["enable", "disable"])
def test_enable_and_disable_say_what_is_so_now(daemon: Canned, word: str) -> None:
    daemon.on("POST", f"/jobs/daily-backup/{word}", (200, a_job(enabled=word == "enable")))
    assert daemon.rota("schedule", word, "daily-backup").stdout.startswith(f'Schedule "daily-backup" {word}d\n')


def test_delete_without_a_terminal_is_refused_with_exit_7(daemon: Canned) -> None:
    daemon.on("GET", "/runs", (200, {"items": [a_run(), a_run()], "next": None}))
    done = daemon.rota("schedule", "delete", "daily-backup", stdin="y\n")
    assert done.returncode == 7
    assert "definition is gone for good and the name is free again; 2 runs stay in the history" in done.stderr
    assert "Hint: add --yes" in done.stderr


def test_delete_with_yes_asks_nothing(daemon: Canned) -> None:
    answer = {"deleted": "daily-backup", "id": a_job()["id"], "runs_kept": 12, "active_runs": 0}
    daemon.on("DELETE", f"/jobs/{a_job()['id']}", (200, answer))
    done = daemon.rota("schedule", "delete", "daily-backup", "--yes")
    assert (done.stdout, done.returncode) == ('Schedule "daily-backup" deleted; 12 runs stay until retention\n', 0)


@pytest.mark.parametrize("verb", ["enable", "disable", "delete"])
def test_a_dry_run_of_a_change_only_looks(daemon: Canned, verb: str) -> None:
    done = daemon.rota("schedule", verb, "daily-backup", "--dry-run")
    assert done.returncode == 0
    assert [request.method for request in daemon.requests] == ["GET"]


def test_jobs_is_the_same_group(daemon: Canned) -> None:
    assert daemon.rota("jobs", "show", "daily-backup").stdout.startswith("Name:        daily-backup")


@pytest.mark.parametrize(
    ("args", "key"),
    [
        (("show", "daily-backup", "--output", "json"), "trigger_text"),
        ((*CREATE[1:], "--target", "all", "-o", "json"), "trigger_text"),
        (("history", "-o", "json"), "items"),
        (("list", "--output", "json"), "daemon"),
        (("enable", "daily-backup", "-o", "json"), "next_runs"),
        (("disable", "daily-backup", "-o", "json"), "next_runs"),
        (("update", "daily-backup", "--description", "x", "-o", "json"), "changes"),
        (("delete", "daily-backup", "--yes", "-o", "json"), "runs_kept"),
    ],
)
def test_every_command_prints_the_apis_json(daemon: Canned, args: tuple[str, ...], key: str) -> None:
    daemon.on("GET", "/history", (200, {"items": [], "next": None}))
    daemon.on("GET", "/jobs", (200, {"items": [a_job()], "next": None, "daemon": a_daemon()}))
    daemon.on("POST", "/jobs/daily-backup/enable", (200, a_job()))
    daemon.on("POST", "/jobs/daily-backup/disable", (200, a_job()))
    daemon.on("PATCH", "/jobs/daily-backup", (200, {"job": a_job(), "changes": []}))
    deleted = {"deleted": "daily-backup", "id": a_job()["id"], "runs_kept": 1, "active_runs": 0}
    daemon.on("DELETE", f"/jobs/{a_job()['id']}", (200, deleted))
    assert key in json.loads(daemon.rota("schedule", *args).stdout)


def test_the_output_option_may_stand_before_the_command(daemon: Canned) -> None:
    assert json.loads(daemon.rota("-o", "json", "schedule", "show", "daily-backup").stdout)["name"] == "daily-backup"
    last_wins = daemon.rota("-o", "json", "schedule", "-o", "yaml", "show", "daily-backup", "-o", "name")
    assert last_wins.stdout == "daily-backup\n"


def test_name_prints_only_what_another_command_can_be_given(daemon: Canned) -> None:
    refused = {"kind": "ledger", "job": "x", "reason": "missed", "count": 1}
    daemon.on("GET", "/history", (200, {"items": [refused, {"kind": "run", **a_run()}], "next": None}))
    assert daemon.rota("schedule", "history", "-o", "name").stdout == "run_00112233aabbccdd\n"


def test_jsonl_and_name_print_a_line_for_each_item(daemon: Canned) -> None:
    jobs = [a_job(), a_job(name="other")]
    daemon.on("GET", "/jobs", (200, {"items": jobs, "next": None, "daemon": a_daemon()}))
    assert [json.loads(line) for line in daemon.rota("schedule", "list", "-o", "jsonl").stdout.splitlines()] == jobs
    assert daemon.rota("schedule", "list", "-o", "name").stdout == "daily-backup\nother\n"
