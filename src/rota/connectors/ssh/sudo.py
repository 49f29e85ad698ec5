"""Acting as another account on a host: by sudo(8), with the password only where sudo asks for it, and only once.

The password never stands in a command. sudo is told to ask with words that nobody can guess (`-p`); when they come,
the password is sent. When they come again, it was wrong: stdin ends, and sudo with it, before more tries could lock the
account.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from rota.actions.exec import AS_ROOT
from rota.connectors.ssh.credentials import Secret
from rota.domain.inventory import Host
from rota.domain.step import Command

ROOT: Final = "root"

# $0 is the account. Who is that account already needs no sudo, and small images have none.
_CHOOSE = (
    'case $0 in root) [ "$(id -u)" -eq 0 ] && exec "$@" ;; *) [ "$(id -un)" = "$0" ] && exec "$@" ;; esac; '
    'command -v sudo >/dev/null 2>&1 || { echo "sudo is not installed"; exit 127; }; _u=$0; '
)
_ASKS_NOBODY = 'exec sudo -n -H -u "$_u" -- "$@"'
_ASKS_US = '_q=$1; shift; exec sudo -S -p "$_q" -H -u "$_u" -- "$@"'


@dataclass(frozen=True, slots=True)
class Elevation:
    """Whom a command is to become, and what sudo may be told of us."""

    account: str
    password: Secret | None = None

    def argv(self, prompt: str) -> tuple[str, ...]:
        """What stands before the command. `prompt` is what sudo asks with; empty: it must not ask."""
        if not prompt:
            return ("/bin/sh", "-c", _CHOOSE + _ASKS_NOBODY, self.account)
        return ("/bin/sh", "-c", _CHOOSE.replace('exec "$@"', '{ shift; exec "$@"; }') + _ASKS_US, self.account, prompt)


def as_asked(command: Command) -> Command:
    """The same command with `run_as: root` in place of the words by which actions ask for root."""
    asked = ("/bin/sh", "-c", AS_ROOT, "sudo")
    if command.argv[:4] != asked:
        return command
    return replace(command, argv=command.argv[4:], run_as=ROOT)


def elevation_of(command: Command, host: Host, password: Callable[[Host, str], Secret]) -> Elevation | None:
    """Whom `command` is to become; None: nobody else. `password` reads the file that the host names for sudo.

    Raises what `password` raises.
    """
    if command.run_as is None or command.run_as == host.user:
        return None
    if host.sudo_password_file is None:
        return Elevation(command.run_as)
    return Elevation(command.run_as, password(host, host.sudo_password_file))
