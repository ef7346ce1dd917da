"""One letter of every kind, about a visit to an Indian cinema in the evening."""

from typing import Any

from actors.seatmap.events import Line, Ticket
from persistence.bookings import BookedShowtime, StoredBooking
from server.notify import drafts
from server.notify.drafts import Draft, amount, of_account, of_booking

HOUR = 3_600_000
STARTS = 1_795_354_200_000  # Sunday, 22 November 2026, 19:00 in India
NAME = "Ana <b>Bold</b>"
TITLE = "The Long & <i>Dark</i> Night"
LINK = "https://tickets.example/bookings/0192"


def booking(**changes: Any) -> StoredBooking:
    showtime = BookedShowtime(
        id="018f0000-0000-7000-8000-000000000001", starts_at=STARTS, ends_at=STARTS + 2 * HOUR, status="scheduled",
        language="en", format="2D", movie_id="m", movie_title=TITLE, movie_poster_url=None, theatre_id="t",
        theatre_name="Odeon", theatre_city="Pune", time_zone="Asia/Kolkata", screen_id="s", screen_name="Audi 3",
    )  # fmt: skip
    lines = tuple(Line(seat, "standard", "adult", 45_000, 1_000, 8_280) for seat in ("F7", "F8"))
    given: dict[str, Any] = {
        "id": "018f0000-0000-7000-8000-00000000000a", "reference": "7KQ2MX4P", "hold_id": "h", "owner": "o",
        "status": "confirmed", "currency": "INR", "paid": 108_560, "refunded": 0, "payment_id": "p",
        "payment_status": "succeeded", "created_at": STARTS - 48 * HOUR, "expires_at": STARTS - 47 * HOUR,
        "confirmed_at": STARTS - 48 * HOUR, "ended_at": None, "reason": "", "lines": lines,
        "tickets": (Ticket("t1", "F7"), Ticket("t2", "F8")), "showtime": showtime,
    }  # fmt: skip
    return StoredBooking(**{**given, **changes})


def drafts_of_all_kinds() -> dict[str, Draft]:
    booked = booking()
    back = amount(54_280, "INR")
    before = drafts.local(STARTS - 3 * HOUR, "Asia/Kolkata")
    plain = of_booking(booked)
    cancelled = of_booking(booked, amount=back, gone=lambda _: "F8")
    moved = of_booking(booked, day_before=lambda s: s.day(before), time_before=lambda s: s.time(before))
    until = of_booking(booked, until=lambda s: s.time(before))
    account = of_account(time="19:30", theatre="Odeon & Sons", reason="There is <one> already.")
    made = {
        "booking_confirmed": Draft("booking_confirmed", plain, {"again": False, "paid": True}, booked),
        "booking_gone": Draft("booking_gone", cancelled, {"refunded": True}),
        "booking_cancelled": Draft(
            "booking_cancelled", cancelled, {"refunded": True, "paid": True}, booked, visit_ends=True
        ),
        "seats_cancelled": Draft(
            "seats_cancelled", cancelled, {"refunded": True, "paid": True, "gone_count": 1}, booked
        ),
        "payment_failed": Draft("payment_failed", until, {"waiting": True}),
        "payment_returned": Draft("payment_returned", cancelled, {"reason": "expired_seats_lost"}),
        "refund_granted": Draft("refund_granted", cancelled),
        "screen_changed": Draft("screen_changed", plain, {}, booked),
        "showtime_changed": Draft("showtime_changed", moved, {}, booked),
        "showtime_cancelled": Draft("showtime_cancelled", cancelled, {"refunded": True}, booked, visit_ends=True),
        "reminder": Draft("reminder", plain),
    }
    for kind in (
        "password_reset", "verification", "password_changed", "application_approved", "application_rejected",
    ):  # fmt: skip
        made[kind] = Draft(kind, account, {"account": True})
    return made
