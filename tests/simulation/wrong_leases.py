"""What the mutants do wrong where machines share a store: leases, clocks, and commits whose answer was lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rota.domain.errors import Unavailable
from rota.domain.instant import Micros
from rota.ports import Tx
from rota.storage.leases import Terms, silent_owners


async def leave_alone(*_: object, **__: object) -> None: ...


def not_renewed(_right: Callable[..., Any]) -> object:
    def renew(tx: Tx, _owner: str) -> Micros:
        return tx.at

    return renew


def without_lease(right: Callable[..., Any]) -> object:
    def act(tx: Tx, *given: Any, terms: Terms | None = None, **named: Any) -> Any:
        if terms is None:
            *given_, terms = given
            return right(tx, *given_, terms._replace(lease=0))
        return right(tx, *given, terms=terms._replace(lease=0), **named)

    return act


def without_grace(right: Callable[..., Any]) -> object:
    def take_from(tx: Tx, *, terms: Terms, may_give_up: bool, **named: Any) -> Any:
        return right(tx, terms=terms._replace(grace=0), may_give_up=True, **named)

    return take_from


async def look_without_doubt(self: Any) -> None:
    for owner in await self._store.read(lambda tx: silent_owners(tx, self._terms)):
        await self._take_from(owner, may_give_up=True)
    self._worker.claimer.look()


async def commit_again(self: Any, process: Any, group: Sequence[Callable[[Tx], Any]], _: list[Any] | None) -> list[Any]:
    again: list[Any] = self._commit(process, group)
    return again


async def take_for_lost(_self: Any, _process: Any, group: Sequence[object], _results: object) -> list[Any]:
    return [Unavailable("the connection was lost")] * len(group)
