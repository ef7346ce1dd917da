"""A booking on the site: what it costs and why, a code that does not work, seats given back, a hold's last minute."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import House, Program, open_showtimes
from tests.e2e.sight import barriers, fits, open_map, order, pay

pytestmark = pytest.mark.xdist_group("e2e")
Visitor = Callable[..., Any]


async def test_a_code_that_does_not_work_is_refused_in_plain_words_and_the_order_goes_on(
    house: House, visitor: Visitor
):
    page = await visitor()
    await to_the_till(page, house)
    await page.get_by_label("E-mail").fill("guest@demo.example")
    await page.get_by_label("Promo code").fill("NEVER-MADE")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("We do not know this code here.")).to_be_visible()
    await expect(page.get_by_label("Promo code")).to_be_focused()
    assert await barriers(page) == []
    await page.get_by_label("Promo code").fill("")
    await expect(page.get_by_text("We do not know this code here.")).to_be_hidden()
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("button", name="Pay ")).to_be_visible()


async def test_a_code_takes_its_part_off_and_the_bill_says_so(house: House, visitor: Visitor):
    await make_code(house, {"code": "HALFOFF", "percent": 50})
    page = await visitor()
    await to_the_till(page, house)
    full = await page.locator(".till .strong dd").inner_text()
    await page.get_by_label("E-mail").fill("guest@demo.example")
    await page.get_by_label("Promo code").fill("halfoff")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("button", name="Pay ")).to_be_visible()
    await expect(page.locator(".till .off dt")).to_have_text("Discount")
    await expect(page.locator(".till .strong dd")).not_to_have_text(full)


async def test_a_guest_at_the_till_signs_in_and_the_seats_come_along(house: House, visitor: Visitor):
    page = await visitor(viewport={"width": 390, "height": 900})
    await to_the_till(page, house)
    assert await barriers(page) == []
    assert await fits(page)
    map_url, bill = page.url, await page.locator(".till .bill").inner_text()
    await page.get_by_role("link", name="I have an account").click()
    await sign_in(page, house)
    await expect(page.get_by_role("heading", name="Your 2 seats")).to_be_visible()
    assert page.url == map_url
    await page.get_by_role("button", name="Go to payment").click()
    await expect(page.get_by_role("heading", name="Your order")).to_be_visible()
    await expect(page.get_by_label("E-mail")).to_have_count(0)
    assert await page.locator(".till .bill").inner_text() == bill


async def test_who_signs_in_in_another_window_goes_on_with_the_same_seats_in_this_one(house: House, visitor: Visitor):
    page = await visitor()
    await open_map(page, house.url, house.late_showtime())
    await page.get_by_role("button", name="Best available").click()
    await expect(page.get_by_role("heading", name="Your 2 seats")).to_be_visible()
    other = await page.context.new_page()
    await other.goto(f"{house.url}/sign-in")
    await sign_in(other, house)
    await expect(other.get_by_role("button", name="Sign out")).to_be_visible()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await expect(page.get_by_role("heading", name="Your 2 seats")).to_be_visible()
    await page.get_by_role("button", name="Go to payment").click()
    await expect(page.get_by_role("heading", name="Your order")).to_be_visible()
    await expect(page.get_by_label("E-mail")).to_have_count(0)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("button", name="Pay ")).to_be_visible()


async def test_the_till_says_what_comes_back_when_somebody_changes_their_mind(house: House, visitor: Visitor):
    page = await visitor()
    await to_the_till(page, house)
    await page.get_by_text("If you change your mind").click()
    await expect(page.locator(".policy li").first).to_have_text("Until 24 hours before: everything back.")
    await expect(page.locator(".policy li").last).to_have_text("After that nothing comes back.")


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_one_seat_is_given_back_and_then_the_rest(house: House, visitor: Visitor, scheme: str):
    page = await visitor(color_scheme=scheme, viewport={"width": 390, "height": 900})
    await buy_two(page, house)
    await page.get_by_role("button", name="Cancel this booking").click()
    await expect(page.locator(".comes-back")).to_contain_text("comes back to you")
    both = await page.locator(".comes-back b").inner_text()
    await page.get_by_role("checkbox").first.uncheck()
    await expect(page.locator(".comes-back b")).not_to_have_text(both)
    one = await page.locator(".comes-back b").inner_text()
    assert await barriers(page) == []
    assert await fits(page)
    await page.get_by_role("button", name="Yes, cancel it").click()
    await expect(page.locator(".news")).to_contain_text(f"One seat is given back. {one}")
    await expect(page.locator(".news")).to_be_focused()
    await expect(page.locator(".eyebrow")).to_have_text("Confirmed")
    await expect(page.locator(".pass-seats li")).to_have_count(1)
    await expect(page.locator(".history li").last).to_contain_text("You gave back")
    await page.get_by_role("button", name="Cancel this booking").click()
    await page.get_by_role("button", name="Yes, cancel it").click()
    await expect(page.locator(".eyebrow")).to_have_text("Cancelled")
    await expect(page.get_by_role("button", name="Cancel this booking")).to_have_count(0)


async def test_nothing_chosen_is_nothing_to_cancel(house: House, visitor: Visitor):
    page = await visitor()
    await buy_two(page, house)
    await page.get_by_role("button", name="Cancel this booking").click()
    await expect(page.get_by_role("checkbox")).to_have_count(2)
    for box in await page.get_by_role("checkbox").all():
        await box.uncheck()
    await expect(page.get_by_text("Choose at least one seat.")).to_be_visible()
    await expect(page.get_by_role("button", name="Yes, cancel it")).to_be_disabled()
    await page.get_by_role("button", name="Keep it").click()
    await expect(page.get_by_role("button", name="Cancel this booking")).to_be_focused()


async def test_what_is_coming_and_what_was_are_apart(house: House, visitor: Visitor):
    page = await visitor()
    await buy_two(page, house)
    await page.goto(f"{house.url}/bookings")
    await expect(page.locator(".ticket")).to_have_count(1)
    await page.get_by_role("link", name="Past").click()
    await expect(page.get_by_text("Nothing is behind you yet.")).to_be_visible()
    await expect(page.get_by_role("link", name="Past")).to_have_attribute("aria-current", "page")
    assert await barriers(page) == []


@pytest.fixture
def environment() -> dict[str, str]:
    return {"MARQUEE_HOLD_TTL_S": "63"}


async def test_the_last_minute_of_a_hold_is_announced_and_can_be_made_longer(own_program: Program, visitor: Visitor):
    page = await visitor()
    showtime = (await open_showtimes(own_program.url))[0]
    await open_map(page, own_program.url, showtime)
    await page.get_by_role("button", name="Best available").click()
    warning = page.get_by_role("alert").filter(has_text="One minute left: then your seats are free for everybody.")
    await expect(warning).to_be_visible()
    assert await barriers(page) == []
    await page.get_by_role("button", name="Go to payment").click()
    await expect(page.get_by_role("dialog").get_by_role("alert").filter(has_text="One minute left")).to_be_visible()
    await page.get_by_role("dialog").get_by_role("button", name="I need more time").click()
    await expect(page.get_by_role("dialog").locator(".warning")).to_have_count(0)
    await expect(page.get_by_role("dialog").locator(".ring")).not_to_have_class("ring last")


async def to_the_till(page: Page, house: House) -> None:
    await open_map(page, house.url, house.late_showtime())
    await page.get_by_role("button", name="Best available").click()
    await expect(page.get_by_role("heading", name="Your 2 seats")).to_be_visible()
    await page.get_by_role("button", name="Go to payment").click()
    await expect(page.get_by_role("heading", name="Your order")).to_be_visible()


async def sign_in(page: Page, house: House) -> None:
    """With an account that was made elsewhere."""
    email = f"{uuid4().hex}@example.com"
    account = {"email": email, "password": "correct horse battery", "display_name": "Some Body"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{house.url}/api/v1/auth/register", json=account) as made,
    ):
        assert made.status == 201, await made.text()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(account["password"])
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def buy_two(page: Page, house: House) -> None:
    await open_map(page, house.url, house.late_showtime())
    await page.get_by_role("button", name="Best available").click()
    await order(page)
    await pay(page)


async def make_code(house: House, code: dict[str, Any]) -> None:
    async with aiohttp.ClientSession() as session:
        who = {"email": "admin@demo.example", "password": "marquee-demo"}
        async with session.post(f"{house.url}/api/v1/auth/login", json=who) as answer:
            token = (await answer.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with session.post(f"{house.url}/api/v1/admin/promo-codes", json=code, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
