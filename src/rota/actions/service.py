"""`service`: start, stop and the like, through whatever manages services on the host; says whether it changed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from rota.actions.commands import environment, read_exit
from rota.actions.exec import AS_ROOT
from rota.actions.spec import ActionSpec, OnHost, Params
from rota.domain.step import Command, Exit, StepContext, StepResult
from rota.templating.quoting import Quoting

_CHANGED, _UNCHANGED = "rota: changed", "rota: unchanged"

# $1 is the service, $2 the action: values come as arguments, never as text of the script.
SCRIPT = r"""
name=$1
action=$2
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
  active() { systemctl is-active --quiet -- "$name"; }
  enabled() { systemctl is-enabled --quiet -- "$name"; }
  act() { systemctl "$1" -- "$name"; }
  show() { systemctl status --no-pager -- "$name"; }
elif [ "$(uname -s)" = Darwin ]; then
  active() { launchctl print "system/$name" 2>/dev/null | grep -q 'state = running'; }
  enabled() { ! launchctl print-disabled system | grep -Fq "\"$name\" => disabled"; }
  act() {
    case $1 in
      start) launchctl kickstart "system/$name" ;;
      stop) launchctl kill TERM "system/$name" ;;
      restart) launchctl kickstart -k "system/$name" ;;
      reload) launchctl kill HUP "system/$name" ;;
      *) launchctl "$1" "system/$name" ;;
    esac
  }
  show() { launchctl print "system/$name"; }
elif command -v service >/dev/null 2>&1; then
  active() { service "$name" status >/dev/null 2>&1; }
  enabled() { ls /etc/rc[2-5].d/S[0-9][0-9]"$name" >/dev/null 2>&1; }
  act() {
    case $1 in
      enable) update-rc.d "$name" defaults ;;
      disable) update-rc.d "$name" disable ;;
      *) service "$name" "$1" ;;
    esac
  }
  show() { service "$name" status; }
else
  echo "no service manager found: expected systemctl, launchctl or service" >&2
  exit 127
fi
unchanged() { echo 'rota: unchanged'; exit 0; }
case $action in
  status) show; code=$?; echo 'rota: unchanged'; exit "$code" ;;
  start|started) active && unchanged; act start ;;
  stop|stopped) active || unchanged; act stop ;;
  enable) enabled && unchanged; act enable ;;
  disable) enabled || unchanged; act disable ;;
  *) act "$action" ;;
esac && echo 'rota: changed'
"""


class ServiceParams(Params):
    """`start` and `started` mean the same, as do `stop` and `stopped`: nothing is done where it is so already."""

    name: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@:\\-]*$", max_length=200),
        Field(description="name of the service: letters, digits and _.@:-"),
    ]
    action: Literal["start", "stop", "restart", "reload", "enable", "disable", "status", "started", "stopped"]
    sudo: Annotated[bool, Field(description="act as root, through `sudo -n` unless already root")] = False


def order(params: ServiceParams, context: StepContext) -> Command:
    inner = ("/bin/sh", "-c", SCRIPT, "rota-service", params.name, params.action)
    argv = ("/bin/sh", "-c", AS_ROOT, "sudo", *inner) if params.sudo else inner
    return Command(argv=argv, env=environment(context, {}))


def read(params: ServiceParams, ended: Exit) -> StepResult:
    """`changed` by the last line of the output."""
    last = ended.output.decode(errors="replace").strip().rsplit("\n", 1)[-1]
    return read_exit(ended, changed={_CHANGED: True, _UNCHANGED: False}.get(last))


SERVICE = ActionSpec(
    kind="service",
    summary="Start, stop, restart, reload, enable, disable or show a service",
    example={"name": "cron", "action": "started"},
    params=ServiceParams,
    work=OnHost(order, read),
    templates={"name": Quoting.PLAIN},
)
