from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.keeper.keeper_world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A keeper of its own; whatever it still has is killed at the end."""
    world = await World.begin(tmp_path / "keeper")
    yield world
    if not world.keeper.lost.is_set():
        world.owner.acknowledge_to(world.keeper)
        await world.keeper.stop(grace_seconds=0)


@pytest.fixture
def id_() -> str:
    """An attempt id that no other test has, as processes are recognised by it."""
    return f"attempt.{uuid.uuid4().hex}"
