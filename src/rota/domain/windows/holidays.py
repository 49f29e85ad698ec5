"""Public holidays of countries, from the `holidays` library: an optional extra, loaded when first needed."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from rota.domain.errors import InvalidInput, Unavailable, near

_PLACE = re.compile(r"([A-Za-z]{2})(?:-([A-Za-z0-9]{1,4}))?")
_SATURDAY = 5


class Place(NamedTuple):
    """A country by its ISO 3166 code, and a part of it as the library calls it."""

    country: str
    part: str | None

    def __str__(self) -> str:
        return f"{self.country}-{self.part}" if self.part else self.country


def parse_place(text: str) -> Place:
    """Read `DE` or `DE-BY`. Raises InvalidInput with near names, Unavailable where the library is not installed."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise InvalidInput(
            f'"{text[:40]}" is not a country',
            expected="an ISO 3166 code",
            hint='such as "DE", or "DE-BY" for a part of it',
        )
    known = _supported()
    country, part = match[1].upper(), match[2].upper() if match[2] else None
    if country not in known:
        raise InvalidInput(
            f'the holidays of "{country}" are not known', expected="an ISO 3166 code", hint=near(country, known)
        )
    if part is not None and part not in known[country]:
        parts = known[country]
        expected = f"one of {' '.join(sorted(parts))}" if parts else f"{country} alone: its parts are not told apart"
        raise InvalidInput(f'the holidays of "{country}-{part}" are not known', expected=expected)
    return Place(country, part)


def is_holiday(place: Place, day: date) -> bool:
    return day in _holidays(place, day.year)


def is_business_day(place: Place | None, day: date) -> bool:
    """Monday to Friday, and no holiday of `place`."""
    return day.weekday() < _SATURDAY and (place is None or not is_holiday(place, day))


@lru_cache(maxsize=1024)
def _holidays(place: Place, year: int) -> frozenset[date]:
    try:
        from holidays import country_holidays
    except ImportError as error:
        raise _not_installed() from error
    return frozenset(country_holidays(place.country, subdiv=place.part, years=year))


@lru_cache(maxsize=1)
def _supported() -> dict[str, frozenset[str]]:
    """The countries that the library knows, and the parts of each."""
    try:
        from holidays import list_supported_countries
    except ImportError as error:
        raise _not_installed() from error
    return {country: frozenset(parts) for country, parts in list_supported_countries().items()}


def _not_installed() -> Unavailable:
    return Unavailable(
        "the holidays of countries need the holidays package, which is not installed",
        hint='install it beside Rota: pip install "rota[holidays]"',
    )
