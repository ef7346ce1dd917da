"""Prices through REST: lists that lie on each other, showtimes that follow them, and rules that move a quote."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.ids import mint
from actors.runtime.clock import ManualClock
from actors.seatmap.layout import from_plan, from_shortcut
from persistence import audit, catalog
from persistence.database import Pool
from persistence.layouts import to_row
from server.keys import POOL
from tests.server.house import open_house
from tests.server.rest.cinema import Person, expect, fresh_key
from tests.server.rest.planning import Office, at, open_office

MORNING = at("2026-10-20T08:00")
ADULT = [{"category": "standard", "ticket_type": "adult", "amount": 1_000}]


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    clock = ManualClock(MORNING)
    async with open_house(database_url, clock=clock) as house:
        yield await open_office(house, clock)


def admin(office: Office) -> Person:
    return Person(office.house, mint(office.clock.now()), ("admin",), ())


def priced(amount: int, ticket_type: str = "adult") -> list[dict[str, Any]]:
    return [{"category": "standard", "ticket_type": ticket_type, "amount": amount}]


async def listed(office: Office, scope: str, amount: int | list[dict[str, Any]], /, **more: Any) -> dict[str, Any]:
    """A price list of the office's theatre, or of all theatres."""
    prices = priced(amount) if isinstance(amount, int) else amount
    place = {
        "global": {"currency": "EUR"},
        "screen": {"screen_id": office.screens[0]},
        "theatre": {"theatre_id": office.theatre_id},
        "showtime": {"theatre_id": office.theatre_id},
    }[scope]
    who = admin(office) if scope == "global" else office.manager
    body = {"name": scope, "scope": scope, "prices": prices, **place, **more}
    return await expect(await who.post("/admin/price-lists", body), 201)


async def plan(office: Office, starts_at: str = "2026-10-21T20:00", /, **more: Any) -> dict[str, Any]:
    """A showtime whose planner says nothing of prices."""
    wish = {name: value for name, value in office.wish(starts_at).items() if name != "prices"}
    return await expect(await office.manager.post("/admin/showtimes", {**wish, **more}), 201)


async def reprice(
    office: Office, showtime_id: str, status: int = 200, /, match: str | None = None, **body: Any
) -> dict[str, Any]:
    headers = {} if match is None else {"If-Match": match}
    path = f"/admin/showtimes/{showtime_id}/pricing"
    response = await office.house.ask("PATCH", path, token=office.manager.token, json=body, headers=headers)
    return await expect(response, status)


async def matrix(office: Office) -> dict[str, Any]:
    return await expect(await office.manager.get(f"/admin/pricing/matrix?theatre_id={office.theatre_id}"), 200)


async def test_the_narrowest_list_that_says_something_counts(office: Office) -> None:
    await listed(office, "global", [*priced(1_000), *priced(700, "child")], fee=50, tax_bps=1_000)
    await listed(office, "theatre", 1_100, tax_bps=700)
    first, second = (await matrix(office))["screens"]
    assert [(quote["ticket_type"], quote["total"]) for quote in first["prices"]] == [("adult", 1_231), ("child", 803)]
    await listed(office, "screen", 1_200)
    first, second = (await matrix(office))["screens"]
    assert [each["scope"] for each in first["price_lists"]] == ["global", "theatre", "screen"]
    assert (first["prices"][0]["amount"], second["prices"][0]["amount"]) == (1_200, 1_100)
    gala = await listed(office, "showtime", 2_000)
    usual = await plan(office)
    assert usual["price_from"]["amount"] == 1_200
    assert (usual["fee"], usual["tax_bps"]) == (50, 700)
    festive = await plan(office, screen_id=office.screens[1], price_list_id=gala["id"])
    assert [(price["ticket_type"], price["amount"]) for price in festive["prices"]] == [
        ("adult", 2_000),
        ("child", 700),
    ]
    own = await office.add("2026-10-22T20:00")
    assert own["price_from"]["amount"] == 1_200
    assert own["fee"] == 0  # who names prices says everything


async def test_without_any_price_a_showtime_cannot_be_planned_and_a_list_must_price_every_category(
    office: Office,
) -> None:
    wish = office.wish("2026-10-21T20:00")
    del wish["prices"]
    refused = await expect(await office.manager.post("/admin/showtimes", wish), 422)
    assert refused["code"] == "validation_failed"
    await listed(office, "theatre", [{"category": "box", "ticket_type": "adult", "amount": 9}])
    refused = await expect(await office.manager.post("/admin/showtimes", wish), 422)
    assert (refused["code"], refused["categories"]) == ("category_unpriced", ["standard"])
    assert (await matrix(office))["screens"][0]["unpriced"] == ["standard"]


