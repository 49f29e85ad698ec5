"""What cannot be read, and what it might have meant."""

from __future__ import annotations

from collections.abc import Iterable

from rota.domain.errors import InvalidInput

MANUAL = "docs/phrases.md"


class PhraseError(InvalidInput):
    """The words do not say when, or say it in more than one way.

    `readings` are the phrases that were considered, each of which can be typed as it stands; empty where the words
    mean nothing here.
    """

    code = "unclear_phrase"

    def __init__(self, happened: str, *, readings: Iterable[str] = (), expected: str = "", hint: str = "") -> None:
        self.readings = tuple(readings)
        if self.readings:
            quoted = [f'"{reading}"' for reading in self.readings]
            expected = quoted[0] if len(quoted) == 1 else f"one of {', '.join(quoted)}"
        super().__init__(happened, expected=expected, hint=hint)


class Unclear(Exception):
    """A fault on its way to `read_phrase`, which knows the whole text and tries the candidates.

    `happened` reads on from a quotation of `words`: `"blue" is not understood`. `candidates` are whole phrases.
    """

    def __init__(
        self, words: str, happened: str, *, candidates: Iterable[str] = (), expected: str = "", hint: str = ""
    ) -> None:
        self.words, self.happened = words, happened
        self.candidates = tuple(candidates)
        self.expected, self.hint = expected, hint
        super().__init__(f'"{words}" {happened}')
