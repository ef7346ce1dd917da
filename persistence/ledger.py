"""The ledger: where every amount came from and where it went. Double entry, one row for each posting.

A posting takes from one account and gives to another, so that the books balance by construction. Those that follow from
the log are written with their event and carry its version; those about what a provider did are posted by whoever made
it do so. `ref` says what a posting is about, and each is posted once for ever.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final

import orjson

from actors.seatmap import events as e
from actors.seatmap.events import Record
from actors.seatmap.state import SeatMap
from actors.seatmap.terms import Instant
from actors.seatmap.values import dataclass
from persistence.database import Executor


class Account(StrEnum):
    """What money can be. A debit adds to the two kinds of money the provider has, a credit adds to the other three."""

    AUTHORISED = "authorised"
    """Promised by the provider, not taken yet."""

    CAPTURED = "captured"
    """Taken, and lying at the provider."""

    SALES = "sales"
    """What live bookings are worth."""

    KEPT = "kept"
    """What the house keeps of seats that were given back."""

    REFUNDS_DUE = "refunds_due"
    """Owed to customers."""


@dataclass(frozen=True, slots=True)
class Posting:
    """`amount` in minor units of `currency`, above nothing. `version` is that of the event it follows from."""

    ref: str
    payment_id: str
    booking_id: str
    showtime_id: str
    debit: Account
    credit: Account
    amount: int
    currency: str
    at: Instant
    version: int | None = None


def postings(before: SeatMap | None, showtime_id: str, records: Sequence[Record]) -> Iterator[Posting]:
    """What records post. The same for the whole log and for a part of it after `before`."""
    worth: dict[str, int] = {}
    for record in records:
        event, version, at = record.event, record.version, record.at
        match event:
            case e.BookingConfirmed(booking_id=booking_id, amount=amount):
                worth[booking_id] = amount
                moves = [(f"sold:{booking_id}", Account.AUTHORISED, Account.SALES, amount)]
            case e.BookingCancelled(booking_id=booking_id, refund=refund):
                had = worth[booking_id] if booking_id in worth else _worth(before, booking_id)
                worth[booking_id] = event.value
                kept = had - event.value - refund
                moves = [
                    (f"owed:{event.refund_id}", Account.SALES, Account.REFUNDS_DUE, refund),
                    (f"kept:{booking_id}:{version}", Account.SALES, Account.KEPT, kept),
                ]
            case e.RefundGranted(booking_id=booking_id, refund=refund):
                had = worth[booking_id] if booking_id in worth else _worth(before, booking_id)
                worth[booking_id] = event.left
                from_seats = had - event.left
                moves = [
                    (f"owed:{event.refund_id}", Account.SALES, Account.REFUNDS_DUE, from_seats),
                    (f"waived:{event.refund_id}", Account.KEPT, Account.REFUNDS_DUE, refund - from_seats),
                ]
            case e.RefundDecided(payment_id=payment_id, amount=amount):
                moves = [(f"unwanted:{payment_id}", Account.AUTHORISED, Account.REFUNDS_DUE, amount)]
            case _:
                continue
        for ref, debit, credit, amount in moves:
            if amount:
                yield Posting(
                    ref, event.payment_id, event.booking_id, showtime_id, debit, credit, amount, event.currency, at,
                    version,
                )  # fmt: skip


async def post(connection: Executor, found: Iterable[Posting]) -> int:
    """Post what is not there yet. How many were new."""
    rows = [{name: getattr(posting, name) for name in posting.__slots__} for posting in found]
    done: str = await connection.execute(INSERT, orjson.dumps(rows).decode())
    return int(done.rsplit(" ", 1)[-1])


COLUMNS: Final = "ref, payment_id, booking_id, showtime_id, debit, credit, amount, currency, at, version"
ROWS: Final = """json_to_recordset($%d::text::json) AS r (ref text, payment_id text, booking_id uuid,
        showtime_id uuid, debit text, credit text, amount bigint, currency text, at bigint, version bigint)"""
_VALUES: Final = "ref, payment_id, booking_id, showtime_id, debit, credit, amount, currency, from_millis(at), version"


def insert_from(parameter: int, condition: str) -> str:
    """The insert of postings that arrive as JSON."""
    return (
        f"INSERT INTO ledger ({COLUMNS}) SELECT {_VALUES} FROM {ROWS % parameter} WHERE {condition} "
        "ON CONFLICT (ref) DO NOTHING"
    )


INSERT: Final = insert_from(1, "true")


def _worth(state: SeatMap | None, booking_id: str) -> int:
    """What a booking's seats are worth in a state."""
    booking = None if state is None else state.bookings.get(booking_id)
    return 0 if booking is None else booking.value
