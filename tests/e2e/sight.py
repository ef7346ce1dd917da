"""What the end-to-end tests do and look for on a page."""

import re
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect


async def open_map(page: Page, url: str, showtime: dict[str, Any]) -> None:
    await page.goto(f"{url}/showtimes/{showtime['id']}")
    await page.wait_for_selector("[data-seat]")
    await expect(page.locator(".count")).to_contain_text("free")


async def a_free_seat(page: Page) -> str:
    """The seat that the keyboard reaches first: the best one."""
    seat = await page.locator(".seat[tabindex='0']").get_attribute("data-seat")
    assert seat is not None
    return seat


async def order(page: Page, email: str = "guest@demo.example") -> None:
    """From seats in the cart to the button that pays for them."""
    await page.get_by_role("button", name="Go to payment").click()
    await expect(page.get_by_role("heading", name="Your order")).to_be_visible()
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", name="Payment")).to_be_visible()


async def to_the_provider(page: Page) -> None:
    """From the button that pays to the provider's own page."""
    await page.get_by_role("button", name=re.compile("^Pay ")).click()
    await page.wait_for_url("**/pay/**")
    await expect(page.locator("button[value=pay]")).to_be_visible()


async def pay(page: Page) -> None:
    """Pay at the provider's, and come back to a booking that is confirmed."""
    await to_the_provider(page)
    await page.locator("button[value=pay]").click()
    await expect(page.get_by_role("heading", name="Enjoy the film")).to_be_visible()


async def fits(page: Page) -> bool:
    """Nothing sticks out sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def barriers(page: Page) -> list[str]:
    """What axe calls serious or critical."""
    found = await Axe().run(page)
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:160]} {one['nodes'][0].get('failureSummary', '')[:200]}"
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def words(word: str) -> Any:
    """A class among others; without a word, a booking reference."""
    return re.compile(rf"(^|\s){word}(\s|$)" if word else r"^[A-Z0-9]{6,10}$")
