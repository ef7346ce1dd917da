"""Ids: UUIDv7 strings, sortable by time.

A hold or booking id carries its showtime's number in 32 of its random bits, so that any process can route a command
from the id alone, without an index that a restart would lose. Ids are names, not secrets: ownership is checked, so
ordinary random bits are good enough.
"""

import random
import re
from typing import Final

from actors.seatmap.terms import Instant

_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
_NUMBER_MASK: Final = (1 << 32) - 1
_NUMBER_SHIFT: Final = 30
_is_uuid: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def mint(now: Instant) -> str:
    """A fresh UUIDv7."""
    noise = random.getrandbits(74)
    return _text((now << 80) | _VERSION | ((noise >> 62) << 64) | _VARIANT | (noise & ((1 << 62) - 1)))


def mint_in(showtime_number: int, now: Instant) -> str:
    """A fresh UUIDv7 that remembers which showtime it belongs to."""
    noise = random.getrandbits(42)
    low = (showtime_number & _NUMBER_MASK) << _NUMBER_SHIFT | (noise & ((1 << _NUMBER_SHIFT) - 1))
    return _text((now << 80) | _VERSION | ((noise >> _NUMBER_SHIFT) << 64) | _VARIANT | low)


def showtime_number(text: str) -> int | None:
    """The showtime number inside an id made by `mint_in`; some other number for any other id; None for no UUID."""
    if not is_uuid(text):
        return None
    return int(text[19:23] + text[24:], 16) >> _NUMBER_SHIFT & _NUMBER_MASK


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in the one spelling that we accept: lower case, hyphens."""
    return _is_uuid(text) is not None


def _text(value: int) -> str:
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
