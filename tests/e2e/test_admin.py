"""The house's side in the browser: what staff do there is seen by customers at once."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import House
from tests.e2e.sight import barriers, fits, open_map, order, pay, words

pytestmark = pytest.mark.xdist_group("e2e")
Visitor = Callable[..., Any]


async def test_a_sale_that_is_closed_is_closed_for_customers_and_opens_again(house: House, visitor: Visitor):
    showtime = house.late_showtime()
    staff, ana = await visitor(), await visitor()
    await enter(staff, house, f"/admin?theatre={showtime['theatre']['id']}&date={showtime['business_date']}")
    await open_map(ana, house.url, showtime)
    row = staff.get_by_role("row").filter(has=staff.locator(f"a[href='/admin/showtimes/{showtime['id']}']"))
    await expect(row).to_contain_text(f"0 of {showtime['capacity']}")
    await ana.get_by_role("button", name="Best available").click()
    await expect(row).to_contain_text(f"2 of {showtime['capacity']}")
    await row.get_by_role("button", name="Close").click()
    await expect(row).to_contain_text("closed")
    await expect(ana.get_by_text("Sales for this showtime have closed.")).to_be_visible()
    await row.get_by_role("button", name="Open").click()
    await expect(row).to_contain_text("on sale")


async def test_seats_are_blocked_and_freed_on_the_map(house: House, visitor: Visitor):
    showtime = house.late_showtime()
    staff, ana = await visitor(), await visitor()
    await enter(staff, house, f"/admin/showtimes/{showtime['id']}")
    await open_map(ana, house.url, showtime)
    seat = await ana.locator(".seat[tabindex='0']").get_attribute("data-seat")
    for state in ("blocked", "free"):
        await staff.locator(f"[data-seat='{seat}']").click()
        await expect(staff.get_by_text(f"Chosen: {seat}")).to_be_visible()
        await staff.get_by_role("button", name="Block or free them").click()
        await expect(ana.locator(f"[data-seat='{seat}']")).to_have_class(words(state))


async def test_seats_are_lent_and_allotted_on_the_map(house: House, visitor: Visitor):
    showtime = house.late_showtime()
    staff, ana = await visitor(), await visitor()
    await enter(staff, house, f"/admin/showtimes/{showtime['id']}")
    await open_map(ana, house.url, showtime)
    first = await ana.locator(".seat[tabindex='0']").get_attribute("data-seat")
    free = ana.locator(f".seat.free:not([data-seat='{first}'])")
    second = await free.first.get_attribute("data-seat")
    for seat, kind in ((first, "house seats"), (second, "allotment")):
        await staff.locator(f"[data-seat='{seat}']").click()
        await staff.get_by_label("Blocked as").select_option(kind)
        await staff.get_by_label("Reason" if kind == "house seats" else "Who sells them").fill("agency")
        if kind == "house seats":
            await staff.get_by_label("Until").fill("2090-01-01T12:00")
        await staff.get_by_role("button", name="Block or free them").click()
        await expect(ana.locator(f"[data-seat='{seat}']")).to_have_class(words("blocked"))
    kept = staff.get_by_role("listitem")
    await expect(kept.filter(has_text=second).filter(has_text="allotment of agency")).to_be_visible()
    await expect(kept.filter(has_text=first).filter(has_text="house seats · agency · until")).to_be_visible()


async def test_a_showtime_moves_to_another_hall_under_the_eyes_of_who_is_choosing(house: House, visitor: Visitor):
    showtime, ana = house.late_showtime(), await visitor()
    await open_map(ana, house.url, showtime)
    await ana.get_by_role("button", name="Best available").click()
    await expect(ana.locator(".seat.mine")).to_have_count(2)
    seats = await ana.locator(".seat.mine").evaluate_all("nodes => nodes.map(node => node.dataset.seat)")
    staff = await visitor()
    await enter(staff, house, f"/admin/showtimes/{showtime['id']}")
    await expect(staff.locator(f"[data-seat='{seats[0]}']")).to_have_class(words("held"))
    await move(house, showtime, "The large one", rows=26, seats_per_row=40)
    await expect(ana.locator(".toast")).to_contain_text(f"{showtime['theatre']['name']}, The large one")
    await expect(staff.get_by_text("The large one")).to_be_visible()
    await expect(staff.locator("[data-seat='Z40']")).to_have_class(words("free"))
    await expect(ana.get_by_text("The large one").first).to_be_visible()
    await expect(ana.locator("[data-seat='Z40']")).to_have_class(words("free"))
    for seat in seats:
        await expect(ana.locator(f"[data-seat='{seat}']")).to_have_class(words("mine"))
    await ana.locator("[data-seat='Z40']").click()
    await expect(ana.locator("[data-seat='Z40']")).to_have_class(words("mine"))


async def test_who_stands_at_the_till_reads_there_that_the_showtime_has_moved(house: House, visitor: Visitor):
    showtime, ana = house.late_showtime(), await visitor()
    await open_map(ana, house.url, showtime)
    await ana.get_by_role("button", name="Best available").click()
    await ana.get_by_role("button", name="Go to payment").click()
    till = ana.get_by_role("dialog")
    await expect(till.locator(".facts")).to_contain_text(showtime["starts_at_local"][11:16])
    hour = (int(showtime["starts_at_local"][11:13]) + 1) % 24
    later = (datetime.fromisoformat(showtime["starts_at"]) + timedelta(hours=1)).isoformat()
    await move(house, showtime, "The late one", rows=26, seats_per_row=40, starts_at=later)
    await expect(till.locator(".facts")).to_contain_text(f"{hour:02}:{showtime['starts_at_local'][14:16]}")
    await ana.get_by_role("button", name="Back to the seats").click()
    await expect(ana.locator("[data-seat='Z40']")).to_have_class(words("free"))


async def test_who_was_away_when_a_showtime_moved_sees_the_other_hall(house: House, visitor: Visitor):
    """Its seats are as many, and its drawing is as new, as those of the hall before."""
    showtime, ana = house.late_showtime(), await visitor()
    await move(house, showtime, "The wide one", rows=6, seats_per_row=8)
    await open_map(ana, house.url, showtime)
    await ana.context.set_offline(True)
    await expect(ana.locator(".live-state")).to_have_text("The connection is gone. Coming back…")
    await move(house, showtime, "The deep one", rows=8, seats_per_row=6)
    await ana.context.set_offline(False)
    await expect(ana.get_by_text("The deep one").first).to_be_visible()
    await expect(ana.locator("[data-seat='H6']")).to_have_class(words("free"))


async def move(
    house: House, showtime: dict[str, Any], name: str, *, rows: int, seats_per_row: int, **other: str
) -> None:
    """To a new hall of this shape, where everything costs the same."""
    types = {price["ticket_type"] for price in (await house.read(f"/showtimes/{showtime['id']}"))["prices"]}
    hall = {"theatre_id": showtime["theatre"]["id"], "name": name, "formats": [showtime["format"]]}
    made = await house.order("POST", "/admin/screens", {**hall, "rows": rows, "seats_per_row": seats_per_row})
    prices = [{"category": "standard", "ticket_type": each, "amount": 1_000} for each in sorted(types)]
    wish = {"screen_id": made["id"], "prices": prices, "notify": True, **other}
    await house.order("PATCH", f"/admin/showtimes/{showtime['id']}", wish)


async def test_a_cancelled_showtime_pays_everybody_back_while_one_looks(house: House, visitor: Visitor):
    showtime = house.late_showtime()
    staff, ana = await visitor(), await visitor()
    await open_map(ana, house.url, showtime)
    await ana.get_by_role("button", name="Best available").click()
    await order(ana)
    await pay(ana)
    await enter(staff, house, f"/admin/showtimes/{showtime['id']}")
    await staff.get_by_label("What everybody is told").fill("The projector is broken")
    await staff.get_by_label("Everybody gets their money back").check()
    await staff.get_by_role("button", name="Cancel it for everybody").click()
    await expect(staff.get_by_text("One booking ended")).to_be_visible()
    await expect(staff.get_by_text("1 paid back, 0 under way, 0 given up")).to_be_visible()
    await expect(ana.locator(".eyebrow")).to_have_text("Cancelled")


async def test_the_jobs_of_the_house_are_seen(house: House, visitor: Visitor):
    staff = await visitor()
    await enter(staff, house, "/admin/jobs")
    await staff.get_by_role("link", name="Done").click()
    await expect(staff.get_by_role("link", name="Done")).to_have_attribute("aria-current", "page")
    assert await barriers(staff) == []


async def test_customers_have_no_business_here(house: House, visitor: Visitor):
    page = await visitor()
    await enter(page, house, "/admin", "ana@demo.example")
    await expect(page.get_by_role("heading", name="This side is for people who work here.")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_the_houses_side_has_no_serious_barrier(house: House, visitor: Visitor, scheme: str, width: int):
    showtime = house.late_showtime()  # late in the evening nothing is left of today
    staff = await visitor(viewport={"width": width, "height": 900})
    await staff.add_init_script(f"localStorage.setItem('marquee.theme', '{scheme}')")
    await enter(staff, house, f"/admin?theatre={showtime['theatre']['id']}&date={showtime['business_date']}")
    await expect(staff.get_by_role("table")).to_be_visible()
    assert await barriers(staff) == [], "day"
    assert await fits(staff), "day"
    await staff.get_by_role("table").get_by_role("link").first.click()
    holds = staff.get_by_text("Nobody holds anything.").or_(staff.get_by_role("button", name="Take away").first)
    await expect(holds).to_be_visible()  # customers of other tests may have seats here
    assert await barriers(staff) == [], "showtime"
    assert await fits(staff), "showtime"


async def enter(page: Page, house: House, path: str, email: str = "admin@demo.example") -> None:
    """Through the door of the house's side, which asks who one is."""
    await page.goto(house.url + path)
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill("marquee-demo")
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.wait_for_url(lambda url: urlsplit(url).path == urlsplit(path).path)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
