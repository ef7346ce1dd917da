"""Addresses: one spelling each, that the database agrees with."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.database import Pool
from server.auth.addresses import ADDRESS_LENGTH_MAX, folded


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (" Ana@Example.COM ", "ana@example.com"),
        ("a.b+tag@mail.example.co.uk", "a.b+tag@mail.example.co.uk"),
        ("o'neil@example.com", "o'neil@example.com"),
        ("JÜRGEN@München.de", "jürgen@münchen.de"),
        ("ju\u0308rgen@example.com", "j\u00fcrgen@example.com"),
    ],
)
def test_an_address_has_one_spelling(written: str, stored: str) -> None:
    assert folded(written) == stored


@pytest.mark.parametrize(
    "text",
    ["", "ana", "ana@", "@example.com", "ana@example", "ana@.com", "ana@example..com", "a b@example.com", "a@b@c.de",
     "ana@example.com\nBcc: bob@example.com", "a\u200bb@example.com", "a\u2028b@example.com", "<ana@example.com>",
     "ana@\x1b.com", "ana\x7f@example.com", "a\ua7cb@example.com",
     "x" * 65 + "@example.com", "x@" + "y" * ADDRESS_LENGTH_MAX + ".com"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an e-mail address"):
        folded(text)


@given(st.text(max_size=40), st.text(max_size=20))
def test_folding_twice_changes_nothing(name: str, host: str) -> None:
    try:
        address = folded(f"{name}@{host}.com")
    except ValueError:
        return
    assert folded(address) == address
    assert unicodedata.normalize("NFC", address) == address
    assert len(address) <= ADDRESS_LENGTH_MAX
    assert address.isprintable()


async def test_the_database_agrees_about_lower_case_for_every_character(pool: Pool) -> None:
    addresses = []
    for code in range(1, 0x110000):
        try:
            addresses.append(folded(f"x{chr(code)}y@example.com"))
        except (ValueError, UnicodeError):
            continue
    assert len(addresses) > 100_000
    disagreed = await pool.fetch("SELECT e FROM unnest($1::text[]) e WHERE e <> lower(e)", addresses)
    assert disagreed == []
