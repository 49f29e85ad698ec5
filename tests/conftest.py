"""What holds for all tests."""

from __future__ import annotations

import zoneinfo

from rota.domain.trigger.tzversion import zone_data


def pytest_configure() -> None:
    """Let `zoneinfo`, which tests and oracles ask, read the same release of the zone database that Rota uses."""
    folder = zone_data().folder
    if folder is not None:
        zoneinfo.reset_tzpath(to=[str(folder)])
