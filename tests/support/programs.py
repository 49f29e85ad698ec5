"""Programs that tests need and small machines lack: the machine's own, or one unpacked from its Debian package."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from rota.demo.openssh import debian_package


@dataclass(frozen=True, slots=True)
class Program:
    """`unpacked` is the folder it was unpacked into, None where it is installed."""

    path: Path
    unpacked: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)  # what it needs besides the caller's


@cache
def program(name: str, *, package: str) -> Program:
    """Find it, or fetch it: some seconds, once for all tests. Raises Unavailable with what to install."""
    if (installed := shutil.which(name)) is not None:
        return Program(Path(installed))
    root = debian_package(package)
    folders = sorted({str(library.parent) for library in root.rglob("*.so*")})
    path = next(path for folder in ("usr/bin", "bin") if (path := root / folder / name).exists())
    return Program(path, root, {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {})
