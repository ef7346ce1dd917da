"""What follows from a log follows from its pieces, too: whoever writes as it happens and whoever rebuilds agree."""

import journal_house as house
from hypothesis import given
from hypothesis import strategies as st
from journal_house import ANA, NOW, after

from actors.ids import mint
from actors.seatmap import events as e
from actors.seatmap.events import Event, Record
from actors.seatmap.state import SeatMap, genesis
from persistence.effects import effects
from persistence.jobs import Job
from persistence.ledger import Posting, postings

SHOWTIME = mint(NOW)


def life() -> tuple[list[SeatMap], list[Record]]:
    """A showtime with everything that asks for something; the state before each of its records, from the second on."""
    first = Record(1, NOW, house.CLOCKWORK, e.ShowtimeScheduled(9, house.terms()))
    states, records = [genesis(SHOWTIME, house.LAYOUT, first)], [first]

    def tell(event: Event, at: int = NOW) -> SeatMap:
        state, told = after(states[-1], event, at=at)
        states.append(state)
        records.extend(told)
        return state

    def placed(*seats: str) -> tuple[str, str, str]:
        hold, booking, payment = mint(NOW), mint(NOW), mint(NOW)
        tell(house.held(hold, *seats))
        tell(house.placed(booking, hold, *seats))
        tell(house.paying(booking, payment, *seats))
        return hold, booking, payment

    hold, booking, payment = placed("A1", "A2", "A3")
    state = tell(house.confirmed(booking, hold, payment, "A1", "A2", "A3"))
    state = tell(house.cancelled(state, booking, "A1", refund=1_000))
    tell(e.ShowtimeRescheduled(house.terms(starts_in_hours=48)))
    _, lost, unwanted = placed("B1")
    tell(e.BookingExpired(lost, ANA, ("B1",)))
    tell(e.RefundDecided(lost, ANA, unwanted, "sandbox", "p-1", 1_547, "EUR", mint(NOW), "seats_lost"))
    hold, short, payment = placed("C1")
    tell(house.confirmed(short, hold, payment, "C1"), at=NOW + 46 * house.HOUR)
    tell(e.ShowtimeRescheduled(house.terms(starts_in_hours=72)), at=NOW + 46 * house.HOUR)
    state = tell(house.cancelled(states[-1], booking, "A2", "A3", refund=3_094), at=NOW + 47 * house.HOUR)
    tell(house.cancelled(state, short, "C1", refund=1_547), at=NOW + 47 * house.HOUR)
    tell(e.ShowtimeCancelled("fire"), at=NOW + 47 * house.HOUR)
    return states, records


STATES, RECORDS = life()


def from_pieces(cuts: list[int]) -> tuple[list[Job], list[Posting]]:
    jobs: list[Job] = []
    moves: list[Posting] = []
    since = 0
    for until in (*sorted(set(cuts)), len(RECORDS)):
        before = STATES[since - 1] if since else None
        jobs += effects(before, SHOWTIME, RECORDS[since:until])
        moves += postings(before, SHOWTIME, RECORDS[since:until])
        since = until
    return jobs, moves


@given(st.lists(st.integers(1, len(RECORDS) - 1)))
def test_pieces_ask_for_what_the_whole_log_asks_for(cuts: list[int]) -> None:
    jobs, moves = from_pieces(cuts)
    assert jobs == list(effects(None, SHOWTIME, RECORDS))
    assert moves == list(postings(None, SHOWTIME, RECORDS))


def test_each_fact_is_announced_once_under_a_name_of_its_own() -> None:
    jobs = list(effects(None, SHOWTIME, RECORDS))
    assert len({job.dedupe_key for job in jobs}) == len(jobs)
    told = [job.payload["event"] for job in jobs if job.topic == "announce"]
    assert told == [
        "booking_confirmed", "booking_cancelled", "showtime_changed", "payment_returned", "booking_confirmed",
        "showtime_changed", "booking_cancelled", "booking_cancelled", "showtime_cancelled",
    ]  # fmt: skip
    assert [job.payload["amount"] for job in jobs if job.topic == "refund"] == [1_000, 1_547, 3_094, 1_547]


def test_nobody_is_reminded_of_what_begins_in_two_hours() -> None:
    reminders = [job for job in effects(None, SHOWTIME, RECORDS) if job.topic == "reminder"]
    assert [job.due_at for job in reminders] == [NOW + 21 * house.HOUR]


def test_what_is_free_takes_no_money() -> None:
    event = e.BookingConfirmed("b", "R", "h", ANA, (), "EUR", (), "", "none", "", 0, late=False)
    record = Record(2, NOW, house.cause(), event)
    assert [job.topic for job in effects(STATES[0], SHOWTIME, [record])] == ["announce", "reminder"]
    assert list(postings(STATES[0], SHOWTIME, [record])) == []


def test_a_closing_time_that_moves_is_no_news() -> None:
    terms = house.terms()
    terms.sales_close_at -= house.HOUR  # type: ignore[misc]
    record = Record(2, NOW, house.cause(), e.ShowtimeRescheduled(terms))
    assert list(effects(STATES[0], SHOWTIME, [record])) == []


def test_everything_that_was_owed_or_kept_came_out_of_sales() -> None:
    moves = list(postings(None, SHOWTIME, RECORDS))
    sales = sum(move.amount for move in moves if move.credit == "sales")
    gone = sum(move.amount for move in moves if move.debit == "sales")
    assert sales == gone == 4 * 1_547
    assert sum(move.amount for move in moves if move.credit == "kept") == 547
