"""OpenSSH servers on loopback, run as ordinary processes: the fleet of `rota demo` and of the tests.

A server has its own host key, home folder and environment, and one account that one key opens. Started by an ordinary
user it logs that user in. Started by root it is an account of its own that nobody else can see, since only this server
is shown a passwd file with one line more: nothing on the machine changes.
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from rota.demo.openssh import OpenSsh, name_service_wrapper
from rota.domain.errors import Unavailable

ACCOUNT = "rota-demo"  # whom a server started by root logs in
_ACCOUNT_ID = 54_321
_ADDRESSES_EACH = 16  # sshd listens on no more (MAX_LISTEN_SOCKS)
_START_SECONDS = 20
_STOP_SECONDS = 5
_TRIES = 5  # ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a server is to be. `options` are lines of sshd_config, in place of ours for the same keyword."""

    addresses: Sequence[str] = ("127.0.0.1",)
    port: int | None = None  # None = one that is free on all of them
    environment: Mapping[str, str] = field(default_factory=dict)  # of every session
    shell: str = "/bin/sh"  # the login shell; only where root starts the server
    password: str | None = None  # opens the account too; only where root starts the server
    sftp: bool = True
    options: Sequence[str] = ()


class Server:
    """One server. `start` and `stop` may alternate: address, port, host key and home stay until `remove`.

    `home` is where sessions begin: what is put there tells one server from another.
    """

    def __init__(self, ssh: OpenSsh, setup: Setup, *, key: asyncssh.SSHKey) -> None:
        """`key` opens the account, by its public half. `host_key` may be replaced before a start."""
        self.is_root = os.geteuid() == 0
        if setup.password is not None and not self.is_root:
            raise Unavailable("only an sshd that root starts can check a password", hint="leave `password` out")
        self.setup = setup
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.user = ACCOUNT if self.is_root else pwd.getpwuid(os.geteuid()).pw_name
        self.port = setup.port or 0
        # In /tmp and open to be entered: the account must come to its home, whoever owns the folder we work in.
        self.folder = Path(tempfile.mkdtemp(prefix="rota-sshd-"))
        self.home = self.folder / "home"
        self._ssh, self._key = ssh, key
        self._listeners: list[_Listener] = []
        self._said: list[str] = []
        self._lay_out()

    def start(self) -> None:
        """Return when it listens on all addresses. Raises Unavailable with sshd's own words."""
        for left in range(_TRIES, 0, -1):
            chosen = self.port or _free_port(self.setup.addresses)
            try:
                self._listen(chosen)
            except Unavailable:
                self.stop()
                if self.port or left == 1:  # else somebody took that port meanwhile
                    raise
            else:
                self.port = chosen
                return

    def stop(self) -> None:
        """End the server, its connections and whatever they left running. Calling it again does nothing."""
        below = _descendants(listener.pid for listener in self._listeners)
        self.cut()
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.end()
        for left in below, _processes_of(self.home), _processes_of(self.home):  # one that just begins is seen later
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for listener in listeners:
            listener.hear_out()

    def remove(self) -> None:
        """Stop, and take its folder away."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pids(self) -> list[int]:
        """The processes that listen; to end them takes the server down, and leaves its connections alone."""
        return [listener.pid for listener in self._listeners]

    def connections(self) -> list[int]:
        """The processes that serve one connection each, now."""
        listeners = {listener.pid for listener in self._listeners}
        return [pid for pid, parent in _parents().items() if parent in listeners]

    def cut(self) -> None:
        """End all connections as a pulled plug does: at once. What runs for them goes on."""
        for pid in self.connections():
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # sshd's own processes: commands have groups of their own

    @property
    def log(self) -> str:
        """What sshd has said so far."""
        return "".join(self._said)

    def put(self, name: str, content: str | bytes, *, mode: int = 0o644) -> Path:
        """Write a file into the home, as one of the account's own."""
        path = self.home / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        self._give(path)
        return path

    # Inside

    def _listen(self, port: int) -> None:
        (self.folder / "host_key").write_bytes(self.host_key.export_private_key())
        for start in range(0, len(self.setup.addresses), _ADDRESSES_EACH):
            addresses = self.setup.addresses[start : start + _ADDRESSES_EACH]
            config = self.folder / f"sshd_config.{start // _ADDRESSES_EACH}"
            config.write_text(self._config(addresses, port))
            argv = [*self._as_account(), str(self._ssh.sshd), "-D", "-e", "-f", str(config)]
            self._listeners.append(_Listener(argv, self._ssh.environment, self._said, listens_on=len(addresses)))
        until = time.monotonic() + _START_SECONDS
        for listener in self._listeners:
            listener.wait(until - time.monotonic())

    def _lay_out(self) -> None:
        self.folder.chmod(0o755)
        self.home.mkdir()
        private = self.folder / "host_key"
        private.touch(mode=0o600)
        (self.folder / "authorized_keys").write_bytes(self._key.export_public_key())
        if self.is_root:
            number = str(_ACCOUNT_ID)
            entry = [ACCOUNT, _hashed(self.setup.password), number, number, "", str(self.home), self.setup.shell]
            known = Path("/etc/passwd").read_text().rstrip()
            (self.folder / "passwd").write_text(f"{known}\n{':'.join(entry)}\n")
        self._give(self.home)
        self._give(private)

    def _give(self, path: Path) -> None:
        if self.is_root:
            os.chown(path, _ACCOUNT_ID, _ACCOUNT_ID)

    def _as_account(self) -> list[str]:
        """What stands before sshd's own command where root starts it: a passwd file of our own, then its account.

        In a mount namespace; in a container that forbids those, by a library that answers for /etc/passwd.
        """
        if not self.is_root:
            return []
        if not all(map(shutil.which, ("unshare", "setpriv"))):
            raise Unavailable(
                "to start an OpenSSH server that changes nothing here, root needs unshare and setpriv (util-linux)",
                hint="or start this as an ordinary user",
            )
        passwd = str(self.folder / "passwd")
        account = [f"--reuid={_ACCOUNT_ID}", f"--regid={_ACCOUNT_ID}", "--clear-groups", "--"]
        if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode == 0:
            script = 'mount --bind "$0" /etc/passwd && exec setpriv "$@"'
            return ["unshare", "--mount", "sh", "-c", script, passwd, *account]
        wrapper = f"LD_PRELOAD={name_service_wrapper()}"
        return ["setpriv", *account, "env", wrapper, f"NSS_WRAPPER_PASSWD={passwd}", "NSS_WRAPPER_GROUP=/etc/group"]

    def _config(self, addresses: Sequence[str], port: int) -> str:
        environment = {"HOME": str(self.home), **self.setup.environment}
        said = {option.split()[0] for option in self.setup.options}
        lines = [
            *(f"ListenAddress {_bracketed(address)}:{port}" for address in addresses),
            f"HostKey {self.folder}/host_key",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            f"AllowUsers {self.user}",
            f"PasswordAuthentication {'yes' if self.setup.password else 'no'}",
            "KbdInteractiveAuthentication no",
            "PidFile none",
            "StrictModes no",  # the folder lies in one that everybody may write to
            "UsePAM no",
            "UseDNS no",
            "PrintMotd no",
            "PrintLastLog no",
            "X11Forwarding no",
            "AllowAgentForwarding no",
            "MaxStartups 2000",
            "MaxSessions 100",
            "LogLevel INFO",  # says when it listens
            "SetEnv " + " ".join(f'"{name}={value}"' for name, value in environment.items()),
            *(f"{option} {path}" for option, path in self._ssh.helpers()),
        ]
        if self.setup.sftp:
            lines.append("Subsystem sftp internal-sftp")
        if self._ssh.version >= (9, 8):
            lines.append("PerSourcePenalties no")  # everybody comes from one address
        kept = [line for line in lines if line.split()[0] not in said]  # of some options the last one would count
        return "\n".join([*self.setup.options, *kept, ""])


