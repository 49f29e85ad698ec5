"""Whatever two owners do, in whatever order: caps, batches, throttles, locks and `max_fail` hold at every instant, and
everything ends."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rota.domain.fanout import FanOut, read_fan_out
from rota.domain.reasons import Reason
from rota.domain.run import BAD
from rota.domain.states import TargetState
from rota.ports import Member
from rota.storage import limits
from rota.storage.parking import next_look
from rota.storage.rescue import take_over
from rota.storage.work import Assignment
from tests.contract.store_world import StoreWorld, a_store
from tests.storage.fleet import a_run, park
from tests.support.clock import ManualClock

RULES: tuple[dict[str, Any], ...] = (
    {},
    {"lock_hosts": True},
    {"lock_hosts": True, "on_offline": "wait", "max_fail": "0"},
    {"batch": "1, 2", "lock_hosts": True},
    {"batch": "2", "batch_pause_seconds": 20, "max_fail": "1"},
    {"throttle": "6/m", "max_fail": "50%"},
    {"throttle": "12/m", "batch": "1, 100%", "on_offline": "skip"},
)
VERBS = ("run", "run", "limit", "claim", "claim", "claim", "end", "end", "fail", "retry", "away", "tick", "cancel",
         "die")  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(VERBS), st.integers(0, 41)),
    min_size=15,
    max_size=45,
)


@dataclass
class Watched:
    """What the test knows of the runs, beside what the store says."""

    world: StoreWorld
    rules: dict[int, FanOut] = field(default_factory=dict)
    held: dict[str, list[Assignment]] = field(default_factory=lambda: {"own_a": [], "own_b": []})
    last_start: dict[int, int] = field(default_factory=dict)

    async def rows(self, columns: str, where: str) -> list[Any]:
        return await self.world.sql(f"SELECT {columns} FROM run_target WHERE {where}")

    async def claim(self, owner: str, slots: int) -> None:
        begun = {target for (target,) in await self.rows("id", "started_at IS NOT NULL")}
        # What was at work before a cap was set goes on: the cap, or what there was, is not exceeded.
        caps = {
            key: max(cap, await self.at_work(key))
            for key, cap in await self.world.sql("SELECT key, cap FROM run_limit WHERE key <> 'runs'")
        }
        work = await self.world.claim(owner, slots=slots)
        mine = {one.target_id for one in work}
        assert not mine & {one.target_id for held in self.held.values() for one in held}, "claimed twice"
        self.held[owner] += work
        now = self.world.clock.now()
        for one in work:
            rules = self.rules[one.run_id]
            ((batch,),) = await self.rows("batch", f"id = {one.target_id}")
            unfinished = f"run_id = {one.run_id} AND batch < {batch} AND finished_at IS NULL"
            assert await self.rows("id", unfinished) == [], "a batch opened too early"
            if batch > 1:
                ((ended,),) = await self.rows("max(finished_at)", f"run_id = {one.run_id} AND batch = {batch - 1}")
                assert now >= ended + rules.batch_pause_seconds * 1_000_000, "the pause was cut short"
            if rules.throttle is not None:
                assert now - self.last_start.get(one.run_id, -(10**12)) >= rules.throttle.spacing, "too fast"
                self.last_start[one.run_id] = now
            if one.target_id not in begun:
                assert not await self.is_stopped(one.run_id), "the run was stopped"
        for key, cap in caps.items():
            assert await self.at_work(key) <= cap, f"more than {key} allows"

    async def at_work(self, key: str) -> int:
        where = "1" if key == "targets" else f"site = '{key.removeprefix('site:')}'"
        return len(await self.rows("id", f"state = 'running' AND {where}"))

    async def is_stopped(self, run_id: int) -> bool:
        ends = await self.rows("state", f"run_id = {run_id}")
        most = self.rules[run_id].most_bad(len(ends))
        return most is not None and sum(state in BAD for (state,) in ends) > most

    async def check(self) -> None:
        """What must be true between any two steps."""
        for run_id, at_once in await self.world.runs("id, targets_at_once"):
            assert len(await self.rows("id", f"run_id = {run_id} AND state = 'running'")) <= at_once
        lockers = [run_id for run_id, rules in self.rules.items() if rules.lock_hosts]
        at_work = await self.rows("host, id, run_id", "state = 'running'")
        locks = dict(await self.world.sql("SELECT host, run_target_id FROM host_lock"))
        for host, target_id, run_id in at_work:
            assert run_id not in lockers or locks[host] == target_id, "a host without its lock"
        for target_id in locks.values():
            begun = f"id = {target_id} AND finished_at IS NULL AND started_at IS NOT NULL"
            assert await self.rows("id", begun), "a lock that nobody needs"
        for host, not_before, reason in await self.rows(
            "host, not_before, reason", "state = 'queued' AND waiting_for IS NOT NULL"
        ):
            assert host in locks if reason == Reason.HOST_LOCKED else not_before is not None, "it would wait for ever"
        counted = "(SELECT count(*) FROM run_target WHERE run_id = run.id AND finished_at IS NULL)"
        assert await self.world.runs("id", f"open_targets <> {counted}") == []
        assert await self.world.used() == len(await self.world.runs("id", "finished_at IS NULL"))

    def take(self, number: int) -> Assignment | None:
        """A target in work, out of its owner's hands."""
        held = [(owner, one) for owner, work in self.held.items() for one in work]
        if not held:
            return None
        owner, one = held[number % len(held)]
        self.held[owner].remove(one)
        return one

    async def do(self, step: str, number: int) -> None:
        world = self.world
        match step:
            case "run":
                rules = RULES[number % len(RULES)]
                first, count = number % 3, 1 + number % 6
                where = [Member(f"h{i}", None, "local", "lon" if i % 2 else None) for i in range(first, first + count)]
                run_id = await a_run(world, where, at_once=1 + number % 4, run_timeout=200, **rules)
                self.rules[run_id] = read_fan_out(rules)[0]
            case "claim":
                await self.claim(f"own_{'ab'[number % 2]}", 1 + number)
            case "end" | "fail" if one := self.take(number):
                asked = await world.one("SELECT cancel_requested_at FROM run WHERE id = ?", one.run_id)
                good = TargetState.CANCELLED if asked else TargetState.SUCCEEDED
                await world.end(one, state=good if step == "end" else TargetState.FAILED)
            case "retry" if one := self.take(number):
                await park(world, one, number)
            case "away" if one := self.take(number):
                begun = one.number > 1 or one.cursor > 0
                await park(world, one, 30, reason=Reason.HOST_OFFLINE, begun=begun)
            case "tick":
                world.clock.advance(number)
            case "cancel" if self.rules:
                await world.cancel(1 + number % len(self.rules))
            case "limit":
                key, cap = ("targets", "site:lon")[number % 2], number // 2 % 5
                await world.store.write(
                    lambda tx: limits.set_limit(tx, key, cap) if number < 30 else limits.remove_limit(tx, key)
                )
            case "die":
                dead, heir = ("own_a", "own_b") if number % 2 else ("own_b", "own_a")
                rescued = await world.store.write(lambda tx: take_over(tx, dead, heir))
                assert {r.work.target_id for r in rescued} == {one.target_id for one in self.held[dead]}
                self.held[dead] = []
                self.held[heir] += [r.work for r in rescued]

    async def drain(self) -> None:
        """When faults end and no cap is in the way, everything ends, and time alone brings it about."""
        world = self.world
        for key in ("targets", "site:lon"):
            await world.store.write(lambda tx, key=key: limits.remove_limit(tx, key))  # type: ignore[misc]
        while True:
            await self.claim("own_a", 1000)
            held = [one for work in self.held.values() for one in work]
            if not held:
                look_at = await world.store.read(lambda tx: next_look(tx, None))
                if look_at is None:
                    break
                world.clock.advance((look_at - world.clock.now()) / 1_000_000)
            for _ in held:
                await self.do("end", 0)
            await self.check()
        assert await world.runs("id", "finished_at IS NULL") == []
        assert await world.sql("SELECT * FROM host_lock") == []
        assert await world.used() == 0


@settings(max_examples=40, deadline=None)
@given(STEPS)
async def test_the_rules_hold_at_every_instant_and_everything_ends(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock()
        store = a_store(Path(folder) / "rota.db", clock)
        store._write_group([lambda tx: tx.driver.execute("UPDATE run_limit SET cap = 1000")])
        try:
            watched = Watched(StoreWorld(store, clock))
            for step, number in steps:
                await watched.do(step, number)
                await watched.check()
            await watched.drain()
        finally:
            store.close()
