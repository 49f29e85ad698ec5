"""`rota daemon`: the process that makes schedules fire."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Literal

import click

from rota.cli import times
from rota.cli.command import Group
from rota.cli.emit import emit
from rota.cli.session import Session, out, say
from rota.cli.texts import labelled
from rota.client.api import Client
from rota.client.unix import UnixTransport
from rota.domain.errors import Unavailable
from rota.domain.instant import SECOND, format_duration

if TYPE_CHECKING:
    from rota.instance import Instance
    from rota.usecases.shapes import Instance as Info

_STOP_SECONDS = 75.0  # a shutdown may take 60 s (seed 1), and some more to write its end
_PAUSE_SECONDS = 0.1
_TOLD_SKEW_SECONDS = 2.0
_NOT_RUNNING = 6
_PLATFORMS = ("systemd", "launchd")


@click.group("daemon", cls=Group, invoke_without_command=True, example="rota daemon\nrota daemon status")
@click.pass_context
def daemon(context: click.Context) -> int | None:
    """Run the daemon in the foreground (the same as: rota daemon run), or look after it.

    It makes schedules fire, until Ctrl-C or SIGTERM. One daemon serves an instance.
    """
    return _run(context.ensure_object(Session)) if context.invoked_subcommand is None else None


@daemon.command("run", example="rota daemon run")
@click.pass_obj
def run(session: Session) -> int:
    """Run the daemon in the foreground, until Ctrl-C or SIGTERM."""
    return _run(session)


@daemon.command("install", example="rota daemon install > ~/.config/systemd/user/rota.service")
@click.option(
    "--platform",
    type=click.Choice(_PLATFORMS),
    default="launchd" if sys.platform == "darwin" else "systemd",
    show_default=True,
    help="For which service manager.",
)
@click.option("--print", "print_only", is_flag=True, help="Print the definition and no advice.")
@click.pass_obj
def install(session: Session, platform: Literal["systemd", "launchd"], print_only: bool) -> None:
    """Print a service definition that runs the daemon from boot or login on."""
    from rota.daemon.units import render

    out(render(platform, session.instance).rstrip("\n"))
    if sys.stdout.isatty() and not print_only:
        say("\nNothing was installed. To install it:")
        say("\n".join(f"  {command}" for command in _how_to_install(platform)))


def _how_to_install(platform: Literal["systemd", "launchd"]) -> tuple[str, str]:
    """Root's service is the system's, anybody else's is their own."""
    from rota.daemon.units import save_path

    root = os.geteuid() == 0
    path = save_path(platform, as_root=root)
    systemctl = "systemctl" if root else "systemctl --user"
    start = {
        "systemd": f"{systemctl} daemon-reload && {systemctl} enable --now rota",
        "launchd": f"launchctl load {path}",
    }
    return f"rota daemon install > {path}", start[platform]


@daemon.command("status", example="rota daemon status")
@click.pass_obj
def status(session: Session) -> int:
    """Say whether the daemon runs, and what it is about to do. The exit code is 6 where none runs."""
    instance = session.instance
    info = _ask(instance)
    if info is None:
        pid = instance.daemon_pid()
        answer = {"daemon": {"running": pid is not None, "pid": pid, "answers": False}}
        emit(session, answer, people=lambda: out("\n".join(_silence(instance, pid))))
        return _NOT_RUNNING
    emit(session, info, people=lambda: out("\n".join(labelled(_status_rows(info)))), name="instance_id")
    return 0


@daemon.command("ping", example="rota daemon ping && echo up")
@click.pass_obj
def ping(session: Session) -> int:
    """Ask the daemon for a sign of life. The exit code is 0 if it answers, else 6."""
    instance = session.instance
    info = _ask(instance)
    if info is None:
        say("\n".join(_silence(instance, instance.daemon_pid())))
        return _NOT_RUNNING
    emit(session, info["daemon"], people=lambda: out(f"The daemon answers (PID {info['daemon']['pid']})"), name="pid")
    return 0


@daemon.command("stop", example="rota daemon stop")
@click.pass_obj
def stop(session: Session) -> int:
    """Stop the daemon, and wait until it has: it cancels its runs, and takes up to a minute."""
    instance = session.instance
    pid = instance.daemon_pid()
    if pid is None:
        say("No daemon runs here; nothing to stop.")
        return 0
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass  # gone by itself meanwhile
    except PermissionError as error:
        raise Unavailable(
            f"the daemon (PID {pid}) belongs to another user", hint="as that user: rota daemon stop"
        ) from error
    deadline = time.monotonic() + _STOP_SECONDS
    while instance.daemon_pid() == pid:
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the daemon (PID {pid}) has not ended within {_STOP_SECONDS:.0f} s", hint="rota daemon status"
            )
        time.sleep(_PAUSE_SECONDS)
    out(f"Daemon stopped (PID {pid})")
    return 0


def _run(session: Session) -> int:
    from rota.daemon.main import run as run_daemon

    return run_daemon(session.instance)


def _ask(instance: Instance) -> Info | None:
    """What the daemon says of itself; None where none answers."""
    transport = UnixTransport(instance.socket)
    return Client(transport).instance() if transport.answers() else None


def _silence(instance: Instance, pid: int | None) -> list[str]:
    if pid is None:
        return ["Daemon: not running", "Start with: rota daemon"]
    return [f"Daemon: running (PID {pid}), but it does not answer on {instance.socket}"]


def _clock_rows(info: Info) -> list[tuple[str, str]]:
    """What is to be said of the clock; nothing where it was never set and is the database's."""
    clock = info["clock"]
    rows, change, ahead = [], clock["last_change"], clock["ahead_seconds"]
    if clock["doubt"] is not None:
        rows.append(f"{clock['doubt']}: nothing is begun until it is set right (or trust_clock: true in rota.yaml)")
    elif change is not None:
        rows.append(f"{change['message']} ({times.utc(change['at'])} UTC)")
    if ahead is not None and abs(ahead) >= _TOLD_SKEW_SECONDS:
        where = "behind" if ahead > 0 else "ahead of"
        rows.append(f"{format_duration(round(abs(ahead) * SECOND))} {where} the database's, which decides")
    return [("Clock", row) for row in rows]


def _status_rows(info: Info) -> list[tuple[str, str]]:
    daemon, upcoming, full = info["daemon"], info["next"], info.get("disk_full_since")
    return [
        ("Daemon", f"running (PID {daemon['pid']})"),
        ("Since", f"{times.utc(daemon['started_at'])} UTC"),
        ("Scheduling", "on" if daemon["scheduling"] else "off (schedule.enabled in rota.yaml)"),
        *_clock_rows(info),
        *([("Disk", f"full since {times.utc(full)} UTC: nothing new is begun, until there is room")] if full else []),
        ("Schedules", f"{info['jobs']['enabled']} active of {info['jobs']['total']}"),
        ("Next run", f"{upcoming['job']} at {times.utc(upcoming['at'])} UTC" if upcoming else "none"),
        ("Time zones", info["zone_data"]),
        ("Home", info["home"]),
        ("Database", info["database"]),
        ("Version", info["version"]),
    ]
