"""Watches the playbook folder: a look at names, sizes and times, and nothing more while they stay as they are."""

from __future__ import annotations

from pathlib import Path

from rota.usecases.context import Context
from rota.usecases.playbooks import sync_folder

Signature = frozenset[tuple[str, int, int]]


class PlaybookFolder:
    def __init__(self, context: Context, folder: Path) -> None:
        self._context, self._folder = context, folder
        self._seen: Signature | None = None

    async def look(self) -> None:
        """Bring the library in line with the folder if a file came, went or changed."""
        signature = self._signature()
        if signature != self._seen:
            await sync_folder(self._context, self._folder)
            self._seen = signature

    def _signature(self) -> Signature:
        try:
            stats = [(path.name, path.stat()) for path in self._folder.iterdir()]
        except OSError:  # no folder, or a file that went while we looked: seen at the next look
            return frozenset()
        return frozenset((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
