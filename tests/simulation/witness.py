"""What really happened, as the world saw it: nothing here is taken from Rota's tables."""

from __future__ import annotations

from dataclasses import dataclass, field

from rota.domain.instant import Micros
from rota.domain.step import Command, Exit, Order

FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Label:
    """What a child knows of itself, from its environment and its command line."""

    run: str
    job: str
    host: str
    due_at: str
    trigger: str
    step: int
    version: int

    @classmethod
    def of(cls, order: Order) -> Label:
        assert isinstance(order, Command)
        env, words = order.env, dict(word.split("=") for word in order.argv[-1].split()[1:])
        return cls(
            run=env["ROTA_RUN_ID"], job=env["ROTA_JOB"], host=env["ROTA_HOST"], due_at=env["ROTA_DUE_AT"],
            trigger=env["ROTA_TRIGGER"], step=int(words["step"]), version=int(words["version"]),
        )  # fmt: skip


@dataclass(eq=False)
class Life:
    """A child from its start order to its end, in true seconds. `told`: the exits that were handed to Rota.

    `forsaken_at`: from then on Rota may know that nobody can say how it ends; it may live on.
    """

    token: str
    by: str  # the owner who ordered it
    label: Label
    began: float
    ended: float = FOREVER
    forsaken_at: float = FOREVER
    told: list[Exit] = field(default_factory=list)
    is_forsaken: bool = False
    is_late: bool = False  # it was started by one that had not heard yet that it was given up

    def forsake(self, now: float) -> None:
        """Rota is told that nobody can say how it ends."""
        self.is_forsaken, self.forsaken_at = True, min(self.forsaken_at, now)

    @property
    def over(self) -> float:
        """When Rota may take it for over."""
        return min(self.ended, self.forsaken_at)

    @property
    def span(self) -> tuple[float, float]:
        return self.began, self.over


@dataclass
class Witness:
    """The world's record."""

    lives: dict[str, Life] = field(default_factory=dict)  # by token, in the order of their starts
    unstarted: dict[str, list[Exit]] = field(default_factory=dict)  # exits of orders that started nothing, by token
    finished: dict[int, float] = field(default_factory=dict)  # run id -> when its end was durable
    admitted: dict[int, float] = field(default_factory=dict)  # when it was the turn of a run that is caught up
    cancelled: list[tuple[int, float]] = field(default_factory=list)  # run id, when the cancel was acknowledged
    launched: list[tuple[int, float]] = field(default_factory=list)  # run id, when the request was acknowledged
    troubles: list[tuple[float, float]] = field(default_factory=list)  # when something was broken, from and to
    clock_steps: list[tuple[float, Micros]] = field(default_factory=list)
    astray: list[tuple[float, Micros]] = field(default_factory=list)  # when a clock that was days ahead came back, from
    pauses: list[tuple[Micros, Micros, float]] = field(default_factory=list)  # since, until, true time of its commit

    def told(self, token: str) -> list[Exit]:
        """Every exit that Rota was given for that attempt."""
        life = self.lives.get(token)
        return [*self.unstarted.get(token, ()), *(life.told if life else ())]

    def is_calm(self, since: float, until: float) -> bool:
        return not any(begin < until and end > since for begin, end in self.troubles)

    def was_set(self, since: float, until: float) -> bool:
        """Whether the store's clock was set meanwhile."""
        return any(since < when < until for when, _ in self.clock_steps)
