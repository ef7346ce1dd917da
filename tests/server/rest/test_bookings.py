"""Booking, paying and cancelling over HTTP, as clients see it."""

import asyncio
import random
import re
from typing import Any
from uuid import RFC_4122, UUID

import orjson
import pytest

from actors.runtime.clock import ManualClock
from persistence.audit import verify
from server.keys import CLOCK, POOL
from server.rest.bookings import REFERENCE_LETTERS
from server.wire import rfc3339
from tests.server.house import House, open_house
from tests.server.rest.cinema import HOUR, Counter, Person, expect, fresh_key, open_counter, premiere

NOW = 1_800_000_000_000


@pytest.fixture
async def counter(house: House) -> Counter:
    return await open_counter(house)


async def pay(who: Person, booking_id: str, **proof: Any) -> Any:
    return await who.post(f"/bookings/{booking_id}/confirm", {"provider": "sandbox", **proof}, key=fresh_key())


async def start(who: Person, booking_id: str) -> dict[str, Any]:
    return await expect(await who.post("/payments/orders", {"booking_id": booking_id}, key=fresh_key()), 201)


async def capture(house: House, payment_id: str, **rest: Any) -> dict[str, Any]:
    return await expect(await house.post(f"/payments/sandbox/{payment_id}/succeed", rest), 200)


async def test_a_hold_becomes_a_booking_that_waits_for_its_payment(database_url: str) -> None:
    async with open_house(database_url, clock=ManualClock(NOW)) as house:
        counter = await open_counter(house)
        ana = counter.person()
        held = await ana.hold(counter.showtime_id, "F7", "F8")
        booked = await expect(await ana.post("/bookings", {"hold_id": held["hold_id"]}, key=fresh_key()), 201)
    assert re.fullmatch(f"[{REFERENCE_LETTERS}]{{8}}", booked.pop("reference"))
    assert booked.pop("id") != held["hold_id"]
    assert booked == {
        "status": "pending_payment",
        "showtime": {"id": counter.showtime_id},
        "hold_id": held["hold_id"],
        "seats": held["seats"],
        "subtotal": {"amount": 90_000, "currency": "INR"},
        "fees": {"amount": 2_000, "currency": "INR"},
        "tax": {"amount": 16_560, "currency": "INR"},
        "discount": {"amount": 0, "currency": "INR"},
        "total": {"amount": 108_560, "currency": "INR"},
        "currency": "INR",
        "expires_at": rfc3339(NOW + 600_000),
        "payment": {"id": None, "status": "none"},
    }


async def test_seats_can_be_booked_in_one_step(counter: Counter) -> None:
    ana = counter.person()
    wish = {"showtime_id": counter.showtime_id, "seats": ["A1", "A2"], "ticket_types": {"A2": "child"}}
    booked = await expect(await ana.post("/bookings", wish, key=fresh_key()), 201)
    assert [line["ticket_type"] for line in booked["seats"]] == ["adult", "child"]
    assert (await counter.seats())["held"] == ["A1", "A2"]
    taken = await expect(await counter.person().post("/bookings", wish, key=fresh_key()), 409)
    assert {conflict["seat"] for conflict in taken["conflicts"]} == {"A1", "A2"}


async def test_what_costs_nothing_is_confirmed_at_once(counter: Counter) -> None:
    wish = {"showtime_id": counter.showtime_id, "seats": ["A1"], "ticket_types": {"A1": "baby"}}
    booked = await expect(await counter.person().post("/bookings", wish, key=fresh_key()), 201)
    assert (booked["status"], booked["payment"]["status"]) == ("confirmed", "none")
    assert [ticket["seat"] for ticket in booked["tickets"]] == ["A1"]
    assert (await counter.seats())["sold"] == ["A1"]


async def test_paying_sells_the_seats_and_gives_tickets(counter: Counter) -> None:
    ana = counter.person()
    bought = await ana.buy(counter.showtime_id, "A1", "A2")
    assert (bought["status"], bought["payment"]["status"]) == ("confirmed", "succeeded")
    assert [ticket["seat"] for ticket in bought["tickets"]] == ["A1", "A2"]
    assert (await counter.seats())["sold"] == ["A1", "A2"]
    again = await expect(await pay(ana, bought["id"]), 200)
    assert again == bought


