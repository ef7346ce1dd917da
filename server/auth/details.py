"""What people say about themselves: the types of an address, a number, a name, as bodies of requests have them."""

import re
from typing import Annotated, Final
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field

from server.auth.addresses import ADDRESS_LENGTH_MAX, folded

LOCALE_LENGTH_MAX: Final = 35
_is_phone: Final = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch
_is_locale: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}").fullmatch
_ZONES: Final = frozenset(available_timezones())


def _phone(text: str) -> str:
    compact = re.sub(r"[\s().-]", "", text)
    if not _is_phone(compact):
        raise ValueError("a phone number looks like +919812345678")
    return compact


def _line(text: str) -> str:
    """Letters greet people by it: nobody's name is a paragraph."""
    line = " ".join(text.split())
    if not line.isprintable():
        raise ValueError("a name has printable characters only")
    return line


def _name(text: str) -> str:
    name = _line(text)
    if len(name) < 2:
        raise ValueError("a name has at least 2 printable characters")
    return name


def _locale(text: str) -> str:
    if not _is_locale(text):
        raise ValueError("a locale looks like en or en-IN")
    return text


def _zone(text: str) -> str:
    if text not in _ZONES:
        raise ValueError("this is not an IANA time zone")
    return text


def first_locale(header: str) -> str:
    """What an Accept-Language header asks for first, as browsers write it; `en` where it asks for nothing."""
    tags = (part.partition(";")[0].strip() for part in header.split(","))
    return next((tag for tag in tags if len(tag) <= LOCALE_LENGTH_MAX and _is_locale(tag)), "en")


Email = Annotated[str, Field(max_length=ADDRESS_LENGTH_MAX), AfterValidator(folded)]
Phone = Annotated[str, Field(max_length=40), AfterValidator(_phone)]
Name = Annotated[str, Field(max_length=100), AfterValidator(_name)]
Addressee = Annotated[str, Field(max_length=100), AfterValidator(_line)]
"""What a guest is called, if they care to say."""

Locale = Annotated[str, Field(max_length=LOCALE_LENGTH_MAX), AfterValidator(_locale)]
Zone = Annotated[str, Field(max_length=64), AfterValidator(_zone)]
Password = Annotated[str, Field(max_length=4_096)]
Secret = Annotated[str, Field(min_length=1, max_length=200)]
"""A token that we made."""
