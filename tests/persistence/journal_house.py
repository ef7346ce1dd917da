"""A small house for the journal's tests: one layout, terms, and records as the rules would make them."""

import asyncpg

from actors.ids import mint
from actors.seatmap import events as e
from actors.seatmap.commands import ActorKind, Cause
from actors.seatmap.events import Event, Line, Record, Ticket
from actors.seatmap.layout import Category, Layout, Row, Seat, SeatKind, Zone
from actors.seatmap.state import SeatMap, evolve
from actors.seatmap.terms import RefundStep, Tariff, Terms

NOW = 4_102_444_800_000  # lies ahead of the database, whose own time some statements ask for
HOUR = 3_600_000
ANA, BOB = mint(NOW), mint(NOW)
CLOCKWORK = Cause("", ActorKind.SYSTEM, "clock")
LABELS = tuple(f"{row}{number}" for row in "ABCDEFGHIJ" for number in range(1, 11))


def layout(layout_id: str = "0199c0de-0000-7000-8000-0000000000aa") -> Layout:
    seats = {
        label: Seat(
            label, label[1:], label[0], "main", float(label[1:]), float(ord(label[0])), "standard", SeatKind.STANDARD,
            (), None, None, None, 1.0,
        )
        for label in LABELS
    }  # fmt: skip
    rows = tuple(
        Row("main", row, order, tuple(s for s in LABELS if s[0] == row)) for order, row in enumerate("ABCDEFGHIJ")
    )
    return Layout(
        layout_id, 1, "Small", (Category("standard", "Standard", "#808080"),), (Zone("main", "Main"),), rows, seats,
        tuple(row.seats for row in rows), (5.0, 5.0),
    )  # fmt: skip


LAYOUT = layout()


def terms(screen_id: str = "0199c0de-0000-7000-8000-0000000000bb", starts_in_hours: int = 24) -> Terms:
    return Terms(
        movie_id="0199c0de-0000-7000-8000-0000000000cc",
        screen_id=screen_id,
        layout_id=LAYOUT.id,
        starts_at=NOW + starts_in_hours * HOUR,
        ends_at=NOW + (starts_in_hours + 2) * HOUR,
        sales_open_at=NOW + HOUR,
        sales_close_at=NOW + 24 * HOUR,
        tariff=Tariff("EUR", {"standard": {"senior": 900, "adult": 1200}, "box": {"adult": 1500}}, "adult", 100, 1900),
        refund_policy=(RefundStep(24, 10_000), RefundStep(2, 5_000, 100)),
    )


def cause(key: str | None = None, intent: int = 0) -> Cause:
    return Cause(key or mint(NOW), ActorKind.CUSTOMER, ANA, "request-1", key is not None, intent)


def lines(*seats: str) -> tuple[Line, ...]:
    return tuple(Line(seat, "standard", "adult", 1_200, 100, 247) for seat in seats)


def held(hold_id: str, *seats: str, owner: str = ANA) -> e.SeatsHeld:
    return e.SeatsHeld(hold_id, owner, lines(*seats), NOW + 600_000, 2, next_to_each_other=True)


def placed(booking_id: str, hold_id: str, *seats: str, owner: str = ANA, reference: str = "") -> e.BookingPlaced:
    return e.BookingPlaced(
        booking_id, reference or booking_id[-12:], hold_id, owner, lines(*seats), "EUR", NOW + 900_000
    )


def paying(booking_id: str, payment_id: str, *seats: str, owner: str = ANA) -> e.PaymentStarted:
    total = sum(line.total for line in lines(*seats))
    return e.PaymentStarted(booking_id, payment_id, owner, "sandbox", total, "EUR", NOW + 1_000_000)


def confirmed(
    booking_id: str,
    hold_id: str,
    payment_id: str,
    *seats: str,
    owner: str = ANA,
    reference: str = "",
    late: bool = False,
) -> e.BookingConfirmed:
    total = sum(line.total for line in lines(*seats))
    return e.BookingConfirmed(
        booking_id, reference or booking_id[-12:], hold_id, owner, lines(*seats), "EUR",
        tuple(Ticket(f"{booking_id}-{seat}", seat) for seat in seats), payment_id, "sandbox", f"paid-{payment_id}",
        total, late,
    )  # fmt: skip


def cancelled(state: SeatMap, booking_id: str, *seats: str, refund: int = 0, reason: str = "") -> e.BookingCancelled:
    booking = state.bookings[booking_id]
    whole = set(seats) == set(booking.seats)
    return e.BookingCancelled(
        booking.id, booking.reference, booking.hold_id, booking.owner, seats,
        booking.lines if whole else tuple(line for line in booking.lines if line.seat not in seats), "EUR",
        () if whole else tuple(ticket for ticket in booking.tickets if ticket.seat not in seats),
        whole, booking.payment_id, booking.paid, booking.refunded + refund, mint(NOW) if refund else "", refund, reason,
    )  # fmt: skip


def favour(state: SeatMap, booking_id: str, amount: int) -> e.RefundGranted:
    booking = state.bookings[booking_id]
    return e.RefundGranted(
        booking.id, booking.reference, booking.owner, booking.payment_id, "EUR", booking.paid,
        booking.refunded + amount, max(0, booking.value - amount), mint(NOW), amount, "noise",
    )  # fmt: skip


def after(state: SeatMap, *happened: Event, by: Cause | None = None, at: int = NOW) -> tuple[SeatMap, list[Record]]:
    """The state after these events, and their records."""
    who = by or cause()
    records = [Record(state.version + n, at, who, event) for n, event in enumerate(happened, 1)]
    return evolve(state, records), records


async def add_showtime(connection: asyncpg.Connection, showtime_id: str, number: int, wanted: Terms) -> None:
    """A catalogue row without the film and screen it belongs to: those are another module's subject."""
    await connection.execute("SET LOCAL session_replication_role = replica")
    await connection.execute(
        """
        INSERT INTO showtime (id, number, movie_id, screen_id, layout_id, starts_at, feature_starts_at, ends_at,
            clear_at, language, format, free_seats, capacity, price_from, currency, sales_open_at, sales_close_at,
            tariff, hold_seconds, seats_per_customer_max)
        VALUES ($1, $2, $3, $4, $5, from_millis($6), from_millis($6), from_millis($7), from_millis($7), 'en', '2d',
            100, 100, 900, 'EUR', from_millis($8), from_millis($9), '{}'::text::jsonb, 600, 10)
        """,
        showtime_id, number, wanted.movie_id, wanted.screen_id, wanted.layout_id, wanted.starts_at, wanted.ends_at,
        wanted.sales_open_at, wanted.sales_close_at,
    )  # fmt: skip
    await connection.execute("SET LOCAL session_replication_role = origin")
