"""Which living processes belong to which attempt, at no cost while nobody leaves anything behind.

The keeper is a subreaper: when the main process of an attempt is gone, the tops of whatever it left become the
keeper's own children. So one look at the list of children per turn tells whether anything was left; only then is /proc
read. Strangers (children that are no main process) are attributed once, by token or by session.
"""

from __future__ import annotations

import os

from .attempt import Attempt
from .proctree import ProcessTable, Tree, own_children, read_stat, token_of


class Family:
    def __init__(self, mains: dict[int, Attempt]) -> None:
        self._mains = mains  # by pid, until reaped
        self._strangers: dict[int, tuple[str | None, int]] = {}  # pid → token, session
        self._table: ProcessTable | None = None
        self._is_current = False

    def new_turn(self) -> None:
        """What was seen is old now."""
        self._table, self._is_current = None, False

    def reaped(self, pid: int) -> None:
        """A stranger has ended."""
        self._strangers.pop(pid, None)

    def tree(self, attempt: Attempt) -> Tree:
        """The attempt's living processes."""
        orphans = self._orphans_of(attempt)
        if attempt.status is not None and not orphans and attempt.known.keys() <= {attempt.pid}:
            return {}
        return self._snapshot().members(
            attempt.pid,
            reaped_tick=None if attempt.status is None else attempt.reaped_tick,
            known=attempt.known,
            orphans=orphans | {attempt.pid} if attempt.alive else orphans,
        )

    def _snapshot(self) -> ProcessTable:
        if self._table is None:
            self._table = ProcessTable()
        return self._table

    def _orphans_of(self, attempt: Attempt) -> set[int]:
        if not self._is_current:
            self._look_for_new_strangers()
            self._is_current = True
        return {
            pid
            for pid, (token, session) in self._strangers.items()
            if token == attempt.id or (session == attempt.pid and token is None)
        }

    def _look_for_new_strangers(self) -> None:
        children = own_children()
        if children is None:
            children = self._snapshot().children.get(os.getpid(), [])
        for pid in children:
            if pid not in self._mains and pid not in self._strangers:
                stat = read_stat(pid)
                if stat is not None and stat[0] not in "ZX":
                    self._strangers[pid] = token_of(pid), stat[2]
