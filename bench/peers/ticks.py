"""The peers' job. In a module of its own, as a SQLAlchemy job store keeps functions by their import path."""

from __future__ import annotations

import time

STARTS: list[tuple[int, float]] = []


def tick(number: int = 0) -> None:
    """Note which job ran, and when."""
    STARTS.append((number, time.time()))
