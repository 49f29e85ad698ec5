from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rota.templating.renderer import Renderer


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    async with Renderer() as started:
        yield started
