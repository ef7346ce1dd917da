"""My account on the site: who one is, how one signs in, what one is told, and being forgotten."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import PATIENCE_MS, House
from tests.e2e.sight import barriers, fits

pytestmark = pytest.mark.xdist_group("e2e")
Visitor = Callable[..., Any]
PASSWORD = "correct horse battery"


async def test_a_name_and_a_language_are_changed_and_the_site_speaks_it(house: House, visitor: Visitor):
    page = await visitor()
    await join(page, house, "dora@example.com")
    await page.get_by_label("Your name").fill("Dora D.")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("Saved.")).to_be_visible()
    await page.get_by_label("Language", exact=True).select_option("hi")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("heading", name="मेरा खाता")).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("lang", "hi")
    await expect(page.get_by_label("आपका नाम")).to_have_value("Dora D.")
    assert await barriers(page) == []
    await page.get_by_label("भाषा बदलें").select_option("en")
    await expect(page.get_by_role("heading", name="My account")).to_be_visible()


async def test_another_password_signs_everybody_else_out(house: House, visitor: Visitor):
    page, elsewhere = await visitor(), await visitor()
    await join(page, house, "emil@example.com")
    await sign_in(elsewhere, house, "emil@example.com", PASSWORD)
    await page.reload()
    await expect(page.locator(".devices li")).to_have_count(2)
    await page.get_by_label("Current password").fill("not this one at all")
    await page.get_by_label("New password").fill("staple of another kind")
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_text("The current password is another one.")).to_be_visible()
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_text("The new password works from now on.")).to_be_visible()
    await page.reload()
    await expect(page.locator(".devices li")).to_have_count(1)


async def test_one_signs_out_somewhere_else(house: House, visitor: Visitor):
    page, elsewhere = await visitor(), await visitor()
    await join(page, house, "fritzi@example.com")
    await sign_in(elsewhere, house, "fritzi@example.com", PASSWORD)
    await page.reload()
    other = page.locator(".devices li").filter(has_not_text="this one")
    await other.get_by_role("button").click()
    await expect(page.locator(".devices li")).to_have_count(1)
    await elsewhere.goto(f"{house.url}/account")
    await expect(elsewhere.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_what_one_is_told_is_kept_at_once(house: House, visitor: Visitor):
    page = await visitor()
    await join(page, house, "gita@example.com")
    switch = page.get_by_role("checkbox", name="The film begins soon, E-mail")
    await expect(switch).to_be_checked()
    async with page.expect_response(re.compile("notification-preferences")) as answer:
        await switch.uncheck()
    assert (await answer.value).ok
    await page.reload()
    await expect(switch).not_to_be_checked()
    await expect(page.get_by_role("checkbox", name="The film begins soon, Here")).to_be_checked()


async def test_a_code_by_sms_proves_a_number_and_signs_in(house: House, visitor: Visitor):
    page, number = await visitor(), "+49 30 901820"
    await join(page, house, "hugo@example.com")
    await page.get_by_label("Phone number").fill(number)
    await page.get_by_role("button", name="Send me a code").click()
    await page.get_by_label("Code", exact=True).fill(await code_for(house, 1))
    await page.get_by_role("button", name="Prove the number").click()
    await expect(page.get_by_text("This number is yours")).to_be_visible()

    phone = await visitor()
    await phone.goto(f"{house.url}/sign-in?next=/account")
    await phone.get_by_role("button", name="Use a code by SMS").click()
    assert await barriers(phone) == []
    await phone.get_by_label("Phone number").fill(number)
    await phone.get_by_role("button", name="Send me a code").click()
    await phone.get_by_label("Code", exact=True).fill(await code_for(house, 2))
    await phone.get_by_role("button", name="Sign in with the code").click()
    await expect(phone.get_by_text("hugo@example.com")).to_be_visible()


async def test_being_forgotten_is_asked_twice_and_then_done(house: House, visitor: Visitor):
    page = await visitor()
    await join(page, house, "ines@example.com")
    await page.get_by_role("button", name="Erase my account").click()
    await page.get_by_role("button", name="Keep it").click()
    await page.get_by_role("button", name="Erase my account").click()
    await page.get_by_label("I understand that nothing brings it back.").check()
    assert await barriers(page) == []
    await page.get_by_role("button", name="Yes, erase it").click()
    await expect(page.get_by_text("You are forgotten.")).to_be_visible()
    await sign_in(page, house, "ines@example.com", PASSWORD)
    await expect(page.get_by_text("E-mail address and password do not match.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1440])
async def test_the_account_has_no_serious_barrier(house: House, visitor: Visitor, scheme: str, width: int):
    page = await visitor(color_scheme=scheme, viewport={"width": width, "height": 900})
    await sign_in(page, house, "bob@demo.example", "marquee-demo")
    await page.get_by_role("link", name="My account").click()
    await expect(page.get_by_role("heading", name="My account")).to_be_visible()
    assert await barriers(page) == []
    assert await fits(page)


async def test_a_slow_page_does_not_come_up_after_one_has_gone_elsewhere(house: House, visitor: Visitor):
    page = await visitor()
    asked, free = asyncio.Event(), asyncio.Event()

    async def later(route: Any) -> None:
        asked.set()
        await free.wait()
        await route.continue_()

    await page.route("**/api/v1/showtimes/facets", later)
    await page.goto(house.url)
    await asyncio.wait_for(asked.wait(), PATIENCE_MS / 1000)
    await page.get_by_role("link", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    async with page.expect_response(re.compile("/movies")):
        free.set()
    await page.wait_for_load_state("networkidle")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.locator(".film")).to_have_count(0)


async def join(page: Page, house: House, email: str) -> None:
    await page.goto(f"{house.url}/sign-in?next=/account")
    await page.get_by_role("button", name="I have no account yet").click()
    await page.get_by_label("Your name").fill("Somebody")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Make an account").click()
    await expect(page.get_by_role("heading", name="My account")).to_be_visible()


async def sign_in(page: Page, house: House, email: str, password: str) -> None:
    await page.goto(f"{house.url}/sign-in")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(password)
    async with page.expect_response(re.compile("/auth/login")):
        await page.get_by_role("button", name="Sign in", exact=True).click()


async def code_for(house: House, count: int) -> str:
    """The newest code, as soon as that many have been sent."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while True:
            sent = sorted((house.folder / "sms").glob("*"), key=lambda path: path.stat().st_mtime_ns)
            if len(sent) >= count and (found := re.search(r"\b\d{6}\b", sent[-1].read_text())):
                return found[0]
            await asyncio.sleep(0.05)
