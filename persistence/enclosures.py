"""What comes along with commands and is stored with the records they cause, beside the log."""

from collections.abc import Sequence
from typing import Final

import orjson

from actors.ports import Enclosure
from actors.seatmap.terms import Instant
from actors.seatmap.values import dataclass


@dataclass(frozen=True, slots=True)
class GivenContact(Enclosure):
    """Whom a booking is for: with the command that places it. The first contact stays."""

    booking_id: str
    showtime_id: str
    account_id: str
    email: str
    name: str
    phone: str
    at: Instant


@dataclass(frozen=True, slots=True)
class PaidNow(Enclosure):
    """A payment and its order in the sandbox's books, paid in the moment of confirming: with the command that confirms.

    `amount` in minor units of `currency`.
    """

    payment_id: str
    booking_id: str
    showtime_id: str
    owner: str
    provider: str
    order_id: str
    amount: int
    currency: str
    provider_payment_id: str
    at: Instant


@dataclass(frozen=True, slots=True)
class Enclosed:
    """Enclosures as the append takes them: JSON, by what each is about."""

    contacts: dict[str, str]
    paid: dict[str, str]


NOTHING: Final = Enclosed({}, {})


def enclose(enclosures: Sequence[Enclosure]) -> Enclosed:
    """TypeError for what cannot be written."""
    if not enclosures:
        return NOTHING
    enclosed = Enclosed({}, {})
    for enclosure in enclosures:
        if isinstance(enclosure, GivenContact):
            enclosed.contacts[enclosure.booking_id] = orjson.dumps(enclosure).decode()
        elif isinstance(enclosure, PaidNow):
            enclosed.paid[enclosure.payment_id] = orjson.dumps(enclosure).decode()
        else:
            raise TypeError(f"nobody knows where to keep {type(enclosure).__name__}")
    return enclosed
