"""The planted mutants: the simulation is worth what it catches of them. Written before the world was tuned."""

from __future__ import annotations

from rota.engine import evidence, planner, reporter, rescuer, verdict, worker
from rota.storage import claiming, fanout, finishing, host_locks, limits, parking, planning, timing
from rota.storage.launching import Launch
from tests.simulation import wrongs
from tests.simulation.machines import Reached
from tests.simulation.sabotage import Mutant, around, instead, reworded

_UNFENCED = (
    reworded(finishing, "_FINISH", "target", "fence = ?", "fence >= 0 * ?"),
    reworded(finishing, "_FINISH", "attempt", ") = ?", ") >= 0 * ?"),
)
_ALL = (
    Mutant("advance-apart", "runs are inserted by a transaction after the one that moves the trigger on",
           (instead(planning, "Launch", wrongs.Deferred), around(planner.Planner, "_plan", wrongs.plan_in_two))),
    Mutant("start-before-commit", "what was planned is started and its transaction rolled back",
           (around(planner, "plan_due", wrongs.start_first), around(planner.Planner, "_plan", wrongs.accept_undone))),
    Mutant("missed-unwritten", "what was missed is not written down",
           (around(planning, "_write_down", wrongs.overlook_missed),)),
    Mutant("caught-up-twice", "`run_once` starts the two newest that were missed",
           (around(planning, "reckon", wrongs.catch_up_twice),)),
    Mutant("high-water-lost", "an edit forgets what was settled before",
           (around(timing, "set_due", wrongs.forget_high_water),)),
    Mutant("overlap-off-by-one", "the overlap policy overlooks one unfinished run",
           (around(planning, "on_overlap", wrongs.count_one_less),)),
    Mutant("overlap-waiting-uncounted", "the overlap policy does not count runs that wait for a slot",
           (reworded(planning, "_PLAN", "due", "job_state.active",
                     "(SELECT count(*) FROM run WHERE run.job_id = trigger.job_id"
                     " AND (run.state = 'queued' OR run.state = 'running'))"),)),
    Mutant("replacing-at-once", "what replaces a run does not wait until that is gone",
           (around(Launch, "flush", wrongs.without_waiting_for_older),)),
    Mutant("stale-card", "a plan that was made before an edit is used after it",
           (instead(planning.Card, "is_current", lambda *_: True),)),
    Mutant("pauses-overlooked", "the planner sees no pause", (instead(planning, "load_book", wrongs.ignore_pauses),)),
    Mutant("quota-uncounted", "runs are not counted against `max_runs`",
           (instead(planning, "count_runs", wrongs.nothing),)),
    Mutant("run-cap-overshot", "one run more than the cap allows", (around(Launch, "flush", wrongs.one_more_run),)),
    Mutant("targets-overshot", "one target more than `targets_at_once`",
           (around(claiming._Turn, "_open", wrongs.one_more),)),
    Mutant("site-cap-overshot", "targets taken in one claim do not count for the cap of their site",
           (instead(limits.Room, "take", wrongs.nothing),)),
    Mutant("claimed-while-running", "a claim takes targets that are at work",
           (reworded(claiming, "_CLAIM", "queued", "run_target.state = 'queued'",
                     "(run_target.state = 'queued' OR run_target.state = 'running')"),
            reworded(claiming, "_CLAIM", "next_priority", "state = 'queued'",
                     "(state = 'queued' OR state = 'running')"),
            reworded(claiming, "_CLAIM", "take", " AND state = 'queued'", ""))),
    Mutant("batch-opens-early", "the next batch opens when the first target of a batch has ended",
           (reworded(fanout, "_FANOUT", "is_batch_open", "batch > 0", "batch > 999"),)),
    Mutant("throttle-ignored", "a start does not hold up the next", (instead(fanout, "started_one", wrongs.nothing),)),
    Mutant("host-lock-untaken", "the lock on a host is not taken",
           (instead(host_locks, "take", lambda *_, **__: True),)),
    Mutant("host-lock-kept", "the lock on a host is not released",
           (instead(host_locks, "release", wrongs.nothing),)),
    Mutant("parked-for-ever", "what is parked is never woken", (instead(parking, "wake", wrongs.nothing),)),
    Mutant("unknown-tried-again", "an attempt that is `unknown` is tried again though it is not idempotent",
           (around(verdict, "may_try_again", wrongs.try_unknown_again),)),
    Mutant("lost-is-failed", "an attempt of which nobody can tell is called failed",
           (around(worker, "state_of", wrongs.lost_is_failed),)),
    Mutant("intent-unawaited", "the next step begins before its intent is durable",
           (around(reporter.Reporter, "commit", wrongs.without_waiting),)),
    Mutant("unfenced", "verdicts do not name the fence of their claim", _UNFENCED),
    Mutant("evidence-believed", "what is learnt later overwrites the verdict",
           (around(evidence, "record_evidence", wrongs.believe_evidence),)),
    Mutant("closed-twice", "the end of a target is counted twice",
           (around(finishing, "_close_targets", wrongs.close(1)),)),
    Mutant("closed-never", "the end of a target is not counted",
           (around(finishing, "_close_targets", wrongs.close(-1)),)),
    Mutant("outbox-forgotten", "ends of runs that failed are not put into the outbox",
           (around(finishing, "finish_runs", wrongs.without_outbox),)),
    Mutant("slot-kept", "a run that failed keeps its slot", (around(finishing, "finish_runs", wrongs.keep_slot),)),
    Mutant("slot-freed-twice", "a run that never had a slot frees one",
           (around(finishing, "finish_runs", wrongs.free_slot_twice),)),
    Mutant("cancel-misses-queued", "a cancel leaves targets in the queue",
           (instead(finishing, "_end_queued", wrongs.nothing),)),
    Mutant("living-rescued", "owners that live are taken for dead",
           (around(rescuer.Rescuer, "sweep", wrongs.all_are_dead),)),
    Mutant("ordered-again", "a rescued attempt that runs is ordered again",
           (around(Reached, "fate", wrongs.order_again),)),
    Mutant("step-repeated", "a rescued target begins with its first step",
           (around(rescuer, "take_over", wrongs.from_the_first_step),)),
    Mutant("buried-first", "a dead owner is struck off before its work is taken over",
           (around(rescuer.Rescuer, "sweep", wrongs.bury_first),)),
    Mutant("rescued-forgotten", "what was taken over is not gone on with",
           (instead(rescuer.Rescuer, "_go_on", wrongs.leave_alone),)),
)  # fmt: skip
ALL = {mutant.name: mutant for mutant in _ALL}
assert len(ALL) == len(_ALL), "two mutants have one name"
