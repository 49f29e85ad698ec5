"""How a connector answers a `FileOp`: an Exit whose output ends with one line of JSON.

    {"ok": true, "changed": false, "message": "unchanged: /etc/motd", "content": "aGk=", "digest": "2cf2…"}

`content` (base64) only for `read`; `digest` (SHA-256, hex) for `read` and `write`. Shared by every connector.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Final

from rota.domain.step import Exit, Json, StepResult

LARGEST_READ: Final = 45 * 1024  # bytes; in base64 with its frame it fits the 64 KiB of an exit's output
LARGEST_WRITE: Final = 512 * 1024  # bytes; in base64 with its frame it fits a command's 1 MiB of stdin


def read_exit(ended: Exit, *, max_bytes: int = LARGEST_READ) -> StepResult:
    """The verdict on a file step. Registered: ok changed, and content and digest where there are any."""
    answer = _answer(ended)
    if answer is None:
        return _failed(ended, _silence(ended))
    message = str(answer.get("message", ""))
    if answer.get("ok") is not True:
        return _failed(ended, message)
    registered: dict[str, Json] = {"ok": True, "changed": answer.get("changed") is True, "skipped": False}
    if "digest" in answer:
        registered["digest"] = answer["digest"]
    if "content" in answer:
        try:
            content = base64.b64decode(str(answer["content"]), validate=True)
        except binascii.Error:
            return _failed(ended, "the answer's content is not base64")
        if len(content) > max_bytes:
            return _failed(ended, f"the file has {len(content)} bytes; max_bytes is {max_bytes}")
        registered["content"] = content.decode(errors="replace")
    return StepResult(
        ok=True, message=message, exit_code=0, changed=answer.get("changed") is True, registered=registered
    )


def _answer(ended: Exit) -> dict[str, Json] | None:
    lines = ended.output.strip().splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _failed(ended: Exit, message: str) -> StepResult:
    return StepResult(
        ok=False,
        message=message,
        exit_code=ended.exit_code,
        changed=None,
        registered={"ok": False, "changed": None, "skipped": False},
    )


def _silence(ended: Exit) -> str:
    if ended.failure is not None:
        return f"did not start: {ended.failure}"
    if ended.signal is not None:
        return f"ended by signal {ended.signal}" + (f" ({ended.cause})" if ended.cause else "")
    tail = ended.output[-500:].decode(errors="replace").strip()
    return f"exit {ended.exit_code} without an answer" + (f": {tail}" if tail else "")
