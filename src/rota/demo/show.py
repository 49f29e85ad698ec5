"""`rota demo`, `make run`: Rota at work on a scratch instance, from an empty folder to a green run in seconds.

Three OpenSSH servers and a daemon are started as children of this process, with two example jobs over the three hosts;
what runs is shown line by line until Ctrl-C, which ends them all and takes the folder away.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from types import FrameType

from rota.cli import times
from rota.cli.badhosts import told
from rota.cli.lines import Lines
from rota.cli.words import UNFINISHED, painted, status_word
from rota.client.api import Body, Client
from rota.client.unix import UnixTransport
from rota.demo.fleet import GROUP, Fleet, three_hosts, why_not
from rota.domain.errors import Unavailable
from rota.instance import Instance
from rota.localzone import local_zone_name
from rota.usecases.shapes import Run

OK = 0

# /tmp where the system's own choice is long (macOS): a socket's path has room for some 100 characters.
_LONGEST_TMP = 60
_LOOK_EVERY_SECONDS = 0.5
_START_SECONDS = 30
_STOP_SECONDS = 30
_SETTINGS = """\
shutdown_grace_seconds: 5  # it is a demo: nobody should wait for its end
ssh: {idle_seconds: 5}     # less than between two runs: an sshd that ends leaves its connections alone
"""

_COLUMNS = (20, 14, 10, 15, 9)


def run() -> int:
    """Show Rota at work until Ctrl-C (or SIGTERM); return the exit code. Leaves no process and no folder."""
    with _told_to_stop() as stop, _scratch() as instance, ExitStack() as stack:
        fleet = _fleet(instance, stack)
        daemon = stack.enter_context(_daemon(instance, stop))
        client = Client(UnixTransport(instance.socket))
        if fleet is not None:
            fleet.enrol(client)
            _say(f"Three hosts on this machine, each an OpenSSH server; together they are group:{GROUP}")
            _say(*fleet.told(), "")
        for job in _jobs("all" if fleet is None else f"group:{GROUP}"):
            created = client.create_job(job)
            _say(f'Schedule "{created["name"]}" created: {created["trigger_text"]}, on {created["target"]}')
        first = client.trigger_job("report")
        _say("", "Running report once right away, and then every 20 s. Ctrl-C ends the demo.", "")
        _show_history(client, first["id"], instance, daemon, stop, fleet)
    _say("", "The demo has ended; its daemon and its folder are gone.")
    return OK


def _fleet(instance: Instance, stack: ExitStack) -> Fleet | None:
    try:
        return stack.enter_context(three_hosts(instance))
    except Unavailable as error:
        _say(*why_not(error), "")
        return None


def _jobs(target: str) -> tuple[Body, ...]:
    return (
        {
            "name": "report",
            "description": "Ask each host every 20 seconds how it is",
            "triggers": [{"kind": "interval", "every": "20s"}],
            "playbook": "report",
            "target": target,
        },
        {
            "name": "daily-backup",
            "description": "Nightly backup",
            "triggers": [{"kind": "cron", "expression": "0 2 * * *", "timezone": local_zone_name()}],
            "playbook": "backup",
            "target": target,
        },
    )


def _show_history(
    client: Client,
    first: str,
    instance: Instance,
    daemon: subprocess.Popen[str],
    stop: threading.Event,
    fleet: Fleet | None,
) -> None:
    """Print each run as it ends, and after the first what to type next; until told to stop."""
    _say(_row("STARTED (UTC)", "SCHEDULE", "TRIGGER", "STATUS", "DURATION", "HOSTS"))
    shown: set[str] = set()
    while not stop.is_set():
        if daemon.poll() is not None:
            raise Unavailable(f"the demo's daemon ended by itself (exit code {daemon.returncode})")
        for finished in _newly_finished(client, shown):
            _say(_line(finished), *_troubles(client, finished))
            shown.add(finished["id"])
            if finished["id"] == first:
                _say("", *_written(client, first), "", *_what_next(instance, fleet), "")
        stop.wait(_LOOK_EVERY_SECONDS)


def _newly_finished(client: Client, shown: set[str]) -> list[Run]:
    """Return the runs that ended since last time, oldest first."""
    runs = client.runs(limit=20)["items"]
    return [run for run in reversed(runs) if run["state"] not in UNFINISHED and run["id"] not in shown]


def _line(run: Run) -> str:
    cells = (
        times.utc(run["started_at"]),
        run["title"],
        run["trigger"],
        status_word(run["state"]),
        times.duration(run["duration_seconds"]),
        f"{run['hosts']['ok']}/{run['hosts']['total']}",
    )
    row = _row(*cells)
    colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    word = status_word(run["state"])
    return row.replace(word, painted(word, run["state"]), 1) if colours else row


def _row(*cells: str) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, _COLUMNS, strict=False)]
    return "  ".join([*padded, cells[-1]])


def _troubles(client: Client, run: Run) -> Iterator[str]:
    """Which hosts went wrong and why."""
    if run["hosts"]["ok"] < run["hosts"]["total"]:
        yield from told(client.run(run["id"]).get("targets", []), width=shutil.get_terminal_size().columns)


def _written(client: Client, run: str) -> Iterator[str]:
    """What the last step of a run wrote, a line for each host."""
    lines = Lines(harmless=True)
    pieces = [piece for piece in client.output(run) if piece["step"] == "report"]
    written = [line for piece in pieces for line in lines.feed(piece)]
    yield from (f"  {line}" for line in [*written, *lines.end()])


def _what_next(instance: Instance, fleet: Fleet | None) -> list[str]:
    rota = _own_name()
    lines = [
        "Now try, in another terminal:",
        f"  export ROTA_HOME={instance.home}",
        f"  {rota} schedule list",
        f"  {rota} schedule history",
        f"  {rota} schedule trigger daily-backup",
        f"  {rota} why report",
        f"  {rota} run --do 'shell: uptime' --target all",
    ]
    if fleet is not None:
        lines += [f"  {rota} hosts list", f"  kill {fleet.servers['web-2'].pids[0]}    # web-2 goes down: see report"]
    return lines


def _own_name() -> str:
    """How this very Rota is called from a shell: `rota` where that finds it, else a path."""
    script = Path(sys.executable).with_name("rota")
    found = shutil.which("rota")
    if found and Path(found).resolve() == script.resolve():
        return "rota"
    return os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script)


@contextmanager
def _scratch() -> Iterator[Instance]:
    """Give an instance in a folder of its own, with the example playbooks; the folder goes at the end."""
    base = tempfile.gettempdir()
    home = Path(tempfile.mkdtemp(prefix="rota-demo-", dir=base if len(base) < _LONGEST_TMP else "/tmp"))  # noqa: S108
    try:
        instance = Instance(home=home, kind="option")
        instance.prepare()
        instance.config.write_text(_SETTINGS)
        for playbook in resources.files("rota").joinpath("examples", "playbooks").iterdir():
            if playbook.name.endswith(".yaml"):
                (instance.playbooks_dir / playbook.name).write_bytes(playbook.read_bytes())
        _say(f"A scratch instance in {home}; nothing of it outlives this demo.", "")
        yield instance
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _daemon(instance: Instance, stop: threading.Event) -> Iterator[subprocess.Popen[str]]:
    """Run the instance's daemon, up and with its banner shown; at the end it is told to stop, and has."""
    said = instance.logs_dir / "daemon.err"
    with said.open("w") as errors:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "rota", "daemon", "run"],
            env={**_environment(os.environ), "ROTA_HOME": str(instance.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # Ctrl-C goes to a terminal's whole foreground group: the daemon is to hear of it from us, once.
            start_new_session=True,
        )
    try:
        _show_banner(daemon, said, stop)
        yield daemon
    finally:
        _end(daemon)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Ours, less what would send the demo to another instance or give it other settings."""
    return {name: value for name, value in environ.items() if not name.startswith("ROTA_")}


def _show_banner(daemon: subprocess.Popen[str], said: Path, stop: threading.Event) -> None:
    patience = threading.Timer(_START_SECONDS, daemon.terminate)
    patience.start()
    try:
        assert daemon.stdout is not None
        for line in daemon.stdout:
            _say(f"  {line.rstrip()}")
            if line.startswith("Dashboard sync"):
                _say("")
                return
    finally:
        patience.cancel()
    if not stop.is_set():
        daemon.wait()
        reason = said.read_text().strip() or f"exit code {daemon.returncode}"
        raise Unavailable(f"the demo's daemon did not start: {reason[-2000:]}")


def _end(daemon: subprocess.Popen[str]) -> None:
    daemon.terminate()
    try:
        daemon.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.communicate()


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C, SIGTERM and a closed terminal set, instead of what they do otherwise."""
    stop = threading.Event()

    def told(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201 - this is what the demo is for
