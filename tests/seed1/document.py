"""Seed 1's commands and the outputs printed under them, in the order of the document, with `rota` for `nefia`.

Where Rota's output differs, the example has a deviation with its reason. Compared after collapsing white space and
replacing ids, PIDs, users, instants, ages and durations (`normal`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Deviation:
    """`ours` stands where the document has `printed` (both with white space collapsed)."""

    printed: str
    ours: str
    reason: str


@dataclass(frozen=True)
class Example:
    """`output` is empty where the document prints none: then only the exit code is looked at."""

    command: str
    rows: tuple[str, ...]
    output: str = ""
    deviations: tuple[Deviation, ...] = ()


def rows(*numbers: int) -> tuple[str, ...]:
    return tuple(f"S1-{number:03}" for number in numbers)


ORDER = "rows are ordered by name, so that a list of a thousand can be read"
TARGET = "the document's own create example says group:webservers; the saved text is printed"

CREATE = (
    Example(
        'rota schedule create --name daily-backup --cron "0 2 * * *" --playbook backup --target all',
        rows(1, 3, 5, 7, 12, 13, 14, 15, 18),
        """
        Schedule "daily-backup" created (ID: sched_a1b2c3d4)
        Cron: 0 2 * * * (Every day at 02:00)
        Next 3 runs:
          2026-03-05 02:00:00 UTC
          2026-03-06 02:00:00 UTC
          2026-03-07 02:00:00 UTC
        """,
    ),
    Example(
        'rota schedule create --name web-health --cron "*/5 * * * *" --playbook health-check'
        ' --target group:webservers --timezone "America/New_York" --var retention_days=30 --var alert_threshold=5'
        ' --overlap-policy skip --missed-run-policy run_once --description "Check web server health every 5 minutes"',
        rows(9, 16, 17, 19, 20, 21, 22),
    ),
)

LIST_RUNNING = Example(
    "rota schedule list",
    rows(23, 24, 25, 26, 27, 28, 29, 30, 52),
    """
    Daemon: running (PID 48201)

    NAME          CRON         PLAYBOOK      TARGET       STATUS    LAST RUN
    ────────────────────────────────────────────────────────────────────────
    daily-backup  0 2 * * *    backup        all          enabled   2h ago OK
    web-health    */5 * * * *  health-check  group:web    enabled   3m ago OK
    rotate-logs   0 0 * * 0    log-rotate    all          enabled   2d ago OK
    old-cleanup   0 3 1 * *    cleanup       tag:staging  disabled  14d ago FAIL
    """,
    (
        Deviation(
            "web-health */5 * * * * health-check group:web enabled AGE OK"
            " rotate-logs 0 0 * * 0 log-rotate all enabled AGE OK"
            " old-cleanup 0 3 1 * * cleanup tag:staging disabled AGE FAIL",
            "old-cleanup 0 3 1 * * cleanup tag:staging disabled AGE FAIL"
            " rotate-logs 0 0 * * 0 log-rotate all enabled AGE OK"
            " web-health */5 * * * * health-check group:web enabled AGE OK",
            ORDER,
        ),
        Deviation("group:web ", "group:webservers ", TARGET),
    ),
)

LIST_STOPPED = Example(
    "rota schedule list",
    rows(31),
    """
    Daemon: not running
    Start with: rota daemon

    NAME          CRON         PLAYBOOK      TARGET       STATUS    LAST RUN
    ...
    """,
)

SHOW = Example(
    "rota schedule show daily-backup",
    rows(32, 33, 34, 35, 36, 37, 38),
    """
    Name:        daily-backup
    ID:          sched_a1b2c3d4
    Description: Nightly backup of all hosts
    Cron:        0 2 * * * (Every day at 02:00)
    Playbook:    backup
    Target:      all
    Enabled:     true
    Overlap:     skip
    Missed Run:  run_once
    Created By:  admin
    Created At:  2026-02-20T10:30:00Z
    Variables:
      retention_days = 30

    Last Run: 2026-03-04T02:00:12Z (success)

    Next 5 runs:
      2026-03-05 02:00:00 UTC
      2026-03-06 02:00:00 UTC
      2026-03-07 02:00:00 UTC
      2026-03-08 02:00:00 UTC
      2026-03-09 02:00:00 UTC
    """,
)

UPDATE = (
    Example('rota schedule update daily-backup --cron "30 1 * * *"', rows(40, 44, 45)),
    Example("rota schedule update daily-backup --playbook backup-v2 --target group:production", rows(41, 45)),
    Example('rota schedule update daily-backup --timezone "Asia/Tokyo" --description "Updated backup"', rows(42, 45)),
    Example("rota schedule update daily-backup --overlap-policy skip --missed-run-policy run_once", rows(43)),
    Example("rota schedule disable daily-backup", rows(49)),
    Example("rota schedule enable daily-backup", rows(50)),
)

DELETE = Example("rota schedule delete daily-backup", rows(53, 54))

HISTORY = (
    Example(
        "rota schedule history daily-backup",
        rows(57, 58, 59, 60, 61, 69, 76),
        """
        STARTED              SCHEDULE      TRIGGER  STATUS           DURATION  HOSTS
        ────────────────────────────────────────────────────────────────────────────
        2026-03-04 02:00:01  daily-backup  cron     success          3m 12s    4/4
        2026-03-03 02:00:00  daily-backup  cron     success          3m 08s    4/4
        2026-03-02 14:30:10  daily-backup  manual   success          3m 45s    4/4
        2026-03-01 02:00:00  daily-backup  cron     partial_failure  4m 02s    3/4
        """,
    ),
    Example("rota schedule history", rows(62)),
    Example("rota schedule history daily-backup --limit 5", rows(63)),
)

TRIGGER = Example("rota schedule trigger daily-backup", rows(65, 66, 68))

POLICIES = (
    Example(
        'rota schedule create --name critical-backup --cron "0 */6 * * *" --playbook backup --target all'
        " --overlap-policy cancel_running --missed-run-policy run_once",
        rows(77),
    ),
    Example("rota schedule update critical-backup --overlap-policy skip --missed-run-policy skip", rows(46, 47, 78)),
)

BANNER = Example(
    "rota daemon",
    rows(80, 86, 88),
    """
    Rota daemon started
    PID: 48201
    Schedules: 3 active
    Next run: daily-backup at 2026-03-05 02:00 UTC
    """,
    (
        Deviation(
            "at INSTANT UTC",
            "at INSTANT UTC Dashboard sync: not signed in",
            "a line more says that nothing is synced (issue 2 §9)",
        ),
    ),
)

DAEMON_RUN = Example("rota daemon run", rows(87))
INSTALL = Example("rota daemon install", rows(91))

SETTINGS = """
schedule:
  enabled: true
  sync_interval_sec: 300
  retention_days: 90
  max_concurrent_schedules: 5
