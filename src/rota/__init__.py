"""Rota: one durable scheduler for operations.

`from rota import Cron, read_phrase` gives other programs its time engine. Both are loaded when they are first
asked for: a command line that needs neither does not wait for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rota.domain.trigger.phrase import read_phrase
    from rota.library import Cron

__all__ = ["Cron", "read_phrase"]


def __getattr__(name: str) -> object:
    if name == "Cron":
        from rota.library import Cron

        return Cron
    if name == "read_phrase":
        from rota.domain.trigger.phrase import read_phrase

        return read_phrase
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
