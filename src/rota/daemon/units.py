"""What `rota daemon install` prints: a service definition for systemd or launchd.

Both keep the daemon running, start it again 5 s after a crash, and never kill its children with it: those belong
to the keeper, which outlives the daemon (`docs`: reference keeper §7), and the next daemon adopts them.
"""

from __future__ import annotations

import os
import plistlib
import sys
from pathlib import Path
from typing import Literal, assert_never

from rota.domain.errors import InvalidInput
from rota.instance import Instance

Platform = Literal["systemd", "launchd"]

LABEL = "rota.daemon"  # of the launchd job; also the name to save it under
_AFTER_GRACE_SECONDS = 30  # to write the final states and close, before the service manager loses patience

_SYSTEMD = """\
# {save_as}
# Printed by `rota daemon install`. To start it now and at every {moment}:
#   rota daemon install > {save_as}
#   {systemctl} daemon-reload && {systemctl} enable --now rota
[Unit]
Description=Rota, the operations scheduler
Documentation=man:systemd.service(5)
{order}# Started again 5 s after a crash, but given up after the fifth in ten minutes.
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=exec
{user}Environment={environment}
ExecStart={command}
Restart=always
RestartSec=5
# 2 = rota.yaml is wrong, 7 = refused: starting again would change nothing.
RestartPreventExitStatus=2 7

# Only the daemon is signalled. The commands it started belong to its keeper: after a crash or an upgrade they go
# on, and the next daemon adopts them. On an ordinary stop the daemon ends them itself (`on_shutdown: cancel`).
# After a restart systemd logs "Found left-over process … Ignoring": that is the keeper, and it is meant.
KillMode=process
# The {grace} s that running work gets to end (`shutdown_grace_seconds`), and time to record how it did.
TimeoutStopSec={stop_timeout}
# One command killed for want of memory does not stop the scheduler.
OOMPolicy=continue
# The keeper may put commands into control groups of their own, and there may be many.
Delegate=yes
TasksMax=infinity

# Nothing else is tightened here, on purpose. NoNewPrivileges=, ProtectSystem=, PrivateTmp=,
# CapabilityBoundingSet= and the like would bind the commands you schedule as well: sudo, package updates and
# backups would fail. The daemon keeps its own files to itself: mode 0700, and no network port is open.
# What a command needs less of, a drop-in can take away: {systemctl} edit rota

[Install]
WantedBy={wanted_by}
"""


def render(
    platform: Platform,
    instance: Instance,
    *,
    python: str = sys.executable,
    as_root: bool | None = None,
    grace_seconds: int = 60,
) -> str:
    """Return the service definition that runs this instance's daemon with this Python.

    For root (`as_root`; None = whoever asks) it is a system service, else one of the user's own. `grace_seconds`
    is the instance's `shutdown_grace_seconds`; the manager waits longer than that. Raises InvalidInput where a
    path has a line break, which neither format can hold.
    """
    if as_root is None:
        as_root = os.geteuid() == 0
    for path in (str(instance.home), python):
        if not path.isprintable():
            raise InvalidInput(f"the path {path!r} cannot stand in a service definition", expected="printable text")
    match platform:
        case "systemd":
            return _systemd(instance, python, as_root, grace_seconds)
        case "launchd":
            return _launchd(instance, python, grace_seconds)
        case _:
            assert_never(platform)


def this_platform() -> Platform:
    """The service manager to expect on this machine."""
    return "launchd" if sys.platform == "darwin" else "systemd"


def save_path(platform: Platform, *, as_root: bool) -> str:
    """Where the definition belongs."""
    if platform == "launchd":
        return f"/Library/LaunchDaemons/{LABEL}.plist" if as_root else f"~/Library/LaunchAgents/{LABEL}.plist"
    return "/etc/systemd/system/rota.service" if as_root else "~/.config/systemd/user/rota.service"


def _systemd(instance: Instance, python: str, as_root: bool, grace_seconds: int) -> str:
    owner = instance.owner_uid
    # A user's manager has neither the targets to wait for nor a choice of user.
    order = "Wants=network-online.target\nAfter=network-online.target time-sync.target\n" if as_root else ""
    user = f"User={owner}\n" if as_root and owner else ""
    return _SYSTEMD.format(
        save_as=save_path("systemd", as_root=as_root),
        moment="boot" if as_root else "login (at boot after: loginctl enable-linger)",
        systemctl="systemctl" if as_root else "systemctl --user",
        order=order,
        user=user,
        environment=_quoted(f"ROTA_HOME={instance.home}"),
        command=" ".join(_quoted(word).replace("$", "$$") for word in _command(python)),
        grace=grace_seconds,
        stop_timeout=grace_seconds + _AFTER_GRACE_SECONDS,
        wanted_by="multi-user.target" if as_root else "default.target",
    )


def _launchd(instance: Instance, python: str, grace_seconds: int) -> str:
    log = str(instance.logs_dir / "daemon.log")
    definition = {
        "Label": LABEL,
        "ProgramArguments": _command(python),
        "EnvironmentVariables": {"ROTA_HOME": str(instance.home)},
        "WorkingDirectory": str(Path("/")),
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": 5,
        "AbandonProcessGroup": True,  # the keeper and its children outlive the daemon
        "ExitTimeOut": grace_seconds + _AFTER_GRACE_SECONDS,
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    return plistlib.dumps(definition, sort_keys=False).decode()


def _command(python: str) -> list[str]:
    return [python, "-m", "rota", "daemon", "run"]


def _quoted(word: str) -> str:
    """Quote a word for a unit file (systemd.syntax(7), and % as in systemd.unit(5), "Specifiers")."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
