"""Razorpay: its official library and its own signature checks, against a stand-in over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import razorpay as sdk
from aiohttp.test_utils import TestServer

from actors.ids import mint
from actors.runtime.clock import ManualClock
from persistence.audit import verify
from persistence.payments import Payment
from server.keys import JOBS, POOL, TILL
from server.payments import razorpay
from server.payments.provider import ProviderDown, ProviderRefused
from server.payments.razorpay import Razorpay
from tests.server.house import House, open_house
from tests.server.payments.desk import pause
from tests.server.payments.razorpay_stand_in import KEY_ID, KEY_SECRET, WEBHOOK_SECRET, RazorpayStandIn
from tests.server.rest.cinema import Counter, Person, expect, fresh_key, open_counter

NOW = 1_800_000_000_000
MINUTE = 60_000


@dataclass
class Till:
    house: House
    counter: Counter
    clock: ManualClock
    bank: RazorpayStandIn

    async def started(self, who: Person, *seats: str) -> tuple[dict[str, Any], dict[str, Any]]:
        booked = await who.book(self.counter.showtime_id, *seats)
        return booked, await expect(
            await who.post("/payments/orders", {"booking_id": booked["id"]}, key=fresh_key()), 201
        )

    async def returns(self, who: Person, booked: dict[str, Any], paid: dict[str, Any], status: int) -> dict[str, Any]:
        """The customer comes back with what the checkout signed."""
        back = {
            "provider": "razorpay",
            "provider_order_id": paid["order_id"],
            "provider_payment_id": paid["id"],
            "signature": paid["signature"],
        }
        return await expect(await who.post(f"/bookings/{booked['id']}/confirm", back, key=fresh_key()), status)

    async def hears(self, paid: dict[str, Any], **changes: str) -> int:
        raw, headers = self.bank.message(paid)
        answer = await self.house.post("/payments/webhook/razorpay", data=raw, headers={**headers, **changes})
        return answer.status

    async def work(self, minutes: int = 0) -> None:
        await self.house.app[JOBS].settle()
        for _ in range(minutes):
            self.clock.advance(MINUTE)
            await self.house.app[JOBS].settle()

    async def status(self, who: Person, booking_id: str) -> tuple[str, str]:
        shown = await expect(await who.get(f"/bookings/{booking_id}"), 200)
        return shown["status"], shown["payment"]["status"]

    async def adds_up(self) -> None:
        report = await verify(self.house.app[POOL])
        assert report.differences == [], [str(difference) for difference in report.differences]


@pytest.fixture
async def bank() -> AsyncIterator[tuple[RazorpayStandIn, str]]:
    stand_in = RazorpayStandIn()
    async with TestServer(stand_in.app()) as server:
        yield stand_in, str(server.make_url("/")).rstrip("/")


@pytest.fixture
async def till(database_url: str, bank: tuple[RazorpayStandIn, str]) -> AsyncIterator[Till]:
    stand_in, url = bank
    settings = {
        "payment_provider": "razorpay",
        "razorpay_key_id": KEY_ID,
        "razorpay_key_secret": KEY_SECRET,
        "razorpay_webhook_secret": WEBHOOK_SECRET,
        "razorpay_base_url": url,
    }
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock, **settings) as house:
        await pause(house)
        yield Till(house, await open_counter(house), clock, stand_in)


async def test_a_payment_is_signed_confirmed_captured_and_returned_in_part(till: Till) -> None:
    ana = till.counter.person()
    booked, started = await till.started(ana, "A1", "A2")
    assert (started["public_key"], started["checkout_url"]) == (KEY_ID, f"/pay/{started['payment_id']}")
    order = till.bank.orders[started["provider_order_id"]]
    assert (order["amount"], order["receipt"]) == (booked["total"]["amount"], started["payment_id"])
    paid = till.bank.pay(order["id"])
    assert (await till.returns(ana, booked, paid, 200))["status"] == "confirmed"
    await till.work()
    assert till.bank.payments[paid["id"]]["status"] == "captured"
    await expect(await ana.post(f"/bookings/{booked['id']}/cancel", {"seats": ["A1"]}, key=fresh_key()), 200)
    till.bank.troubles = ["500", "html"]
    await till.work(20)
    assert till.bank.payments[paid["id"]]["amount_refunded"] == booked["total"]["amount"] // 2
    await expect(await ana.post(f"/bookings/{booked['id']}/cancel", {}, key=fresh_key()), 200)
    await till.work()
    assert till.bank.payments[paid["id"]]["status"] == "refunded"
    assert len(till.bank.refunds) == 2
    await till.adds_up()


async def test_a_forged_proof_is_refused_before_anything_else_is_looked_at(till: Till) -> None:
    ana = till.counter.person()
    booked, started = await till.started(ana, "A1")
    paid = till.bank.pay(started["provider_order_id"])
    for signature in ("0" * 64, "é" * 10):
        forged = {**paid, "signature": signature}
        assert (await till.returns(ana, booked, forged, 400))["code"] == "bad_signature"
    assert (await till.status(ana, booked["id"]))[0] == "pending_payment"


async def test_a_webhook_is_known_by_its_signature_and_worked_once(till: Till) -> None:
    ana = till.counter.person()
    booked, started = await till.started(ana, "A1")
    paid = till.bank.pay(started["provider_order_id"])
    assert await till.hears(paid, **{"X-Razorpay-Signature": "0" * 64}) == 400
    assert await till.hears(paid, **{"X-Razorpay-Signature": ""}) == 400
    for _ in range(3):
        assert await till.hears(paid, **{"X-Razorpay-Event-Id": "evt_same"}) == 200
    await till.work()
    assert await till.status(ana, booked["id"]) == ("confirmed", "succeeded")
    assert await till.house.app[POOL].fetchval("SELECT count(*) FROM provider_news") == 1
    await till.adds_up()


async def test_of_several_attempts_the_one_with_money_counts(till: Till) -> None:
    ana = till.counter.person()
    booked, started = await till.started(ana, "A1")
    failed = till.bank.pay(started["provider_order_id"], status="failed")
    assert (await till.returns(ana, booked, failed, 402))["code"] == "payment_not_captured"
    shown = await expect(await ana.get(f"/payments/{started['payment_id']}"), 200)
    assert shown["status"] == "failed"
    till.bank.pay(started["provider_order_id"], status="captured")
    till.bank.pay(started["provider_order_id"], status="failed")
    await till.work(2)
    assert await till.status(ana, booked["id"]) == ("confirmed", "succeeded")
    await till.adds_up()


async def test_a_capture_whose_answer_got_lost_is_not_made_again(till: Till) -> None:
    ana = till.counter.person()
    booked, started = await till.started(ana, "A1")
    paid = till.bank.pay(started["provider_order_id"])
    await till.returns(ana, booked, paid, 200)
    till.bank.troubles = ["", "lost"]
    await till.work(20)
    assert till.bank.payments[paid["id"]]["status"] == "captured"
    await till.adds_up()


async def test_what_is_not_captured_returns_by_itself_and_is_not_taken_meanwhile(till: Till) -> None:
    ana = till.counter.person()
    booked, started = await till.started(ana, "A1")
    paid = till.bank.pay(started["provider_order_id"])
    await till.returns(ana, booked, paid, 200)
    await expect(await ana.post(f"/bookings/{booked['id']}/cancel", {}, key=fresh_key()), 200)
    await till.work(20)
    assert till.bank.payments[paid["id"]]["status"] == "authorized"
    till.bank.lapse(paid["id"])
    await till.work(20)
    assert till.bank.refunds == {}
    await till.adds_up()


async def test_money_that_lapsed_before_it_was_taken_ends_the_booking(till: Till) -> None:
    ana = till.counter.person()
    booked, started = await till.started(ana, "A1")
    paid = till.bank.pay(started["provider_order_id"])
    await till.returns(ana, booked, paid, 200)
    till.bank.lapse(paid["id"])
    await till.work()
    assert await till.status(ana, booked["id"]) == ("cancelled", "refunded")
    await till.adds_up()


async def test_an_order_whose_answer_got_lost_is_found_again(till: Till) -> None:
    ana, key = till.counter.person(), fresh_key()
    booked = await ana.book(till.counter.showtime_id, "A1")
    till.bank.troubles = ["", "lost"]
    lost = await ana.post("/payments/orders", {"booking_id": booked["id"]}, key=key)
    assert (await expect(lost, 503))["code"] == "provider_unavailable"
    started = await expect(await ana.post("/payments/orders", {"booking_id": booked["id"]}, key=key), 201)
    assert list(till.bank.orders) == [started["provider_order_id"]]


async def test_a_razorpay_that_hangs_or_is_away_is_down_and_says_nothing_on_the_console(
    bank: tuple[RazorpayStandIn, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in, url = bank
    monkeypatch.setattr(razorpay, "CALL_SECONDS_MAX", 0.2)
    payment = Payment(mint(1), mint(2), mint(3), "o", "razorpay", "", 45_000, "INR", 0)
    for troubles, address in ((["slow"], url), (["html"], url), (["500"], url), ([], "http://127.0.0.1:1")):
        stand_in.troubles = troubles
        provider = Razorpay(KEY_ID, KEY_SECRET, WEBHOOK_SECRET, address)
        with pytest.raises(ProviderDown):
            await provider.open(payment)
        await provider.close()
    assert capsys.readouterr().out == ""


async def test_what_razorpay_refuses_is_a_definite_no(bank: tuple[RazorpayStandIn, str]) -> None:
    _, url = bank
    provider = Razorpay(KEY_ID, KEY_SECRET, WEBHOOK_SECRET, url)
    for amount, currency in ((5, "INR"), (3_333, "KWD")):
        payment = Payment(mint(1), mint(2), mint(3), "o", "razorpay", "", amount, currency, 0)
        with pytest.raises(ProviderRefused):
            await provider.open(payment)
    await provider.close()


def test_the_librarys_own_check_agrees_with_the_stand_ins_signatures() -> None:
    stand_in = RazorpayStandIn()
    stand_in.orders["order_1"] = {"amount": 100, "currency": "INR"}
    paid = stand_in.pay("order_1")
    client = sdk.Client(auth=(KEY_ID, KEY_SECRET))
    proof = {"razorpay_order_id": "order_1", "razorpay_payment_id": paid["id"], "razorpay_signature": paid["signature"]}
    assert client.utility.verify_payment_signature(proof)
    raw, headers = stand_in.message(paid)
    assert client.utility.verify_webhook_signature(raw.decode(), headers["X-Razorpay-Signature"], WEBHOOK_SECRET)


async def test_payments_that_began_with_another_provider_go_on_with_it(
    database_url: str, bank: tuple[RazorpayStandIn, str]
) -> None:
    stand_in, url = bank
    account = {
        "razorpay_key_id": KEY_ID,
        "razorpay_key_secret": KEY_SECRET,
        "razorpay_webhook_secret": WEBHOOK_SECRET,
        "razorpay_base_url": url,
    }
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock, payment_provider="razorpay", **account) as house:
        await pause(house)
        till = Till(house, await open_counter(house), clock, stand_in)
        ana = till.counter.person()
        booked, started = await till.started(ana, "A1")
    paid = stand_in.pay(started["provider_order_id"])
    async with open_house(database_url, clock=clock, **account) as house:
        assert house.app[TILL].provider == "sandbox"
        ana.house = till.house = house
        await pause(house)
        assert await till.hears(paid) == 200
        await till.work()
        assert await till.status(ana, booked["id"]) == ("confirmed", "succeeded")
        assert stand_in.payments[paid["id"]]["status"] == "captured"
