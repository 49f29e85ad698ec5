"""How things go in one world: drawn from its seed. What may break differs from seed to seed, so that some seeds have
much of one fault and none of another."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from rota.domain.step import Exit
from tests.simulation.witness import Label

FAULTS = (
    "crash", "freeze", "away", "slow", "clock", "keeper", "silence", "offline", "hang", "connection",
    "asleep", "cutoff", "answers", "astray",
)  # fmt: skip
OF_SHARED_STORES = frozenset({"asleep", "cutoff", "answers"})


@dataclass
class Nature:
    """`faults` are those this world knows. Healed, it knows none."""

    draw: random.Random
    faults: frozenset[str] = frozenset()
    shares_store: bool = False  # several daemons on one store, each with a wall of its own; else one machine
    skew: float = 0.0  # by which a machine's clock may differ from the store's, in seconds, where it is shared
    hangs: bool = False  # who is cut off from the store waits for an answer; else it is refused at once
    crash_chance: float = 0.0  # at each yield
    slowness: float = 0.0  # the mean of what a slow disk takes, in seconds
    recipes: dict[str, Recipe] = field(default_factory=dict)  # what children do, by job

    @classmethod
    def drawn(cls, draw: random.Random) -> Nature:
        found = frozenset(fault for fault in FAULTS if draw.random() < 0.5)
        shares = draw.random() < 0.5
        if not shares:
            found -= OF_SHARED_STORES
        chance = draw.choice([0.0005, 0.001, 0.003]) if "crash" in found else 0.0
        skew, hangs = draw.choice([0.0, 0.5, 20.0, 4000.0]), draw.random() < 0.5
        return cls(draw, found, shares, skew, hangs, chance)

    def heal(self) -> None:
        self.faults, self.crash_chance, self.slowness = frozenset(), 0.0, 0.0

    def latency(self) -> float:
        """How long one way to the store or to a keeper takes."""
        quick = self.quick()
        return quick + self.draw.expovariate(1 / self.slowness) if self.slowness else quick

    def quick(self) -> float:
        """How long a way takes on which no disk is."""
        return 0.0002 + 0.002 * self.draw.random()

    def crashes_now(self) -> bool:
        return self.crash_chance > 0.0 and self.draw.random() < self.crash_chance

    def loses_answer(self) -> bool:
        """Whether the answer to a commit gets lost."""
        return "answers" in self.faults and self.draw.random() < 0.03

    def of(self, label: Label) -> tuple[float, Exit]:
        """How long a child lives, and how it ends by itself."""
        recipe = self.recipes.get(label.job, COMMON)
        draw = self.draw
        seconds = min(draw.expovariate(1 / recipe.seconds), recipe.most_seconds)
        if "hang" in self.faults and draw.random() < 0.03:
            seconds = 10_000.0
        return seconds, Exit(exit_code=1 if draw.random() < recipe.failing else 0)

    def is_stubborn(self) -> bool:
        """Whether a child takes its time to die."""
        return self.draw.random() < 0.3

    def connection_lost_after(self) -> float | None:
        """After how many seconds the connection to a host is lost; None: it holds."""
        if "connection" in self.faults and self.draw.random() < 0.05:
            return self.draw.uniform(0.0, 20.0)
        return None


@dataclass(frozen=True, slots=True)
class Recipe:
    """What children of a job are like: their mean and longest life, and how often they fail."""

    seconds: float = 4.0
    most_seconds: float = 40.0
    failing: float = 0.1


COMMON = Recipe()
