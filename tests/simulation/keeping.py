"""Seeds that failed are kept as files, to be replayed: by `python -m tests.simulation`, and by every test run since."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.simulation.run import Outcome

SEEDS = Path(__file__).parent.parent / "seeds"


def keep(outcome: Outcome, folder: Path = SEEDS) -> Path:
    """Write down what is needed to see it again, and what was seen."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.seed}.txt"
    head = [
        f"seed    {outcome.seed}",
        f"commit  {_commit()}",
        f"mode    {outcome.mode}",
        f"faults  {' '.join(outcome.faults)}",
        *(f"broken  {violation}" for violation in outcome.violations),
        f"replay  python -m tests.simulation --seed {outcome.seed} --trace",
    ]
    path.write_text("\n".join([*head, "", *outcome.trace, ""]))
    return path


def kept(folder: Path = SEEDS) -> list[int]:
    """The seeds that have failed before."""
    return sorted(int(path.stem) for path in folder.glob("*.txt"))


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return asked.stdout.strip() or "unknown"
