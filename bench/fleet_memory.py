"""`fleet-memory`: what the daemon holds while N targets write 10,000 lines each over SSH. There is no peer."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.daemon import Scratch, daemon, environment
from bench.fleet import AT_ONCE, Fleet, known_to_rota, servers
from bench.harness import Bench, Figure, Sample, Turn, TurnFailed
from bench.process import Cost

ROTA = "Rota"
LINES = 10_000
COMMAND = f"seq {LINES}"
_ADDRESSES = 250  # several hosts share one; each is a target of its own
_LONGEST = 1200


def fleet_memory(targets: int) -> Bench:
    def prepare(scratch: Path, stack: ExitStack) -> Mapping[str, Turn]:
        site = servers(scratch, stack, min(targets, _ADDRESSES))
        numbers = itertools.count(1)
        return {ROTA: lambda: _rota(scratch / f"home-{next(numbers)}", site, targets)}

    return Bench(
        name="fleet-memory",
        what=f"{targets:,} targets over SSH, {LINES:,} lines of output each, {AT_ONCE} at once",
        prepare=prepare,
        figures=[Figure("peak resident", "MiB", ROTA), Figure("lines", "/s", ROTA)],
        raised={"targets_at_once": f"{AT_ONCE} (default 10)"},
    )


def _rota(home: Path, site: Fleet, targets: int) -> Sample:
    scratch = Scratch(home, 10)
    known_to_rota(scratch, site, targets)
    with daemon(scratch) as running:
        before = Cost.of(running.family()).resident_mib
        began, peak = time.perf_counter(), before
        argv = [
            sys.executable, "-m", "rota", "--home", str(home), "run", "--do", f"shell: {COMMAND}",
            "--target", "all", "--targets-at-once", str(AT_ONCE), "--no-wait", "-o", "name",
        ]  # fmt: skip
        made = subprocess.run(argv, capture_output=True, text=True, env=environment(), check=True).stdout.strip()
        while (state := _state(scratch))[0] is None:
            peak = max(peak, Cost.of(running.family()).resident_mib)
            if time.perf_counter() - began > _LONGEST:
                raise TurnFailed(f"{made} did not end")
            time.sleep(0.1)
        seconds = time.perf_counter() - began
    ok = state[1]
    if ok != targets:
        raise TurnFailed(f"{ok} of {targets} targets succeeded")
    written = scratch.number("SELECT sum(output_bytes) FROM attempt")
    return Sample(
        {"peak resident": peak, "lines": targets * LINES / seconds},
        {"before MiB": round(before), "output MiB": round(written / 2**20), "seconds": round(seconds, 1)},
    )


def _state(scratch: Scratch) -> tuple[int | None, int]:
    ((finished, ok),) = scratch.ask("SELECT max(finished_at), coalesce(sum(ok), 0) FROM run")
    return finished, ok
