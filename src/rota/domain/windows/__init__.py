"""Windows of time: when a calendar is on. `rules` reads them from text, `ics` from a calendar file."""
