"""Which test holds each statement of seed 1 (`statements.txt`), and which statements later issues owe."""

from __future__ import annotations

from pathlib import Path

from tests.seed1 import document

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def statements() -> dict[str, str]:
    """Row id of the parity checklist → the statement."""
    lines = (HERE / "statements.txt").read_text().splitlines()
    return {number: statement for number, _, statement in (line.partition("  ") for line in lines)}


def walked() -> set[str]:
    """What the walk through the document shows."""
    return {row for example in document.ALL for row in example.rows} | {"S1-116"}


_LIFE = "tests/scenario/test_daemon_life.py::"
_TRIGGER = "tests/scenario/test_trigger.py::"
_ROWS = "tests/seed1/test_rows.py::"
_MISSED = f"{_LIFE}test_what_was_missed_while_no_daemon_ran_is_one_span_that_why_explains"
_SKIPPED = f"{_TRIGGER}test_a_trigger_while_the_previous_run_is_unfinished_is_skipped_with_exit_9"
_STOPPED = f"{_LIFE}test_a_stop_cancels_running_work_records_it_and_ends_in_a_moment"

TESTED: dict[str, str] = {
    "S1-002": f"{_ROWS}test_the_four_typical_jobs_are_there_as_playbooks_that_run",
    "S1-006": "tests/cli/test_schedule.py::test_create_names_all_four_missing_flags_at_once",
    "S1-008": f"{_ROWS}test_a_target_picks_the_same_hosts_wherever_it_is_written",
    "S1-010": f"{_ROWS}test_a_target_picks_the_same_hosts_wherever_it_is_written",
    "S1-011": f"{_ROWS}test_a_target_picks_the_same_hosts_wherever_it_is_written",
    "S1-039": f"{_ROWS}test_every_subcommand_takes_the_name_or_the_id",
    "S1-048": f"{_ROWS}test_enabled_is_changed_by_update_too",
    "S1-051": "tests/engine/test_time.py::test_a_disabled_job_does_not_fire_until_it_is_enabled",
    "S1-055": f"{_ROWS}test_what_is_deleted_with_yes_is_gone_its_name_is_free_and_its_runs_stay",
    "S1-056": f"{_ROWS}test_what_is_deleted_with_yes_is_gone_its_name_is_free_and_its_runs_stay",
    "S1-064": f"{_ROWS}test_history_shows_twenty_unless_told_otherwise",
    "S1-067": f"{_TRIGGER}test_a_disabled_job_can_be_triggered_and_why_says_that_it_is_disabled",
    "S1-070": f"{_ROWS}test_a_window_that_comes_while_the_previous_run_executes_is_skipped",
    "S1-071": f"{_ROWS}test_a_window_that_comes_while_the_previous_run_executes_is_skipped",
    "S1-072": f"{_TRIGGER}test_three_runs_of_an_allow_job_go_side_by_side_and_the_fourth_is_skipped",
    "S1-073": "tests/scenario/test_process_trees.py::"
    "test_a_replaced_run_leaves_no_process_and_its_successor_starts_after_its_end",
    "S1-074": _MISSED,
    "S1-075": _MISSED,
    "S1-079": _MISSED,
    "S1-089": _STOPPED,
    "S1-090": "tests/daemon/test_daemon.py::test_a_second_daemon_names_the_first_and_exits_6",
    "S1-092": f"{_ROWS}test_the_launchd_definition_can_be_redirected_into_its_file",
    "S1-093": f"{_ROWS}test_the_launchd_definition_can_be_redirected_into_its_file",
    "S1-094": f"{_ROWS}test_the_launchd_definition_can_be_redirected_into_its_file",
    "S1-095": "tests/daemon/test_daemon.py::test_while_it_stops_it_can_be_looked_at_but_not_changed",
    "S1-096": _STOPPED,
    "S1-097": f"{_LIFE}test_a_stop_waits_no_longer_than_its_grace_for_what_ignores_term",
    "S1-098": _STOPPED,
    "S1-099": "tests/fault/test_keeper_and_daemon_deaths.py::"
    "test_a_request_that_died_with_the_daemon_is_cancelled_and_says_so",
    "S1-100": "tests/fault/test_kill_at_failpoints.py::"
    "test_whatever_step_a_daemon_dies_at_nothing_is_lost_doubled_or_unknown",
    "S1-107": "tests/unit/settings/test_settings.py::test_the_block_of_seed_1_is_accepted_as_printed",
    "S1-108": f"{_LIFE}test_with_scheduling_off_the_daemon_starts_and_says_so_and_nothing_fires",
    "S1-109": "tests/fault/test_broken_settings.py::"
    "test_every_fault_of_the_settings_is_told_at_once_with_its_line",
    "S1-110": f"{_LIFE}test_history_older_than_its_keep_goes_when_a_daemon_starts",
    "S1-111": f"{_LIFE}test_the_run_that_finds_no_slot_waits_says_so_and_runs_later",
    "S1-112": f"{_ROWS}test_every_schedule_command_speaks_json",
    "S1-127": f"{_ROWS}test_the_reference_names_every_command_and_flag_of_a_schedule",
}  # fmt: skip

_DASHBOARD = "dashboard and its sync: the page issue"
_SERVICES = "background services: the services issue"
_AGENTS = "MCP: the agents issue"

OWED: dict[str, str] = {
    "S1-004": _DASHBOARD,
    "S1-081": f"VPN monitoring, {_SERVICES}",
    "S1-082": f"host sync, {_SERVICES}",
    "S1-083": "idle sweep of SSH connections: with SSH itself, the fleet issue",
    "S1-084": f"key rotation, {_SERVICES}",
    "S1-085": f"hot reload of rota.yaml, {_SERVICES}",
    **{f"S1-{number}": _DASHBOARD for number in range(101, 107)},
    **{f"S1-{number}": _AGENTS for number in range(117, 127)},
    "S1-128": "backup and restore (a neighbouring page of the document): the durability issue",
    "S1-129": "teams (a neighbouring page of the document): the page issue",
}
