"""What records mean for bookings, seats, sales and jobs, step by step and all at once."""

import journal_house as house
from journal_house import ANA, NOW, after

from actors.ids import mint
from actors.seatmap import events as e
from actors.seatmap.commands import BlockKind
from actors.seatmap.events import Event, Record
from actors.seatmap.state import SeatMap, genesis
from persistence.projections import changes, is_projected

DAY = 24 * house.HOUR


class Story:
    """A showtime's life, told event by event."""

    def __init__(self) -> None:
        first = Record(1, NOW, house.CLOCKWORK, e.ShowtimeScheduled(9, house.terms()))
        self.state: SeatMap = genesis(mint(NOW), house.LAYOUT, first)
        self.before = self.state
        self.records: list[Record] = [first]
        self.last: list[Record] = []
        self.hold, self.booking, self.payment = mint(NOW), mint(NOW), mint(NOW)

    def tell(self, *happened: Event, at: int = NOW) -> "Story":
        self.before = self.state
        self.state, self.last = after(self.state, *happened, at=at)
        self.records += self.last
        return self

    def sold(self, *seats: str) -> "Story":
        return self.tell(
            house.held(self.hold, *seats),
            house.placed(self.booking, self.hold, *seats),
            house.paying(self.booking, self.payment, *seats),
            house.confirmed(self.booking, self.hold, self.payment, *seats),
        )


def test_holds_and_blocks_change_nothing_but_the_log() -> None:
    story = Story().tell(house.held(mint(NOW), "A1"), e.SeatsBlocked(("B1",), BlockKind.HOUSE, "press"))
    assert not is_projected(story.last)
    story.tell(e.SalesOpened())
    assert is_projected(story.last)


def test_a_sale_is_a_booking_with_live_seats_money_and_a_letter() -> None:
    story = Story().sold("A1", "A2")
    found = changes(story.before, story.state, story.last)
    (row,) = found.bookings
    assert (row.status, row.payment_status, row.total, row.paid, row.refunded) == (
        "confirmed",
        "succeeded",
        3_094,
        3_094,
        0,
    )
    assert (row.provider, row.provider_payment_id) == ("sandbox", f"paid-{story.payment}")
    assert (row.created_at, row.confirmed_at, row.ended_at) == (NOW, NOW, None)
    assert [(seat.seat, seat.live, seat.ticket_id) for seat in found.seats] == [
        ("A1", True, f"{story.booking}-A1"),
        ("A2", True, f"{story.booking}-A2"),
    ]
    (sales,) = found.sales
    assert (sales.bookings, sales.seats, sales.captured, sales.seats_cancelled, sales.refunded) == (1, 2, 3_094, 0, 0)
    assert [(job.topic, job.dedupe_key) for job in found.jobs] == [
        ("payment_watch", f"payment_watch:{story.payment}"),
        ("announce", f"confirmed:{story.booking}"),
        ("capture", f"capture:{story.payment}"),
        ("reminder", f"reminder:{story.booking}"),
    ]
    assert [job.due_at for job in found.jobs] == [NOW + 120_000, None, None, NOW + 21 * house.HOUR]
    assert [(move.ref, move.debit, move.credit, move.amount) for move in found.postings] == [
        (f"sold:{story.booking}", "authorised", "sales", 3_094)
    ]
    assert found.showtime.free_seats == 98


def test_a_partial_cancellation_frees_its_seats_and_refunds_once() -> None:
    story = Story().sold("A1", "A2", "A3")
    story.tell(house.cancelled(story.state, story.booking, "A2", refund=1_000, reason="ill"), at=NOW + DAY)
    found = changes(story.before, story.state, story.last)
    (row,) = found.bookings
    assert (row.status, row.payment_status, row.total, row.refunded, row.reason) == (
        "confirmed", "partially_refunded", 3_094, 1_000, "ill",
    )  # fmt: skip
    assert [seat.live for seat in found.seats] == [True, False, True]
    (sales,) = found.sales
    assert (sales.bookings, sales.seats_cancelled, sales.refunded) == (0, 1, 1_000)
    assert [job.topic for job in found.jobs] == ["refund", "announce"]
    assert [(move.debit, move.credit, move.amount) for move in found.postings] == [
        ("sales", "refunds_due", 1_000),
        ("sales", "kept", 547),
    ]
    assert found.jobs[0].payload["amount"] == 1_000