async def test_a_booking_shows_its_film_tickets_and_history(counter: Counter) -> None:
    ana = counter.person()
    bought = await ana.buy(counter.showtime_id, "A1", "A2")
    shown = await expect(await ana.get(f"/bookings/{bought['id']}"), 200)
    assert shown["showtime"]["movie"]["title"] == "The Long Night"
    assert shown["showtime"]["starts_at_local"].endswith("+05:30")
    assert [told["event"] for told in shown["history"]] == ["booking_placed", "booking_confirmed"]
    for name in ("id", "reference", "status", "seats", "total", "tax", "tickets", "payment", "hold_id"):
        assert shown[name] == bought[name], name


async def test_my_bookings_are_listed_newest_first_in_pages(counter: Counter) -> None:
    ana = counter.person()
    made = [(await ana.book(counter.showtime_id, f"A{n}"))["id"] for n in range(1, 6)]
    await counter.person().book(counter.showtime_id, "B1")
    first = await expect(await ana.get("/bookings", params={"limit": "3"}), 200)
    second = await expect(await ana.get("/bookings/my", params={"limit": "3", "cursor": first["next_cursor"]}), 200)
    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None
    for query, count in (({"status": "confirmed"}, 0), ({"when": "upcoming"}, 5), ({"when": "past"}, 0)):
        assert len((await expect(await ana.get("/bookings", params=query), 200))["items"]) == count
    await expect(await ana.get("/bookings", params={"status": "sold"}), 422)
    await expect(await ana.get("/bookings", params={"cursor": "x"}), 422)
    await expect(await counter.house.get("/bookings"), 401)


async def test_other_peoples_bookings_are_not_there(counter: Counter) -> None:
    ana, eve = counter.person(), counter.person()
    booked = await ana.book(counter.showtime_id, "A1")
    started = await start(ana, booked["id"])
    path = f"/bookings/{booked['id']}"
    answers = [
        await eve.get(path),
        await eve.get(f"{path}/cancellation-quote"),
        await pay(eve, booked["id"]),
        await eve.post(f"{path}/cancel", {}, key=fresh_key()),
        await eve.delete(path),
        await eve.post("/payments/orders", {"booking_id": booked["id"]}, key=fresh_key()),
        await counter.person("manager", theatres=(booked["id"],)).get(path),
    ]
    for answer in answers:
        assert (await expect(answer, 404))["code"] == "booking_not_found"
    assert (await expect(await eve.get(f"/payments/{started['payment_id']}"), 404))["code"] == "payment_not_found"
    await expect(await counter.manager().get(path), 200)


async def test_the_hold_of_somebody_else_cannot_be_booked(counter: Counter) -> None:
    held = await counter.person().hold(counter.showtime_id, "A1")
    stolen = await counter.person().post("/bookings", {"hold_id": held["hold_id"]}, key=fresh_key())
    assert (await expect(stolen, 404))["code"] == "hold_not_found"


@pytest.mark.parametrize("extra", ["role", "price", "user_id", "status", "total", "discount"])
async def test_nothing_can_be_smuggled_into_a_booking(counter: Counter, extra: str) -> None:
    wish = {"showtime_id": counter.showtime_id, "seats": ["A1"], extra: 1}
    body = await expect(await counter.person().post("/bookings", wish, key=fresh_key()), 422)
    assert body["errors"][0]["path"] == extra


