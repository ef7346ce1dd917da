"""The site as people use it: two browsers, a purchase, a keyboard, a screen reader's view."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import PATIENCE_MS, House
from tests.e2e.sight import a_free_seat, barriers, fits, open_map, order, pay, words

pytestmark = pytest.mark.xdist_group("e2e")
Visitor = Callable[..., Any]
BLINK_MS = 300
TRIES = 8
FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "fold").glob("*.json"))


async def test_a_seat_clicked_in_one_browser_is_shown_held_in_another_at_once(house: House, visitor: Visitor):
    showtime = house.fresh_showtime()
    ana, bob = await visitor(), await visitor()
    await open_map(ana, house.url, showtime)
    await open_map(bob, house.url, showtime)
    seat = await a_free_seat(ana)
    # The guest's token is made with the first hold; from the second on a click is what it always is.
    await ana.locator(f"[data-seat='{seat}']").click()
    await expect(bob.locator(f"[data-seat='{seat}']")).to_have_class(words("held"))
    await ana.get_by_role("button", name="Let them go").click()
    for page in (ana, bob):
        await expect(page.locator(f"[data-seat='{seat}']")).to_have_class(words("free"))
    # How fast it is, is a claim about the product; a machine that is busy with something else may spoil some tries.
    waits = [await _click_to_change(ana, bob, seat)]
    while min(waits) >= BLINK_MS and len(waits) < TRIES:
        await ana.get_by_role("button", name="Let them go").click()
        for page in (ana, bob):
            await expect(page.locator(f"[data-seat='{seat}']")).to_have_class(words("free"))
        waits.append(await _click_to_change(ana, bob, seat))
    assert min(waits) < BLINK_MS, f"bob saw {seat} held after {waits} ms"


async def _click_to_change(clicking: Page, watching: Page, seat: str) -> int:
    """Click a free seat in one browser; how many ms later the other shows it held (both read one clock)."""
    await watching.evaluate(
        """([seat, patience]) => {
            const node = document.querySelector(`[data-seat="${seat}"]`);
            window.seen = new Promise((resolve, reject) => {
                const look = () => node.classList.contains("held") && resolve(Date.now());
                new MutationObserver(look).observe(node, { attributes: true });
                look();
                setTimeout(() => reject(new Error(`${seat} stays ${node.getAttribute("class")}`)), patience);
            });
            window.seen.catch(() => {});
        }""",
        [seat, PATIENCE_MS],
    )
    clicked_at = await clicking.evaluate(
        """(seat) => {
            const now = Date.now();
            document.querySelector(`[data-seat="${seat}"]`).dispatchEvent(new MouseEvent("click", { bubbles: true }));
            return now;
        }""",
        seat,
    )
    return int(await watching.evaluate("window.seen")) - int(clicked_at)


async def test_a_reload_keeps_the_hold_and_its_countdown(house: House, visitor: Visitor):
    page = await visitor()
    await open_map(page, house.url, house.fresh_showtime())
    seat = await a_free_seat(page)
    await page.locator(f"[data-seat='{seat}']").click()
    await expect(page.locator(f"[data-seat='{seat}']")).to_have_class(words("mine"))
    before = await _seconds_left(page)
    await page.reload()
    await expect(page.locator(f"[data-seat='{seat}']")).to_have_class(words("mine"))
    after = await _seconds_left(page)
    assert 0 <= before - after < 30
    assert after > 500


async def test_a_guest_buys_two_seats_and_gets_the_money_back(house: House, visitor: Visitor):
    page = await visitor()
    await open_map(page, house.url, house.fresh_showtime())
    await page.get_by_role("button", name="Best available").click()
    await expect(page.get_by_role("heading", name="Your 2 seats")).to_be_visible()
    for_adults = await page.locator(".total b").inner_text()
    await page.get_by_label("Ticket for").first.select_option("child")
    await expect(page.locator(".total b")).not_to_have_text(for_adults)
    await expect(page.locator(".lines select").first).to_have_value("child")
    total = await page.locator(".total b").inner_text()
    await order(page)
    await expect(page.get_by_role("button", name=f"Pay {total}")).to_be_visible()
    await pay(page)
    await expect(page.locator(".reference")).to_have_text(words(""))
    await expect(page.locator(".pass-seats li")).to_have_count(2)
    await page.emulate_media(media="print", color_scheme="dark")
    await expect(page.locator(".reference")).to_have_css("color", "rgb(0, 0, 0)")
    for only_on_screen in (".top", ".foot", ".way-out", ".history"):
        await expect(page.locator(only_on_screen)).to_be_hidden()
    await page.emulate_media(media="screen")
    await page.get_by_role("link", name="My bookings").click()
    await page.locator(".ticket").click()
    await page.get_by_role("button", name="Cancel this booking").click()
    await page.get_by_role("button", name="Yes, cancel it").click()
    await expect(page.locator(".eyebrow")).to_have_text("Cancelled")


async def test_somebody_who_is_late_is_told_which_seat_is_gone_and_why(house: House, visitor: Visitor):
    showtime = house.fresh_showtime()
    ana, bob = await visitor(), await visitor()
    await open_map(ana, house.url, showtime)
    await open_map(bob, house.url, showtime)
    seat = await a_free_seat(ana)
    await ana.locator(f"[data-seat='{seat}']").click()
    await expect(bob.locator(f"[data-seat='{seat}']")).to_have_class(words("held"))
    await bob.locator(f"[data-seat='{seat}']").click(force=True)
    await expect(bob.locator(".seat-note")).to_have_text(f"Somebody is choosing {seat} right now. It may come back.")


async def test_seats_can_be_held_and_let_go_with_the_keyboard_alone(house: House, visitor: Visitor):
    page = await visitor()
    await open_map(page, house.url, house.fresh_showtime())
    await page.locator(".seat[tabindex='0']").focus()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowUp")
    seat = await page.evaluate("document.activeElement.dataset.seat")
    await page.keyboard.press("Enter")
    held = page.locator(f"[data-seat='{seat}']")
    await expect(held).to_have_attribute("aria-pressed", "true")
    assert await page.evaluate("document.activeElement.dataset.seat") == seat
    await expect(page.locator("#say")).to_contain_text("yours for now")
    await page.keyboard.press("Enter")
    await expect(held).to_have_attribute("aria-pressed", "false")


async def test_a_whole_purchase_needs_no_mouse(house: House, visitor: Visitor):
    page = await visitor()
    await open_map(page, house.url, house.fresh_showtime())
    await page.locator(".seat[tabindex='0']").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Go to payment")).to_be_visible()
    await _tab_to(page, "Go to payment")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await page.keyboard.type("guest@demo.example")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name=re.compile("^Pay "))).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/pay/**")
    await _tab_to(page, re.compile("^Pay "))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Enjoy the film")).to_be_visible()


async def test_signing_in_shows_the_demo_customer(house: House, visitor: Visitor):
    page = await visitor()
    await page.goto(f"{house.url}/sign-in")
    await page.get_by_label("E-mail").fill("ana@demo.example")
    await page.get_by_label("Password").fill("marquee-demo")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def test_a_guest_makes_an_account_and_keeps_the_seats_and_forgets_the_password(house: House, visitor: Visitor):
    page, showtime, email = await visitor(), house.fresh_showtime(), "cleo@example.com"
    await open_map(page, house.url, showtime)
    seat = await a_free_seat(page)
    await page.locator(f"[data-seat='{seat}']").click()
    await expect(page.get_by_role("button", name="Let them go")).to_be_visible()
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_role("button", name="I have no account yet").click()
    await page.get_by_label("Your name").fill("Cleo")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill("correct horse battery")
    await page.get_by_role("button", name="Make an account").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await open_map(page, house.url, showtime)
    await expect(page.get_by_role("button", name="Let them go")).to_be_visible()
    await page.goto(await _link(house, email, "verify"))
    await expect(page.get_by_text("this address is yours")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()

    await page.goto(f"{house.url}/sign-in")
    await page.get_by_role("button", name="I forgot my password").click()
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_role("button", name="Forgotten password").click()
    await expect(page.get_by_text("on its way")).to_be_visible()
    await page.goto(await _link(house, email, "reset"))
    await expect(page.get_by_role("heading", name="Choose a new password")).to_be_visible()
    await expect(page).to_have_url(f"{house.url}/sign-in")
    await page.get_by_label("Password").fill("staple of another kind")
    await page.get_by_role("button", name="Choose a new password").click()
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill("staple of another kind")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def _link(house: House, email: str, purpose: str) -> str:
    """The link in the letter to this address, as soon as there is one."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while True:
            for file in (house.folder / "mail").glob("*.eml"):
                letter = file.read_text().replace("=\n", "").replace("=3D", "=")
                if f"To: {email}" in letter and (found := re.search(rf"http\S+#{purpose}=\S+", letter)):
                    return found[0]
            await asyncio.sleep(0.05)


