"""The peers: other schedulers, each in a process of its own, that print what they measured as one line of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from bench.daemon import environment
from bench.harness import TurnFailed
from bench.machine import ROOT


def argv(command: str, **options: object) -> list[str]:
    """The command line of an APScheduler peer: same interpreter, same virtual environment as Rota's."""
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", "bench.peers.aps", command, *words]


def measured(command: str, *, within: float, **options: object) -> Mapping[str, float]:
    """Run an APScheduler peer to its end and return what it printed. Raises TurnFailed as `told` does."""
    return cast("Mapping[str, float]", told(command, argv(command, **options), within=within))


def told(name: str, command: Sequence[str | Path], *, within: float) -> Mapping[str, Any]:
    """Run a peer's command to its end and return what its last line says.

    Raises TurnFailed with its last words, or if it takes longer than `within` seconds.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=within, cwd=ROOT, env=environment()
        )
    except subprocess.TimeoutExpired as error:
        raise TurnFailed(f"{name} was not done after {within:g} s") from error
    if done.returncode != 0:
        raise TurnFailed(f"{name} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return cast("dict[str, Any]", json.loads(done.stdout.splitlines()[-1]))
