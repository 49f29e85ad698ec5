"""What must hold at the end of every world, by the numbers of docs/simulation.md. Each check yields what does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from tests.simulation.check_bounds import check_bounds
from tests.simulation.check_coverage import check_coverage
from tests.simulation.check_ends import check_books, check_ends
from tests.simulation.check_policies import check_policies
from tests.simulation.check_starts import check_starts
from tests.simulation.facts import Facts
from tests.simulation.world import World

Check = Callable[[Facts], Iterator[str]]
SAFETY: tuple[Check, ...] = (check_starts, check_coverage, check_bounds, check_policies, check_books)


def check(world: World, *, is_live: bool) -> list[str]:
    """Everything that is wrong. `is_live`: the world has healed and had its time, so that all must be over."""
    facts = Facts(world)
    checks = (*SAFETY, check_ends) if is_live else SAFETY
    return list(chain.from_iterable(each(facts) for each in checks))
