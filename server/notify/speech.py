"""Somebody's language: sentences, money, days and times as a person of that locale expects them.

The sentences are data in `translations/`, one file for each language with the same keys. `{name}` is filled in; a key
with `_one` is used where `count` is one. Times are local ones already: a showtime's are the theatre's.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.lists import format_list
from babel.numbers import get_currency_symbol, parse_pattern
from markupsafe import Markup, escape

from server.price_shapes import exponent

TRANSLATIONS: Final = Path(__file__).parent / "translations"
LANGUAGES: Final = ("en", "de", "hi")
"""The first is spoken to whoever speaks none of them."""


class Speech:
    """How one locale is spoken to: `en-IN` hears English sentences and sees Indian figures."""

    def __init__(self, locale: Locale, language: str) -> None:
        self._locale = locale
        self._sentences = sentences(language)
        self.language = language

    def knows(self, key: str) -> bool:
        return key in self._sentences

    def say(self, key: str, *, count: int | None = None, **facts: object) -> str:
        return self._sentence(key, count).format(count=count, **facts)

    def say_in_html(self, key: str, *, count: int | None = None, **facts: object) -> Markup:
        """The same with every fact escaped."""
        return Markup(escape(self._sentence(key, count))).format(count=count, **facts)  # noqa: S704 (escaped)

    def money(self, amount: int, currency: str) -> str:
        """Minor units, as many decimals as the currency has."""
        digits = exponent(currency)
        written = self._locale.currency_formats["standard"].pattern
        if get_currency_symbol(currency, self._locale)[-1].isalpha():
            written = written.replace("¤#", "¤\u00a0#")  # `€1` but `HUF 1`
        pattern = parse_pattern(written)
        pattern.frac_prec = (digits, digits)
        value = Decimal(amount).scaleb(-digits)
        return str(pattern.apply(value, self._locale, currency=currency, currency_digits=False))

    def day(self, at: datetime) -> str:
        """`Saturday, 21 November 2026`."""
        return format_date(at.date(), "full", locale=self._locale)

    def time(self, at: datetime) -> str:
        return _with_plain_spaces(format_time(at.timetz(), "short", locale=self._locale))

    def listed(self, names: Sequence[str]) -> str:
        """`A1, A2 and A3`."""
        return format_list(list(names), locale=self._locale)

    def _sentence(self, key: str, count: int | None) -> str:
        form = f"{key}_one" if count == 1 and f"{key}_one" in self._sentences else key
        return self._sentences[form]


@cache
def sentences(language: str) -> Mapping[str, str]:
    found: dict[str, str] = json.loads((TRANSLATIONS / f"{language}.json").read_text("utf-8"))
    return found


@lru_cache(maxsize=256)
def speech_for(locale: str) -> Speech:
    """For what an account says of itself; nothing that somebody may have written there is an error."""
    try:
        known = Locale.parse(locale, sep="-")
    except (UnknownLocaleError, ValueError):
        known = Locale.parse(LANGUAGES[0])
    if known.language not in LANGUAGES:
        known = Locale.parse(LANGUAGES[0])
    return Speech(known, known.language)


def _with_plain_spaces(text: str) -> str:
    """CLDR writes `6:30 pm` with a space that many phones show as a box."""
    return text.replace("\u202f", " ").replace("\u00a0", " ")
