"""E-mail addresses: one spelling for each, since an account is found by it."""

import re
from typing import Final

ADDRESS_LENGTH_MAX: Final = 254
_is_address: Final = re.compile(r"[^@\s\x00-\x1f<>(),;:\\\"\[\]]{1,64}@[^@\s.,;<>]+(\.[^@\s.,;<>]+)+").fullmatch


def folded(text: str) -> str:
    """The address as it is stored. ValueError for what is none."""
    address = text.strip().lower()
    if len(address) > ADDRESS_LENGTH_MAX or not _is_address(address):
        raise ValueError("this is not an e-mail address")
    return address
