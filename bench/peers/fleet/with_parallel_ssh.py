"""parallel-ssh over many hosts, cold and then warm. It does not verify host keys. Prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from pssh.clients import ParallelSSHClient


def main(path: str) -> None:
    fleet = json.loads(Path(path).read_text())
    client = ParallelSSHClient(
        fleet["addresses"],
        user=fleet["user"],
        port=fleet["port"],
        pkey=fleet["key_file"],
        pool_size=fleet["at_once"],
        num_retries=1,
    )
    answer = {}
    for name in ("cold", "warm"):
        began, cpu = time.perf_counter(), _cpu()
        outputs = client.run_command(fleet["command"], stop_on_errors=False)
        client.join(outputs)
        good = sum(
            output.exception is None and bool(list(output.stdout)) and output.exit_code == 0 for output in outputs
        )
        answer[name] = {"seconds": time.perf_counter() - began, "cpu": _cpu() - cpu, "good": good}
    print(json.dumps(answer))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


main(sys.argv[1])
