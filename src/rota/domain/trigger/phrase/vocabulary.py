"""The words of the grammar, in one place. All in lower case, without apostrophes, several words with one space."""

from __future__ import annotations

from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, WEEK, Micros
from rota.domain.trigger.calendar_words import MONTHS as MONTH_NAMES
from rota.domain.trigger.calendar_words import WEEKDAYS as WEEKDAY_NAMES

_BELOW_TWENTY = (
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
NUMBERS = {word: number for number, word in enumerate(_BELOW_TWENTY, 1)} | {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "forty five": 45,
    "fifty": 50,
    "sixty": 60,
    "ninety": 90,
}
ORDINALS = {
    word: number
    for number, word in enumerate(
        ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"), 1
    )
} | {"last": -1}
ORDINAL_ENDINGS = ("st", "nd", "rd", "th")

LENGTHS: dict[str, Micros] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), SECOND),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), HOUR),
    **{"d": DAY, "w": WEEK},  # the short form "every 1d" is an interval, "every day" is a day of the calendar
}
"""Units of real time."""
PERIODS = {
    **dict.fromkeys(("day", "days"), "day"),
    **dict.fromkeys(("week", "weeks"), "week"),
    **dict.fromkeys(("month", "months"), "month"),
    **dict.fromkeys(("quarter", "quarters"), "quarter"),
    **dict.fromkeys(("year", "years"), "year"),
}
"""Units of the calendar."""
ADVERBS = {
    "daily": (1, "day"),
    "weekly": (1, "week"),
    "fortnightly": (2, "week"),
    "monthly": (1, "month"),
    "quarterly": (1, "quarter"),
    "yearly": (1, "year"),
    "annually": (1, "year"),
}
LENGTH_ADVERBS: dict[str, Micros] = {"hourly": HOUR, "half hourly": 30 * MINUTE}

WEEKDAYS = {
    spelling: number
    for number, name in enumerate(WEEKDAY_NAMES)
    for spelling in (name, name[:3], f"{name}s", f"{name[:3]}s")
} | {"tues": 1, "weds": 2, "thur": 3, "thurs": 3}
PLURAL_WEEKDAYS = frozenset(f"{name}s" for name in WEEKDAY_NAMES)
WORKDAYS = (0, 1, 2, 3, 4)
WEEKEND = (5, 6)
WORKDAY_NAMES = ("weekday", "workday", "business day", "working day", "work day")
WORKDAY_PLURALS = tuple(f"{name}s" for name in WORKDAY_NAMES)
MONTHS = {spelling: number for number, name in enumerate(MONTH_NAMES, 1) for spelling in (name, name[:3])} | {"sept": 9}

# The hour that is meant when a part of the day stands for a time, and the hours that belong to it: from, to.
PARTS_OF_DAY = {"morning": (8, 0, 12), "afternoon": (14, 12, 18), "evening": (18, 17, 24), "night": (2, 18, 30)}
PARTS = {spelling: part for part in PARTS_OF_DAY for spelling in (part, f"{part}s")}

CONTINUOUS = ("continuously", "continuous", "in a loop", "again and again")
ALL_DAY = ("always", "nonstop", "non stop", "around the clock", "all the time", "day and night")
ON_DEMAND = (
    *("when i ask", "when i say so", "when i want", "when asked", "when triggered", "when requested"),
    *("on demand", "on request", "manually", "manual", "by hand"),
)
ON_START = (
    *("at startup", "on startup", "at boot", "on boot", "at reboot", "on reboot", "at start", "on start"),
    *("when the daemon starts", "when rota starts"),
)
# What seed 3 infers from one word, where no other says when.
HOURLY_TASKS = ("monitor", "watch", "check")
ASKED_FOR = ("when", "if", "trigger")

# Words that can mean two things, with what they may stand for.
AMBIGUOUS = {
    "biweekly": ("every 2 weeks", "every Monday and Thursday"),
    "bi weekly": ("every 2 weeks", "every Monday and Thursday"),
    "bimonthly": ("every 2 months", "on the 1st and 15th of each month"),
    "bi monthly": ("every 2 months", "on the 1st and 15th of each month"),
    "biannually": ("twice a year", "every 2 years"),
    "every weekend": ("every Saturday", "every Sunday", "weekends"),
    "at the weekend": ("weekends", "every Saturday", "every Sunday"),
    "every other weekday": ("every Monday, Wednesday and Friday", "every other day"),
    "during business hours": ("from 09:00 to 17:00 on weekdays", "from 08:00 to 18:00 on weekdays"),
    "during working hours": ("from 09:00 to 17:00 on weekdays", "from 08:00 to 18:00 on weekdays"),
    "a couple of": ("2",),
    "every couple of": ("every 2",),
}
NEGATIONS = ("do not run", "dont run", "do not", "dont", "not")

# In a sentence that says what and when: words that belong to the when …
TIME_WORDS = frozenset(
    word
    for words in (
        *(NUMBERS, ORDINALS, LENGTHS, PERIODS, ADVERBS, LENGTH_ADVERBS, WEEKDAYS, MONTHS, PARTS, ALL_DAY, CONTINUOUS),
        *(WORKDAY_NAMES, WORKDAY_PLURALS, AMBIGUOUS),
        ("every", "each", "once", "twice", "times", "nightly", "weekend", "weekends", "noon", "midnight", "midday"),
        ("oclock", "am", "pm", "today", "tomorrow", "tonight", "yesterday", "now", "later", "soon", "startup", "boot"),
        ("demand", "manually", "midweek", "holiday", "holidays", "summer", "winter", "spring", "autumn", "often"),
        ("regularly", "sometimes", "occasionally", "periodically", "rarely", "seldom", "hours", "time"),
    )
    for phrase in words
    for word in phrase.split()
) - {"a", "an", "the", "in", "at", "of", "and", "to", "day", "all", "work", "business"} | {"day"}
# … and those that take something away from it.
CAUTIONS = frozenset(
    (*ASKED_FOR, "not", "dont", "never", "no", "none", "unless", "except", "excluding", "without", "stop", "skip")
) | {"until", "till", "while", "during", "only", "but", "or", "after", "before", "between", "starting", "other", "than"}
