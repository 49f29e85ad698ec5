"""`python -m bench [NAME …] [--rounds 5] [--json FILE | --keep]`; without names all, in their short form."""

from __future__ import annotations

import argparse
import compileall
import shlex
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench import report
from bench.catalogue import CATALOGUE
from bench.harness import ROUNDS, Bench, Compared, run
from bench.machine import ROOT, Machine, load

SHORT_ROUNDS = 3


def main(argv: list[str] | None = None) -> int:
    """Run what was asked for. Returns 1 where one of Rota's own turns failed, 2 where a goal was not met, else 0."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _leave)  # so that what a turn started is ended, as it is on Ctrl-C
    if options.write_docs:
        report.write_page()
        return 0
    compileall.compile_dir(ROOT / "src", quiet=1)  # as pip leaves a package, and left those of the peers
    short = not options.names
    names = options.names or list(CATALOGUE)
    rounds = options.rounds or (SHORT_ROUNDS if short else ROUNDS)
    if short:
        _say(f"short form, {rounds} rounds: for a look; figures to keep come from `python -m bench NAME`")
    machine = Machine.look(options.scratch or Path(tempfile.gettempdir()))
    for line in machine.lines():
        _say(line)
    command = shlex.join(["python", "-m", "bench", *(sys.argv[1:] if argv is None else argv)])
    results: list[report.Kept] = []
    failed = missed = False
    for name in names:
        entry = CATALOGUE[name]
        bench = entry.short() if short else entry.full()
        result, compared = _measure(bench, rounds, command, short=short, machine=machine, scratch=options.scratch)
        failed |= any(None in each.ours for each in compared)
        missed |= any(each.met is False for each in compared)
        results.append(result)
        if options.json:  # after each: what is measured is not lost with a later one
            report.write(options.json, results)
        if options.keep:
            report.write(report.file_for(result), [result])
    return 1 if failed else 2 if missed else 0


def _measure(
    bench: Bench, rounds: int, command: str, *, short: bool, machine: Machine, scratch: Path | None
) -> tuple[report.Kept, list[Compared]]:
    _say(f"\n{bench.name}: {bench.what}")
    for setting, value in bench.raised.items():
        _say(f"  raised: {setting} to {value}")
    _say(f"  warm-up: {bench.warm_up}")
    at, before = datetime.now(UTC), load()
    outcome = run(bench, rounds=rounds, tell=_say, scratch=scratch)
    loads = {"start": before, "end": load()}
    for line in report.lines(outcome):
        _say(line)
    _say(f"  load average {_load(loads['start'])} at the start, {_load(loads['end'])} at the end")
    kept = report.kept(outcome, command=command, short=short, machine=machine, load=loads, at=at)
    return kept, outcome.compared()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(143)


def _load(averages: report.Load) -> str:
    return " ".join(f"{value:.2f}" for value in averages)


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Rota beside its peers, in alternating rounds.", epilog="docs/benchmarks.md"
    )
    parser.add_argument(
        "names", nargs="*", type=_name, metavar="NAME", help=f"one of {' '.join(CATALOGUE)}; none: all, short"
    )
    parser.add_argument("--rounds", type=int, help=f"rounds of each (default {ROUNDS}; short {SHORT_ROUNDS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured to FILE")
    parser.add_argument("--keep", action="store_true", help="write bench/results/NAME-DATE.json")
    parser.add_argument("--scratch", type=Path, metavar="FOLDER", help="where scratch instances go (default: $TMPDIR)")
    parser.add_argument("--write-docs", action="store_true", help="put the newest results into docs/benchmarks.md")
    return parser


def _name(text: str) -> str:
    if text not in CATALOGUE:
        raise argparse.ArgumentTypeError(f"no benchmark is called {text}; there are {' '.join(CATALOGUE)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
