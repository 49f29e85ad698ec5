"""Where the daemon's log goes: standard error, and `logs/daemon.log` (5 MB, three older ones kept)."""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import structlog

MAX_BYTES = 5_000_000
OLDER_FILES = 3
_WAITING = 10_000  # records; what comes while so many wait is dropped rather than kept in memory without end


@contextmanager
def logging_to(file: Path, *, level: str, form: Literal["text", "json"]) -> Iterator[None]:
    """Send structlog and the standard library's records there until the context ends; then flush and undo.

    `level` is that of Rota's own records; libraries are heard from "warning" on ("info" where it is debug).

    Records are written by a thread of their own: a full disk or a terminal that nobody reads must not stop the
    clock of an event loop.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    writers = _writers(file, form, shared)
    records: queue.Queue[logging.LogRecord] = queue.Queue(_WAITING)
    listener = logging.handlers.QueueListener(records, *writers, respect_handler_level=True)
    root, ours = logging.getLogger(), logging.getLogger("rota")
    before = (root.handlers[:], root.level, ours.level)
    root.handlers = [_QueueHandler(records)]
    ours.setLevel(level.upper())
    # Libraries tell at "info" what only their own authors want to know.
    root.setLevel(max(ours.level, logging.WARNING) if level != "debug" else logging.INFO)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    listener.start()
    try:
        yield
    finally:
        listener.stop()
        root.handlers = before[0]
        root.setLevel(before[1])
        ours.setLevel(before[2])
        structlog.reset_defaults()
        for writer in writers:
            writer.close()


def _writers(
    file: Path, form: Literal["text", "json"], shared: list[structlog.typing.Processor]
) -> list[logging.Handler]:
    to_file = logging.handlers.RotatingFileHandler(
        file, maxBytes=MAX_BYTES, backupCount=OLDER_FILES, encoding="utf-8", delay=False
    )
    to_file.setFormatter(_formatter(form, shared, colors=False))
    if _is_standard_error(file):  # launchd sends it there: one copy is enough
        return [to_file]
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(_formatter(form, shared, colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ))
    return [to_file, to_terminal]


def _formatter(
    form: Literal["text", "json"], shared: list[structlog.typing.Processor], *, colors: bool
) -> logging.Formatter:
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    )


def _is_standard_error(file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(sys.stderr.fileno()), file.stat())
    except (OSError, ValueError):  # closed, or not a real file
        return False


class _QueueHandler(logging.handlers.QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # it crosses a thread, not a process; structlog's formatter wants it untouched

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return
