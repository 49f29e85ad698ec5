"""The documents, and what is the same in all of them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """`docs/cli.md`: how a test names a page."""
    return str(page.relative_to(ROOT))
