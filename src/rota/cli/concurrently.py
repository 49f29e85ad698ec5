"""Asking the server about many hosts at once, in threads: each request waits for one host."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rota.domain.errors import RotaError

T = TypeVar("T")
AT_ONCE = 64


def ask(names: Sequence[str], question: Callable[[str], T]) -> Iterator[tuple[str, T | RotaError]]:
    """Give each name with its answer, or with the error it was answered with, as they come.

    On a terminal a line counts them meanwhile, and is gone at the end.
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed

    pool = ThreadPoolExecutor(min(AT_ONCE, max(1, len(names))))
    try:
        asked = {pool.submit(question, name): name for name in names}
        for number, answered in enumerate(as_completed(asked), 1):
            _count(number, len(names))
            error = answered.exception()
            if isinstance(error, RotaError):
                yield asked[answered], error
            else:
                yield asked[answered], answered.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # who presses Ctrl-C waits for those under way, and no more


def _count(done: int, of: int) -> None:
    if of > 1 and sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K" if done == of else f"\r{done}/{of} hosts")
        sys.stderr.flush()
