"""A real HTTP server on a real unix socket with canned answers of API v1: what the CLI's printers are tested on."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from rota.domain.policy import FIELDS as POLICY_FIELDS
from tests.support.warm import run_rota

Json = Any
ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Json
    headers: dict[str, str]


@dataclass
class Events:
    """A stream of server-sent events. A callable among them is called instead of sent: it may wait."""

    events: list[tuple[str, Json] | Callable[[], object]]


Answer = tuple[int, Json] | Events | Callable[[Request], "tuple[int, Json] | Events"]


@dataclass
class Canned:
    """Answers by (method, path without /api/v1); `requests` keeps what was asked."""

    home: Path
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def on(self, method: str, path: str, answer: Answer) -> None:
        self.answers[(method, path)] = answer

    def asked(self, method: str, path: str) -> Request:
        """The last request of that kind."""
        return [r for r in self.requests if (r.method, r.path) == (method, path)][-1]

    def rota(self, *args: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run `rota` in a child process, as a user does, with this server's instance."""
        return rota(*args, home=self.home, stdin=stdin, **env)


def environment(home: Path, **env: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "ROTA_HOME": str(home),
        "TZ": "UTC",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": f"{SRC}:{ROOT}",
        **env,
    }


def rota(*args: str, home: Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    ended = run_rota(args, env=environment(home, **env), typed=stdin, seconds=60)
    return subprocess.CompletedProcess(args, ended.code, ended.out, ended.err)


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    canned: Canned


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        request = Request(
            self.command,
            parts.path.removeprefix("/api/v1"),
            dict(parse_qsl(parts.query)),
            json.loads(body) if body else None,
            {name.lower(): value for name, value in self.headers.items()},
        )
        canned = self.server.canned
        canned.requests.append(request)
        missing = (404, {"code": "not_found", "message": f"nothing canned for {request.method} {request.path}"})
        answer = canned.answers.get((request.method, request.path), missing)
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Events):
            self._stream(answer)
        else:
            self._send(*answer)

    def _send(self, status: int, value: Json) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, stream: Events) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in stream.events:
            if callable(event):
                event()
                continue
            name, data = event
            number = f"id: {data['seq']}\n" if name == "output" else ""
            try:
                self.wfile.write(f"event: {name}\n{number}data: {json.dumps(data)}\n\n".encode())
                self.wfile.flush()
            except OSError:
                return  # the client has left

    do_PUT = do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - names that http.server looks for

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Silence: the tests look at what was asked themselves."""


@contextmanager
def serving(home: Path) -> Iterator[Canned]:
    home.mkdir(parents=True, exist_ok=True)
    canned = Canned(home)
    with _Server(str(home / "rota.sock"), _Handler) as server:
        server.canned = canned
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield canned
        finally:
            server.shutdown()
            thread.join()


def ago(**span: float) -> str:
    """An instant before now, as the API writes it."""
    return (datetime.now(UTC) - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_daemon(**changes: Json) -> Json:
    return {"running": True, "pid": 48201, "started_at": "2026-03-04T00:00:00Z", "scheduling": True, **changes}


def an_instance(**changes: Json) -> Json:
    return {
        "version": "0.1.0",
        "home": "/home/ada/.local/share/rota",
        "database": "sqlite",
        "instance_id": "00" * 8,
        "in_process": False,
        "daemon": a_daemon(),
        "jobs": {"total": 4, "enabled": 3},
        "next": {"job": "daily-backup", "at": "2026-03-05T02:00:00Z"},
        "clock": {"doubt": None, "ahead_seconds": None, "last_change": None},
        "zone": "UTC",
        "zone_data": "2026b (system)",
        **changes,
    }


def in_utc(*days: int) -> list[Json]:
    return [
        {"at": f"2026-03-{day:02}T02:00:00Z", "local": f"2026-03-{day:02} 02:00:00 UTC", "timezone": "UTC"}
        for day in days
    ]


def a_job(**changes: Json) -> Json:
    return {
        "id": "sched_a1b2c3d4e5f60718",
        "name": "daily-backup",
        "description": "Nightly backup of all hosts",
        "enabled": True,
        "version": 2,
        "target": "all",
        "vars": {"retention_days": "30"},
        "triggers": [{"name": "main", "kind": "cron", "expression": "0 2 * * *", "timezone": "UTC"}],
        "triggers_in_words": [{"name": "main", "short": "0 2 * * *", "text": "Every day at 02:00"}],
        "steps": [{"name": "backup", "action": "playbook", "params": {"playbook": "backup"}}],
        "overlap_policy": "skip",
        "missed_run_policy": "run_once",
        **dict.fromkeys(POLICY_FIELDS),
        "grace_seconds": 60,
        "run_timeout_seconds": 3600,
        "targets_at_once": 10,
        "priority": 0,
        "on_offline": "fail",
        "lock_hosts": False,
        "throttle": None,
        "batch": None,
        "batch_pause_seconds": 0.0,
        "max_fail": None,
        "start_at": None,
        "end_at": None,
        "max_runs": None,
        "tags": {},
        "spread_seconds": 0.0,
        "jitter_seconds": 0.0,
        "calendars": [],
        "attached_calendars": [],
        "windows": [],
        "paused": None,
        "created_by": "admin",
        "created_at": "2026-02-20T10:30:00Z",
        "updated_by": "admin",
        "updated_at": "2026-02-21T10:30:00Z",
        "trigger_short": "0 2 * * *",
        "trigger_text": "Every day at 02:00",
        "action_short": "backup",
        "playbook": "backup",
        "next_runs": in_utc(5, 6, 7, 8, 9),
        "last_run": a_last_run("succeeded", at="2026-03-04T02:00:12.5Z"),
        "active_runs": 0,
        **changes,
    }


def a_last_run(state: str, *, at: str) -> Json:
    return {
        "id": "run_00112233aabbccdd",
        "state": state,
        "reason": None,
        "started_at": at,
        "finished_at": at,
        "trigger": "cron",
    }


def a_run(**changes: Json) -> Json:
    return {
        "id": "run_00112233aabbccdd",
        "job": "daily-backup",
        "job_id": "sched_a1b2c3d4e5f60718",
        "job_version": 2,
        "title": "daily-backup",
        "trigger": "cron",
        "catch_up": False,
        "state": "succeeded",
        "reason": None,
        "message": None,
        "waiting_for": None,
        "priority": 0,
        "nominal_at": "2026-03-04T02:00:00Z",
        "due_at": "2026-03-04T02:00:00Z",
        "created_at": "2026-03-04T02:00:00Z",
        "queued_at": "2026-03-04T02:00:01Z",
        "started_at": "2026-03-04T02:00:01.25Z",
        "finished_at": "2026-03-04T02:03:13.25Z",
        "duration_seconds": 192.0,
        "principal": "admin",
        "rerun_of": None,
        "cancel_requested_at": None,
        "hosts": {"ok": 4, "total": 4},
        "targets_by_state": {"succeeded": 4},
        **changes,
    }


def a_target(host: str, state: str, **changes: Json) -> Json:
    ended = state not in ("queued", "running")
    return {
        "id": "tgt_" + "0" * 16,
        "host": host,
        "state": state,
        "reason": None,
        "message": None,
        "step": None,
        "changed": None,
        "started_at": None if state == "queued" else "2026-03-04T02:00:01Z",
        "finished_at": "2026-03-04T02:00:05Z" if ended else None,
        "attempts": [],
        **changes,
    }


def a_plan(*steps: str) -> Json:
    return {
        "digest": "5f" * 32,
        "steps": [{"name": name, "action": "shell", "params": {"command": f"do {name}"}} for name in steps],
        "vars": {},
    }


def output(seq: int, host: str, text: str, *, step: str = "s", cut: int = 0) -> tuple[str, Json]:
    return (
        "output",
        {"seq": seq, "host": host, "step": step, "attempt": 1, "offset": 0, "text": text, "cut": cut},
    )


def a_ledger_entry(**changes: Json) -> Json:
    return {
        "kind": "ledger",
        "job": "daily-backup",
        "trigger": "cron",
        "reason": "overlap_skip",
        "message": "the previous run was still unfinished",
        "first_at": "2026-03-03T02:00:00Z",
        "last_at": "2026-03-03T02:00:00Z",
        "count": 1,
        "at": "2026-03-03T02:00:00Z",
        "blocked_by": "run_00112233aabbccdd",
        **changes,
    }