async def test_a_confirmation_carries_neither_seats_nor_price(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.book(counter.showtime_id, "A1")
    for extra in ({"seats": ["A2"]}, {"amount": 1}, {"price": 1}):
        await expect(await pay(ana, booked["id"], **extra), 422)


async def test_booking_paying_and_cancelling_need_a_key(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.book(counter.showtime_id, "A1")
    held = await ana.hold(counter.showtime_id, "A2")
    for path, body in (
        ("/bookings", {"hold_id": held["hold_id"]}),
        (f"/bookings/{booked['id']}/confirm", {"provider": "sandbox"}),
        (f"/bookings/{booked['id']}/cancel", {}),
        ("/payments/orders", {"booking_id": booked["id"]}),
    ):
        assert (await expect(await ana.post(path, body), 400))["code"] == "idempotency_key_required"


async def test_one_key_sent_20_times_at_once_and_after_a_restart_is_one_booking_and_one_payment(
    database_url: str,
) -> None:
    async with open_house(database_url) as house:
        counter = await open_counter(house)
        ana, key = counter.person(), fresh_key()
        wish = {"showtime_id": counter.showtime_id, "seats": ["A1", "A2"]}
        placed = await asyncio.gather(*(ana.post("/bookings", wish, key=key) for _ in range(20)))
        assert {answer.status for answer in placed} == {201}
        booked = {await answer.read() for answer in placed}
        assert len(booked) == 1
        path = f"/bookings/{(await placed[0].json())['id']}/confirm"
        paid = await asyncio.gather(*(ana.post(path, {"provider": "sandbox"}, key=key) for _ in range(20)))
        assert {answer.status for answer in paid} == {200}
        confirmed = {await answer.read() for answer in paid}
        assert len(confirmed) == 1
        other = await ana.post("/bookings", {**wish, "seats": ["A3"]}, key=key)
        assert (await expect(other, 422))["code"] == "idempotency_mismatch"
    async with open_house(database_url) as house:
        ana.house = house
        again = await ana.post("/bookings", wish, key=key)
        assert (again.status, {await again.read()}) == (201, booked)
        again = await ana.post(path, {"provider": "sandbox"}, key=key)
        assert (again.status, {await again.read()}) == (200, confirmed)
        assert len((await expect(await ana.get("/bookings"), 200))["items"]) == 1
        assert await house.app[POOL].fetchval("SELECT count(*) FROM payment") == 1


async def test_one_key_may_pay_for_and_cancel_each_of_two_bookings(counter: Counter) -> None:
    ana, key = counter.person(), fresh_key()
    booked = [(await ana.book(counter.showtime_id, seat))["id"] for seat in ("A1", "C1")]
    for done, said in (("confirm", {"provider": "sandbox"}), ("cancel", {})):
        answers = [await expect(await ana.post(f"/bookings/{one}/{done}", said, key=key), 200) for one in booked]
        assert [answer["id"] for answer in answers] == booked


async def test_a_key_that_booked_one_showtime_does_not_book_another(house: House) -> None:
    counter = await open_counter(house)
    pool, later = house.app[POOL], house.app[CLOCK].now() + 48 * HOUR
    other = await premiere(pool, counter.cinema, later, sales_open_at=0)
    ana, key = counter.person(), fresh_key()
    await expect(await ana.post("/bookings", {"showtime_id": counter.showtime_id, "seats": ["A1"]}, key=key), 201)
    again = await ana.post("/bookings", {"showtime_id": other, "seats": ["A1"]}, key=key)
    assert (await expect(again, 422))["code"] == "idempotency_mismatch"


async def test_a_refused_booking_stays_refused_under_its_key(database_url: str) -> None:
    async with open_house(database_url) as house:
        counter = await open_counter(house)
        ana, bob, key = counter.person(), counter.person(), fresh_key()
        held = await bob.hold(counter.showtime_id, "A1")
        wish = {"showtime_id": counter.showtime_id, "seats": ["A1"]}
        first = await ana.post("/bookings", wish, key=key)
        refusal = await first.read()
        await bob.delete(f"/holds/{held['hold_id']}")
    async with open_house(database_url) as house:
        ana.house = house
        again = await ana.post("/bookings", wish, key=key)
        assert (again.status, await again.read()) == (first.status, refusal)
        assert (await expect(again, 409))["code"] == "seats_unavailable"
        await expect(await ana.post("/bookings", wish, key=fresh_key()), 201)


async def test_a_guest_leaves_a_contact_and_the_log_never_sees_it(counter: Counter) -> None:
    guest = counter.person("guest")
    held = await guest.hold(counter.showtime_id, "A1")
    wish: dict[str, Any] = {"hold_id": held["hold_id"]}
    assert (await expect(await guest.post("/bookings", wish, key=fresh_key()), 422))["code"] == "contact_required"
    wish["contact"] = {"email": "not an address"}
    await expect(await guest.post("/bookings", wish, key=fresh_key()), 422)
    wish["contact"] = {"email": "ana@example.org", "name": "Ana"}
    booked = await expect(await guest.post("/bookings", wish, key=fresh_key()), 201)
    shown = await expect(await guest.get(f"/bookings/{booked['id']}"), 200)
    assert shown["contact"] == {"email": "ana@example.org", "name": "Ana"}
    pool = counter.house.app[POOL]
    assert await pool.fetchval("SELECT count(*) FROM event WHERE body::text LIKE '%ana@example.org%'") == 0


async def test_a_guests_name_is_one_line(counter: Counter) -> None:
    guest = counter.person("guest")
    wish: dict[str, Any] = {"showtime_id": counter.showtime_id, "seats": ["A1"]}
    wish["contact"] = {"email": "ana@example.org", "name": "Ana,\r\n\r\nyour account ends today"}
    booked = await expect(await guest.post("/bookings", wish, key=fresh_key()), 201)
    shown = await expect(await guest.get(f"/bookings/{booked['id']}"), 200)
    assert shown["contact"]["name"] == "Ana, your account ends today"
    wish["contact"]["name"] = "Ana\u0007"
    refused = await expect(await guest.post("/bookings", wish, key=fresh_key()), 422)
    assert [error["path"] for error in refused["errors"]] == ["contact.name"]


@pytest.mark.parametrize(
    "address", ["a\u0001@b.example", 'a"b@c.example', "a@b..example", "a:b@c.example", "(x)y@c.example"]
)
async def test_an_address_that_no_letter_would_reach_is_no_contact(counter: Counter, address: str) -> None:
    wish = {"showtime_id": counter.showtime_id, "seats": ["A1"], "contact": {"email": address}}
    refused = await expect(await counter.person("guest").post("/bookings", wish, key=fresh_key()), 422)
    assert [error["path"] for error in refused["errors"]] == ["contact.email"]


async def test_whoever_gets_no_booking_leaves_no_contact(counter: Counter) -> None:
    ana, key, pool = counter.person(), fresh_key(), counter.house.app[POOL]
    await counter.person().hold(counter.showtime_id, "A1")
    wish = {"showtime_id": counter.showtime_id, "seats": ["A1"], "contact": {"email": "ana@example.org"}}
    await expect(await ana.post("/bookings", wish, key=fresh_key()), 409)
    assert await pool.fetchval("SELECT count(*) FROM booking_contact") == 0
    wish["seats"] = ["A2"]
    booked = [await expect(await ana.post("/bookings", wish, key=key), 201) for _ in range(3)]
    left = await pool.fetch("SELECT booking_id::text, email FROM booking_contact")
    assert [tuple(row) for row in left] == [(booked[0]["id"], "ana@example.org")]


async def test_a_confirmation_said_again_after_the_end_is_answered_as_at_first(counter: Counter) -> None:
    ana, key = counter.person(), fresh_key()
    booked = await ana.book(counter.showtime_id, "A1")
    path, paid = f"/bookings/{booked['id']}/confirm", {"provider": "sandbox"}
    first = await ana.post(path, paid, key=key)
    await expect(first, 200)
    await expect(await ana.post(f"/bookings/{booked['id']}/cancel", {}, key=fresh_key()), 200)
    await counter.house.settle()
    again = await ana.post(path, paid, key=key)
    assert (again.status, await again.read()) == (first.status, await first.read())
    assert (await expect(await ana.post(path, paid, key=fresh_key()), 409))["code"] == "booking_cancelled"
    assert await counter.house.app[POOL].fetchval("SELECT count(*) FROM payment") == 1
    assert (await verify(counter.house.app[POOL])).differences == []


async def test_what_the_news_had_confirmed_already_is_said_again_as_at_first(database_url: str) -> None:
    async with open_house(database_url) as house:
        counter = await open_counter(house)
        ana = counter.person()
        booked = await ana.book(counter.showtime_id, "A1")
        receipt = await capture(house, (await start(ana, booked["id"]))["payment_id"])
        order = {"provider_order_id": receipt["provider_order_id"]}
        path, said = f"/bookings/{booked['id']}/confirm", [{"provider": "sandbox", **rest} for rest in (order, {})]
        keys = [fresh_key() for _ in said]
        told = [[await ana.post(path, body, key=key) for _ in range(3)] for body, key in zip(said, keys, strict=True)]
        bodies = [{await answer.read() for answer in answers} for answers in told]
        assert {answer.status for answers in told for answer in answers} == {200}
        await expect(await ana.post(f"/bookings/{booked['id']}/cancel", {}, key=fresh_key()), 200)
    async with open_house(database_url) as house:
        ana.house = house
        for body, key, first in zip(said, keys, bodies, strict=True):
            again = await ana.post(path, body, key=key)
            assert (again.status, {await again.read()}) == (200, first)
        other = await ana.post(path, said[1], key=keys[0])
        assert (await expect(other, 422))["code"] == "idempotency_mismatch"
        assert (await expect(await pay(ana, booked["id"]), 409))["code"] == "booking_cancelled"


async def test_a_payment_that_is_on_its_way_can_be_asked_for_again_under_one_key(counter: Counter) -> None:
    ana, key = counter.person(), fresh_key()
    booked = await ana.book(counter.showtime_id, "A1")
    started = await start(ana, booked["id"])
    path = f"/bookings/{booked['id']}/confirm"
    said = {"provider": "sandbox", "provider_order_id": started["provider_order_id"]}
    assert (await expect(await ana.post(path, said, key=key), 402))["code"] == "payment_not_captured"
    await capture(counter.house, started["payment_id"])
    assert (await expect(await ana.post(path, said, key=key), 200))["status"] == "confirmed"


async def test_money_that_is_paid_in_the_moment_of_confirming_is_booked_with_the_confirmation_or_not_at_all(
    counter: Counter,
) -> None:
    ana, app, key = counter.person(), counter.house.app, fresh_key()
    booked = await ana.book(counter.showtime_id, "A1")
    books = "SELECT (SELECT count(*) FROM payment), (SELECT count(*) FROM sandbox_order)"
    # Another owner has come meanwhile: the append is refused, and with it whatever was to come along.
    await app[POOL].execute("UPDATE stream SET epoch = epoch + 1 WHERE showtime_id = $1", counter.showtime_id)
    await expect(await ana.post(f"/bookings/{booked['id']}/confirm", {"provider": "sandbox"}, key=key), 503)
    assert tuple(await app[POOL].fetchrow(books)) == (0, 0)
    for _ in range(2):
        paid = await ana.post(f"/bookings/{booked['id']}/confirm", {"provider": "sandbox"}, key=key)
        assert (await expect(paid, 200))["status"] == "confirmed"
        assert tuple(await app[POOL].fetchrow(books)) == (1, 1)
    await counter.house.settle()
    assert await app[POOL].fetchval("SELECT status FROM sandbox_order") == "captured"
    assert (await verify(app[POOL])).differences == []


async def test_an_unknown_promotion_is_refused(counter: Counter) -> None:
    ana = counter.person()
    held = await ana.hold(counter.showtime_id, "A1")
    refused = await ana.post("/bookings", {"hold_id": held["hold_id"], "promo_code": "FREE"}, key=fresh_key())
    assert (await expect(refused, 422))["code"] == "promo_invalid"


async def test_naming_another_provider_pays_nothing_here(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.book(counter.showtime_id, "A1")
    for provider in ("stripe", "razorpay"):
        said = await pay(ana, booked["id"], provider=provider)
        assert (await expect(said, 402))["code"] == "payment_not_captured"
    assert (await expect(await ana.get(f"/bookings/{booked['id']}"), 200))["payment"]["status"] == "none"


async def test_nobody_is_confirmed_before_the_provider_has_the_money(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.book(counter.showtime_id, "A1")
    started = await start(ana, booked["id"])
    assert started["amount"] == booked["total"]
    order = {"provider_order_id": started["provider_order_id"]}
    assert (await expect(await pay(ana, booked["id"], **order), 402))["code"] == "payment_not_captured"
    failed = await expect(await counter.house.post(f"/payments/sandbox/{started['payment_id']}/fail"), 200)
    assert failed["status"] == "failed"
    assert (await expect(await pay(ana, booked["id"], **order), 402))["code"] == "payment_not_captured"
    receipt = await capture(counter.house, started["payment_id"])
    forged = {**order, "signature": "0" * 64}
    assert (await expect(await pay(ana, booked["id"], **forged), 400))["code"] == "bad_signature"
    proof = {name: receipt[name] for name in ("provider_order_id", "provider_payment_id", "signature")}
    assert (await expect(await pay(ana, booked["id"], **proof), 200))["status"] == "confirmed"
    shown = await expect(await ana.get(f"/payments/{started['payment_id']}"), 200)
    assert shown["status"] == "succeeded"


async def test_a_refused_card_is_seen_at_the_booking_until_another_one_is_tried(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.book(counter.showtime_id, "A1")
    refused = await start(ana, booked["id"])
    await expect(await counter.house.post(f"/payments/sandbox/{refused['payment_id']}/fail"), 200)
    shown = await expect(await ana.get(f"/bookings/{booked['id']}"), 200)
    (listed,) = (await expect(await ana.get("/bookings"), 200))["items"]
    assert (shown["status"], shown["payment"]) == ("pending_payment", {"id": refused["payment_id"], "status": "failed"})
    assert listed["payment"] == shown["payment"]
    for payment, found in (("failed", 1), ("pending", 0)):
        page = await expect(await counter.manager().get("/admin/bookings", params={"payment": payment}), 200)
        assert len(page["items"]) == found
    other = await start(ana, booked["id"])
    shown = await expect(await ana.get(f"/bookings/{booked['id']}"), 200)
    assert shown["payment"] == {"id": other["payment_id"], "status": "pending"}


async def test_a_booking_that_waits_for_its_payment_has_no_tickets_yet(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.book(counter.showtime_id, "A1")
    assert (await expect(await ana.get(f"/bookings/{booked['id']}"), 200))["tickets"] == []


async def test_who_confirms_in_two_windows_at_once_pays_once(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.book(counter.showtime_id, "A1")
    answers = await asyncio.gather(*(pay(ana, booked["id"]) for _ in range(5)))
    bodies = [await expect(each, 200) for each in answers]
    assert all(body == bodies[0] for body in bodies)
    shown = await expect(await ana.get(f"/bookings/{booked['id']}"), 200)
    assert [told["event"] for told in shown["history"]] == ["booking_placed", "booking_confirmed"]


async def test_every_id_of_a_sale_is_a_uuid_of_version_7_and_of_its_time(counter: Counter) -> None:
    ana = counter.person()
    bought = await ana.buy(counter.showtime_id, "A1")
    ended = await expect(await ana.post(f"/bookings/{bought['id']}/cancel", key=fresh_key()), 200)
    ids = [bought["id"], bought["hold_id"], bought["payment"]["id"], bought["tickets"][0]["id"], ended["refund"]["id"]]
    assert len(set(ids)) == len(ids)
    for each in map(UUID, ids):
        assert (each.version, each.variant) == (7, RFC_4122)
        assert abs((each.int >> 80) - (UUID(bought["id"]).int >> 80)) < HOUR


async def test_what_is_refused_to_a_key_has_one_id_in_head_and_body_however_often_it_is_asked(counter: Counter) -> None:
    ana = counter.person()
    await counter.person().hold(counter.showtime_id, "A1")
    wishes = (
        (f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A1"]}),
        ("/bookings", {"showtime_id": counter.showtime_id, "seats": ["A1"]}),
    )
    for path, asked in wishes:
        key = fresh_key()
        answers = [await ana.post(path, asked, key=key) for _ in range(3)]
        (body,) = {await answer.read() for answer in answers}
        assert {answer.headers["X-Request-Id"] for answer in answers} == {orjson.loads(body)["request_id"]}
        headers = {"Idempotency-Key": key, "X-Request-Id": "mine-1"}
        named = await counter.house.post(path, asked, token=ana.token, headers=headers)
        assert (named.headers["X-Request-Id"], await named.read()) == ("mine-1", body)


async def test_the_payment_of_another_booking_does_not_count(counter: Counter) -> None:
    ana = counter.person()
    cheap, dear = await ana.book(counter.showtime_id, "A1"), await ana.book(counter.showtime_id, "A2", "A3")
    receipt = await capture(counter.house, (await start(ana, cheap["id"]))["payment_id"])
    mixed = await pay(ana, dear["id"], provider_order_id=receipt["provider_order_id"])
    assert (await expect(mixed, 409))["code"] == "payment_mismatch"
    unknown = await pay(ana, dear["id"], provider_order_id="sbx_order_nonsense")
    assert (await expect(unknown, 409))["code"] == "payment_mismatch"


async def test_a_wrong_amount_buys_nothing_and_goes_back(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.book(counter.showtime_id, "A1")
    started = await start(ana, booked["id"])
    receipt = await capture(counter.house, started["payment_id"], amount=1)
    refused = await expect(await pay(ana, booked["id"], provider_order_id=receipt["provider_order_id"]), 409)
    assert refused["code"] == "amount_mismatch"
    assert refused["refund_id"]
    assert (await counter.seats())["counts"]["sold"] == 0


async def test_money_that_comes_late_still_buys_seats_that_are_free(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        counter = await open_counter(house)
        ana = counter.person()
        booked = await ana.book(counter.showtime_id, "A1")
        started = await start(ana, booked["id"])
        clock.advance(600_000)
        assert (await expect(await pay(ana, booked["id"]), 410))["code"] == "hold_expired"
        receipt = await capture(house, started["payment_id"])
        order = receipt["provider_order_id"]
        assert (await expect(await pay(ana, booked["id"], provider_order_id=order), 200))["status"] == "confirmed"


async def test_money_that_comes_too_late_goes_back_for_good(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        counter = await open_counter(house)
        ana, bob = counter.person(), counter.person()
        booked = await ana.book(counter.showtime_id, "A1")
        started = await start(ana, booked["id"])
        clock.advance(600_000)
        held = await bob.hold(counter.showtime_id, "A1")
        receipt = await capture(house, started["payment_id"])
        proof = {"provider_order_id": receipt["provider_order_id"]}
        lost = await expect(await pay(ana, booked["id"], **proof), 410)
        assert lost["code"] == "expired_seats_lost"
        assert (await bob.delete(f"/holds/{held['hold_id']}")).status == 204
        still = await expect(await pay(ana, booked["id"], **proof), 410)
        assert still["refund_id"] == lost["refund_id"]


async def test_of_a_confirmation_and_an_expiry_at_the_same_moment_one_wins(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        counter = await open_counter(house)
        people = {seat: counter.person() for seat in list(counter.cinema.layout.seats)[:60]}
        booked = {seat: (await who.book(counter.showtime_id, seat))["id"] for seat, who in people.items()}
        paying = {asyncio.ensure_future(pay(people[seat], booking)): seat for seat, booking in booked.items()}
        await asyncio.wait(paying, return_when=asyncio.FIRST_COMPLETED)
        clock.advance(600_000)
        await asyncio.wait(paying)
        sold = {seat for done, seat in paying.items() if done.result().status == 200}
        for done, seat in paying.items():
            if seat not in sold:
                assert (await expect(done.result(), 410))["code"] == "hold_expired"
        assert sold
        seen = await counter.seats()
        assert set(seen["sold"]) == sold
        assert seen["counts"] == {"free": 120 - len(sold), "held": 0, "sold": len(sold), "blocked": 0}


async def test_entering_payment_gives_five_more_minutes(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        counter = await open_counter(house)
        ana = counter.person()
        booked = await ana.book(counter.showtime_id, "A1")
        clock.advance(590_000)
        assert (await start(ana, booked["id"]))["expires_at"] == rfc3339(NOW + 890_000)


async def test_cancelled_seats_are_sold_again(counter: Counter) -> None:
    ana, bob = counter.person(), counter.person()
    bought = await ana.buy(counter.showtime_id, "A1", "A2")
    path = f"/bookings/{bought['id']}"
    quote = await expect(await ana.get(f"{path}/cancellation-quote"), 200)
    assert quote["refund"] == bought["total"]
    assert quote["policy_line"]["hours_before"] == 20
    ended = await expect(await ana.post(f"{path}/cancel", {"reason": "ill"}, key=fresh_key()), 200)
    assert (ended["status"], ended["payment"]["status"]) == ("cancelled", "refunded")
    assert ended["refund"]["amount"] == bought["total"]
    assert (await counter.seats())["counts"]["free"] == 120
    await bob.buy(counter.showtime_id, "A1", "A2")
    again = await expect(await ana.post(f"{path}/cancel", {}, key=fresh_key()), 409)
    assert again["code"] == "already_cancelled"
    shown = await expect(await ana.get(path), 200)
    assert (shown["status"], shown["refunded"]) == ("cancelled", bought["total"])


async def test_some_seats_can_be_cancelled_and_their_money_comes_back(counter: Counter) -> None:
    ana = counter.person()
    bought = await ana.buy(counter.showtime_id, "A1", "A2", "A3")
    path = f"/bookings/{bought['id']}"
    quote = await expect(await ana.get(f"{path}/cancellation-quote", params={"seats": "A2"}), 200)
    part = await expect(await ana.post(f"{path}/cancel", {"seats": ["A2"]}, key=fresh_key()), 200)
    assert part["refund"]["amount"] == quote["refund"] == bought["seats"][1]["total"]
    assert (part["status"], part["payment"]["status"]) == ("confirmed", "partially_refunded")
    assert [ticket["seat"] for ticket in part["tickets"]] == ["A1", "A3"]
    shown = await expect(await ana.get(path), 200)
    assert [line["seat"] for line in shown["seats"]] == ["A1", "A3"]
    strange = await expect(await ana.post(f"{path}/cancel", {"seats": ["A2"]}, key=fresh_key()), 422)
    assert strange["code"] == "seat_not_in_booking"
    await counter.person().hold(counter.showtime_id, "A2")


async def test_a_cancellation_close_to_the_film_costs_what_the_policy_says(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        counter = await open_counter(house)
        ana = counter.person()
        bought = await ana.buy(counter.showtime_id, "A1")
        clock.advance(10 * HOUR)
        total = bought["total"]["amount"]
        quote = await expect(await ana.get(f"/bookings/{bought['id']}/cancellation-quote"), 200)
        assert quote["refund"]["amount"] == total // 2 - 500
        assert quote["deadline"] == rfc3339(NOW + 22 * HOUR)
        clock.advance(14 * HOUR)
        late = await expect(await ana.post(f"/bookings/{bought['id']}/cancel", {}, key=fresh_key()), 409)
        assert late["code"] == "past_deadline"


async def test_deleting_a_booking_cancels_all_of_it(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.book(counter.showtime_id, "A1", "A2")
    assert (await expect(await ana.delete(f"/bookings/{booked['id']}"), 200))["status"] == "cancelled"
    assert (await counter.seats())["counts"]["free"] == 120
    late = await expect(await pay(ana, booked["id"]), 409)
    assert late["code"] == "booking_cancelled"


async def test_the_house_may_cancel_for_a_customer_of_its_own_theatre_only(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.buy(counter.showtime_id, "A1")
    stranger = counter.person("manager", theatres=(counter.showtime_id,))
    path = f"/bookings/{booked['id']}/cancel"
    await expect(await stranger.post(path, {}, key=fresh_key()), 404)
    assert (await expect(await counter.manager().post(path, {}, key=fresh_key()), 200))["status"] == "cancelled"


async def test_the_old_names_of_starting_a_payment_work(counter: Counter) -> None:
    ana = counter.person()
    booked = await ana.book(counter.showtime_id, "A1")
    for path in ("/payments/intents", "/payments/create-order", "/payments/create-intent", "/payment/initiate-booking"):
        await expect(await ana.post(path, {"booking_id": booked["id"], "provider": "sandbox"}, key=fresh_key()), 201)


async def test_after_a_lively_evening_log_and_tables_agree(database_url: str) -> None:
    dice, clock = random.Random(11), ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        counter = await open_counter(house)
        labels = list(counter.cinema.layout.seats)

        async def visit() -> None:
            who = counter.person()
            path = f"/showtimes/{counter.showtime_id}/holds"
            held = await who.post(path, {"seats": dice.sample(labels, dice.randint(1, 4))})
            if held.status != 201:
                return
            hold_id = (await held.json())["hold_id"]
            deed = dice.random()
            if deed < 0.2:
                await who.delete(f"/holds/{hold_id}")
            if deed < 0.4:
                return
            booked = (await expect(await who.post("/bookings", {"hold_id": hold_id}, key=fresh_key()), 201))["id"]
            if deed < 0.5:
                return
            await expect(await pay(who, booked), 200)
            if deed < 0.7:
                await who.post(f"/bookings/{booked}/cancel", {}, key=fresh_key())

        for _ in range(6):
            await asyncio.gather(*(visit() for _ in range(25)))
            clock.advance(300_000)
        await counter.settle()
        seen = await counter.seats()
        assert seen["counts"]["sold"] > 10
        report = await verify(house.app[POOL])
    assert report.differences == []
    async with open_house(database_url, clock=clock) as house:
        counter.house = house
        again = await counter.seats()
        assert (again["sold"], again["held"]) == (seen["sold"], seen["held"])