async def test_new_prices_are_for_new_holds_and_the_log_knows_them(office: Office, pool: Pool) -> None:
    made = await office.add("2026-10-21T20:00")
    ana, bob = office.customer(), office.customer()
    before = await ana.hold(made["id"], "A1")
    changed = await reprice(office, made["id"], prices=priced(1_500), fee=100)
    assert changed["price_from"]["amount"] == 1_500
    assert changed["version"] == made["version"] + 1
    after = await bob.hold(made["id"], "B1")
    assert (before["total"]["amount"], after["total"]["amount"]) == (1_200, 1_600)
    booked = await expect(await ana.post("/bookings", {"hold_id": before["hold_id"]}, key=fresh_key()), 201)
    assert booked["total"]["amount"] == 1_200
    page = await expect(await office.house.get(f"/showtimes/{made['id']}"), 200)
    assert [price["total"] for price in page["prices"]] == [1_600, 900]
    report = await audit.verify(pool)
    assert report.differences == []
    again = await reprice(office, made["id"], prices=priced(1_500))
    assert again["version"] == changed["version"]


async def test_of_two_who_change_prices_the_one_who_looked_first_is_told(office: Office) -> None:
    made = await office.add("2026-10-21T20:00")
    tag = f'"{made["version"]}"'
    await reprice(office, made["id"], 200, tag, prices=priced(1_500))
    problem = await reprice(office, made["id"], 412, tag, prices=priced(1_600))
    assert problem["code"] == "precondition_failed"
    assert (await office.read(made["id"]))["price_from"]["amount"] == 1_500


async def test_prices_are_put_as_they_are_patched(office: Office) -> None:
    made = await office.add("2026-10-21T20:00")
    path = f"/admin/showtimes/{made['id']}/pricing"
    one = await expect(await office.manager.put(path, {"prices": priced(1_500)}), 200)
    assert one["price_from"]["amount"] == 1_500
    asked = {"showtime_ids": [made["id"]], "prices": priced(1_600)}
    assert (await expect(await office.manager.put("/admin/pricing", asked), 200))["changed"] == [made["id"]]


async def test_a_rule_is_named_in_the_hold_and_bounded(office: Office) -> None:
    made = await office.add("2026-10-21T20:00")  # a Wednesday, 34 hours from now
    rules = [
        {"name": "Wednesday", "when": {"weekdays": [3], "hour_from": 18}, "adjust": {"percent": -25}, "min": 950},
        {"name": "Last day", "when": {"lead_hours_max": 24}, "adjust": {"amount": 500}},
    ]
    await reprice(office, made["id"], rules=rules)
    ana = office.customer()
    (seat,) = (await ana.hold(made["id"], "A1"))["seats"]
    assert (seat["price"]["amount"], seat["rules"]) == (950, ["Wednesday"])
    office.clock.advance(11 * 3_600_000)
    (seat,) = (await ana.hold(made["id"], "B1"))["seats"]
    assert (seat["price"]["amount"], seat["rules"]) == (1_400, ["Wednesday", "Last day"])


async def test_a_showtime_says_what_its_seats_cost_now_as_the_hold_will(office: Office) -> None:
    made = await office.add("2026-10-21T20:00")
    rules = [
        {"name": "Wednesday", "when": {"weekdays": [3]}, "adjust": {"percent": 20}},
        {"name": "Filling", "when": {"occupancy_pct_min": 1}, "adjust": {"amount": 300}},
    ]
    await reprice(office, made["id"], rules=rules, fee=50, tax_bps=1_900)
    for seats in (("A1", "A2", "A3"), ("A4",)):
        page = await expect(await office.house.get(f"/showtimes/{made['id']}"), 200)
        held = (await office.customer().hold(made["id"], *seats))["seats"][0]
        kind = (held["category"], held["ticket_type"])
        (shown,) = [line for line in page["prices"] if (line["category"], line["ticket_type"]) == kind]
        assert {name: shown[name] for name in ("amount", "fee", "tax", "total")} == {
            "amount": held["price"]["amount"],
            **{name: held[name]["amount"] for name in ("fee", "tax", "total")},
        }
    assert held["rules"] == ["Wednesday", "Filling"]


async def test_a_rule_without_a_name_is_named_after_its_place(office: Office) -> None:
    made = await office.add("2026-10-21T20:00")
    rules = [
        {"name": "Early", "adjust": {"amount": 5}},
        {"when": {}, "adjust": {"percent": 10}, "min": 1, "max": 9_000},
    ]
    await reprice(office, made["id"], rules=rules)
    (seat,) = (await office.customer().hold(made["id"], "A1"))["seats"]
    assert seat["rules"] == ["Early", "Rule 2"]


async def test_rules_that_no_price_could_obey_are_refused(office: Office) -> None:
    made = await office.add("2026-10-21T20:00")
    dear = {"name": "a", "adjust": {"percent": 10}, "min": 900}
    cheap = {"name": "b", "adjust": {"percent": 10}, "max": 800}
    for rules in (
        [dear, cheap],
        [dear, dear],
        [{"name": "a", "adjust": {}}],
        [{"name": "a", "adjust": {"percent": -200}}],
    ):
        problem = await reprice(office, made["id"], 422, rules=rules)
        assert problem["code"] == "validation_failed"


