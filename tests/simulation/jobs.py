"""The jobs of a world: a few of these kinds, their sizes drawn, and what the world knows of how each was saved."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from rota.domain.fanout import read_fan_out
from rota.domain.instant import SECOND, Micros
from rota.domain.inventory import Host
from rota.domain.job import JobSpec, NamedTrigger
from rota.domain.policy import Missed, Overlap, read_policies
from rota.domain.step import Backoff, Json, OnLost, Step
from rota.domain.trigger.spec import ContinuousTrigger
from tests.simulation.instants import Cron, Every, Rhythm
from tests.simulation.nature import Recipe

GROUP = "some"
HOSTS = tuple(
    Host(
        name=f"h{n}",
        connector="ssh",
        site="hq" if n < 4 else "lab",
        groups=frozenset({GROUP} if n in {1, 2, 5} else ()),
    )
    for n in range(6)
)
GROUPED = frozenset(host.name for host in HOSTS if host.groups)
STEP_SECONDS, RUN_SECONDS = 60.0, 180.0
TRIGGER = "t"


@dataclass(frozen=True, slots=True)
class Saved:
    """How a job was saved at `at` of the store's clock: `rhythm` None = nothing is due. `settled`: the last instant
    that was settled before. `when`: true time. `is_taken_back`: nobody saved it, but from here on it is due anew."""

    at: Micros
    when: float
    version: int
    rhythm: Rhythm | None
    settled: Micros
    enabled: bool
    is_taken_back: bool = False


@dataclass(eq=False)
class Job:
    """A job as the world knows it. `spec` is its newest version."""

    spec: JobSpec
    rhythm: Rhythm | None
    recipe: Recipe
    job_id: int = 0
    trigger_id: int = 0
    saved: list[Saved] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def spells(self) -> list[Saved]:
        """How it was saved, but for what left its rhythm as it was: the trigger kept its place then, whatever the clock
        said, and nothing ends or begins there."""
        found: list[Saved] = []
        for each in self.saved:
            if each.is_taken_back or not found or each.rhythm != found[-1].rhythm:
                found.append(each)
        return found


def steps(name: str, version: int, count: int = 1, **fields: object) -> tuple[Step, ...]:
    """Commands that say who they are."""
    given = {"timeout_seconds": STEP_SECONDS, **fields}
    return tuple(
        Step(
            name=f"s{place}", action="exec",
            params={"command": f"{name} version={version} step={place}"}, **given,  # type: ignore[arg-type]
        )
        for place in range(count)
    )  # fmt: skip


def next_version(job: Job, version: int) -> tuple[Step, ...]:
    """The job's steps as another version says them."""
    return tuple(
        replace(step, params={"command": f"{job.name} version={version} step={place}"}) if step.params else step
        for place, step in enumerate(job.spec.steps)
    )


def _job(
    draw: random.Random, name: str, rhythm: Rhythm | None, recipe: Recipe, *,
    rules: Mapping[str, Json] | None = None, policies: Mapping[str, Json] | None = None,
    count: int = 1, step: Mapping[str, object] | None = None, **fields: object,
) -> Job:  # fmt: skip
    fan_out, faults = read_fan_out(rules or {})
    said, more_faults = read_policies(policies or {})
    assert not faults and not more_faults, (faults, more_faults)
    given: dict[str, object] = {
        "triggers": (NamedTrigger(name=TRIGGER, rule=rhythm.rule),) if rhythm is not None else (),
        "steps": steps(name, 1, count, **(step or {})),
        "run_timeout_seconds": RUN_SECONDS, "fan_out": fan_out, "policies": said, "priority": draw.choice([0, 0, 5]),
    }  # fmt: skip
    return Job(JobSpec(name=name, **(given | fields)), rhythm, recipe)  # type: ignore[arg-type]  # fields of JobSpec


def _plain(draw: random.Random) -> Job:
    return _job(draw, "plain", Every(draw.choice([15, 20, 30])), Recipe(draw.uniform(4, 25)))


def _replacing(draw: random.Random) -> Job:
    recipe = Recipe(draw.uniform(10, 40), 100)
    return _job(draw, "replacing", Every(draw.choice([20, 30])), recipe, overlap=Overlap.CANCEL_RUNNING)


def _allowing(draw: random.Random) -> Job:
    policies: dict[str, Json] = draw.choice([{}, {"overlap_limit": 2}, {"overlap_limit": 5}])
    return _job(draw, "allowing", Every(15), Recipe(25, 100), overlap=Overlap.ALLOW, policies=policies)


def _catching_up(draw: random.Random) -> Job:
    grace = draw.choice([10.0, 60.0])
    return _job(draw, "catching-up", Cron("* * * * *"), Recipe(5), missed=Missed.RUN_ONCE, grace_seconds=grace)


def _catching_all_up(draw: random.Random) -> Job:
    policies: dict[str, Json] = draw.choice(
        [{}, {"catch_up_max": 2}, {"catch_up_rate": "10/m"}, {"catch_up_window_seconds": 60}]
    )
    overlap = draw.choice([Overlap.SKIP, Overlap.QUEUE, Overlap.ALLOW])
    return _job(
        draw, "catching-all-up", Every(15), Recipe(3), missed=Missed.RUN_ALL, grace_seconds=5.0, overlap=overlap,
        policies=policies,
    )  # fmt: skip