@contextmanager
def running(ssh: OpenSsh, *setups: Setup, key: asyncssh.SSHKey) -> Iterator[tuple[Server, ...]]:
    """Run servers until the context ends; then nothing is left of them."""
    with ExitStack() as stack:
        servers = []
        for setup in setups:
            server = Server(ssh, setup, key=key)
            stack.callback(server.remove)
            server.start()
            servers.append(server)
        yield tuple(servers)


class _Listener:
    """One sshd process. Its words are read all along, so that it never waits for us."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], said: list[str], *, listens_on: int
    ) -> None:
        """`said` is where its words go, line by line; `listens_on` how many addresses it is to listen on."""
        self._said = said
        self._awaited = listens_on
        self._settled = threading.Event()
        self._process = subprocess.Popen(
            argv,
            env={"PATH": os.environ.get("PATH", os.defpath), **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, seconds: float) -> None:
        """Wait until it listens everywhere. Raises Unavailable."""
        self._settled.wait(max(0.0, seconds))
        if self._awaited > 0:
            said = "; ".join(line.strip() for line in self._said[-5:])
            raise Unavailable(f"sshd did not start: {said or 'it said nothing'}")

    def end(self) -> None:
        """End it, and only it: sshd leaves its connections alone."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def hear_out(self) -> None:
        """Read its last words. They end when its connections have."""
        self._reader.join(_STOP_SECONDS)

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._said.append(line)
                if line.startswith("Server listening on"):
                    self._awaited -= 1
                    if self._awaited == 0:
                        self._settled.set()
        self._settled.set()  # it ended


def _free_port(addresses: Sequence[str]) -> int:
    """A port that was free on all of these addresses a moment ago."""
    while True:
        port = random.randrange(20_000, 32_000)  # below those that the kernel gives to clients  # noqa: S311
        if all(_is_free(address, port) for address in addresses):
            return port


def _is_free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _hashed(password: str | None) -> str:
    """The password as crypt(3) has it; `*`, which none matches, where there is none."""
    if password is None:
        return "*"
    argv = ["openssl", "passwd", "-6", "-stdin"]
    return subprocess.run(argv, input=password, capture_output=True, text=True, check=True).stdout.strip()


def _parents() -> dict[int, int]:
    """Each process of the machine, and its parent: from /proc where there is one, as small machines have no ps."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            found[int(stat.parent.name)] = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
    if found:
        return found
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return {int(pid): int(parent) for pid, parent in map(str.split, listed.splitlines())}


def _descendants(pids: Iterable[int]) -> list[int]:
    parents, layer = _parents(), set(pids)
    found: list[int] = []
    while layer:
        layer = {pid for pid, parent in parents.items() if parent in layer}
        found += layer
    return found


def _processes_of(home: Path) -> Iterator[int]:
    """Processes that sessions left behind: they carry its home in their environment, but for the moment in which they
    become another program (execve(2)). None where there is no /proc."""
    mark = f"HOME={home}".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in environ.read_bytes().split(b"\0"):
                yield int(environ.parent.name)
