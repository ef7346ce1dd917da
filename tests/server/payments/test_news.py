"""News of money: whichever way it comes, however often and in whichever order, it is decided once."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from persistence.payments import Payment
from server.keys import POOL
from server.payments.sandbox import SIGNATURE
from tests.server.payments.desk import MINUTE, Desk, open_desk
from tests.server.rest.cinema import expect, fresh_key


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with open_desk(database_url) as desk:
        yield desk


async def test_a_webhook_confirms_the_booking_it_names(desk: Desk) -> None:
    ana = desk.counter.person()
    booked, started = await desk.started(ana, "A1", "A2")
    await desk.sandbox.pay(started["payment_id"])
    assert await expect(await desk.news(started["payment_id"]), 200) == {"received": True}
    await desk.work()
    assert await desk.status(ana, booked["id"]) == ("confirmed", "succeeded")
    assert await desk.payment_status(ana, started["payment_id"]) == "succeeded"
    await desk.adds_up()


async def test_a_webhook_is_believed_to_name_a_payment_and_nothing_else(desk: Desk) -> None:
    ana = desk.counter.person()
    booked, started = await desk.started(ana, "A1")
    await expect(await desk.news(started["payment_id"]), 200)
    await desk.work()
    assert await desk.status(ana, booked["id"]) == ("pending_payment", "pending")


async def test_webhooks_that_come_many_times_and_shuffled_are_one_payment_each(desk: Desk) -> None:
    dice = random.Random(5)
    buyers = [desk.counter.person() for _ in range(4)]
    begun = [await desk.started(who, f"A{n}") for n, who in enumerate(buyers, 1)]
    for _, started in begun:
        await desk.sandbox.pay(started["payment_id"])
    names = [
        (started["payment_id"], f"evt_{place}_{n % 3}") for place, (_, started) in enumerate(begun) for n in range(6)
    ]
    dice.shuffle(names)
    answers = await asyncio.gather(*(desk.news(*name) for name in names))
    assert [await expect(answer, 200) for answer in answers] == [{"received": True}] * 24
    assert len(await desk.jobs("payment_news")) == 12
    await desk.work()
    for who, (booked, _) in zip(buyers, begun, strict=True):
        assert await desk.status(who, booked["id"]) == ("confirmed", "succeeded")
    assert desk.moody.calls.count("capture") == 4
    await desk.adds_up()


@pytest.mark.parametrize("change", ["absent", "forged", "other body", "old", "from the future", "nonsense"])
async def test_what_the_provider_did_not_sign_just_now_is_refused_and_not_kept(desk: Desk, change: str) -> None:
    _, started = await desk.started(desk.counter.person(), "A1")
    raw, headers = desk.sandbox.message("evt_bad", "payment.authorised", started["payment_id"])
    match change:
        case "absent":
            del headers[SIGNATURE]
        case "forged":
            headers[SIGNATURE] = headers[SIGNATURE][:-4] + "0000"
        case "other body":
            raw = raw.replace(b"evt_bad", b"evt_odd")
        case "old":
            desk.clock.advance(301_000)
        case "from the future":
            desk.clock.advance(302_000)
            raw, headers = desk.sandbox.message("evt_bad", "payment.authorised", started["payment_id"])
            signed_at, _, signature = headers[SIGNATURE].partition(",")
            headers[SIGNATURE] = f"{int(signed_at) + 302},{signature}"
        case "nonsense":
            headers[SIGNATURE] = "t=\xff,v1=é"
    refused = await expect(await desk.house.post("/payments/webhook/sandbox", data=raw, headers=headers), 400)
    assert refused["code"] == "bad_signature"
    assert await desk.house.app[POOL].fetchval("SELECT count(*) FROM provider_news") == 0
    assert await desk.jobs("payment_news") == []


async def test_only_providers_of_the_house_have_an_address_for_news(desk: Desk) -> None:
    for name in ("stripe", "razorpay", "nobody"):
        unknown = await expect(await desk.house.post(f"/payments/webhook/{name}", {}), 404)
        assert unknown["code"] == "not_found"
    large = await expect(await desk.house.post("/payments/webhook/sandbox", data=b"x" * 70_000), 413)
    assert large["code"] == "body_too_large"


async def test_news_that_comes_before_the_answer_to_the_checkout_is_not_lost(desk: Desk) -> None:
    ana = desk.counter.person()

    async def pay_at_once(payment: Payment) -> None:
        await desk.sandbox.pay(payment.id)
        await expect(await desk.news(payment.id), 200)
        await desk.work()

    desk.moody.on_open = pay_at_once
    booked, started = await desk.started(ana, "A1")
    assert started["provider_order_id"]
    assert await desk.status(ana, booked["id"]) == ("confirmed", "succeeded")
    await desk.adds_up()


async def test_news_of_a_payment_that_nobody_knows_is_answered_and_given_up(desk: Desk) -> None:
    unknown = "019a0000-0000-7000-8000-000000000000"
    await expect(await desk.news(unknown), 200)
    await desk.work()
    assert await desk.jobs("payment_news") == ["ready"]
    await desk.later(11 * MINUTE)
    assert await desk.jobs("payment_news") == ["done"]


async def test_money_whose_webhook_got_lost_is_found_after_two_minutes(desk: Desk) -> None:
    ana = desk.counter.person()
    booked, started = await desk.started(ana, "A1")
    await desk.sandbox.pay(started["payment_id"])
    await desk.later(1 * MINUTE)
    assert await desk.status(ana, booked["id"]) == ("pending_payment", "pending")
    await desk.later(1 * MINUTE)
    assert await desk.status(ana, booked["id"]) == ("confirmed", "succeeded")
    assert await desk.jobs("payment_watch") == ["done"]
    await desk.adds_up()


async def test_an_order_that_nobody_pays_is_closed_after_a_day(desk: Desk) -> None:
    _, started = await desk.started(desk.counter.person(), "A1")
    await desk.later(20 * MINUTE)
    desk.clock.advance(23 * 60 * MINUTE)
    await desk.work()
    assert (await desk.books(started["payment_id"]))[0] == "open"
    desk.clock.advance(60 * MINUTE)
    await desk.work()
    assert (await desk.books(started["payment_id"]))[0] == "voided"
    assert await desk.jobs("payment_watch") == ["done"]


async def test_an_order_that_is_not_wanted_any_more_is_closed_at_the_next_look(desk: Desk) -> None:
    ana = desk.counter.person()
    booked, first = await desk.started(ana, "A1")
    second = await desk.start(ana, booked["id"])
    await desk.sandbox.pay(first["payment_id"])
    await expect(await desk.news(first["payment_id"]), 200)
    await desk.later(2 * MINUTE)
    assert await desk.status(ana, booked["id"]) == ("confirmed", "succeeded")
    assert (await desk.books(second["payment_id"]))[0] == "voided"
    assert await desk.payment_status(ana, second["payment_id"]) == "failed"
    await desk.adds_up()


async def test_of_two_payments_for_one_booking_the_second_goes_back(desk: Desk) -> None:
    ana = desk.counter.person()
    booked, first = await desk.started(ana, "A1")
    second = await desk.start(ana, booked["id"])
    for started in (first, second):
        await desk.sandbox.pay(started["payment_id"])
        await expect(await desk.news(started["payment_id"]), 200)
    await desk.work()
    assert await desk.status(ana, booked["id"]) == ("confirmed", "succeeded")
    books = [await desk.books(started["payment_id"]) for started in (first, second)]
    total = booked["total"]["amount"]
    assert sorted(books) == [("captured", total, 0), ("voided", total, 0)]
    assert sorted([await desk.payment_status(ana, s["payment_id"]) for s in (first, second)]) == [
        "refunded",
        "succeeded",
    ]
    await desk.adds_up()


@pytest.mark.parametrize("paid", [{"amount": 1}, {"amount": 10**9}, {"currency": "EUR"}])
async def test_another_amount_or_currency_buys_nothing_and_goes_back(desk: Desk, paid: dict[str, object]) -> None:
    ana = desk.counter.person()
    booked, started = await desk.started(ana, "A1")
    await expect(await desk.house.post(f"/payments/sandbox/{started['payment_id']}/succeed", paid), 200)
    await desk.work()
    assert await desk.status(ana, booked["id"]) == ("pending_payment", "refunded")
    assert (await desk.books(started["payment_id"]))[0] == "voided"
    assert await desk.payment_status(ana, started["payment_id"]) == "refunded"
    assert await desk.balances(started["payment_id"]) == {}
    await desk.adds_up()
    await desk.start(ana, booked["id"])
    assert await desk.status(ana, booked["id"]) == ("pending_payment", "pending")
    again = await ana.post(f"/bookings/{booked['id']}/confirm", {"provider": "sandbox"}, key=fresh_key())
    assert (await expect(again, 200))["status"] == "confirmed"
    await desk.work()
    await desk.adds_up()


async def test_money_that_comes_after_the_seats_are_gone_goes_back_once(desk: Desk) -> None:
    ana, bob = desk.counter.person(), desk.counter.person()
    booked, started = await desk.started(ana, "A1")
    desk.clock.advance(20 * MINUTE)
    await desk.counter.settle()
    await bob.buy(desk.counter.showtime_id, "A1")
    await desk.sandbox.pay(started["payment_id"])
    for n in range(5):
        await expect(await desk.news(started["payment_id"], f"evt_late_{n}"), 200)
    await desk.work()
    assert await desk.status(ana, booked["id"]) == ("expired", "refunded")
    assert (await desk.books(started["payment_id"]))[0] == "voided"
    assert desk.moody.calls.count("void") == 1
    await desk.adds_up()


async def test_people_hear_once_that_a_payment_failed_and_may_try_again(desk: Desk) -> None:
    ana = desk.counter.person()
    booked, started = await desk.started(ana, "A1")
    await desk.sandbox.refuse(started["payment_id"])
    for n in range(3):
        await expect(await desk.news(started["payment_id"], f"evt_no_{n}"), 200)
    await desk.work()
    told = await desk.house.app[POOL].fetch("SELECT payload FROM job WHERE dedupe_key LIKE 'payment_failed:%'")
    assert len(told) == 1
    assert await desk.payment_status(ana, started["payment_id"]) == "failed"
    await desk.sandbox.pay(started["payment_id"])
    await expect(await desk.news(started["payment_id"]), 200)
    await desk.work()
    assert await desk.status(ana, booked["id"]) == ("confirmed", "succeeded")
    assert await desk.payment_status(ana, started["payment_id"]) == "succeeded"


async def test_a_provider_that_is_down_is_said_so_and_the_same_key_goes_on(desk: Desk) -> None:
    ana, key = desk.counter.person(), fresh_key()
    booked = await ana.book(desk.counter.showtime_id, "A1")
    desk.moody.troubles["open"] = ["down", "lost"]
    for _ in range(2):
        down = await ana.post("/payments/orders", {"booking_id": booked["id"]}, key=key)
        assert (await expect(down, 503))["code"] == "provider_unavailable"
        assert down.headers["Retry-After"]
    started = await expect(await ana.post("/payments/orders", {"booking_id": booked["id"]}, key=key), 201)
    assert await desk.house.app[POOL].fetchval("SELECT count(*) FROM payment") == 1
    desk.moody.troubles["open"] = ["no"]
    refused = await ana.post("/payments/orders", {"booking_id": booked["id"]}, key=fresh_key())
    assert (await expect(refused, 409))["code"] == "provider_refused"
    await desk.sandbox.pay(started["payment_id"])
    desk.moody.troubles["look"] = ["down"]
    back = {"provider": "sandbox", "provider_order_id": started["provider_order_id"]}
    confirm = f"/bookings/{booked['id']}/confirm"
    assert (await expect(await ana.post(confirm, back, key=key), 503))["code"] == "provider_unavailable"
    assert (await expect(await ana.post(confirm, back, key=key), 200))["status"] == "confirmed"


async def test_a_house_takes_payments_through_one_provider(desk: Desk) -> None:
    ana = desk.counter.person()
    booked = await ana.book(desk.counter.showtime_id, "A1")
    other = {"booking_id": booked["id"], "provider": "stripe"}
    assert (await expect(await ana.post("/payments/orders", other, key=fresh_key()), 422))["errors"]
