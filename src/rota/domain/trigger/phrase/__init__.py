"""Plain language: English becomes triggers, with a reading that says how; or an error that lists what it might mean.

A grammar of our own, by recursive descent: `tokens` cuts, `sentences` and `clauses` walk (with `rhythms`, `clocks`,
`dates` and `places` for the parts), `said` gathers, `build` decides, `questions` asks. docs/phrases.md, written
before it, has the rules and a table of phrases, each of which is a test.
"""

from __future__ import annotations

from rota.domain.trigger.phrase.errors import PhraseError
from rota.domain.trigger.phrase.read import Reading, read_description, read_phrase

__all__ = ["PhraseError", "Reading", "read_description", "read_phrase"]