async def test_a_window_that_waited_finds_the_token_that_another_one_got(house: House, visitor: Visitor):
    first = await visitor()
    await first.goto(f"{house.url}/")
    second = await first.context.new_page()
    await second.goto(f"{house.url}/sign-in")
    await second.get_by_label("E-mail").fill("bob@demo.example")
    await second.get_by_label("Password").fill("marquee-demo")
    await second.get_by_role("button", name="Sign in").click()
    for page in (first, second):
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    ask = """() => import("/static/api.js").then(async (api) => {
        api.distrust(await api.accessToken());
        return (await api.get("/auth/me")).email;
    })"""
    for _ in range(3):
        found = await asyncio.gather(*(page.evaluate(ask) for page in (first, second)))
        assert found == ["bob@demo.example"] * 2


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1440])
async def test_no_page_has_a_serious_barrier(house: House, visitor: Visitor, scheme: str, width: int):
    page = await visitor(color_scheme=scheme, viewport={"width": width, "height": 900})
    showtime = house.showtimes[0]
    for path, ready in (("/", ".film"), (f"/movies/{showtime['movie']['id']}", ".time"), ("/sign-in", "form")):
        await page.goto(house.url + path)
        await page.wait_for_selector(ready)
        assert await barriers(page) == [], path
        assert await fits(page), path
    await open_map(page, house.url, showtime)
    assert await barriers(page) == [], "seat map"
    assert await fits(page), "seat map"


