"""The sandbox's checkout page, used as a browser without scripts does, and its webhooks over real HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.ids import mint
from server.keys import POOL
from tests.server.house import open_house
from tests.server.payments.desk import MINUTE, Desk, open_desk
from tests.server.rest.cinema import expect

STRIPE = {
    "payment_provider": "stripe",
    "stripe_secret_key": "sk_test_1",
    "stripe_webhook_secret": "whsec_1",
    "stripe_publishable_key": "pk_test_1",
}


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with open_desk(database_url) as desk:
        yield desk


async def press(desk: Desk, checkout_url: str, deed: str, **fields: Any) -> ClientResponse:
    return await desk.house.client.post(checkout_url, data={"deed": deed, **fields}, allow_redirects=False)


async def page(desk: Desk, checkout_url: str, **headers: str) -> str:
    response = await desk.house.client.get(checkout_url, headers=headers)
    assert response.status == 200
    return await response.text()


async def test_the_page_says_what_is_bought_and_runs_no_script(desk: Desk) -> None:
    _, started = await desk.started(desk.counter.person(), "A1", "A2")
    assert started["checkout_url"] == f"/pay/{started['provider_order_id']}"
    response = await desk.house.client.get(started["checkout_url"])
    text = await response.text()
    assert "₹1,085.60" in text
    assert "The Long Night" in text
    assert "A1 and A2" in text
    assert "<script" not in text
    assert "style=" not in text
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe-inline" not in policy
    hindi = await page(desk, started["checkout_url"], **{"Accept-Language": "hi"})
    assert "सैंडबॉक्स" in hindi
    german = await page(desk, started["checkout_url"], **{"Accept-Language": "de-DE,de;q=0.9"})
    assert "Hier fließt kein Geld" in german


async def test_paying_sends_the_browser_back_and_the_house_a_signed_webhook(desk: Desk) -> None:
    ana = desk.counter.person()
    booked, started = await desk.started(ana, "A1")
    gone = await press(desk, started["checkout_url"], "pay")
    assert (gone.status, gone.headers["Location"]) == (303, f"/bookings/{booked['id']}")
    assert await desk.status(ana, booked["id"]) == ("pending_payment", "pending")
    await desk.work()
    assert await desk.status(ana, booked["id"]) == ("confirmed", "succeeded")
    assert await desk.jobs("sandbox_call") == ["done"]
    assert await desk.house.app[POOL].fetchval("SELECT count(*) FROM provider_news") == 1
    assert "Pay <b>" in (paid := await page(desk, started["checkout_url"]))
    assert "<form" not in paid
    await desk.adds_up()


@pytest.mark.parametrize("calls", [0, 3])
async def test_webhooks_come_as_often_as_asked_and_one_that_never_comes_is_made_up_for(desk: Desk, calls: int) -> None:
    ana = desk.counter.person()
    booked, started = await desk.started(ana, "A1")
    await press(desk, started["checkout_url"], "pay", calls=calls)
    await desk.work()
    assert await desk.jobs("sandbox_call") == ["done"] * calls
    await desk.later(2 * MINUTE)
    assert await desk.status(ana, booked["id"]) == ("confirmed", "succeeded")
    await desk.adds_up()


async def test_a_bank_that_takes_its_time_is_heard_when_it_agrees(desk: Desk) -> None:
    ana = desk.counter.person()
    booked, started = await desk.started(ana, "A1")
    for _ in range(2):
        await press(desk, started["checkout_url"], "later", seconds=90)
    await desk.later(1 * MINUTE)
    assert (await desk.books(started["payment_id"]))[0] == "open"
    await desk.later(1 * MINUTE)
    assert await desk.status(ana, booked["id"]) == ("confirmed", "succeeded")


async def test_a_refused_card_shows_the_page_again_and_another_one_may_pay(desk: Desk) -> None:
    ana = desk.counter.person()
    booked, started = await desk.started(ana, "A1")
    gone = await press(desk, started["checkout_url"], "refuse")
    assert (gone.status, gone.headers["Location"]) == (303, started["checkout_url"])
    assert 'role="alert"' in await page(desk, started["checkout_url"])
    await desk.work()
    assert await desk.payment_status(ana, started["payment_id"]) == "failed"
    await press(desk, started["checkout_url"], "pay")
    await desk.work()
    assert await desk.status(ana, booked["id"]) == ("confirmed", "succeeded")


async def test_another_amount_than_asked_for_goes_back(desk: Desk) -> None:
    ana = desk.counter.person()
    booked, started = await desk.started(ana, "A1")
    await press(desk, started["checkout_url"], "other", amount=5)
    await desk.work()
    assert (await desk.status(ana, booked["id"]))[0] == "pending_payment"
    assert await desk.payment_status(ana, started["payment_id"]) == "refunded"
    await desk.adds_up()


async def test_a_webhook_that_finds_nobody_is_tried_again_and_then_given_up(desk: Desk) -> None:
    ana = desk.counter.person()
    booked, started = await desk.started(ana, "A1")
    await press(desk, started["checkout_url"], "pay")
    await desk.house.app[POOL].execute(
        """UPDATE job SET payload = payload || '{"origin": "http://127.0.0.1:1"}' WHERE topic = 'sandbox_call'"""
    )
    await desk.later(20 * MINUTE)
    assert await desk.jobs("sandbox_call") == ["done"]
    assert await desk.house.app[POOL].fetchval("SELECT count(*) FROM provider_news") == 0
    assert await desk.status(ana, booked["id"]) == ("confirmed", "succeeded")


async def test_strange_orders_and_forms_are_refused(desk: Desk) -> None:
    _, started = await desk.started(desk.counter.person(), "A1")
    for path in ("/pay/nonsense", f"/pay/sbx_order_{mint(0)}"):
        assert (await desk.house.client.get(path)).status == 404
    assert (await press(desk, started["checkout_url"], "dance")).status == 400
    assert (await desk.house.client.post(started["checkout_url"], json={"deed": "pay"})).status == 415
    many = "&".join(f"a{n}=1" for n in range(20))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (many, "deed", "%ff=%fe&deed"):
        assert (await desk.house.client.post(started["checkout_url"], data=body, headers=form)).status == 400
    assert (await desk.books(started["payment_id"]))[0] == "open"


async def test_where_real_money_moves_there_is_no_sandbox(database_url: str) -> None:
    async with open_desk(database_url) as desk:
        _, started = await desk.started(desk.counter.person(), "A1")
    async with open_house(database_url, **STRIPE) as house:
        payment_id = started["payment_id"]
        for path in (f"/payments/sandbox/{payment_id}/succeed", f"/payments/sandbox/{payment_id}/fail"):
            assert (await expect(await house.post(path), 404))["code"] == "not_found"
        assert (await expect(await house.post("/payments/webhook/sandbox", {}), 404))["code"] == "not_found"
        assert (await house.client.get(started["checkout_url"])).status == 404
