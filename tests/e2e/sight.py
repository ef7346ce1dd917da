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
