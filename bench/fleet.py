"""`fleet`: one command on N hosts over SSH, cold (no connection yet) and warm, beside other clients.

All hosts are addresses of this machine, served by OpenSSH's own sshd: so the server works on the same cores as the
client, and caps the hosts per second of all of them. What carries over to a real fleet is the client's CPU per host.
Every client may have as many hosts at work at once. Ansible and pyinfra are commands, and so is `rota run`; Fabric and
parallel-ssh are libraries in a process that lives on, timed from behind their imports: beside them a program that lives
on asks the daemon and follows its stream. Both of Rota's figures are of the whole: the daemon's rows, the output, and
the CPU of all its processes and of who asked.
"""

from __future__ import annotations

import itertools
import json
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from bench.daemon import Scratch, daemon, environment
from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed
from bench.machine import ROOT
from bench.peers import own, told
from bench.process import Cost
from rota.client.api import Client, Snapshot
from rota.client.unix import UnixTransport
from rota.demo.openssh import find
from rota.demo.sshd import Server, Setup, running
from rota.domain.inventory import Host
from rota.instance import Instance
from rota.usecases.shapes import Run

ROTA, ASKED = "rota run", "Rota's API"
ANSIBLE, PYINFRA, FABRIC, PARALLEL = "Ansible ad hoc", "pyinfra", "Fabric", "parallel-ssh"
COMMAND = "echo ok; uname -n"
AT_ONCE = 50
_SCRIPTS = ROOT / "bench" / "peers" / "fleet"
_LONGEST = 600
_SETTLE_SECONDS = 10.0  # a daemon has been up for a while when it gets work


@dataclass(frozen=True, slots=True)
class Fleet:
    """N addresses of one server, and what a client needs to log in there."""

    server: Server
    folder: Path
    addresses: Sequence[str]

    @property
    def key_file(self) -> Path:
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def describe(self) -> Path:
        """What the peers' scripts read."""
        path = self.folder / "fleet.json"
        facts = {
            "addresses": list(self.addresses), "port": self.server.port, "user": self.server.user, "at_once": AT_ONCE,
            "key_file": str(self.key_file), "known_hosts": str(self.known_hosts), "command": COMMAND,
        }  # fmt: skip
        path.write_text(json.dumps(facts))
        return path


def fleet(hosts: int) -> Bench:
    def prepare(scratch: Path, stack: ExitStack) -> Mapping[str, Turn]:
        bins = own.binaries(_SCRIPTS)
        site = servers(scratch, stack, hosts)
        numbers = itertools.count(1)
        return {
            ROTA: lambda: _rota(scratch / f"home-{next(numbers)}", site, _typed),
            ASKED: lambda: _rota(scratch / f"home-{next(numbers)}", site, _asked),
            ANSIBLE: lambda: _ansible(site, bins, scratch / f"ansible-{next(numbers)}"),
            PYINFRA: lambda: _pyinfra(site, bins),
            FABRIC: lambda: _script(site, bins, "with_fabric.py"),
            PARALLEL: lambda: _script(site, bins, "with_parallel_ssh.py"),
        }

    ten = Goal("at least", 10)
    level = Goal("at least", 1)
    least = Goal("at most", 1)
    return Bench(
        name="fleet",
        what=f"`{COMMAND}` on {hosts} hosts over SSH, {AT_ONCE} at once, sshd on the same cores",
        prepare=prepare,
        figures=[
            Figure("cold", "hosts/s", ROTA, ANSIBLE, ten),
            Figure("warm", "hosts/s", ROTA, ANSIBLE, ten),
            Figure("cold", "hosts/s", ROTA, PYINFRA, level),
            Figure("cold", "hosts/s", ASKED, FABRIC, level),
            Figure("warm", "hosts/s", ASKED, FABRIC, level),
            Figure("cold", "hosts/s", ASKED, PARALLEL, level),
            Figure("warm", "hosts/s", ASKED, PARALLEL, level),
            Figure("cold CPU", "ms/host", ROTA, ANSIBLE, least),
            Figure("cold CPU", "ms/host", ROTA, PYINFRA, least),
            Figure("cold CPU", "ms/host", ASKED, FABRIC, least),
        ],
        raised={"targets_at_once": f"{AT_ONCE} (default 10), as forks and pools of the others"},
    )


def servers(scratch: Path, stack: ExitStack, hosts: int) -> Fleet:
    """Start the servers of so many hosts; they end with the stack."""
    folder = scratch / "fleet"
    folder.mkdir(mode=0o700)
    key = asyncssh.generate_private_key("ssh-ed25519")
    (folder / "key").write_bytes(key.export_private_key())
    (folder / "key").chmod(0o600)
    addresses = [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(hosts)]
    (server,) = stack.enter_context(running(find(), Setup(addresses=addresses), key=key))
    line = server.host_key.export_public_key().decode().strip()
    (folder / "known_hosts").write_text("".join(f"[{address}]:{server.port} {line}\n" for address in addresses))
    return Fleet(server, folder, addresses)


def known_to_rota(scratch: Scratch, site: Fleet, hosts: int) -> None:
    """Make a scratch instance that knows so many hosts of the fleet, and trusts their keys."""
    scratch.configure()
    shutil.copy(site.known_hosts, scratch.home / "known_hosts")
    (scratch.home / "known_hosts").chmod(0o600)
    scratch.add_hosts(
        [
            Host(
                name=f"host-{number}", connector="ssh", address=site.addresses[number % len(site.addresses)],
                port=site.server.port, user=site.server.user, key_file=str(site.key_file),
            )
            for number in range(hosts)
        ]
    )  # fmt: skip


