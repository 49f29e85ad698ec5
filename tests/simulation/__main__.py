"""Run simulated worlds by hand.

python -m tests.simulation --seed 7 --trace          one world, and all that happened in it
python -m tests.simulation --seeds 0-999             many; those that fail are written to tests/seeds
python -m tests.simulation --mutant unfenced         until a mutant is caught; twice for a pair
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import chain

from tests.simulation.keeping import keep
from tests.simulation.mutants import ALL
from tests.simulation.run import Outcome, simulate

MOST_SEEDS = 500  # within which a mutant must be caught


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Run simulated worlds of Rota.")
    parser.add_argument("--seed", type=int, help="the world of this seed")
    parser.add_argument("--seeds", metavar="A-B", type=_range, help="the worlds of these seeds")
    parser.add_argument("--mutant", action="append", choices=sorted(ALL), default=[], help="plant this in the code")
    parser.add_argument("--trace", action="store_true", help="print all that happened")
    parser.add_argument("--digest", action="store_true", help="print the digest of all that happened")
    asked = parser.parse_args(argv)
    seeds = asked.seeds or (range(asked.seed, asked.seed + 1) if asked.seed is not None else range(MOST_SEEDS))
    failed = 0
    for seed in seeds:
        outcome = simulate(seed, asked.mutant)
        if asked.trace:
            print(*outcome.trace, sep="\n")
        if asked.digest:
            print(outcome.digest)
        if outcome.violations:
            failed += 1
            print(_words(outcome))
            if asked.mutant:
                return 0 if asked.seed is None and asked.seeds is None else 1
            print(f"  kept in {keep(outcome)}")
    if asked.mutant:
        print(f"not caught: {', '.join(asked.mutant)}")
    elif not asked.digest:
        print(f"{len(seeds)} worlds, {failed} failed")
    return 1 if failed or asked.mutant else 0


def _words(outcome: Outcome) -> str:
    head = f"seed {outcome.seed} ({outcome.mode}; faults: {', '.join(outcome.faults) or 'none'})"
    return "\n  ".join(chain([head], outcome.violations))


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    sys.exit(main())
