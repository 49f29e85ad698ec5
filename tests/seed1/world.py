"""The fleet, the playbooks and the past that seed 1's outputs suppose: four hosts, five playbooks, four days."""

from __future__ import annotations

import shlex
import sqlite3
import sys
from contextlib import closing

import pexpect

from rota.client.api import Body
from rota.domain.instant import DAY
from rota.domain.step import Json
from tests.support.daemon import Daemon, Home, Said, until

PLAYBOOKS = {
    "backup": "exec: test ! -e $TMPDIR/unreachable-{{ host.name }} && echo keeping {{ vars.retention_days }} days",
    "backup-v2": "exec: echo {{ vars.retention_days }}",
    "health-check": "exec: echo {{ vars.alert_threshold }} {{ vars.retention_days }}",
    "log-rotate": "exec: 'true'",
    "cleanup": "exec: 'false'",
}
VARIABLES = 'vars: {retention_days: "7", alert_threshold: "1"}\n'


class World:
    """A home with that fleet and a daemon. Commands are given as the document prints them."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.daemon = self._prepared()

    def _prepared(self) -> Daemon:
        folder = self.home.path / "playbooks"
        folder.mkdir()
        for name, step in PLAYBOOKS.items():
            (folder / f"{name}.yaml").write_text(f"name: {name}\n{VARIABLES}steps:\n  - name: work\n    {step}\n")
        daemon = self.home.daemon()  # which reads the playbooks
        for group in ("webservers", "production"):
            self.home.client.add_group({"name": group})
        for number in range(1, 5):
            groups: list[Json] = ["webservers", "production"] if number <= 2 else ["production"]
            tags: dict[str, Json] = {"staging": "yes"} if number == 4 else {}
            body: Body = {"name": f"web-{number}", "connector": "local", "groups": groups, "tags": tags}
            self.home.client.add_host(body)
        return daemon

    def type(self, command: str) -> Said:
        """Run a command line of the document; it must succeed."""
        said = self.home.rota(*shlex.split(command)[1:])
        assert said.code == 0, f"{command}\n{said.err}"
        return said

    def answer(self, command: str, answer: str) -> tuple[int, str]:
        """Type a command at a terminal, and `answer` to its question. Returns exit code and screen."""
        terminal = pexpect.spawn(
            sys.executable, ["-m", "rota", *shlex.split(command)[1:]], env=self.home.env(), timeout=60, encoding="utf-8"
        )  # fmt: skip
        terminal.expect(r"\[y/N\] ")
        asked = str(terminal.before)
        terminal.sendline(answer)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus is not None
        return terminal.exitstatus, asked + str(terminal.before)

    def a_night_passes(self) -> None:
        """The past moves back by a day while no daemon runs, so that the last 02:00 is still to be made up for; the
        daemon that starts then does that."""
        before = self._ended()
        assert self.daemon.stop() == 0
        with closing(sqlite3.connect(self.home.path / "rota.db")) as store:
            for column in ("nominal", "due_at", "created_at", "queued_at", "started_at", "finished_at"):
                store.execute(f"UPDATE run SET {column} = {column} - {DAY}")
            (trigger,) = store.execute(
                "SELECT t.id FROM trigger t JOIN job j ON j.id = t.job_id WHERE j.name = 'daily-backup'"
            ).fetchone()
            store.execute(
                "UPDATE due SET nominal = nominal - ?, fire_at = fire_at - ?, high_water = nominal - ? - 1"
                " WHERE trigger_id = ?",
                (DAY, DAY, DAY, trigger),
            )
            store.commit()
        self.daemon = self.home.daemon()
        until(lambda: self._ended() > before)

    def _ended(self) -> int:
        query = "SELECT count(*) AS n FROM run WHERE title = 'daily-backup' AND finished_at IS NOT NULL"
        return int(self.home.rows(query)[0]["n"])
