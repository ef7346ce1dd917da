"""The site when something is in the way: a restart, a network that blocks sockets, a purchase left in the middle."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from tests.e2e.conftest import House, Program, open_showtimes
from tests.e2e.sight import a_free_seat, barriers, fits, open_map, pay, to_the_provider, words

pytestmark = pytest.mark.xdist_group("e2e")
Visitor = Callable[..., Any]


async def test_after_a_restart_of_the_server_the_page_catches_up_by_itself(own_program: Program, visitor: Visitor):
    showtime = (await open_showtimes(own_program.url))[0]
    ana, bob = await visitor(), await visitor()
    for page in (ana, bob):
        await open_map(page, own_program.url, showtime)
    seat = await a_free_seat(ana)
    await ana.locator(f"[data-seat='{seat}']").click()
    await expect(bob.locator(f"[data-seat='{seat}']")).to_have_class(words("held"))
    own_program.stop()
    for page in (ana, bob):
        await expect(page.locator(".live-state")).to_have_text("The connection is gone. Coming back…")
    own_program.start()
    await own_program.ready()
    for page in (ana, bob):
        await expect(page.locator(".live-state")).to_have_text("")
    await expect(ana.locator(f"[data-seat='{seat}']")).to_have_class(words("mine"))
    await ana.get_by_role("button", name="Let them go").click()
    await expect(bob.locator(f"[data-seat='{seat}']")).to_have_class(words("free"))


async def test_where_sockets_are_blocked_the_page_looks_and_holds_over_http(house: House, visitor: Visitor):
    showtime = house.fresh_showtime()
    ana, bob = await visitor(), await visitor()

    async def refuse(socket: WebSocketRoute) -> None:
        await socket.close()

    await ana.context.route_web_socket("**/live*", refuse)
    await open_map(ana, house.url, showtime)
    await expect(ana.locator(".live-state")).to_contain_text("we keep looking for you")
    await open_map(bob, house.url, showtime)
    theirs = await a_free_seat(bob)
    await bob.locator(f"[data-seat='{theirs}']").click()
    await expect(ana.locator(f"[data-seat='{theirs}']")).to_have_class(words("held"))
    await ana.get_by_role("button", name="Best available").click()
    await expect(ana.get_by_role("heading", name="Your 2 seats")).to_be_visible()
    mine = await ana.locator(".seat.mine").first.get_attribute("data-seat")
    await expect(bob.locator(f"[data-seat='{mine}']")).to_have_class(words("held"))
    await ana.reload()
    await expect(ana.locator(f"[data-seat='{mine}']")).to_have_class(words("mine"))
    await ana.get_by_role("button", name="Let them go").click()
    await expect(bob.locator(f"[data-seat='{mine}']")).to_have_class(words("free"))
    await expect(ana.locator(f"[data-seat='{mine}']")).to_have_class(words("free"))


async def test_without_a_network_it_is_said_at_once_and_afterwards_all_is_as_before(house: House, visitor: Visitor):
    page = await visitor()
    await open_map(page, house.url, house.fresh_showtime())
    await page.context.set_offline(True)
    await expect(page.locator(".live-state")).to_have_text("The connection is gone. Coming back…")
    await page.get_by_role("button", name="Best available").click()
    await expect(page.locator(".toast")).to_have_text("The server cannot be reached. Are you online?")
    await page.context.set_offline(False)
    await expect(page.locator(".live-state")).to_have_text("")
    await page.get_by_role("button", name="Best available").click()
    await expect(page.get_by_role("heading", name="Your 2 seats")).to_be_visible()


async def test_a_page_that_cannot_be_fetched_says_so_and_is_fetched_when_asked_again(house: House, visitor: Visitor):
    page = await visitor()
    await page.goto(house.url)
    await page.wait_for_selector(".film")
    await page.context.set_offline(True)
    await page.locator(".film h2 a").first.click()
    await expect(page.get_by_text("The server cannot be reached. Are you online?")).to_be_visible()
    await page.context.set_offline(False)
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("heading", name="Showtimes")).to_be_visible()


async def test_a_booking_that_was_left_unpaid_is_paid_from_my_bookings(house: House, visitor: Visitor):
    page = await visitor()
    showtime = house.fresh_showtime()
    await open_map(page, house.url, showtime)
    total = await _to_the_till(page)
    await page.get_by_role("button", name="Not now").click()
    await expect(page.locator(".eyebrow")).to_have_text("Waiting for payment")
    await open_map(page, house.url, showtime)
    await expect(page.get_by_role("heading", name="Choose your seats")).to_be_visible()
    await page.get_by_role("link", name="My bookings").click()
    await expect(page.locator(".ticket")).to_contain_text("Waiting for payment")
    await page.locator(".ticket").click()
    await expect(page.get_by_role("button", name=f"Pay {total}")).to_be_visible()
    await pay(page)
    await expect(page.locator(".eyebrow")).to_have_text("Confirmed")
    await expect(page.locator(".pass-seats li")).to_have_count(2)
    await expect(page.get_by_role("button", name="Cancel this booking")).to_be_visible()


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1440])
async def test_the_till_and_the_bookings_have_no_serious_barrier(
    house: House, visitor: Visitor, scheme: str, width: int
):
    page = await visitor(color_scheme=scheme, viewport={"width": width, "height": 900})
    await open_map(page, house.url, house.fresh_showtime())
    await page.get_by_role("button", name="Best available").click()
    await page.get_by_role("button", name="Go to payment").click()
    await expect(page.get_by_label("E-mail")).to_be_focused()
    assert await barriers(page) == [], "contact"
    await page.keyboard.type("guest@demo.example")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Pay ", exact=False).first).to_be_focused()
    assert await barriers(page) == [], "payment"
    assert await fits(page), "payment"
    await to_the_provider(page)
    assert await barriers(page) == [], "the provider's page"
    assert await fits(page), "the provider's page"
    await page.locator("button[value=pay]").click()
    await expect(page.locator(".pass.confirmed .poster")).to_be_visible()
    assert await barriers(page) == [], "booking"
    assert await fits(page), "booking"
    await page.get_by_role("link", name="My bookings").click()
    await expect(page.locator(".ticket")).to_be_visible()
    assert await barriers(page) == [], "my bookings"
    assert await fits(page), "my bookings"


async def _to_the_till(page: Page) -> str:
    """Two seats, up to the payment; what they cost."""
    await page.get_by_role("button", name="Best available").click()
    await expect(page.get_by_role("heading", name="Your 2 seats")).to_be_visible()
    total = await page.locator(".total b").inner_text()
    await page.get_by_role("button", name="Go to payment").click()
    await page.get_by_label("E-mail").fill("guest@demo.example")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("button", name=f"Pay {total}")).to_be_visible()
    return total
