"""Ids: version 7, in time order, and able to say which showtime they belong to."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from actors.ids import is_uuid, mint, mint_in, showtime_number
from actors.seatmap.bookings import derived_id

MOMENTS = st.integers(min_value=0, max_value=(1 << 48) - 1)


@given(MOMENTS)
def test_a_minted_id_is_a_version_7_uuid_of_its_time(now: int):
    uuid = UUID(mint(now))
    assert uuid.version == 7
    assert uuid.int >> 80 == now


@given(st.integers(min_value=0, max_value=(1 << 32) - 1), MOMENTS)
def test_an_id_remembers_its_showtime(number: int, now: int):
    minted = mint_in(number, now)
    assert UUID(minted).version == 7
    assert showtime_number(minted) == number


def test_two_ids_of_one_millisecond_differ():
    assert len({mint_in(1, 5) for _ in range(1_000)}) == 1_000


@given(st.text(max_size=40))
def test_anything_else_is_no_id(text: str):
    if not is_uuid(text):
        assert showtime_number(text) is None


def test_only_one_spelling_of_a_uuid_counts():
    assert is_uuid("01939c6e-8000-7000-8000-000000000001")
    assert not is_uuid("01939C6E-8000-7000-8000-00000000000A")
    assert not is_uuid("{01939c6e-8000-7000-8000-000000000001}")
    assert not is_uuid("01939c6e800070008000000000000001")


def test_an_id_that_follows_from_others_is_the_same_for_ever():
    """A payment that is made in the moment of confirming is found again by it, after an upgrade too."""
    booking = "0199c0de-0000-7000-8000-000000000001"
    assert derived_id("sandbox", booking) == "0199c0de-0000-7ac7-b2ea-b8a9ee201125"
    assert derived_id(booking, "A1") == "0199c0de-0000-7767-88e3-c707ab2713e4"
    assert derived_id("x", "y") == "00000000-0000-738d-b7a2-dabbf3e7483f"
