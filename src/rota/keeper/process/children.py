"""The attempts under this keeper: queue, start, output, end.

An end takes three things in any order: the main process is reaped, the output is at its end (or has lingered), and,
where the tree was to be killed, nothing of it is left.
"""

from __future__ import annotations

import binascii
import errno
import os
import time
from collections import deque
from collections.abc import Iterator

from .attempt import Attempt
from .complaint import complain
from .door import Door
from .failpoint import reach
from .family import Family
from .journal import Journal
from .killing import MOST_ROUNDS, Killing
from .loop import Loop
from .proctree import TICKS
from .protocol import READ_BYTES, Message, encode
from .results import Result, Results, output_record
from .spawn import TRANSIENT, Spawner, SpawnError, failure_of

_STARTS_PER_TURN = 16  # 4 cost a quarter of the rate (more syncs), 64 gain nothing
_READS_PER_TURN = 8
_LINGER_SECONDS = 0.2  # how long an output may stay open after its command has ended
_RETRY_SECONDS, _RETRY_UNTIL_SECONDS = 0.1, 10.0


class Children:
    def __init__(self, outputs: str, loop: Loop, journal: Journal, door: Door) -> None:
        self._outputs, self._loop, self._journal, self._door = outputs, loop, journal, door
        self._spawner = Spawner()
        self._base: dict[str, str] = {}
        self._queue: deque[Attempt] = deque()
        self._paused = self._closed = False
        self._attempts: dict[str, Attempt] = {}  # queued, running or ending
        self._mains: dict[int, Attempt] = {}  # by pid, until reaped
        self._family = Family(self._mains)
        self._to_check: dict[str, Attempt] = {}
        self._killing = Killing(loop, self._family, self._check_later)
        self._results = Results(journal, door)
        self._grown: dict[str, Attempt] = {}
        self._buffer = memoryview(bytearray(READ_BYTES))

    @property
    def has_work(self) -> bool:
        return bool(self._queue and not self._paused) or bool(self._to_check)

    @property
    def idle(self) -> bool:
        return not self._attempts

    @property
    def settled(self) -> bool:
        return len(self._results) == 0

    # What the owner says

    def order(self, order: Message) -> None:
        """Queue a start, unless its id was seen before: then the first one stands."""
        attempt = str(order["id"])
        if attempt in self._attempts or attempt in self._results:
            return
        if self._results.was_acknowledged(attempt):
            self._refuse(attempt, errno.EALREADY, "duplicate", "it ran before, and its result was acknowledged")
        elif self._closed:
            self._refuse(attempt, errno.ESHUTDOWN, "cancelled", "the keeper is stopping")
        else:
            self._attempts[attempt] = new = Attempt(order, self._outputs, self._base)
            self._queue.append(new)
            reach("keeper.accepted")

    def set_base(self, env: Message) -> None:
        """The environment from which later orders differ."""
        self._base = {name: str(text) for name, text in env.items()}

    def kill(self, attempt_id: str, cause: str, grace: float | None) -> None:
        """End an attempt's tree, or take its order back. Nothing happens when it has ended already."""
        attempt = self._attempts.get(attempt_id)
        if attempt is None:
            return
        if attempt.pid:
            self._killing.begin(attempt, cause, attempt.grace if grace is None else grace)
        else:
            self._queue.remove(attempt)
            self._fail(attempt, SpawnError(errno.ECANCELED, "cancelled", f"taken back before its start: {cause}"))

    def end_all(self, cause: str, grace: float) -> None:
        self._closed = True
        for attempt in list(self._attempts):
            self.kill(attempt, cause, grace)

    def acknowledge(self, attempts: list[str]) -> None:
        self._results.acknowledge(attempts)

    def read(self, message: Message) -> Message:
        """A piece of an output that is kept in memory; for others, where it is instead."""
        attempt_id, offset, limit = str(message["id"]), message["offset"], message["limit"]
        answer: Message = {"m": "slice", "n": message["n"]}
        attempt, result = self._attempts.get(attempt_id), self._results.find(attempt_id)
        output = attempt.output if attempt is not None else result.output if result is not None else None
        if output is None:
            return {**answer, "where": "nowhere"}
        if output.in_file:
            return {**answer, "where": "file"}
        if not isinstance(offset, int) or not isinstance(limit, int):
            raise TypeError("offset and limit must be integers")
        data = binascii.b2a_base64(output.kept[offset : offset + limit], newline=False).decode()
        return {**answer, "where": "here", "data": data, "kept": len(output.kept), "total": output.total}

    def roster(self) -> Message:
        live = [[one.id, one.pid, one.started_at] for one in self._attempts.values() if one.pid and one.error_fd < 0]
        queued = [one.id for one in self._attempts.values() if not one.pid or one.error_fd >= 0]
        return {"live": live, "queued": queued, "ended": list(self._results)}

    def report_again(self) -> None:
        self._results.report_again()

    def report_synced(self) -> None:
        os.eventfd_read(self._journal.done_fd)
        self._results.report_synced()

    # One turn

    def end_of_turn(self) -> None:
        self._family.new_turn()
        started = self._start_some()
        to_check, self._to_check = self._to_check, {}
        for attempt in to_check.values():
            self._settle(attempt)
        for attempt in self._grown.values():
            if attempt.id in self._attempts:
                for record in output_record(attempt.id, attempt.output):
                    self._journal.note(record)
        self._grown.clear()
        self._journal.write()
        if started:
            reach("keeper.started")
        self._results.after_write()

    def records(self) -> Iterator[bytes]:
        """What a rotated journal must hold."""
        for attempt in self._attempts.values():
            if attempt.pid:
                yield self._start_record(attempt)
                attempt.output.journaled = 0
                yield from output_record(attempt.id, attempt.output)
        yield from self._results.records()

    def _check_later(self, attempt: Attempt) -> None:
        self._to_check[attempt.id] = attempt

    # Starts

    def _start_some(self) -> bool:
        """Whether there was any to start."""
        if not self._queue or self._paused:
            return False
        batch = [self._queue.popleft() for _ in range(min(_STARTS_PER_TURN, len(self._queue)))]
        self._journal.note(encode({"k": "B", "ids": [attempt.id for attempt in batch]}))
        self._journal.write()
        reach("keeper.announced")
        trouble, prepared = self._journal.trouble, list[Attempt]()
        for attempt in batch:
            refusal = self._spawner.refusal(attempt)
            if trouble is not None:
                message = f"the keeper's journal cannot be written: {trouble.strerror}"
                refusal = SpawnError(trouble.errno or errno.EIO, "journal", message)
            if refusal is not None:
                self._fail(attempt, refusal)
            elif self._prepare(attempt):
                prepared.append(attempt)
        for attempt, error in self._spawner.spawn(prepared):
            if error is None:
                self._note_start(attempt)
            else:
                self._not_started(attempt, error)
        return True

    def _prepare(self, attempt: Attempt) -> bool:
        try:
            self._spawner.prepare(attempt)
        except SpawnError as error:
            self._not_started(attempt, error)
            return False
        return True

    def _not_started(self, attempt: Attempt, error: SpawnError) -> None:
        if error.errno in TRANSIENT and self._may_retry(attempt):
            self._queue.append(attempt)
            self._pause()
        else:
            self._fail(attempt, error)

    def _note_start(self, attempt: Attempt) -> None:
        self._mains[attempt.pid] = attempt
        reach("keeper.spawned")
        record = self._start_record(attempt)
        self._journal.note(record)
        self._loop.watch(attempt.output_fd, lambda _: self._on_output(attempt))
        if attempt.timeout is not None:
            limit = attempt.timeout
            attempt.timers.append(
                self._loop.after(limit, lambda: self._killing.begin(attempt, "timeout", attempt.grace))
            )
        if attempt.error_fd < 0:
            self._door.say(record)
        else:
            self._loop.watch(attempt.error_fd, lambda _: self._exec_outcome(attempt))

    def _start_record(self, attempt: Attempt) -> bytes:
        before, after = attempt.bracket
        return encode(
            {"k": "S", "id": attempt.id, "pid": attempt.pid, "b0": before, "b1": after, "at": attempt.started_at}
        )

    def _exec_outcome(self, attempt: Attempt) -> None:
        """A forked child has become its program (the pipe closes), or says why not. It is reaped either way."""
        try:
            report = os.read(attempt.error_fd, 64)
        except BlockingIOError:
            return
        self._loop.forget(attempt.error_fd)
        os.close(attempt.error_fd)
        attempt.error_fd = -1
        if report:
            self._release(attempt)
            self._fail(attempt, failure_of(report, attempt))
        else:
            self._door.say(self._start_record(attempt))

    def _may_retry(self, attempt: Attempt) -> bool:
        now = time.monotonic()
        if attempt.retry_until is None:
            attempt.retry_until = now + _RETRY_UNTIL_SECONDS
        return now < attempt.retry_until

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._loop.after(_RETRY_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._paused = False

    def _fail(self, attempt: Attempt, error: SpawnError) -> None:
        del self._attempts[attempt.id]
        self._refuse(attempt.id, error.errno, error.stage, error.message)

    def _refuse(self, attempt: str, number: int, stage: str, message: str) -> None:
        record = encode({"k": "F", "id": attempt, "errno": number, "stage": stage, "message": message})
        self._results.add(Result(attempt, record, None))

    # Output

    def _on_output(self, attempt: Attempt) -> None:
        for _ in range(_READS_PER_TURN):
            try:
                count = os.readv(attempt.output_fd, [self._buffer])
            except BlockingIOError:
                break
            if count == 0:
                self._close_output(attempt)
                attempt.eof = True
                self._check_later(attempt)
                return
            complaint = attempt.output.append(self._buffer[:count])
            if complaint is not None:
                complain(f"output of {attempt.id} is lost from byte {attempt.output.total - count} on: {complaint}")
            self._grown[attempt.id] = attempt
        self._door.hint(attempt.id, attempt.output.total)

    def _close_output(self, attempt: Attempt) -> None:
        if attempt.output_fd >= 0:
            self._loop.forget(attempt.output_fd)
            os.close(attempt.output_fd)
            attempt.output_fd = -1

    # Ends

    def reap(self) -> None:
        """Take every status there is, also those of orphans that came to us."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            attempt = self._mains.pop(pid, None)
            if attempt is None:
                self._family.reaped(pid)
                continue
            if attempt.error_fd >= 0:
                self._exec_outcome(attempt)
            if attempt.id not in self._attempts:
                continue  # it never became its program
            attempt.status = status
            attempt.ended_at = time.time_ns() // 1000
            attempt.reaped_tick = int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS)
            attempt.cpu, attempt.rss = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
            if not attempt.eof:
                self._on_output(attempt)
            self._check_later(attempt)
        self._killing.check_all()

    def _settle(self, attempt: Attempt) -> None:
        """Finish the attempt, if nothing keeps it from that."""
        if attempt.status is None or attempt.id not in self._attempts:
            return
        if attempt.kill_at is None and attempt.end_leftovers and self._family.tree(attempt):
            self._killing.begin(attempt, None, attempt.grace)
        if attempt.kill_at is not None and attempt.rounds < MOST_ROUNDS and self._family.tree(attempt):
            return
        if attempt.eof or attempt.lingered:
            attempt.left = sorted(self._family.tree(attempt))
            self._finish(attempt)
        elif not attempt.lingering:
            attempt.lingering = True
            attempt.timers.append(self._loop.after(_LINGER_SECONDS, lambda: self._stop_lingering(attempt)))

    def _stop_lingering(self, attempt: Attempt) -> None:
        if not attempt.eof:
            self._on_output(attempt)
        attempt.lingered = True
        self._check_later(attempt)

    def _finish(self, attempt: Attempt) -> None:
        reach("keeper.ended")
        self._release(attempt)
        del self._attempts[attempt.id]
        code = os.waitstatus_to_exitcode(attempt.status or 0)
        record: Message = {
            "k": "E",
            "id": attempt.id,
            "code": code if code >= 0 else None,
            "sig": -code if code < 0 else None,
            "t0": attempt.started_at,
            "t1": attempt.ended_at,
            "total": attempt.output.total,
            "cpu": round(attempt.cpu, 6),
            "rss": attempt.rss,
            "held": not attempt.eof,
            "cause": attempt.cause,
            "left": attempt.left,
        }
        self._results.add(Result(attempt.id, encode(record), attempt.output))

    def _release(self, attempt: Attempt) -> None:
        self._close_output(attempt)
        attempt.output.close()
        self._door.unhint(attempt.id)
        self._killing.forget(attempt)
        for timer in attempt.timers:
            self._loop.cancel(timer)
