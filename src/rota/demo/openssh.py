"""Where OpenSSH's server is on this machine; or, on Debian and its kin, a copy of it in a folder, got without root.

Nothing is installed and nothing of the machine is changed: packages are downloaded by apt and unpacked into the cache.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rota.domain.errors import Unavailable

PACKAGE = "openssh-server"
_WRAPPER = "libnss-wrapper"
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/sbin")
_FETCH_SECONDS = 120
_INSTALLED = re.compile(r"^Inst (\S+) ", re.MULTILINE)  # a line of apt-get --simulate
_VERSION = re.compile(r"OpenSSH_(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSsh:
    """An OpenSSH that can be run. `unpacked` is the folder it was unpacked into, None where it is installed."""

    sshd: Path
    unpacked: Path | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What its programs need in their environment: where their libraries are."""
        if self.unpacked is None:
            return {}
        folders = sorted({str(library.parent) for library in self.unpacked.rglob("*.so*")})
        return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}

    @property
    def version(self) -> tuple[int, int]:
        """Such as (9, 2). Of old servers the version is in what they say to an option they do not know."""
        said = subprocess.run(
            [self.sshd, "-V"], env=dict(self.environment), capture_output=True, text=True, check=False
        )
        found = _VERSION.search(said.stderr + said.stdout)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def helpers(self) -> Iterator[tuple[str, Path]]:
        """Programs that a server starts by an absolute path, as lines of sshd_config, where that path is not theirs."""
        if self.unpacked is not None:
            for option, name in (("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")):
                for path in self.unpacked.rglob(name):
                    yield option, path

    def tool(self, name: str) -> Path:
        """`ssh-agent`, `ssh-keygen` …: the machine's own, or an unpacked one. Raises Unavailable."""
        if (installed := shutil.which(name)) is not None:
            return Path(installed)
        if self.unpacked is not None and (path := self.unpacked / "usr/bin" / name).is_file():
            return path
        raise Unavailable(f"there is no {name} on this machine", hint="it is in the package openssh-client")


def find(cache: Path | None = None) -> OpenSsh:
    """Return the machine's sshd, or one that was fetched into `cache` (None: the user's own cache).

    Fetches at the first call: some seconds. Raises Unavailable with what to install where that is not to be had.
    """
    if (installed := shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), *_PLACES]))) is not None:
        return OpenSsh(sshd=Path(installed))
    root = _fetched(PACKAGE, cache or _user_cache())
    return OpenSsh(sshd=root / "usr/sbin/sshd", unpacked=root)


def name_service_wrapper(cache: Path | None = None) -> Path:
    """Return the library that makes a program believe in a passwd file of ours (nss_wrapper(1)); fetched if need be.

    Raises Unavailable.
    """
    return next(debian_package(_WRAPPER, cache).rglob("libnss_wrapper.so"))


def debian_package(name: str, cache: Path | None = None) -> Path:
    """Return the folder into which a Debian package was unpacked; fetched if need be. Raises Unavailable."""
    return _fetched(name, cache or _user_cache())


def _fetched(package: str, cache: Path) -> Path:
    """The folder that holds what is in a Debian package, with the libraries it needs."""
    folder = cache / package
    root = folder / "root"
    with _alone(folder):
        if not root.exists():
            _fetch(package, folder, root)
    return root


def _fetch(package: str, folder: Path, root: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise _missing(package, "it was not found, and this is no Debian")
    packages, unpacking = folder / "packages", folder / "unpacking"
    packages.mkdir(exist_ok=True)
    own_lists = _own_lists(folder)
    try:
        try:
            options: Sequence[str] = ()
            needed = _needed(package, options)
        except subprocess.CalledProcessError:  # this machine knows no packages: ask with lists of our own
            options = own_lists
            _run("apt-get", *options, "update")
            needed = _needed(package, options)
        _run("apt-get", *options, "download", *needed, cwd=packages)
        for archive in sorted(packages.glob("*.deb")):
            _run("dpkg", "--extract", str(archive), str(unpacking))
        unpacking.rename(root)  # all of it, or nothing
    except (OSError, subprocess.SubprocessError) as error:
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
        last = (said or "").strip().rpartition("\n")[2]
        raise _missing(package, f"it was not found, and could not be fetched ({last})") from error
    finally:
        for scratch in ("packages", "unpacking", "apt"):
            shutil.rmtree(folder / scratch, ignore_errors=True)


def _needed(package: str, options: Sequence[str]) -> list[str]:
    """The package, and what it needs of OpenSSH and libraries that this machine has not."""
    plan = _run("apt-get", *options, "--simulate", "--no-install-recommends", "install", package)
    return [name for name in _INSTALLED.findall(plan) if name == package or name.startswith(("lib", "openssh-"))]


def _own_lists(folder: Path) -> list[str]:
    """Options that make apt keep its lists and its lock in our folder."""
    for part in ("apt/lists/partial", "apt/cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    return [
        f"--option=Dir::State::Lists={folder}/apt/lists",
        f"--option=Dir::Cache={folder}/apt/cache",
        "--option=Debug::NoLocking=true",
    ]


def _run(*argv: str, cwd: Path | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    if os.geteuid() == 0 and argv[0] == "apt-get":
        argv = (argv[0], "--option=APT::Sandbox::User=root", *argv[1:])  # its own account may not write to our folder
    done = subprocess.run(
        argv, cwd=cwd, env=environment, capture_output=True, text=True, check=True, timeout=_FETCH_SECONDS
    )
    return done.stdout


def _missing(package: str, why: str) -> Unavailable:
    hint = f"apt install {package}, dnf install {package}, apk add openssh or pacman -S openssh"
    return Unavailable(f"{package} is needed: {why}", hint=hint if package == PACKAGE else f"apt install {package}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process fetches, others wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _user_cache() -> Path:
    if os.geteuid() == 0:  # not in root's home: the server runs as another account, which must come to it
        return Path("/var/cache/rota")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rota"
