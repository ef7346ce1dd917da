"""Whether money is conserved: what the ledger, the bookings and the jobs say of it, held against each other.

Each posting takes what it gives, so a payment's books balance whatever is in them. What can be wrong is that they say
something else than the bookings, that more was taken or returned than there was, or that nobody works on what is open.
Where nothing is open, it follows that captured − refunded = what live bookings are worth + what the house kept.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from actors.seatmap.state import SeatMap
from persistence.ledger import Account

Row = Mapping[str, Any]
Fault = tuple[str, str, str]
"""Where, what was expected, what was found."""

_ENDED: Final = ("done", "dropped")
_ADDED_BY_DEBIT: Final = (Account.AUTHORISED, Account.CAPTURED)


@dataclass(slots=True)
class Totals:
    """Sums of one currency. `taken` and `returned` are what has ever been captured and refunded at providers."""

    taken: int = 0
    returned: int = 0
    authorised: int = 0
    sales: int = 0
    kept: int = 0
    refunds_due: int = 0

    def count(self, row: Row) -> None:
        amount, debit, credit = row["amount"], row["debit"], row["credit"]
        self.taken += amount if debit == Account.CAPTURED else 0
        self.returned += amount if credit == Account.CAPTURED else 0
        for account in (Account.AUTHORISED, Account.SALES, Account.KEPT, Account.REFUNDS_DUE):
            change = _change(account, row)
            if change:
                setattr(self, account.value, getattr(self, account.value) + change)


def count(rows: Iterable[Row], totals: dict[str, Totals]) -> None:
    """Add postings to the sums of their currencies."""
    for row in rows:
        totals.setdefault(row["currency"], Totals()).count(row)


def faults(state: SeatMap, rows: Iterable[Row], jobs: Iterable[Row]) -> Iterator[Fault]:
    """Every breach of the rules of money in one showtime's postings."""
    by_booking: dict[str, list[Row]] = {booking_id: [] for booking_id in state.bookings}
    by_payment: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_booking.setdefault(row["booking_id"], []).append(row)
        by_payment.setdefault((row["payment_id"], row["currency"]), []).append(row)
    for booking_id, own in by_booking.items():
        yield from _of_booking(state, booking_id, own)
    work = _by_payment(jobs)
    for (payment_id, currency), own in by_payment.items():
        yield from _of_payment(f"payment {payment_id} {currency}", own, work.get(payment_id, ()))


def _of_booking(state: SeatMap, booking_id: str, rows: list[Row]) -> Iterator[Fault]:
    """What its seats are worth is in sales, and what the log keeps of others was posted to kept.

    A work may take from kept what a provider promised and never paid; nobody takes from sales but the log.
    """
    booking = state.bookings.get(booking_id)
    worth, kept = (booking.value, booking.kept) if booking is not None else (0, 0)
    if booking is None:
        yield f"ledger booking {booking_id}", "a booking of this showtime", "none"
    of_the_log = [row for row in rows if row["version"] is not None]
    for account, expected, own in ((Account.SALES, worth, rows), (Account.KEPT, kept, of_the_log)):
        found = balance(account, own)
        if found != expected:
            yield f"{account} of booking {booking_id}", f"{expected}", f"{found}"


def _of_payment(where: str, rows: list[Row], open_jobs: Collection[Row]) -> Iterator[Fault]:
    for account in Account:
        found = balance(account, rows)
        if found < 0:
            yield f"{account} of {where}", "nothing below 0", f"{found}"
    posted = {row["ref"] for row in rows}
    owed = sum(
        orjson.loads(job["payload"])["amount"]
        for job in open_jobs
        if job["topic"] == "refund" and job["dedupe_key"] not in posted
    )
    due = balance(Account.REFUNDS_DUE, rows)
    if due != owed:
        yield f"refunds_due of {where}", f"{owed}, what open refunds will pay", f"{due}"
    promised = balance(Account.AUTHORISED, rows)
    if promised and not open_jobs:
        yield f"authorised of {where}", "0, or somebody who takes it or lets it go", f"{promised}"


def balance(account: Account, rows: Iterable[Row]) -> int:
    """What is in an account."""
    return sum(_change(account, row) for row in rows)


def _change(account: Account, row: Row) -> int:
    if row["debit"] == account:
        return int(row["amount"]) if account in _ADDED_BY_DEBIT else -int(row["amount"])
    if row["credit"] == account:
        return -int(row["amount"]) if account in _ADDED_BY_DEBIT else int(row["amount"])
    return 0


def _by_payment(jobs: Iterable[Row]) -> Mapping[str, list[Row]]:
    """The jobs that are still to move money, by the payment they are about. What ended may have lost its payload."""
    found: dict[str, list[Row]] = {}
    for job in jobs:
        if job["topic"] in ("refund", "capture") and job["state"] not in _ENDED:
            found.setdefault(orjson.loads(job["payload"])["payment_id"], []).append(job)
    return found
