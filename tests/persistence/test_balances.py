"""Money is conserved: `verify` finds each way in which it would not be, and nothing where every effect was done."""

from collections.abc import AsyncIterator

import journal_house as house
import pytest
from journal_house import ANA, BOB, NOW
from test_audit import LAYOUTS, Theatre, open_theatre

from actors.ids import mint
from actors.seatmap import events as e
from persistence import audit, ledger
from persistence.database import Pool
from persistence.ledger import Account, Posting

SEAT = 1_547


@pytest.fixture
async def theatre(database_url: str, pool: Pool) -> AsyncIterator[Theatre]:
    """Ana has two of three seats left, a favour of 500 among them; Bob gave his back; Ana's late money goes back."""
    async with open_theatre(database_url, pool) as theatre:
        anas = await theatre.sell(ANA, "A1", "A2", "A3")
        bobs = await theatre.sell(BOB, "B1")
        await theatre.tell(house.cancelled(theatre.loaded.state, anas, "A2", refund=700))
        await theatre.tell(house.cancelled(theatre.loaded.state, bobs, "B1", refund=SEAT))
        await theatre.tell(house.favour(theatre.loaded.state, anas, 500))
        hold, lost = mint(NOW), mint(NOW)
        await theatre.tell(house.held(hold, "C1"), house.placed(lost, hold, "C1"), e.BookingExpired(lost, ANA, ("C1",)))
        unwanted = e.RefundDecided(lost, ANA, mint(NOW), "sandbox", "p-9", SEAT, "EUR", mint(NOW), "seats_lost")
        await theatre.tell(unwanted)
        yield theatre


async def done(theatre: Theatre, topic: str, key: str = "%") -> list[dict[str, str]]:
    """Mark jobs as done, as their works do after their posting."""
    rows = await theatre.pool.fetch(
        """
        UPDATE job SET state = 'done' WHERE topic = $1 AND dedupe_key LIKE $2
        RETURNING dedupe_key, payload->>'payment_id' AS payment_id, payload->>'booking_id' AS booking_id,
            (payload->>'amount')::bigint AS amount
        """,
        topic, key,
    )  # fmt: skip
    return [dict(row) for row in rows]


async def settle(theatre: Theatre) -> None:
    """What works do: take what is promised, give back what is owed; money that was never taken is let go."""
    moves = [
        posting(theatre, f"captured:{job['payment_id']}", job, Account.CAPTURED, Account.AUTHORISED)
        for job in await done(theatre, "capture")
    ]
    taken = {move.payment_id for move in moves}
    for job in await done(theatre, "refund"):
        source = Account.CAPTURED if job["payment_id"] in taken else Account.AUTHORISED
        moves.append(posting(theatre, job["dedupe_key"], job, Account.REFUNDS_DUE, source))
    assert await ledger.post(theatre.pool, moves) == len(moves) == 2 + 4
    assert await ledger.post(theatre.pool, moves) == 0, "each is posted once for ever"


def posting(theatre: Theatre, ref: str, job: dict[str, str], debit: Account, credit: Account) -> Posting:
    amount = int(job["amount"])
    return Posting(ref, job["payment_id"], job["booking_id"], theatre.showtime_id, debit, credit, amount, "EUR", NOW)


async def test_when_every_effect_is_done_the_provider_has_what_bookings_are_worth_and_what_was_kept(
    theatre: Theatre,
) -> None:
    await settle(theatre)
    report = await audit.verify(theatre.pool, LAYOUTS)
    assert report.differences == []
    money = report.money["EUR"]
    assert (money.sales, money.kept) == (2 * SEAT - 500, SEAT - 700)
    assert money.taken - money.returned == money.sales + money.kept
    assert (money.authorised, money.refunds_due) == (0, 0)