"""

JSON = (
    Example("rota schedule list --output json", rows(112, 113)),
    Example("rota schedule show daily-backup --output json", rows(112, 114)),
    Example("rota schedule history daily-backup --output json", rows(112, 115)),
)

QUICK_REFERENCE = (
    "rota schedule create", "rota schedule list", "rota schedule show", "rota schedule update", "rota schedule delete",
    "rota schedule enable", "rota schedule disable", "rota schedule history", "rota schedule trigger", "rota daemon",
    "rota daemon run", "rota daemon install",
)  # fmt: skip

ALL = (
    *CREATE, LIST_RUNNING, LIST_STOPPED, SHOW, *UPDATE, DELETE, *HISTORY, TRIGGER, *POLICIES, BANNER, DAEMON_RUN,
    INSTALL, *JSON,
)  # fmt: skip

_REPLACED = (
    (r"\bsched_[0-9a-f]{8}\b", "sched_ID"),
    (r"PID:? \d+", "PID"),
    (r"Created By: \S+", "Created By: USER"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?", "INSTANT"),
    (r"Next run: \S+ at", "Next run: JOB at"),  # the soonest, and that depends on the hour of the day
    (r"\b\d+[smhdw] ago|\bjust now\b", "AGE"),
    (r"\b\d+[hm] \d\d[ms]\b|\b\d+(\.\d+)?m?s\b", "DURATION"),
    (r"─+", " "),
)


def normal(text: str) -> str:
    """`text` without what differs from one machine and moment to the next."""
    for pattern, word in _REPLACED:
        text = re.sub(pattern, word, " ".join(text.split()))
    return " ".join(text.split())


def expected(example: Example) -> str:
    """What Rota prints for an example, by the document and its deviations. Each deviation must be one."""
    text = normal(example.output)
    for deviation in example.deviations:
        assert deviation.printed in text, f"{example.command} does not print {deviation.printed!r}"
        text = text.replace(deviation.printed, deviation.ours, 1)
    return text.removesuffix(" ...")
