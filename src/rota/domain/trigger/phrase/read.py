"""The door: a phrase, read or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rota.domain.errors import InvalidInput
from rota.domain.instant import HOUR, Micros
from rota.domain.trigger.checks import parse_interval
from rota.domain.trigger.explain import describe
from rota.domain.trigger.kinds import CalendarTrigger, CronTrigger, ManualTrigger, TriggerSpec
from rota.domain.trigger.phrase.build import Builder
from rota.domain.trigger.phrase.description import task_only, time_part
from rota.domain.trigger.phrase.errors import MANUAL, PhraseError, Unclear
from rota.domain.trigger.phrase.sentences import read_sentences
from rota.domain.trigger.phrase.tokens import LONGEST, Cursor, tidied
from rota.domain.trigger.phrase.vocabulary import ASKED_FOR, HOURLY_TASKS, NEGATIONS, WEEKDAYS
from rota.domain.trigger.zones import parse_zone


@dataclass(frozen=True, slots=True)
class Reading:
    """How a phrase was read. `reading` is English written back from the triggers, with what was `assumed`."""

    text: str
    triggers: tuple[TriggerSpec, ...]
    reading: str
    assumed: tuple[str, ...] = ()


def read_phrase(text: str, zone: str = "UTC", *, now: Micros | None = None) -> Reading:
    """Return the triggers that a phrase means, with their reading.

    `zone` is for times of day where the phrase names none. `now` is asked for by what is counted from today
    ("tomorrow", "every other Friday"). Without it, an interval that does not divide a day counts from 1970. Raises
    PhraseError for what is not understood, or understood in more than one way; InvalidInput for an unknown zone.
    """
    zone = parse_zone(zone)
    phrase = tidied(text)
    if len(phrase) > LONGEST:
        raise PhraseError(f"{len(phrase)} characters are too many to say when", expected=f"at most {LONGEST}")
    if not phrase:
        raise PhraseError("nothing is said", expected="when it is to run", hint='such as "every weekday at 9am"')
    try:
        return _read(phrase, zone, now)
    except Unclear as unclear:
        raise _refusal(unclear, phrase, zone, now) from unclear


def read_description(text: str, zone: str = "UTC", *, now: Micros | None = None) -> Reading:
    """Like `read_phrase`, for a sentence that also says what is done: "check my inbox every morning".

    Without a word about time, a task that monitors, watches or checks is taken for hourly, and one that waits for
    something ("when", "if") for one that is started by hand: seed 3's rule, named as assumed.
    """
    try:
        return read_phrase(text, zone, now=now)
    except PhraseError:
        phrase = tidied(text)
        part = time_part(phrase, lambda words: _is_clear(words, zone, now))
        try:
            part = part or task_only(phrase)
        except Unclear as unclear:
            raise _refusal(unclear, phrase, zone, now) from unclear
        if not part:
            raise
        return replace(_read(part, zone, now), text=phrase)


def _refusal(unclear: Unclear, phrase: str, zone: str, now: Micros | None) -> PhraseError:
    """The error, with those of the candidates that can be read. Where none was thought of, the part that can."""
    readings = [one for one in dict.fromkeys(unclear.candidates) if _is_clear(one, zone, now)]
    if not unclear.candidates and not unclear.hint:
        readings = list(filter(None, [time_part(phrase, lambda words: _is_clear(words, zone, now))]))
    shown = f'"{unclear.words}"' if unclear.words == phrase else f'"{unclear.words}" in "{phrase}"'
    hint = unclear.hint or f"see {MANUAL}"
    return PhraseError(f"{shown} {unclear.happened}", readings=readings, expected=unclear.expected, hint=hint)


def _is_clear(phrase: str, zone: str, now: Micros | None) -> bool:
    try:
        _read(phrase, zone, now)
    except Unclear:
        return False
    return True


def _read(phrase: str, zone: str, now: Micros | None) -> Reading:
    """Raises Unclear, its candidates untried."""
    cursor = Cursor(phrase)
    found = _one_word(cursor, zone, now)
    if found is not None:
        return found
    _refuse_what_is_not_said(cursor)
    said = read_sentences(cursor)
    zones = {sentence.zone for sentence in said if sentence.zone is not None}
    shared = zones.pop() if len(zones) == 1 else zone
    triggers: list[TriggerSpec] = []
    assumed: list[str] = []
    for sentence in said:
        builder = Builder(sentence, cursor, shared, now)
        try:
            triggers += builder.triggers()
        except InvalidInput as fault:
            raise Unclear(phrase, fault.happened, expected=fault.expected, hint=fault.hint) from fault
        assumed += builder.assumed
    return _reading(phrase, triggers, assumed)


def _reading(phrase: str, triggers: Sequence[TriggerSpec], assumed: Sequence[str]) -> Reading:
    read = "; ".join(map(_in_zone, triggers))
    if assumed:
        listed = assumed[0] if len(assumed) == 1 else f"{', '.join(assumed[:-1])} and {assumed[-1]}"
        read += f"; {listed} {'is' if len(assumed) == 1 else 'are'} assumed"
    return Reading(phrase, tuple(triggers), read, tuple(assumed))


def _in_zone(trigger: TriggerSpec) -> str:
    words = describe(trigger)
    if isinstance(trigger, CronTrigger | CalendarTrigger) and trigger.zone != "UTC":
        return f"{words}, {trigger.zone} time"
    return words


def _one_word(cursor: Cursor, zone: str, now: Micros | None) -> Reading | None:
    """What seed 3 infers from a single word: a task that looks after something, or one that waits for something."""
    if len(cursor.tokens) != 1:
        return None
    word = cursor.tokens[0].text
    if word in HOURLY_TASKS:
        return _reading(cursor.text, [parse_interval(HOUR, zone, created=now or 0)], ["an hour"])
    return _reading(cursor.text, [ManualTrigger()], []) if word in ASKED_FOR else None


def _refuse_what_is_not_said(cursor: Cursor) -> None:
    """Raise Unclear for a "not", a "when" or an "if": they say when something is *not* to run, or leave it open."""
    words = [token.text for token in cursor.tokens]
    for place, word in enumerate(words):
        if word not in ("not", "dont", "never") or words[max(place - 1, 0)] == "but":
            continue
        rest = _without_negation(cursor)
        candidates = [rest, f"every day except {rest}", "on demand"] if rest else ["on demand"]
        token = cursor.tokens[place]
        raise Unclear(cursor.typed((token.start, token.end)), "says when it is not to run", candidates=candidates)
    if words and words[0] in ("when", "if"):
        begin = Cursor(cursor.text)
        if not begin.accept_one(_WAITED_FOR):
            day = next((token for token in cursor.tokens if token.text in WEEKDAYS), None)
            weekly = [f"every {cursor.typed((day.start, day.end))}"] if day else []
            first = cursor.tokens[0]
            happened = "names a condition, which is not a time"
            raise Unclear(cursor.typed((first.start, first.end)), happened, candidates=[*weekly, "on demand"])


def _without_negation(cursor: Cursor) -> str:
    rest = Cursor(cursor.text)
    while not rest.is_done:
        place = rest.place
        if rest.accept_one((*NEGATIONS, "never")):
            return rest.edited({rest.span_from(place): ""})
        rest.take()
    return ""


_WAITED_FOR = (
    *("when i ask", "when i say so", "when i want", "when asked", "when triggered", "when requested"),
    *("when the daemon starts", "when rota starts"),
)
