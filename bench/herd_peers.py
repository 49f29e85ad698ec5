"""`herd-peers`: the same herd beside schedulers that keep what they start: Huey and APScheduler 4, on SQLite.

APScheduler 4's memory store is here too. None keeps a record of runs as Rota does. All are as a user would run them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.harness import Bench, Figure, Sample, Turn, TurnFailed
from bench.herd import ROTA, measured, raised
from bench.peers import own, told

HUEY, APS4_MEMORY, APS4_SQLITE = "Huey SQLite", "APScheduler 4 memory", "APScheduler 4 SQLite"
_SCRIPTS = Path(__file__).parent / "peers" / "herd"


def herd_peers(jobs: int, *, lead: float = 20.0) -> Bench:
    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        python = own.binaries(_SCRIPTS) / "python"

        def beside(script: str, store: str, lead: float) -> Sample:
            argv: list[str | Path] = [python, _SCRIPTS / script, store, str(jobs), str(lead)]
            got = told(script, argv, within=lead + 120 + jobs / 5)
            if got["started"] != jobs:
                raise TurnFailed(f"{got['started']} starts of {jobs} jobs")
            return Sample({"last start": got["last"]})

        return {
            ROTA: lambda: measured(scratch / f"home-{next(numbers)}", jobs, lead),
            HUEY: lambda: beside("with_huey.py", f"{scratch}/huey-{next(numbers)}.db", 5 + jobs / 200),
            APS4_MEMORY: lambda: beside("with_aps4.py", "memory", 5 + jobs / 200),
            APS4_SQLITE: lambda: beside(
                "with_aps4.py", f"sqlite+aiosqlite:///{scratch}/aps4-{next(numbers)}.db", 10 + jobs / 20
            ),
        }

    return Bench(
        name="herd-peers",
        what=f"{jobs:,} no-op jobs due in the same second, beside Huey and APScheduler 4: how late the last one starts",
        prepare=prepare,
        figures=[Figure("last start", "s", ROTA, peer) for peer in (HUEY, APS4_MEMORY, APS4_SQLITE)],
        raised=raised(jobs),
    )