async def test_prices_that_include_the_tax_say_what_it_is(office: Office) -> None:
    made = await office.add("2026-10-21T20:00")
    await reprice(office, made["id"], prices=priced(1_190), tax_bps=1_900, tax_included=True)
    held = await office.customer().hold(made["id"], "A1")
    (seat,) = held["seats"]
    assert (seat["price"]["amount"], seat["tax"]["amount"], held["total"]["amount"]) == (1_000, 190, 1_190)


async def test_many_showtimes_follow_a_changed_list_and_what_cannot_is_named(office: Office) -> None:
    prices = await listed(office, "theatre", 1_000)
    first, second = await plan(office), await plan(office, "2026-10-22T20:00", status="draft")
    gone = await plan(office, "2026-10-21T10:30")
    path = f"/admin/price-lists/{prices['id']}"
    await expect(await office.manager.patch(path, {"prices": priced(1_300)}), 200)
    assert (await office.read(first["id"]))["price_from"]["amount"] == 1_000
    office.clock.advance(48 * 3_600_000)
    third = await plan(office, "2026-10-25T20:00")
    body = {"price_list_id": None, "showtime_ids": [gone["id"], second["id"], third["id"]]}
    told = await expect(await office.manager.patch("/admin/pricing", body), 200)
    assert told["changed"] == [second["id"]]
    assert told["unchanged"] == [third["id"]]
    assert [(each["showtime_id"], each["reason"]) for each in told["refused"]] == [(gone["id"], "showtime_over")]
    told = await expect(
        await office.manager.patch(
            "/admin/pricing", {"theatre_id": office.theatre_id, "from": "2026-10-25T00:00:00Z", "fee": 20}
        ),
        200,
    )
    assert told["changed"] == [third["id"]]


async def test_a_list_is_changed_by_its_house_only_and_not_over_somebody_elses_change(office: Office) -> None:
    everywhere = await listed(office, "global", 1_000)
    own = await listed(office, "theatre", 1_000, rules=[{"name": "a", "adjust": {"amount": 1}}])
    stranger = Person(office.house, mint(office.clock.now()), ("manager",), (mint(office.clock.now()),))
    path = f"/admin/price-lists/{own['id']}"
    assert (await stranger.get(path)).status == 403
    assert (await stranger.patch(path, {"fee": 1})).status == 403
    assert (await office.manager.patch(f"/admin/price-lists/{everywhere['id']}", {"fee": 1})).status == 403
    page = await expect(await stranger.get("/admin/price-lists"), 200)
    assert [each["id"] for each in page["items"]] == [everywhere["id"]]
    twice = await office.manager.post(
        "/admin/price-lists",
        {"name": "again", "scope": "theatre", "theatre_id": office.theatre_id, "prices": ADULT},
    )
    assert (await expect(twice, 409))["code"] == "scope_taken"
    changed = await expect(await office.manager.patch(path, {"fee": 30, "rules": None}), 200)
    assert (changed["fee"], changed["rules"], changed["version"]) == (30, None, 2)
    late = await office.house.ask(
        "PATCH", path, token=office.manager.token, json={"fee": 40}, headers={"If-Match": '"1"'}
    )
    assert (await expect(late, 412))["code"] == "precondition_failed"
    assert (await office.manager.delete(path)).status == 204
    assert (await office.manager.get(path)).status == 404


@pytest.mark.parametrize(
    ("currency", "decimals", "amount", "total"),
    [("JPY", 0, 1_805, 1_986), ("INR", 2, 45_050, 49_555), ("KWD", 3, 3_335, 3_669)],
)
async def test_currencies_with_few_and_many_decimals_are_sold_in_their_own_units(
    office: Office, currency: str, decimals: int, amount: int, total: int
) -> None:
    pool, now = office.house.app[POOL], office.clock.now()
    theatre_id, screen_id = mint(now), mint(now)
    layout = from_plan(mint(now), 1, from_shortcut("Hall", 2, 4))
    async with pool.acquire() as connection:
        await catalog.put_theatre(
            connection,
            catalog.Theatre(theatre_id, f"Kino {theatre_id}", "X", "", "", None, None, (), {}, "Asia/Kuwait", currency),
        )
        await catalog.put_layout(connection, to_row(layout, mint(now)))
        await catalog.put_screen(connection, screen_id, theatre_id, "1", ["2D"], layout.id)
    office.manager.theatres = (theatre_id,)
    office.theatre_id, office.screens = theatre_id, [screen_id]
    made = await listed(office, "screen", amount, tax_bps=1_000)
    assert (made["currency"], made["exponent"]) == (currency, decimals)
    showtime = await plan(office)
    held = await office.customer().hold(showtime["id"], "A1")
    assert held["total"] == {"amount": total, "currency": currency}
