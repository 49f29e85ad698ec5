"""Peers that cannot live in Rota's virtual environment: each folder of scripts with requirements.txt has its own."""

from __future__ import annotations

import shutil
import subprocess
import venv
from pathlib import Path

from bench.machine import ROOT


def binaries(scripts: Path) -> Path:
    """The `bin` folder of that environment, made at the first use and whenever what it needs has changed."""
    folder, wanted = ROOT / f".venv-{scripts.name}-peers", (scripts / "requirements.txt").read_text()
    stamp = folder / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        pip: list[str | Path] = [
            folder / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "-r",
            scripts / "requirements.txt",
        ]
        subprocess.run(pip, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stamp.write_text(wanted)
    return folder / "bin"
