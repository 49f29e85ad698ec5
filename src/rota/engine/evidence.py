"""What hosts know of attempts that ended `unknown`: they are asked again, more and more seldom, until they answer.

The answer is kept beside the attempt and moves nothing: a run that has ended stays as it ended (DESIGN §2 unknown).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from itertools import groupby

from rota.domain.errors import Unavailable
from rota.engine.events import RunEvents
from rota.engine.hosts import Hosts
from rota.ports import Clock, Connector, Store
from rota.storage.evidence import Question, open_questions, record_evidence
from rota.storage.work import token_of

LOOK_SECONDS = 30.0
LONGEST_SECONDS = 3600.0
_HOSTS_AT_ONCE = 10


class Evidence:
    def __init__(
        self, *, store: Store, clock: Clock, connectors: Mapping[str, Connector], hosts: Hosts, events: RunEvents
    ) -> None:
        self._store, self._clock, self._connectors = store, clock, connectors
        self._hosts, self._events = hosts, events
        self._next_look = 0.0
        self._waits: dict[str, tuple[float, float]] = {}  # host -> (not before, how long after that)
        self._asking: asyncio.Task[None] | None = None

    async def seek_if_due(self) -> None:
        """Begin to ask, if it is time and nobody asks already. Called every few seconds; never waits for a host."""
        now = self._clock.monotonic()
        if now < self._next_look or (self._asking is not None and not self._asking.done()):
            return
        self._next_look = now + LOOK_SECONDS
        questions = await self._store.read(open_questions)
        due = [question for question in questions if self._waits.get(question.host, (0.0, 0.0))[0] <= now]
        if due:
            self._asking = asyncio.create_task(self._ask(due))

    async def stop(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _ask(self, questions: list[Question]) -> None:
        by_host = [list(group) for _, group in groupby(sorted(questions, key=_host), key=_host)]
        limit = asyncio.Semaphore(_HOSTS_AT_ONCE)

        async def ask_one(of_host: list[Question]) -> None:
            with suppress(Unavailable):  # the store is away: they are asked again
                async with limit:
                    await self._ask_host(of_host)

        async with asyncio.TaskGroup() as tasks:
            for of_host in by_host:
                tasks.create_task(ask_one(of_host))

    async def _ask_host(self, questions: list[Question]) -> None:
        for question in questions:
            frozen = await self._hosts.of(question.host, question.host_version_id)
            connector = self._connectors[question.connector]
            text = await connector.evidence(frozen.host, token_of(question.attempt_id))
            if text is None:  # not to be reached, as yet
                _, waited = self._waits.get(question.host, (0.0, LOOK_SECONDS / 2))
                wait = min(waited * 2, LONGEST_SECONDS)
                self._waits[question.host] = (self._clock.monotonic() + wait, wait)
                return
            await self._store.write(lambda tx: record_evidence(tx, question.attempt_id, text))  # noqa: B023  # run before the next
            self._events.touched(question.run_id)
        self._waits.pop(questions[0].host, None)


def _host(question: Question) -> str:
    return question.host