def _queueing(draw: random.Random) -> Job:
    policies = draw.choice([{}, {"overlap_limit": 3}, {"overlap_limit": 2, "queue_timeout_seconds": 25}])
    return _job(draw, "queueing", Every(draw.choice([15, 20])), Recipe(20), overlap=Overlap.QUEUE, policies=policies)


def _impatient(draw: random.Random) -> Job:
    """It is due more often than it can run, and what comes too late does not start."""
    policies = {"start_within_seconds": draw.choice([4, 12]), "overlap_limit": 3}
    return _job(draw, "impatient", Every(15), Recipe(18), overlap=Overlap.QUEUE, policies=policies)


def _enduring(draw: random.Random) -> Job:
    """Its children live longer than leases last."""
    step = {"timeout_seconds": 140.0, "idempotent": draw.random() < 0.3}
    return _job(draw, "enduring", Every(45), Recipe(80, 130), step=step)


def _far(draw: random.Random) -> Job:
    """The same on hosts, where others follow what a silent one began."""
    step = {"timeout_seconds": 140.0}
    return _job(
        draw, "far", Every(45), Recipe(60, 120), step=step, count=2, target=f"group:{GROUP}", targets_at_once=3,
        overlap=draw.choice([Overlap.SKIP, Overlap.ALLOW]),
    )  # fmt: skip


def _backing_off(draw: random.Random) -> Job:
    step = {
        "retries": 3, "retry_delay_seconds": 2.0, "retry_backoff": Backoff.EXPONENTIAL, "retry_max_delay_seconds": 6.0,
        "retry_jitter": draw.choice([0.0, 0.5]), "retry_on": draw.choice([(), ("exit:1",), ("timed_out",)]),
        "total_timeout_seconds": draw.choice([None, 90.0]),
    }  # fmt: skip
    return _job(draw, "backing-off", Every(30), Recipe(2, failing=0.6), step=step)


def _going_on(draw: random.Random) -> Job:
    """What becomes of a step is not what the next depends on."""
    step = {"on_lost": OnLost.CONTINUE, "continue_on_error": True}
    return _job(
        draw, "going-on", Every(40), Recipe(8, failing=0.4), count=3, step=step, target=draw.choice([None, "all"])
    )


def _retrying(draw: random.Random) -> Job:
    step = {"retries": 2, "retry_delay_seconds": draw.choice([0.0, 5.0, 12.0])}
    return _job(draw, "retrying", Every(45), Recipe(4, failing=0.5), count=draw.choice([1, 2, 3]), step=step)


def _repeatable(draw: random.Random) -> Job:
    step = {"retries": 1, "retry_delay_seconds": 1.0, "idempotent": True}
    return _job(
        draw, "repeatable", Every(30), Recipe(draw.uniform(6, 20)), count=2, step=step, target="all", targets_at_once=3
    )


def _locking(name: str) -> Callable[[random.Random], Job]:
    def make(draw: random.Random) -> Job:
        step = {"retries": 1, "retry_delay_seconds": 6.0}
        return _job(
            draw, name, Every(draw.choice([40, 60])), Recipe(6, failing=0.2), step=step, target="all",
            rules={"lock_hosts": True, "on_offline": draw.choice(["wait", "fail", "skip"])}, targets_at_once=4,
        )  # fmt: skip

    return make


def _batched(draw: random.Random) -> Job:
    return _job(
        draw, "batched", Every(60), Recipe(5, failing=0.05), target="all",
        rules={"batch": "1, 2", "max_fail": draw.choice(["1", "50%"]),
               "batch_pause_seconds": draw.choice([0, 3])}, targets_at_once=2,
    )  # fmt: skip


def _throttled(draw: random.Random) -> Job:
    return _job(draw, "throttled", Every(90), Recipe(5), target="all", rules={"throttle": "12/m"})


def _counted(draw: random.Random) -> Job:
    return _job(draw, "counted", Every(20), Recipe(3), max_runs=draw.choice([3, 6]))


def _at_once(draw: random.Random) -> Job:
    return _job(draw, "at-once", Cron("*/2 * * * *"), Recipe(), steps=(Step(name="main", action="noop"),))


def _everywhere(draw: random.Random) -> Job:
    return _job(draw, "everywhere", Every(45), Recipe(draw.uniform(6, 20)), count=2, target="all", targets_at_once=2)


def _continuous(draw: random.Random) -> Job:
    rule = ContinuousTrigger(5 * SECOND, 10 * SECOND)
    return _job(draw, "continuous", None, Recipe(8), triggers=(NamedTrigger(name=TRIGGER, rule=rule),))


KINDS: tuple[Callable[[random.Random], Job], ...] = (
    _plain, _replacing, _allowing, _catching_up, _retrying, _repeatable, _locking("locking"), _locking("locking-too"),
    _catching_all_up, _queueing, _impatient, _enduring, _far, _backing_off, _going_on, _batched, _throttled, _counted,
    _at_once, _everywhere, _continuous,
)  # fmt: skip


def drawn(draw: random.Random) -> list[Job]:
    """Some of the kinds, in an order of their own."""
    return [make(draw) for make in draw.sample(KINDS, draw.randint(5, 8))]
