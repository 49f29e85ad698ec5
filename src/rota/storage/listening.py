"""What one process commits to a PostgreSQL store the others hear at once: NOTIFY with the commit, LISTEN here.

A hint and no more: everything heard is looked up in the store, and would be found there at the next look without it. So
a session that dies costs one look at most. It is made again, and then everything is looked at, as nobody knows what was
told meanwhile: LISTEN comes before reading.

The server hands out notifications in the order of commits, under one lock for all databases. So there is at most one in
a transaction, and none at all while nobody else listens.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

from rota.domain.errors import Unavailable
from rota.ports import Hint
from rota.storage.postgres_link import Server

BEAT_SECONDS = 20.0  # a listener is heard so often, and tries out its own session
QUIET_BEATS = 3  # after so many without a word from anybody there is nobody
APPLICATION = "rota-listener"  # what the server's lists of sessions call it
AGAIN_SECONDS = 1.0  # until a lost session is made again
MOST_RUNS = 100  # named in one hint: a payload is less than 8,000 bytes, and nobody watches a thousand runs
# Channels belong to the database; the store is a schema of it.
CHANNEL = "'rota_' || current_schema()::regnamespace::oid"
_HELLO = "here"
_NAMES = {hint.name.lower(): hint for hint in Hint if hint.name is not None}

Hear = Callable[[Hint, Sequence[int]], object]


class Told:
    """What one transaction has to tell the others, once it is committed."""

    __slots__ = ("ended", "hint")

    def __init__(self) -> None:
        self.hint = Hint(0)
        self.ended: list[int] = []

    def add(self, hint: Hint, ended: Sequence[int]) -> None:
        self.hint |= hint
        self.ended += ended


class Hints:
    """See `ports.Hints`. One for each process, shared by its threads."""

    def __init__(self, server: Server, *, beat_seconds: float = BEAT_SECONDS) -> None:
        self._server = server
        self._beat_seconds = beat_seconds
        self._tag = os.urandom(4).hex()  # by which a process knows its own words
        self._quiet_beats = 0

    @property
    def is_anybody_there(self) -> bool:
        """Whether others may listen. Who does not listen itself takes it that they do."""
        return self._quiet_beats < QUIET_BEATS

    def statement(self, told: Told) -> str | None:
        """The statement that goes with the commit. None: there is nothing to tell, or nobody to hear it."""
        if not told.hint or not self.is_anybody_there:
            return None
        words = [name for name, hint in _NAMES.items() if hint in told.hint]
        return self._notify(" ".join((*words, *map(str, told.ended[:MOST_RUNS]))))

    async def listen(self, hear: Hear) -> None:
        loop = asyncio.get_running_loop()

        def tell(hint: Hint, ended: Sequence[int]) -> None:
            loop.call_soon_threadsafe(hear, hint, ended)

        leave, left = socket.socketpair()
        thread = threading.Thread(target=self._serve, args=(tell, left), name="rota-listener", daemon=True)
        thread.start()
        try:
            await loop.create_future()  # until cancelled
        finally:
            leave.close()
            await asyncio.to_thread(thread.join)

    def _serve(self, tell: Hear, left: socket.socket) -> None:
        """Listen on one session after another, until `left` can be read."""
        with left:
            while True:
                with suppress(Unavailable, psycopg.Error), self._server.connect() as connection:
                    if self._hear_all(connection, tell, left):
                        return
                self._quiet_beats = 0  # who has come meanwhile nobody knows
                if select.select([left], [], [], AGAIN_SECONDS)[0]:
                    return

    def _hear_all(self, connection: psycopg.Connection[Any], tell: Hear, left: socket.socket) -> bool:
        """Listen on this session for as long as it lives. True: we are to leave. Raises psycopg.Error."""
        connection.execute("SELECT set_config('application_name', %s, false)", (APPLICATION,))
        (channel,) = connection.execute(f"SELECT {CHANNEL}").fetchone() or ("",)
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        tell(~Hint(0), ())
        while True:
            connection.execute(self._notify(_HELLO))
            self._quiet_beats += 1
            next_beat = time.monotonic() + self._beat_seconds  # however much is heard until then
            while (seconds := next_beat - time.monotonic()) > 0:
                for notification in connection.notifies(timeout=0):
                    self._understand(notification.payload, tell)
                ready, _, _ = select.select([connection.fileno(), left.fileno()], [], [], seconds)
                if left.fileno() in ready:
                    return True

    def _understand(self, payload: str, tell: Hear) -> None:
        tag, *words = payload.split() or [""]
        if tag == self._tag:
            return
        self._quiet_beats = 0
        hint = Hint(0)
        for word in words:
            hint |= _NAMES.get(word, Hint(0))  # a newer release may have more to say
        if hint:
            tell(hint, [int(word) for word in words if word.isdecimal()])

    def _notify(self, words: str) -> str:
        """All of it is ours: names and numbers, nothing that would have to be quoted."""
        return f"SELECT pg_notify({CHANNEL}, '{self._tag} {words}')"
