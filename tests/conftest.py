"""What holds for all tests."""

from __future__ import annotations

import os
import signal
import zoneinfo

from hypothesis import HealthCheck, settings

from rota.domain.trigger.tzversion import zone_data


def pytest_configure() -> None:
    _choose_examples()
    _read_the_same_zones()
    _heed_signals()
    _keep_bytecode()


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: many a test waits for processes, and nobody should wait for it."""
    return (os.cpu_count() or 1) + 2


def _choose_examples() -> None:
    """The same examples each time, so that a test fails always or never; and no limit on how long one takes or is
    sought, which says something of the machine and what else it does, not of Rota."""
    hasty = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    settings.register_profile("rota", deadline=None, derandomize=True, suppress_health_check=hasty)
    settings.load_profile("rota")


def _read_the_same_zones() -> None:
    """Let `zoneinfo`, which tests and oracles ask, read the same release of the zone database that Rota uses."""
    folder = zone_data().folder
    if folder is not None:
        zoneinfo.reset_tzpath(to=[str(folder)])


def _heed_signals() -> None:
    """Started in the background or by nohup, signals are ignored, and would be in all that the tests start.

    A handler of ours is set back to the default in a child (execve(2)); what is ignored stays ignored there.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)


def _keep_bytecode() -> None:
    """Let what the tests start keep its bytecode, as it does for everybody: else each of a thousand processes compiles
    all of Rota anew."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
