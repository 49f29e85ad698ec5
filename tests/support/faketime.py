"""Processes whose clock a test sets: libfaketime reads how far it is off from a file, at each look at the clock.

The machine's own clock is never touched, and monotonic time goes on as it is (`DONT_FAKE_MONOTONIC`): so a process sees
what it would see if somebody set the clock under it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rota.demo.openssh import debian_package

_PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")


@cache
def library() -> Path:
    """The machine's libfaketime, or one that was fetched. Raises Unavailable with what to install."""
    for place in _PLACES:
        for found in Path(place).glob("**/faketime/libfaketimeMT.so.1"):
            return found
    return next(debian_package("libfaketime").rglob("libfaketimeMT.so.1"))


@dataclass(frozen=True, slots=True)
class FakeClock:
    """A clock for the processes that are started with `env`. It begins as the machine's own."""

    file: Path

    def set_off(self, seconds: int) -> None:
        """From now on it is so far ahead of the machine's clock; behind where negative."""
        scratch = self.file.with_suffix(".new")
        scratch.write_text(f"{seconds:+d}\n")
        scratch.rename(self.file)  # nobody reads half of it

    @property
    def env(self) -> Mapping[str, str]:
        if not self.file.exists():
            self.set_off(0)
        return {
            "LD_PRELOAD": os.fspath(library()),
            "FAKETIME_TIMESTAMP_FILE": os.fspath(self.file),
            "FAKETIME_CACHE_DURATION": "1",  # else each look at the clock reads the file: half of what a test takes
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
