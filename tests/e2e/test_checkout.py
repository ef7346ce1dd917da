"""The sandbox's checkout in a real browser: reached by the address that the API answers, used with the keyboard."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from playwright.async_api import expect

from tests.e2e.conftest import House
from tests.e2e.sight import barriers, fits

Visitor = Callable[..., Any]


async def checkout_of(house: House) -> str:
    """The address at which somebody pays for two seats."""
    showtime = house.fresh_showtime()["id"]
    async with aiohttp.ClientSession(f"{house.url}/api/v1/") as session:

        async def post(path: str, body: object = None) -> dict[str, str]:
            async with session.post(path, json=body, headers={"Idempotency-Key": str(uuid4())}) as answer:
                assert answer.status == 201, await answer.text()
                told: dict[str, str] = await answer.json()
                return told

        session.headers["Authorization"] = f"Bearer {(await post('auth/guest'))['access_token']}"
        held = await post(f"showtimes/{showtime}/holds", {"best_available": {"count": 2}})
        contact = {"email": "guest@demo.example"}
        booked = await post("bookings", {"hold_id": held["hold_id"], "contact": contact})
        return house.url + (await post("payments/orders", {"booking_id": booked["id"]}))["checkout_url"]


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1440])
async def test_a_card_is_refused_and_the_next_one_pays_with_the_keyboard_alone(
    house: House, visitor: Visitor, scheme: str, width: int
):
    page = await visitor(color_scheme=scheme, viewport={"width": width, "height": 900})
    await page.goto(address := await checkout_of(house))
    assert await barriers(page) == [], "checkout"
    assert await fits(page), "checkout"
    await page.keyboard.press("Tab")
    pay = page.locator("button[value=pay]")
    await expect(pay).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Seconds until the bank agrees")).to_be_visible()
    assert await barriers(page) == [], "all that can happen"
    assert await fits(page), "all that can happen"
    await page.get_by_role("button", name="Refuse the card").press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was charged")
    assert await barriers(page) == [], "refused"
    await pay.press("Enter")
    await page.wait_for_url("**/bookings/**")
    await page.goto(address)
    await expect(page.get_by_role("status")).to_have_text("There is nothing left to pay here.")
    await expect(pay).to_have_count(0)
