"""The process that renders. Reads one JSON request a line on stdin, answers one JSON line each, in order.

    {"fields": {"command": ["echo {{ x }}", "shell"]}, "variables": {"x": "a"}, "known": ["x"]}
    {"when": "x == 'a'", "variables": {"x": "a"}, "known": ["x"]}
 →  {"values": {"command": "echo 'a'"}}   {"value": true}   {"faults": [["command", "missing variable `y`"]]}

It holds nothing that must not be lost: whatever goes wrong here, it ends, and its parent starts another. Limits for
each request: CPU seconds (SIGPROF's default action ends the process), memory beyond the start (MemoryError), 64 KiB
of text. It ends at end of file on stdin, so it never outlives its parent by more than one request.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any, Final

from rota.domain.errors import InvalidInput
from rota.templating.environment import LONGEST_OUTPUT, Absent, evaluate, render
from rota.templating.quoting import Quoting

OUT_OF_MEMORY: Final = "out of memory"


def main() -> None:
    """Serve until end of file. Arguments: CPU seconds and bytes of memory that one request may take."""
    cpu_seconds, memory = float(sys.argv[-2]), int(sys.argv[-1])
    answer({"fields": {"": ["{{ x | lower }}", "shell"]}, "variables": {"x": "warm"}, "known": []})
    limit_memory(memory)
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        try:
            reply = answer(json.loads(line))
        except MemoryError:
            reply = {"failed": OUT_OF_MEMORY}
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
        if "failed" in reply:
            return  # what the heap looks like now is nobody's business


def limit_memory(allowance: int) -> None:
    """Let the address space grow by `allowance` bytes from here. Only where the kernel tells its size (Linux)."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        size = int(statm.read_text().split()[0]) * resource.getpagesize() + allowance
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Carry out one request."""
    Absent.known = tuple(request["known"])
    variables = request["variables"]
    if "when" in request:
        try:
            return {"value": evaluate(request["when"], variables)}
        except InvalidInput as error:
            return {"faults": [["", fault.message] for fault in error.errors]}
    values, faults, size = {}, [], 0
    for name, (text, quoting) in request["fields"].items():
        try:
            values[name] = render(text, Quoting(quoting), variables)
            size += len(values[name].encode())
        except InvalidInput as error:
            faults += [[name, fault.message] for fault in error.errors]
    if size > LONGEST_OUTPUT:
        faults.append(["", f"the rendered texts are together longer than {LONGEST_OUTPUT} bytes"])
    return {"faults": faults} if faults else {"values": values}


if __name__ == "__main__":
    main()
