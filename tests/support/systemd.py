"""What systemd itself says of a unit file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Literal

from tests.support.programs import program

Manager = Literal["system", "user"]


def verify(unit: Path, manager: Manager) -> str:
    """Its complaints; nothing where it is good."""
    analyze = program("systemd-analyze", package="systemd")
    environment = {**os.environ, **analyze.environment, "XDG_RUNTIME_DIR": str(unit.parent)}
    if analyze.unpacked is not None:  # what every unit stands on lies there too
        standing = next(analyze.unpacked.rglob(f"systemd/{manager}/basic.target"))
        environment["SYSTEMD_UNIT_PATH"] = f"{standing.parent}:"
    done = subprocess.run(
        [analyze.path, f"--{manager}", "--man=no", "verify", unit], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.stderr or ("" if done.returncode == 0 else f"it ended with {done.returncode}")
