from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.builders import Rota, a_rota


@pytest.fixture
async def rota(tmp_path: Path) -> AsyncIterator[Rota]:
    async for made in a_rota(tmp_path):
        yield made
