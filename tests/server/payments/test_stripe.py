"""Stripe end to end: the official library against a stand-in that keeps books of its own in a process of its own."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import stripe as sdk

from actors.ids import mint
from persistence.audit import verify
from persistence.payments import Payment
from server.keys import JOBS, POOL, TILL
from server.payments.provider import BadSignature, ProviderDown, ProviderRefused, Stage
from server.payments.stripe import Stripe, from_stripe, to_stripe
from tests.server.house import House, open_house
from tests.server.payments.desk import pause
from tests.server.payments.stripe_stand_in import (
    DECLINED_CARD,
    GOOD_CARD,
    SECRET_KEY,
    SETTINGS,
    WEBHOOK_SECRET,
    pay,
    running,
)
from tests.server.rest.cinema import Counter, Person, expect, fresh_key, open_counter


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    with running() as url:
        yield url


@dataclass
class Till:
    """A house that takes payments through the stand-in, and the browsers of its customers."""

    house: House
    counter: Counter
    url: str
    session: aiohttp.ClientSession

    async def started(self, who: Person, *seats: str) -> tuple[dict[str, Any], dict[str, Any]]:
        booked = await who.book(self.counter.showtime_id, *seats)
        asked = {"booking_id": booked["id"], "provider": "stripe"}
        return booked, await expect(await who.post("/payments/orders", asked, key=fresh_key()), 201)

    async def pays(self, started: dict[str, Any], card: str = GOOD_CARD) -> dict[str, Any]:
        return await pay(self.session, self.url, started["provider_order_id"], card)

    async def returns(
        self, who: Person, booked: dict[str, Any], started: dict[str, Any], status: int
    ) -> dict[str, Any]:
        back = {"provider": "stripe", "provider_order_id": started["provider_order_id"]}
        return await expect(await who.post(f"/bookings/{booked['id']}/confirm", back, key=fresh_key()), status)

    async def standing(self, started: dict[str, Any]) -> tuple[str, int, int]:
        till = self.house.app[TILL]
        payment = await till.payment(started["payment_id"])
        assert payment is not None
        found = await till.provider_of(payment).look(payment)
        return found.stage.value, found.amount, sum(found.refunds.values())

    async def work(self) -> None:
        await self.house.app[JOBS].settle()

    async def adds_up(self) -> None:
        report = await verify(self.house.app[POOL])
        assert report.differences == [], [str(difference) for difference in report.differences]


@pytest.fixture
async def till(database_url: str, stand_in: str) -> AsyncIterator[Till]:
    async with (
        open_house(database_url, **SETTINGS, stripe_base_url=stand_in) as house,
        aiohttp.ClientSession() as session,
    ):
        hook = {"url": str(house.client.make_url("/api/v1/payments/webhook/stripe")), "secret": WEBHOOK_SECRET}
        async with session.post(f"{stand_in}/_config/webhooks/marquee", json=hook) as answer:
            assert answer.status == 200
        await pause(house)
        yield Till(house, await open_counter(house), stand_in, session)


async def test_a_payment_is_authorised_confirmed_taken_and_returned_in_part(till: Till) -> None:
    ana = till.counter.person()
    booked, started = await till.started(ana, "A1", "A2")
    total = booked["total"]["amount"]
    assert started["client_secret"].startswith(started["provider_order_id"])
    assert (started["public_key"], started["checkout_url"]) == ("pk_test_marquee", f"/pay/{started['payment_id']}")
    assert (await till.returns(ana, booked, started, 402))["code"] == "payment_not_captured"
    assert (await till.pays(started))["status"] == "requires_capture"
    assert await till.standing(started) == ("authorised", total, 0)
    assert (await till.returns(ana, booked, started, 200))["status"] == "confirmed"
    await till.work()
    assert await till.standing(started) == ("captured", total, 0)
    await _until(till, "SELECT count(*) FROM provider_news WHERE payment_id = $1", started["payment_id"])
    await till.work()
    part = await ana.post(f"/bookings/{booked['id']}/cancel", {"seats": ["A1"]}, key=fresh_key())
    back = (await expect(part, 200))["refund"]["amount"]["amount"]
    await till.work()
    assert await till.standing(started) == ("captured", total, back)
    await till.adds_up()


async def test_an_authorisation_that_is_owed_back_is_cancelled_at_stripe(till: Till) -> None:
    ana = till.counter.person()
    booked, started = await till.started(ana, "A1")
    await till.pays(started)
    await till.returns(ana, booked, started, 200)
    await expect(await ana.post(f"/bookings/{booked['id']}/cancel", {}, key=fresh_key()), 200)
    await till.work()
    assert (await till.standing(started))[0] == "voided"
    await till.adds_up()


async def test_a_declined_card_is_a_failed_payment_and_another_card_may_follow(till: Till) -> None:
    ana = till.counter.person()
    booked, started = await till.started(ana, "A1")
    await till.pays(started, DECLINED_CARD)
    await till.returns(ana, booked, started, 402)
    shown = await expect(await ana.get(f"/payments/{started['payment_id']}"), 200)
    assert shown["status"] == "failed"
    stage, _, _ = await till.standing(started)
    assert stage == Stage.FAILED


async def test_news_is_verified_by_the_library_and_names_the_payment(till: Till) -> None:
    ana = till.counter.person()
    booked, started = await till.started(ana, "A1")
    await till.pays(started)
    intent = {"id": started["provider_order_id"], "object": "payment_intent", "metadata": {}}
    body = json.dumps({"id": "evt_1", "object": "event", "data": {"object": intent}, "type": "payment_intent.x"})
    good = sdk.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET)
    old = sdk.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET, int(time.time()) - 400)
    forged = sdk.WebhookSignature.generate_signature_header(body, "whsec_another")
    for signature in ({}, {"Stripe-Signature": old}, {"Stripe-Signature": forged}, {"Stripe-Signature": "t=é"}):
        refused = await till.house.post("/payments/webhook/stripe", data=body, headers=signature)
        assert (await expect(refused, 400))["code"] == "bad_signature"
    for _ in range(3):
        heard = await till.house.post("/payments/webhook/stripe", data=body, headers={"Stripe-Signature": good})
        assert await expect(heard, 200) == {"received": True}
    await till.work()
    assert (await expect(await ana.get(f"/bookings/{booked['id']}"), 200))["status"] == "confirmed"
    await till.adds_up()


async def test_the_payment_of_another_booking_does_not_count(till: Till) -> None:
    ana = till.counter.person()
    cheap, paid = await till.started(ana, "A1")
    dear, _ = await till.started(ana, "A2", "A3")
    await till.pays(paid)
    assert (await till.returns(ana, dear, paid, 409))["code"] == "payment_mismatch"
    proof = {"provider": "stripe", "provider_order_id": paid["provider_order_id"], "signature": "0" * 64}
    forged = await ana.post(f"/bookings/{cheap['id']}/confirm", proof, key=fresh_key())
    assert (await expect(forged, 400))["code"] == "bad_signature"


async def test_an_intent_that_does_not_name_our_payment_is_not_taken_for_it(till: Till) -> None:
    _, started = await till.started(till.counter.person(), "A1")
    provider = till.house.app[TILL].providers["stripe"]
    other = Payment(mint(1), mint(2), mint(3), "o", "stripe", started["provider_order_id"], 1, "INR", 0)
    with pytest.raises(ProviderRefused):
        await provider.look(other)
    nobody = Payment(mint(1), mint(2), mint(3), "o", "stripe", "pi_unknown", 1, "INR", 0)
    with pytest.raises(ProviderRefused):
        await provider.look(nobody)


async def test_a_stripe_that_does_not_answer_is_down() -> None:
    provider = Stripe(SECRET_KEY, WEBHOOK_SECRET, "pk_test", "http://127.0.0.1:1")
    payment = Payment(mint(1), mint(2), mint(3), "o", "stripe", "", 100, "INR", 0)
    with pytest.raises(ProviderDown):
        await provider.open(payment)
    with pytest.raises(BadSignature):
        provider.read_news(b"\xff", {"Stripe-Signature": "t=1,v1=0"})
    await provider.close()


@pytest.mark.parametrize(
    ("currency", "ours", "theirs"),
    [("INR", 45_000, 45_000), ("JPY", 1_800, 1_800), ("KWD", 3_330, 3_330), ("ISK", 5, 500), ("UGX", 7, 700)],
)
def test_amounts_are_said_as_stripe_counts_them(currency: str, ours: int, theirs: int) -> None:
    assert to_stripe(ours, currency) == theirs
    assert from_stripe(theirs, currency) == ours


def test_an_amount_that_stripe_cannot_say_is_refused_not_rounded() -> None:
    with pytest.raises(ProviderRefused, match="steps of ten"):
        to_stripe(3_333, "KWD")


async def _until(till: Till, query: str, *values: object) -> None:
    """Until a query counts something."""
    async with asyncio.timeout(60):
        while not await till.house.app[POOL].fetchval(query, *values):
            await asyncio.sleep(0.05)


async def test_the_page_to_pay_at_runs_stripes_script_and_no_other_page_may(till: Till, monkeypatch: Any) -> None:
    ana, client = till.counter.person(), till.house.client
    booked, started = await till.started(ana, "A1", "A2")
    page = await client.get(started["checkout_url"], headers={"Accept-Language": "de"})
    text, policy = await page.text(), page.headers["Content-Security-Policy"]
    assert page.status == 200
    for part in ("The Long Night", "A1 und A2", "1.085,60", "https://js.stripe.com/v3/", 'data-key="pk_test_marquee"',
        f'data-secret="{started["client_secret"]}"', f'data-back="/bookings/{booked["id"]}"'):  # fmt: skip
        assert part in text, part
    assert "script-src 'self' https://js.stripe.com" in policy
    assert "connect-src 'self' https://api.stripe.com" in policy
    assert "unsafe-inline" not in policy
    assert page.headers.getall("Content-Security-Policy") == [policy]
    assert page.headers.getall("Cross-Origin-Opener-Policy") == ["same-origin-allow-popups"]
    elsewhere = await client.get("/bookings/x")
    assert "stripe" not in elsewhere.headers["Content-Security-Policy"]
    assert elsewhere.headers.getall("Cross-Origin-Opener-Policy") == ["same-origin"]
    assert (await client.get(f"/pay/{mint(0)}")).status == 404
    assert (await client.get(f"/pay/{started['provider_order_id']}")).status == 404

    async def down(*_: object) -> None:
        raise ProviderDown("cut")

    with monkeypatch.context() as cut:
        cut.setattr(Stripe, "look", down)
        away = await client.get(started["checkout_url"])
        assert (away.status, away.headers["Retry-After"]) == (503, "1")
        assert "Nothing was charged" in await away.text()
    await till.pays(started)
    await till.returns(ana, booked, started, 200)
    paid = await (await client.get(started["checkout_url"])).text()
    assert "There is nothing left to pay here." in paid
    assert "<script" not in paid