async def test_what_a_seat_is_and_costs_is_seen_under_the_pointer_and_heard_from_the_seat(
    house: House, visitor: Visitor
):
    page = await visitor()
    await open_map(page, house.url, house.showtimes[0])
    seat = page.locator(".seat.free").first
    await seat.hover()
    hint = page.locator(".seat-hint")
    await expect(hint).to_contain_text(await seat.get_attribute("data-seat") or "?")
    heard = await seat.get_attribute("aria-label") or ""
    (price,) = [each for each in await page.locator(".categories b").all_inner_texts() if heard.endswith(each)]
    await expect(hint).to_contain_text(price)
    await page.locator("h1").hover()
    await expect(hint).to_be_hidden()


async def test_every_sign_on_the_map_is_in_its_legend(house: House, visitor: Visitor):
    page = await visitor()
    await open_map(page, house.url, max(house.showtimes, key=lambda showtime: showtime["capacity"]))
    for words_of in ("free", "yours", "being chosen", "sold", "not for sale", "wheelchair space", "companion seat"):
        await expect(page.locator(".states")).to_contain_text(words_of)
    await expect(page.locator(".states")).to_contain_text("restricted view")


async def test_on_a_phone_on_its_side_the_cart_does_not_lie_on_the_map(house: House, visitor: Visitor):
    page = await visitor(viewport={"width": 844, "height": 390})
    await open_map(page, house.url, house.fresh_showtime())
    await page.get_by_role("button", name="Best available").click()
    await expect(page.get_by_role("button", name="Go to payment")).to_be_visible()
    cart, stage = await page.locator(".cart").bounding_box(), await page.locator(".stage").bounding_box()
    assert cart is not None
    assert stage is not None
    assert cart["y"] >= stage["y"] + stage["height"]


async def test_seen_from_near_the_rows_keep_their_letters(house: House, visitor: Visitor):
    page = await visitor(viewport={"width": 390, "height": 844})
    await open_map(page, house.url, max(house.showtimes, key=lambda showtime: showtime["capacity"]))
    for _ in range(3):
        await page.get_by_role("button", name="Zoom in").click()
    seen = """() => {
        const frame = document.querySelector(".map-frame").getBoundingClientRect();
        return [...document.querySelectorAll(".row-letter")].map((letter) => letter.getBoundingClientRect())
            .every((letter) => letter.left >= frame.left && letter.right <= frame.right);
    }"""
    assert await page.evaluate(seen)


async def test_an_address_that_leads_nowhere_says_so(house: House, visitor: Visitor):
    page = await visitor()
    answer = await page.goto(f"{house.url}/films/of/1923")
    assert answer is not None
    assert answer.status == 404
    await expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    await page.get_by_role("link", name="See what is on").click()
    await expect(page.locator(".film").first).to_be_visible()


async def test_a_film_is_found_by_part_of_its_name_without_accents_and_stays_sought_on_another_day(
    house: House, visitor: Visitor
):
    page = await visitor()
    await page.goto(f"{house.url}/?date={house.showtimes[0]['business_date']}")
    title = (await page.locator(".film h2").first.inner_text()).strip()
    await page.get_by_role("searchbox", name="Find a film").fill(title.upper())
    await expect(page.locator(".film:visible")).to_have_count(1)
    await page.get_by_role("searchbox").fill("no such film")
    await expect(page.get_by_text("Nothing on this day is called “no such film”.")).to_be_visible()
    await page.locator(".day").nth(1).click()
    await expect(page.locator(".day").nth(1)).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_role("searchbox")).to_have_value("no such film")