def _rota(home: Path, site: Fleet, ask: Callable[[Path], Run]) -> Sample:
    scratch = Scratch(home, 10)
    known_to_rota(scratch, site, len(site.addresses))
    with daemon(scratch) as running_daemon:
        time.sleep(_SETTLE_SECONDS)
        figures: dict[str, float] = {}
        for name in ("cold", "warm"):
            family = running_daemon.family()
            before, began = Cost.of(family).cpu_seconds + _own_cpu(), time.perf_counter()
            ended = ask(home)
            seconds = time.perf_counter() - began
            cpu = Cost.of(family).cpu_seconds + _own_cpu() - before
            if ended["state"] != "succeeded":
                bad = [f"{one['host']}: {one['message']}" for one in ended["targets"] if one["state"] != "succeeded"]
                raise TurnFailed(
                    f"{ended['hosts']['ok']} of {len(site.addresses)} hosts succeeded; {'; '.join(bad[:5])}"
                )
            figures |= _figures(site, name, seconds, cpu)
        return Sample(figures, {"resident MiB": round(Cost.of(running_daemon.family()).resident_mib)})


def _typed(home: Path) -> Run:
    """As a command."""
    argv = [
        sys.executable, "-m", "rota", "--home", str(home), "run", "--do", f"shell: {COMMAND}", "--target", "all",
        "--targets-at-once", str(AT_ONCE), "-o", "json",
    ]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_LONGEST, env=environment(), check=False)
    if not done.stdout:
        raise TurnFailed(f"rota run ended with {done.returncode}: {done.stderr[-500:]}")
    ended: Run = json.loads(done.stdout)
    return ended


def _asked(home: Path) -> Run:
    """As a program asks that lives on: all that `rota run` gets comes through the stream."""
    client = Client(UnixTransport(Instance(home=home, kind="option").socket))
    run = client.start_run({"do": f"shell: {COMMAND}", "target": "all", "targets_at_once": AT_ONCE})
    *_, last = (seen for seen in client.follow(run["id"]) if isinstance(seen, Snapshot))
    return last.run


def _ansible(site: Fleet, bins: Path, folder: Path) -> Sample:
    folder.mkdir()
    lines = [f"host-{number} ansible_host={address}" for number, address in enumerate(site.addresses)]
    (folder / "hosts").write_text("\n".join(lines) + "\n")
    ours = {
        "ANSIBLE_HOME": str(folder),
        "ANSIBLE_FORKS": str(AT_ONCE),
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_REMOTE_TMP": "/tmp/.ansible-${USER}/tmp",  # on the servers; each account its own
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_SSH_ARGS": f"-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={site.known_hosts}",
        "ANSIBLE_INTERPRETER_PYTHON": "/usr/bin/python3",
    }
    argv: list[str | Path] = [
        bins / "ansible", "all", "-i", folder / "hosts", "-m", "shell", "-a", COMMAND, "-u", site.server.user,
        "--private-key", site.key_file, "-e", f"ansible_port={site.server.port}",
    ]  # fmt: skip
    figures: dict[str, float] = {}
    try:
        for name in ("cold", "warm"):
            began, own = time.perf_counter(), _children_cpu()
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=_LONGEST, env=environment() | ours, check=False
            )
            seconds, cpu = time.perf_counter() - began, _children_cpu() - own
            good = len(re.findall(r"\| (?:CHANGED|SUCCESS)", done.stdout))
            if good != len(site.addresses):
                raise TurnFailed(f"{good} of {len(site.addresses)} hosts: {(done.stderr or done.stdout)[-500:]}")
            figures |= _figures(site, name, seconds, cpu)
    finally:
        for socket in (folder / "cp").glob("*"):
            subprocess.run(["ssh", "-O", "exit", "-S", socket, "x"], capture_output=True, check=False)
    return Sample(figures)


def _pyinfra(site: Fleet, bins: Path) -> Sample:
    inventory = site.folder / "inventory.py"
    each = [
        (
            address,
            {
                "ssh_port": site.server.port, "ssh_user": site.server.user, "ssh_key": str(site.key_file),
                "ssh_known_hosts_file": str(site.known_hosts), "ssh_strict_host_key_checking": "yes",
            },
        )
        for address in site.addresses
    ]  # fmt: skip
    inventory.write_text(f"hosts = {each!r}\n")
    began, own = time.perf_counter(), _children_cpu()
    argv: list[str | Path] = [bins / "pyinfra", "-y", "--parallel", str(AT_ONCE), inventory, "exec", "--", COMMAND]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=_LONGEST, env=environment(), cwd=site.folder, check=False
    )
    seconds, cpu = time.perf_counter() - began, _children_cpu() - own
    if done.returncode:
        raise TurnFailed(f"pyinfra ended with {done.returncode}: {(done.stderr or done.stdout)[-500:]}")
    return Sample(_figures(site, "cold", seconds, cpu))


def _script(site: Fleet, bins: Path, name: str) -> Sample:
    figures: dict[str, float] = {}
    for kind, got in told(name, [bins / "python", _SCRIPTS / name, site.describe()], within=_LONGEST).items():
        if got["good"] != len(site.addresses):
            raise TurnFailed(f"{name}, {kind}: {got['good']} of {len(site.addresses)} hosts")
        figures |= _figures(site, kind, got["seconds"], got["cpu"])
    return Sample(figures)


def _figures(site: Fleet, kind: str, seconds: float, cpu: float) -> dict[str, float]:
    count = len(site.addresses)
    return {kind: count / seconds, f"{kind} CPU": cpu * 1000 / count}


def _own_cpu() -> float:
    """Of this process and those it has waited for."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime + _children_cpu()


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
