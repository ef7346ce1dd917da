"""E-mail addresses: one spelling for each, since an account is found by it."""

import re
import unicodedata
from typing import Final

ADDRESS_LENGTH_MAX: Final = 254
_is_address: Final = re.compile(r"[^@\s\x00-\x1f<>(),;:\\\"\[\]]{1,64}@[^@\s.,;<>]+(\.[^@\s.,;<>]+)+").fullmatch


def folded(text: str) -> str:
    """The address as it is stored. ValueError for what is none.

    Characters that cannot be seen are refused, and so are those that our Unicode does not know: the database's may know
    another lower case for them.
    """
    address = unicodedata.normalize("NFC", text.strip()).lower()
    if not address.isprintable() or len(address) > ADDRESS_LENGTH_MAX or not _is_address(address):
        raise ValueError("this is not an e-mail address")
    return address


def sought(text: str) -> str:
    """The address to look for. What is no address is looked for like one, and nobody has it."""
    try:
        return folded(text)
    except ValueError:
        return text