async def test_another_day_neither_moves_the_page_nor_takes_the_focus_away(house: House, visitor: Visitor):
    page = await visitor(viewport={"width": 390, "height": 500})
    await page.goto(house.url)
    await page.wait_for_selector(".film")
    day = page.locator(".day").nth(1)
    await day.scroll_into_view_if_needed()
    await page.evaluate("scrollTo(0, 60)")
    await day.focus()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("date="))
    await expect(page.locator(".day").nth(1)).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".day").nth(1)).to_be_focused()
    assert await page.evaluate("scrollY") == 60


async def test_coming_back_from_a_film_one_is_where_one_was(house: House, visitor: Visitor):
    page = await visitor(viewport={"width": 390, "height": 800})
    await page.goto(house.url)
    await page.locator(".day").nth(1).click()  # late in the evening the first has few films left
    await expect(page.locator(".day").nth(1)).to_have_attribute("aria-pressed", "true")
    link = page.locator(".film h2 a").last
    await link.scroll_into_view_if_needed()
    before = await page.evaluate("scrollY")
    assert before > 0
    await link.press("Enter")
    await expect(page.get_by_role("heading", name="Showtimes")).to_be_visible()
    assert await page.evaluate("scrollY") == 0
    await page.go_back()
    await page.wait_for_function("(before) => Math.abs(scrollY - before) < 2", arg=before)


@pytest.mark.parametrize("language", ["en-GB", "de-DE", "hi-IN"])
async def test_nothing_sticks_out_on_the_narrowest_phone(house: House, visitor: Visitor, language: str):
    page = await visitor(viewport={"width": 320, "height": 640}, locale=language)
    await page.goto(f"{house.url}/sign-in")
    await page.locator("input[name=email]").fill("ana@demo.example")
    await page.locator("input[name=password]").fill("marquee-demo")
    await page.locator("button[type=submit]").click()
    await page.wait_for_selector(".film")
    for path, ready in (
        ("/", ".film"),
        ("/bookings", "h1"),
        ("/inbox", "h1"),
        ("/account", ".part"),
        ("/docs", ".chapter"),
    ):
        await page.goto(house.url + path)
        await page.wait_for_selector(ready)
        assert await fits(page), path
    await page.goto(f"{house.url}/showtimes/{house.showtimes[0]['id']}")
    await page.wait_for_selector("[data-seat]")
    assert await fits(page), "seat map"


async def test_free_seats_in_the_lobby_move_while_one_looks(house: House, visitor: Visitor):
    showtime = house.fresh_showtime()
    ana, bob = await visitor(), await visitor()
    await bob.goto(f"{house.url}/?date={showtime['business_date']}")
    time_button = bob.locator(f"a[href='/showtimes/{showtime['id']}'] .free")
    before = await time_button.inner_text()
    await open_map(ana, house.url, showtime)
    await ana.get_by_role("button", name="Best available").click()
    await expect(time_button).not_to_have_text(before)


async def test_the_browsers_fold_agrees_with_the_servers(house: House, visitor: Visitor):
    assert FIXTURES, "no fixtures"
    page = await visitor()
    await page.goto(house.url)
    for path in FIXTURES:
        for case in _cases(json.loads(path.read_text())):
            got = await page.evaluate(
                """async ({ before, frames }) => {
                    const { fold, viewOf, asJson, RESYNC } = await import("/static/live/fold.js");
                    let view = before === null ? null : viewOf(before);
                    for (const frame of frames) { view = fold(view, frame); if (view === RESYNC) return RESYNC; }
                    return view === null ? null : asJson(view);
                }""",
                {"before": case["before"], "frames": case["frames"]},
            )
            assert got == case["after"], (path.name, case.get("name"))


def _cases(document: Any) -> list[dict[str, Any]]:
    return document if isinstance(document, list) else document.get("cases", [document])


async def _seconds_left(page: Page) -> int:
    minutes, seconds = (await page.locator(".ring .left").inner_text()).split(":")
    return int(minutes) * 60 + int(seconds)


async def _tab_to(page: Page, words: str | re.Pattern[str]) -> None:
    for _ in range(60):
        await page.keyboard.press("Tab")
        if re.search(words, await page.evaluate("document.activeElement.textContent.trim()")):
            return
    raise AssertionError(f"Tab does not lead to {words!r}")
