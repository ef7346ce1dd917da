"""From a seat to the letter: paying at the provider's page, coming back, and everything that can happen between."""

import asyncio
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import PATIENCE_MS, House
from tests.e2e.sight import a_free_seat, barriers, fits, open_map, order, pay, to_the_provider, words

pytestmark = pytest.mark.xdist_group("e2e")
Visitor = Callable[..., Any]


async def test_a_click_on_a_seat_ends_in_a_letter_with_the_reference(house: House, visitor: Visitor):
    page, address = await visitor(), "letter@example.com"
    await open_map(page, house.url, house.late_showtime())
    seat = await a_free_seat(page)
    await page.get_by_role("button", name="Fewer seats").click()
    await page.locator(f"[data-seat='{seat}']").click()
    await expect(page.locator(f"[data-seat='{seat}']")).to_have_class(words("mine"))
    await order(page, address)
    await pay(page)
    reference = await page.locator(".reference").inner_text()
    letter = await letter_to(house, address, reference)
    assert seat in letter.get_body(("plain",)).get_content()  # type: ignore[union-attr]


async def test_a_card_is_refused_and_another_one_pays(house: House, visitor: Visitor):
    page = await visitor()
    await open_map(page, house.url, house.late_showtime())
    await page.get_by_role("button", name="Best available").click()
    await order(page)
    await to_the_provider(page)
    await page.locator("summary").click()
    await page.locator("button[value=refuse]").click()
    await expect(page.get_by_role("alert")).to_contain_text("refused")
    await page.get_by_role("link", name="Back to the booking").click()
    await expect(page.get_by_role("alert").filter(has_text="The card was refused")).to_be_visible()
    await expect(page.locator(".eyebrow")).to_have_text("Waiting for payment")
    assert await barriers(page) == []
    await page.get_by_role("button", name="Try again").click()
    await page.locator("button[value=pay]").click()
    await expect(page.get_by_role("heading", name="Enjoy the film")).to_be_visible()
    await expect(page.locator(".news")).to_contain_text("The seats are yours")


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_a_bank_that_thinks_is_waited_for(house: House, visitor: Visitor, scheme: str):
    page = await visitor(color_scheme=scheme, viewport={"width": 390, "height": 900})
    await open_map(page, house.url, house.late_showtime())
    await page.get_by_role("button", name="Best available").click()
    await order(page)
    await to_the_provider(page)
    await page.locator("summary").click()
    await page.locator("#seconds").fill("4")
    await page.locator("button[value=later]").click()
    await expect(page.get_by_role("status").filter(has_text="Waiting for the payment provider")).to_be_visible()
    assert await barriers(page) == []
    assert await fits(page)
    await expect(page.get_by_role("heading", name="Enjoy the film")).to_be_visible()


async def test_money_that_does_not_fit_goes_back_and_the_seats_can_still_be_paid(house: House, visitor: Visitor):
    page = await visitor()
    await open_map(page, house.url, house.late_showtime())
    await page.get_by_role("button", name="Best available").click()
    await order(page)
    await to_the_provider(page)
    await page.locator("summary").click()
    await page.locator("#amount").fill("5")
    await page.locator("button[value=other]").click()
    await expect(page.get_by_role("alert").filter(has_text="The money could not be used")).to_be_visible()
    await page.get_by_role("button", name="Try again").click()
    await page.locator("button[value=pay]").click()
    await expect(page.get_by_role("heading", name="Enjoy the film")).to_be_visible()


async def letter_to(house: House, address: str, words: str) -> EmailMessage:
    """The letter to this address that says these words, as soon as there is one."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while True:
            for file in (house.folder / "mail").glob("*.eml"):
                letter = message_from_bytes(file.read_bytes(), policy=policy.default)
                plain = letter.get_body(("plain",))
                if letter["To"] == address and plain is not None and words in plain.get_content():
                    return letter
            await asyncio.sleep(0.05)