async def test_what_a_provider_never_paid_can_be_taken_from_what_was_kept_and_from_nothing_else(
    theatre: Theatre,
) -> None:
    await settle(theatre)
    assert await theatre.differences() == []
    await theatre.pool.execute(
        "INSERT INTO ledger SELECT 'lost:' || payment_id, payment_id, booking_id, showtime_id, 'kept', 'captured',"
        " amount, currency, at FROM ledger WHERE credit = 'kept'"
    )
    assert (await audit.verify(theatre.pool, LAYOUTS)).money["EUR"].kept == 0
    assert await theatre.differences() == []
    await theatre.pool.execute("UPDATE ledger SET debit = 'sales' WHERE ref LIKE 'lost:%'")
    assert any("sales" in difference for difference in await theatre.differences())


async def test_what_works_posted_outlives_a_rebuild(theatre: Theatre) -> None:
    await settle(theatre)
    await theatre.pool.execute("UPDATE ledger SET amount = amount + 1 WHERE version IS NOT NULL")
    assert await theatre.differences()
    await audit.rebuild(theatre.pool, LAYOUTS)
    assert await theatre.differences() == []
    assert (await audit.verify(theatre.pool, LAYOUTS)).money["EUR"].taken == 4 * SEAT


BREACHES = {
    "a capture that was marked as done and never made": (
        "authorised", "DELETE FROM ledger WHERE ref IN (SELECT ref FROM ledger WHERE ref LIKE 'captured:%' LIMIT 1)",
    ),
    "a refund that was marked as done and never made": (
        "refunds_due", "DELETE FROM ledger WHERE version IS NULL AND ref LIKE 'refund:%' AND amount = 700",
    ),
    "a favour that was never paid out": (
        "refunds_due", "DELETE FROM ledger WHERE version IS NULL AND ref LIKE 'refund:%' AND amount = 500",
    ),
    "a refund paid twice": (
        "refunds_due",
        ("INSERT INTO ledger SELECT ref || ':again', payment_id, booking_id, showtime_id, debit, credit, amount,"
        " currency, at FROM ledger WHERE version IS NULL AND ref LIKE 'refund:%' AND amount = 700"),
    ),
    "more refunded than was owed": (
        "refunds_due", "UPDATE ledger SET amount = amount + 1 WHERE version IS NULL AND amount = 700",
    ),
    "less refunded than was owed": (
        "refunds_due", "UPDATE ledger SET amount = amount - 1 WHERE version IS NULL AND amount = 700",
    ),
    "more captured than was promised": (
        "authorised", "UPDATE ledger SET amount = amount + 1 WHERE ref LIKE 'captured:%'",
    ),
    "more given back than was ever taken": (
        "captured", "UPDATE ledger SET credit = 'captured' WHERE ref LIKE 'refund:%' AND credit = 'authorised'",
    ),
    "a refund of another payment": (
        "refunds_due", "UPDATE ledger SET payment_id = 'other' WHERE version IS NULL AND amount = 700",
    ),
    "sales that no booking has": (
        "sales", "UPDATE ledger SET amount = amount + 1 WHERE ref LIKE 'sold:%'",
    ),
    "a fee kept of nothing": (
        "kept", "UPDATE ledger SET amount = amount + 1 WHERE ref LIKE 'kept:%'",
    ),
    "money of a booking that is not there": (
        "a booking of this showtime",
        ("INSERT INTO ledger VALUES ('captured:x', 'x', gen_random_uuid(), (SELECT showtime_id FROM stream),"
        " 'captured', 'authorised', 1, 'EUR', now())"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("breach", BREACHES)
async def test_every_breach_of_the_rules_of_money_is_found(theatre: Theatre, breach: str) -> None:
    await settle(theatre)
    told, statement = BREACHES[breach]
    assert not (await theatre.pool.execute(statement)).endswith(" 0")
    assert any(told in difference for difference in await theatre.differences())


@pytest.mark.parametrize("state", ["done", "dropped"])
async def test_a_refund_that_nobody_works_on_any_more_is_found(theatre: Theatre, state: str) -> None:
    await theatre.pool.execute("UPDATE job SET state = $1 WHERE topic = 'refund'", state)
    assert any("refunds_due" in difference for difference in await theatre.differences())
