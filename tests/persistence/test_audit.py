"""The auditor finds every kind of difference, and a rebuild makes it go away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import journal_house as house
import pytest
from journal_house import ANA, BOB, LAYOUT, NOW, after

from actors.ids import mint
from actors.ports import Loaded, Rejected, UnknownShowtime
from actors.runtime.clock import ManualClock
from actors.seatmap import events as e
from actors.seatmap.events import Event
from persistence import audit
from persistence.database import Pool, connect_writer
from persistence.journal import PgJournal, schedule
from persistence.memory import FewLayouts

LAYOUTS = FewLayouts(LAYOUT)


class Theatre:
    """One showtime in a real database, with a life behind it."""

    def __init__(self, journal: PgJournal, pool: Pool, loaded: Loaded) -> None:
        self.journal = journal
        self.pool = pool
        self.loaded = loaded

    @property
    def showtime_id(self) -> str:
        return self.loaded.state.showtime_id

    async def tell(self, *happened: Event, at: int = NOW) -> None:
        before = self.loaded.state
        state, records = after(before, *happened, at=at)
        await self.journal.append(self.loaded.epoch, before, state, records)
        self.loaded = Loaded(self.loaded.epoch, state)

    async def sell(self, owner: str, *seats: str) -> str:
        hold, booking, payment = mint(NOW), mint(NOW), mint(NOW)
        await self.tell(house.held(hold, *seats, owner=owner))
        await self.tell(house.placed(booking, hold, *seats, owner=owner))
        await self.tell(house.paying(booking, payment, *seats, owner=owner))
        await self.tell(house.confirmed(booking, hold, payment, *seats, owner=owner))
        return booking

    async def differences(self) -> list[str]:
        return [str(difference) for difference in (await audit.verify(self.pool, LAYOUTS)).differences]


@asynccontextmanager
async def open_theatre(database_url: str, pool: Pool) -> AsyncIterator[Theatre]:
    """A theatre whose sale has just opened."""
    journal = PgJournal(lambda: connect_writer(database_url), pool, LAYOUTS, ManualClock(NOW))
    await journal.start()
    showtime_id = mint(NOW)
    async with pool.acquire() as connection, connection.transaction():
        await house.add_showtime(connection, showtime_id, 1, house.terms())
        await schedule(connection, showtime_id, 1, house.terms(), NOW, house.CLOCKWORK)
    theatre = Theatre(journal, pool, await journal.acquire(showtime_id))
    await theatre.tell(e.SalesOpened())
    yield theatre
    await journal.close()


@pytest.fixture
async def theatre(database_url: str, pool: Pool) -> AsyncIterator[Theatre]:
    async with open_theatre(database_url, pool) as theatre:
        await _live(theatre)
        yield theatre


async def _live(theatre: Theatre) -> None:
    first = await theatre.sell(ANA, "A1", "A2", "A3")
    second = await theatre.sell(BOB, "B1")
    await theatre.tell(
        house.cancelled(theatre.loaded.state, first, "A2", refund=700, reason="ill"), at=NOW + house.HOUR
    )
    await theatre.tell(house.cancelled(theatre.loaded.state, second, "B1", refund=1_547), at=NOW + 24 * house.HOUR)
    await theatre.sell(BOB, "B1", "A2")
    hold, booking = mint(NOW), mint(NOW)
    await theatre.tell(house.held(hold, "C1", "C2"), house.placed(booking, hold, "C1", "C2"))
    await theatre.tell(e.BookingExpired(booking, ANA, ("C1", "C2")))
    refund = e.RefundDecided(booking, ANA, "late", "sandbox", "p-9", 3_094, "EUR", mint(NOW), "seats_lost")
    await theatre.tell(refund)
    hold, booking = mint(NOW), mint(NOW)
    await theatre.tell(house.held(hold, "D1"), house.placed(booking, hold, "D1"))
    await theatre.tell(e.BookingExpired(booking, ANA, ("D1",)))
    await theatre.tell(house.confirmed(booking, hold, "late-2", "D1", late=True))
    await theatre.tell(house.held(mint(NOW), "J1"))


async def test_what_the_journal_wrote_is_what_the_log_says(theatre: Theatre) -> None:
    report = await audit.verify(theatre.pool, LAYOUTS)
    assert not report.differences
    assert (report.exit_code, report.showtimes, report.bookings) == (0, 1, 5)
    assert report.events == theatre.loaded.state.version
    money = report.money["EUR"]
    assert (money.taken, money.returned) == (0, 0), "nobody has asked the provider for anything yet"
    assert money.authorised == 1_547 * (3 + 1 + 2 + 2 + 1)
    assert money.refunds_due == 700 + 1_547 + 3_094
    assert (money.sales, money.kept) == (1_547 * 5, 847)


DAMAGE = {
    "a booking that vanished": "DELETE FROM booking WHERE status = 'expired'",
    "a booking nobody made": (
        "INSERT INTO booking SELECT gen_random_uuid(), showtime_id, 'NEW', hold_id, owner, status, currency, total, 0,"
        " 0, payment_status, payment_id, provider, provider_payment_id, reason, version, created_at, expires_at"
        " FROM booking LIMIT 1"
    ),
    "another status": "UPDATE booking SET status = 'cancelled' WHERE reason = 'ill'",
    "another owner": "UPDATE booking SET owner = 'somebody' WHERE reason = 'ill'",
    "another amount": "UPDATE booking SET refunded = 0",
    "another time": "UPDATE booking SET confirmed_at = confirmed_at + interval '1 second'",
    "a seat that is not live any more": "UPDATE booking_seat SET live = false WHERE seat = 'A1'",
    "a seat that went away": "DELETE FROM booking_seat WHERE seat = 'A2'",
    "another price": "UPDATE booking_seat SET amount = 1",
    "another ticket": "UPDATE booking_seat SET ticket_id = 'forged' WHERE seat = 'A1'",
    "other sales": "UPDATE daily_sales SET captured = captured + 1",
    "a day without sales": "DELETE FROM daily_sales",
    "an effect that was never asked for": "DELETE FROM job WHERE topic = 'refund'",
    "a posting that went away": "DELETE FROM ledger WHERE credit = 'kept'",
    "a posting of another amount": "UPDATE ledger SET amount = amount + 1 WHERE credit = 'sales'",
    "a posting to another account": "UPDATE ledger SET credit = 'kept' WHERE credit = 'refunds_due'",
    "a posting nobody made": (
        "INSERT INTO ledger SELECT 'forged', payment_id, booking_id, showtime_id, debit, credit, amount, currency, at,"
        " version FROM ledger LIMIT 1"
    ),
    "another catalogue status": "UPDATE showtime SET sales = 'closed'",
}


async def test_every_planted_difference_is_found_and_a_rebuild_repairs_it(theatre: Theatre) -> None:
    for damage, statement in DAMAGE.items():
        await theatre.pool.execute(statement)
        assert await theatre.differences(), damage
        assert await audit.rebuild(theatre.pool, LAYOUTS) == 1
        assert await theatre.differences() == [], damage


async def test_rows_of_a_showtime_without_a_log_are_found_and_removed(theatre: Theatre) -> None:
    await theatre.pool.execute(
        "INSERT INTO booking_seat SELECT gen_random_uuid(), 'A1', gen_random_uuid(), 0, true, '', '', '', 0, 0, 0"
    )
    assert len(await theatre.differences()) == 1
    await audit.rebuild(theatre.pool, LAYOUTS)
    assert await theatre.differences() == []


@pytest.mark.parametrize(("age", "state"), [("1 hour", "ready"), ("2 days", "dropped")])
async def test_a_rebuild_tells_nobody_of_what_happened_long_ago(theatre: Theatre, age: str, state: str) -> None:
    pool = theatre.pool
    await pool.execute(f"UPDATE event SET at = now() - interval '{age}'")
    jobs = await pool.fetchval("SELECT count(*) FROM job")
    await pool.execute("DELETE FROM job")
    await audit.rebuild(pool, LAYOUTS)
    assert await pool.fetchval("SELECT count(*) FROM job") == jobs
    assert await pool.fetch("SELECT DISTINCT state FROM job WHERE topic = 'announce'") == [(state,)]
    money = "SELECT DISTINCT state FROM job WHERE topic IN ('refund', 'capture', 'payment_watch')"
    assert await pool.fetch(money) == [("ready",)]
    assert await theatre.differences() == []


LOG_DAMAGE = {
    "a hole": "DELETE FROM event WHERE version = 5",
    "a lost end": "DELETE FROM event WHERE version = (SELECT max(version) FROM event)",
    "more than the head knows": "UPDATE stream SET version = version - 1",
    "an epoch that goes back": "UPDATE event SET epoch = 0 WHERE version = 7",
    "an event that cannot have happened": "UPDATE event SET body = (SELECT body FROM event WHERE version = 3), kind ="
    " (SELECT kind FROM event WHERE version = 3) WHERE version = 4",
    "a kind nobody knows": "UPDATE event SET kind = 'seats_levitated' WHERE version = 3",
    "another number": "UPDATE stream SET number = 99",
}


@pytest.mark.parametrize("damage", LOG_DAMAGE)
async def test_damage_to_the_log_itself_is_found(theatre: Theatre, damage: str) -> None:
    await theatre.pool.execute(LOG_DAMAGE[damage])
    assert await theatre.differences()


async def test_a_showtime_can_be_seen_as_it_was(theatre: Theatre) -> None:
    pool, showtime_id = theatre.pool, theatre.showtime_id
    assert (await audit.replay(pool, showtime_id, layouts=LAYOUTS)).taken == theatre.loaded.state.taken
    assert set((await audit.replay(pool, showtime_id, version=3, layouts=LAYOUTS)).taken) == {"A1", "A2", "A3"}
    with pytest.raises(UnknownShowtime, match="versions 1 to"):
        await audit.replay(pool, showtime_id, version=10_000, layouts=LAYOUTS)
    with pytest.raises(UnknownShowtime):
        await audit.replay(pool, showtime_id, at=NOW - 1, layouts=LAYOUTS)
    with pytest.raises(UnknownShowtime):
        await audit.replay(pool, mint(NOW), layouts=LAYOUTS)


async def test_a_seat_cannot_be_live_in_two_bookings(theatre: Theatre) -> None:
    """The second witness: even if every rule of the seat map failed, the database refuses, and only this append."""
    hold, booking = mint(NOW), mint(NOW)
    with pytest.raises(Rejected):
        await theatre.tell(house.held(hold, "A1"), house.placed(booking, hold, "A1"))
    assert await theatre.differences() == []


async def test_the_commands_say_what_they_found(
    theatre: Theatre, database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "StoredLayouts", lambda _: LAYOUTS)
    assert await audit.verify_command(database_url) == 0
    assert "1 showtimes" in capsys.readouterr().out
    await theatre.pool.execute("UPDATE booking SET owner = 'somebody'")
    assert await audit.verify_command(database_url) == 1
    assert "expected" in capsys.readouterr().out
    assert await audit.rebuild_command(database_url) == 0
    assert await audit.verify_command(database_url) == 0
    capsys.readouterr()
    assert await audit.replay_command(database_url, theatre.showtime_id, "3") == 0
    assert '"version": 3' in capsys.readouterr().out
    assert await audit.replay_command(database_url, theatre.showtime_id, "yesterday") == 2
    assert await audit.replay_command(database_url, "nowhere", None) == 2
