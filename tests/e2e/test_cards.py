"""Paying with a card at Stripe and at Razorpay: our page, their scripts played by small ones, their books by stand-ins.

The browser holds the page to its Content-Security-Policy as always."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, Route, expect

from tests.e2e.conftest import Program, open_showtimes, running
from tests.e2e.sight import barriers, fits, open_map, order
from tests.server.payments import razorpay_stand_in, stripe_stand_in
from tests.server.payments.razorpay_stand_in import RazorpayStandIn

pytestmark = pytest.mark.xdist_group("e2e")
Visitor = Callable[..., Any]
ANYBODY = {"Access-Control-Allow-Origin": "*"}

STRIPE_SCRIPT = """
window.Stripe = (key) => ({
  elements: ({ clientSecret, locale }) => ({ clientSecret, create: () => ({
    on: (event, heard) => { if (event === "ready") setTimeout(heard); },
    mount: (place) => {
      const card = Object.assign(document.createElement("input"), { ariaLabel: `Card number, ${locale}` });
      document.querySelector(place).append(card);
    } }) }),
  confirmPayment: async ({ elements, confirmParams }) => {
    const body = JSON.stringify({ key, secret: elements.clientSecret, card: document.querySelector("input").value });
    const answer = await (await fetch("https://api.stripe.com/pay", { method: "POST", body })).json();
    if (answer.error) return answer;
    location.assign(`${confirmParams.return_url}&payment_intent=${answer.id}&redirect_status=succeeded`);
    return new Promise(() => {});
  },
});
"""
RAZORPAY_SCRIPT = """
window.Razorpay = class {
  constructor(options) { Object.assign(this, { options, heard: {} }); }
  on(event, heard) { this.heard[event] = heard; }
  open() {
    const box = document.createElement("div");
    const button = (textContent, onclick) => box.append(
      Object.assign(document.createElement("button"), { textContent, onclick }));
    const { order_id, handler, modal } = this.options;
    button("Card", async () => handler(await (await fetch(`https://api.razorpay.com/pay/${order_id}`)).json()));
    button("Bad card", () => this.heard["payment.failed"]({ error: { description: "The bank says no." } }));
    button("Close", () => { box.remove(); modal.ondismiss(); });
    document.body.append(box);
  }
};
"""


async def to_the_card(page: Page, program: Program) -> None:
    await open_map(page, program.url, (await open_showtimes(program.url))[-1])
    await page.get_by_role("button", name="Best available").click()
    await expect(page.get_by_role("heading", name="Your 2 seats")).to_be_visible()
    await order(page)
    await page.get_by_role("button", name="Pay ").click()
    await page.wait_for_url("**/pay/**")


@pytest.fixture(scope="module")
def books() -> Iterator[str]:
    with stripe_stand_in.running() as url:
        yield url


@asynccontextmanager
async def at_stripe(books: str) -> AsyncIterator[Program]:
    settings = {**stripe_stand_in.SETTINGS, "stripe_base_url": books}
    async with running({f"MARQUEE_{name.upper()}": value for name, value in settings.items()}) as program:
        yield program


@pytest.mark.parametrize("width", [390, 1440])
async def test_stripe_refuses_a_card_and_takes_another(books: str, visitor: Visitor, width: int):
    async def pays(route: Route) -> None:
        asked = json.loads(route.request.post_data or "")
        assert asked["key"] == "pk_test_marquee"
        async with aiohttp.ClientSession() as session:
            paid = await stripe_stand_in.pay(session, books, asked["secret"].split("_secret")[0], asked["card"])
        refused = {"error": {"message": "Your card was declined."}}
        await route.fulfill(json=refused if "error" in paid else {"id": paid["id"]}, headers=ANYBODY)

    page = await visitor(viewport={"width": width, "height": 900})
    await plays(page, "https://js.stripe.com/v3/", STRIPE_SCRIPT)
    await page.route("https://api.stripe.com/pay", pays)
    async with at_stripe(books) as program:
        await to_the_card(page, program)
        card = page.get_by_label("Card number, en")
        await expect(card).to_be_visible()
        assert await barriers(page) == []
        assert await fits(page)
        await card.fill(stripe_stand_in.DECLINED_CARD)
        await page.get_by_role("button", name="Pay ").click()
        await expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
        await to_the_card(page, program)  # the stand-in, unlike Stripe, takes no second card for the same payment
        await card.fill(stripe_stand_in.GOOD_CARD)
        await page.get_by_role("button", name="Pay ").click()
        await expect(page.get_by_role("heading", name="Enjoy the film")).to_be_visible()
        assert "?" not in page.url


async def test_without_the_providers_script_the_page_says_so_and_leads_back(books: str, visitor: Visitor):
    page = await visitor()
    await page.route("https://js.stripe.com/**", lambda route: route.abort())
    async with at_stripe(books) as program:
        await to_the_card(page, program)
        await expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
        await page.get_by_role("link", name="Back to the booking").click()
        await expect(page.locator(".eyebrow")).to_have_text("Waiting for payment")


async def test_razorpays_box_is_closed_refuses_and_is_paid(visitor: Visitor):
    bank = RazorpayStandIn()

    async def pays(route: Route) -> None:
        paid = bank.pay(route.request.url.rsplit("/", 1)[-1])
        proof = {"payment_id": paid["id"], "order_id": paid["order_id"], "signature": paid["signature"]}
        await route.fulfill(json={f"razorpay_{name}": said for name, said in proof.items()}, headers=ANYBODY)

    page = await visitor()
    await plays(page, "https://checkout.razorpay.com/v1/checkout.js", RAZORPAY_SCRIPT)
    await page.route("https://api.razorpay.com/pay/**", pays)
    async with TestServer(bank.app()) as server:
        environment = {
            "MARQUEE_PAYMENT_PROVIDER": "razorpay",
            "MARQUEE_RAZORPAY_KEY_ID": razorpay_stand_in.KEY_ID,
            "MARQUEE_RAZORPAY_KEY_SECRET": razorpay_stand_in.KEY_SECRET,
            "MARQUEE_RAZORPAY_WEBHOOK_SECRET": razorpay_stand_in.WEBHOOK_SECRET,
            "MARQUEE_RAZORPAY_BASE_URL": str(server.make_url("")).rstrip("/"),
        }
        async with running(environment) as program:
            await to_the_card(page, program)
            pay = page.get_by_role("button", name="Pay ")
            await pay.click()
            await expect(pay).to_be_disabled()
            await page.get_by_role("button", name="Bad card").click()
            await expect(page.get_by_role("alert")).to_have_text("The bank says no.")
            await page.get_by_role("button", name="Close").click()
            await pay.click()
            await page.get_by_role("button", name="Card", exact=True).click()
            await expect(page.get_by_role("heading", name="Enjoy the film")).to_be_visible()
            assert "?" not in page.url


async def plays(page: Page, address: str, script: str) -> None:
    """A script of ours at an address of the provider's."""
    await page.route(address, lambda route: route.fulfill(body=script, content_type="text/javascript"))
