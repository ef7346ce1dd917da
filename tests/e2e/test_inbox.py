"""The inbox on the site: news comes while one looks, is counted in the header, and leads to the booking it is about."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import House
from tests.e2e.sight import barriers, fits, open_map, pay

pytestmark = pytest.mark.xdist_group("e2e")
Visitor = Callable[..., Any]
MINUTES = (5, 600, 660, 720, 540, 480)


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_a_booking_is_news_that_is_counted_and_read(house: House, visitor: Visitor, scheme: str):
    page = await visitor(color_scheme=scheme, viewport={"width": 390, "height": 900})
    elsewhere = await page.context.new_page()
    await join(page, house, f"news-{scheme}@example.com")
    await elsewhere.goto(f"{house.url}/")
    await expect(elsewhere.get_by_role("link", name="Inbox", exact=True)).to_be_visible()
    await buy(page, house)
    for window in (page, elsewhere):
        await expect(window.get_by_role("link", name="Inbox, 1 unread")).to_be_visible()
    await elsewhere.get_by_role("link", name="Inbox, 1 unread").click()
    await expect(elsewhere.locator(".notices li")).to_have_count(1)
    assert await barriers(elsewhere) == []
    assert await fits(elsewhere)
    await elsewhere.locator(".notices a").click()
    await expect(elsewhere.locator(".reference")).to_be_visible()
    await expect(page.get_by_role("link", name="Inbox", exact=True)).to_be_visible()


async def test_what_happens_to_a_booking_elsewhere_is_seen_where_one_looks(house: House, visitor: Visitor):
    page = await visitor()
    await join(page, house, "both@example.com")
    booking = await buy(page, house)
    second = await page.context.new_page()
    await second.goto(booking)
    await second.get_by_role("button", name="Cancel this booking").click()
    await second.get_by_role("button", name="Yes, cancel it").click()
    await expect(page.locator(".eyebrow")).to_have_text("Cancelled")
    await second.goto(f"{house.url}/inbox")
    await expect(second.locator(".notices li")).to_have_count(2)
    await second.get_by_role("button", name="Mark all as read").click()
    await expect(page.get_by_role("link", name="Inbox", exact=True)).to_be_visible()


async def test_who_booked_before_the_start_was_moved_may_keep_or_get_everything_back(house: House, visitor: Visitor):
    page = await visitor()
    await join(page, house, "moved@example.com")
    showtime = house.late_showtime()
    booking = await buy(page, house, showtime)
    await move(house, showtime["id"])
    choice = page.get_by_role("region", name="The start was moved")
    await expect(choice).to_be_visible()
    assert await barriers(page) == []
    await choice.get_by_role("button", name="Keep my seats").click()
    await expect(page.get_by_text("Your seats stay yours.")).to_be_visible()
    await page.goto(booking)
    await expect(page.get_by_role("button", name="Cancel this booking")).to_be_visible()
    await expect(page.get_by_text("The start was moved, so everything comes back")).to_be_visible()
    await expect(choice).to_have_count(0)

    other = await visitor()
    await sign_in(other, house, "moved@example.com")
    await other.goto(booking)
    await other.get_by_role("button", name="Give them back for").click()
    await other.get_by_role("button", name="Yes, cancel it").click()
    await expect(other.locator(".eyebrow")).to_have_text("Cancelled")


async def buy(page: Page, house: House, showtime: dict[str, Any] | None = None) -> str:
    """Two seats for a member; the address of the booking."""
    await open_map(page, house.url, showtime or house.late_showtime())
    await page.get_by_role("button", name="Best available").click()
    await page.get_by_role("button", name="Go to payment").click()
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", name="Payment")).to_be_visible()
    await pay(page)
    return page.url


async def join(page: Page, house: House, email: str) -> None:
    await page.goto(f"{house.url}/sign-in")
    await page.get_by_role("button", name="I have no account yet").click()
    await page.get_by_label("Your name").fill("Somebody")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill("correct horse battery")
    await page.get_by_role("button", name="Make an account").click()
    await expect(page.get_by_role("link", name="My account")).to_be_visible()


async def sign_in(page: Page, house: House, email: str) -> None:
    await page.goto(f"{house.url}/sign-in")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill("correct horse battery")
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_role("link", name="My account")).to_be_visible()


async def move(house: House, showtime_id: str) -> None:
    """Another start, to which the screen is free."""
    api = f"{house.url}/api/v1"
    async with aiohttp.ClientSession() as session:
        who = {"email": "admin@demo.example", "password": "marquee-demo"}
        async with session.post(f"{api}/auth/login", json=who) as answer:
            session.headers["Authorization"] = f"Bearer {(await answer.json())['access_token']}"
        async with session.get(f"{api}/admin/showtimes/{showtime_id}") as answer:
            assert answer.status == 200, await answer.text()
            etag, planned = answer.headers["ETag"], await answer.json()
        for minutes in MINUTES:
            start = datetime.fromisoformat(planned["starts_at"]) + timedelta(minutes=minutes)
            change = {"starts_at": start.isoformat(), "notify": True}
            headers = {"If-Match": etag}
            async with session.patch(f"{api}/admin/showtimes/{showtime_id}", json=change, headers=headers) as answer:
                if answer.status == 200:
                    return
                assert (await answer.json())["code"] == "overlap", await answer.text()
    raise AssertionError("the screen is never free")