def test_a_favour_is_money_back_on_its_day_and_changes_no_seat() -> None:
    story = Story().sold("A1", "A2")
    story.tell(house.favour(story.state, story.booking, 500), at=NOW + DAY)
    found = changes(story.before, story.state, story.last)
    (row,) = found.bookings
    assert (row.status, row.payment_status, row.total, row.refunded) == (
        "confirmed", "partially_refunded", 3_094, 500,
    )  # fmt: skip
    assert [seat.live for seat in found.seats] == [True, True]
    assert [(sales.seats_cancelled, sales.refunded) for sales in found.sales] == [(0, 500)]
    assert [(job.topic, job.payload["reason"]) for job in found.jobs] == [
        ("refund", "goodwill"),
        ("announce", "goodwill"),
    ]
    assert [(move.debit, move.credit, move.amount) for move in found.postings] == [("sales", "refunds_due", 500)]


def test_an_unpaid_booking_that_ends_is_no_sale() -> None:
    story = Story()
    story.tell(house.held(story.hold, "A1"), house.placed(story.booking, story.hold, "A1"))
    (row,) = changes(story.before, story.state, story.last).bookings
    assert (row.status, row.payment_status) == ("pending_payment", "none")
    story.tell(house.paying(story.booking, story.payment, "A1"))
    assert changes(story.before, story.state, story.last).bookings[0].payment_status == "pending"
    story.tell(e.BookingExpired(story.booking, ANA, ("A1",)), at=NOW + 1)
    found = changes(story.before, story.state, story.last)
    (row,) = found.bookings
    assert (row.status, row.payment_status, row.ended_at) == ("expired", "failed", NOW + 1)
    assert not found.sales
    assert not found.seats[0].live


def test_money_that_comes_too_late_goes_back_and_is_no_sale() -> None:
    story = Story()
    story.tell(
        house.held(story.hold, "A1"),
        house.placed(story.booking, story.hold, "A1"),
        e.BookingExpired(story.booking, ANA, ("A1",)),
    )
    refund = e.RefundDecided(story.booking, ANA, story.payment, "sandbox", "p-1", 1_547, "EUR", mint(NOW), "seats_lost")
    story.tell(refund)
    found = changes(story.before, story.state, story.last)
    assert found.bookings[0].payment_status == "refunded"
    assert (found.sales[0].bookings, found.sales[0].captured, found.sales[0].refunded) == (0, 1_547, 1_547)
    assert [(job.topic, job.dedupe_key) for job in found.jobs] == [
        ("refund", f"refund:{refund.refund_id}"),
        ("announce", f"returned:{refund.refund_id}"),
    ]
    assert [(move.ref, move.debit, move.credit, move.amount) for move in found.postings] == [
        (f"unwanted:{story.payment}", "authorised", "refunds_due", 1_547)
    ]


def test_a_late_rescue_is_live_again() -> None:
    story = Story()
    story.tell(
        house.held(story.hold, "A1"),
        house.placed(story.booking, story.hold, "A1"),
        e.BookingExpired(story.booking, ANA, ("A1",)),
    )
    story.tell(house.confirmed(story.booking, story.hold, story.payment, "A1", late=True))
    found = changes(story.before, story.state, story.last)
    assert (found.bookings[0].status, found.bookings[0].ended_at) == ("confirmed", None)
    assert found.seats[0].live


def test_sales_fall_on_the_day_of_their_event() -> None:
    story = Story().sold("A1")
    story.tell(house.cancelled(story.state, story.booking, "A1", refund=500), at=NOW + DAY)
    days = changes(None, story.state, story.records).sales
    assert [(row.bookings, row.refunded) for row in days] == [(1, 0), (0, 500)]
    assert days[0].day < days[1].day
