"""Holding seats over HTTP, as clients see it."""

import asyncio
import random
from collections import Counter as Tally
from contextlib import AsyncExitStack
from typing import Any

import pytest

from actors.runtime.clock import ManualClock
from actors.seatmap.terms import OrphanRule
from server.keys import CLOCK, POOL
from server.live.fold import fold, view_of
from server.wire import rfc3339
from tests.server.house import House, open_house
from tests.server.rest.cinema import HOUR, Counter, expect, fresh_key, open_counter, premiere

NOW = 1_800_000_000_000


@pytest.fixture
async def counter(house: House) -> Counter:
    return await open_counter(house)


async def test_who_asks_for_seats_of_the_own_hold_is_told_which_one_has_them(counter: Counter) -> None:
    ana, bob, path = counter.person(), counter.person(), f"/showtimes/{counter.showtime_id}/holds"
    held = await ana.hold(counter.showtime_id, "F7", "F8")
    again = await expect(await ana.post(path, {"seats": ["F8", "F9"]}), 409)
    assert (again["detail"], again["hold_id"]) == ("You hold F8 already.", held["hold_id"])
    assert again["conflicts"] == [{"seat": "F8", "reason": "held"}]
    late = await expect(await bob.post(path, {"seats": ["F8"]}), 409)
    assert (late["detail"], "hold_id" in late) == ("Somebody was faster with F8.", False)
    await bob.hold(counter.showtime_id, "C1")
    mixed = await expect(await bob.post(path, {"seats": ["F8", "C1"]}), 409)
    assert "hold_id" not in mixed


async def test_a_hold_shows_seats_prices_and_how_long_it_lasts(database_url: str) -> None:
    async with open_house(database_url, clock=ManualClock(NOW)) as house:
        counter = await open_counter(house)
        ana = counter.person()
        body = await ana.hold(counter.showtime_id, "F7", "F8", ticket_types={"F8": "child"})
    hold_id = body.pop("hold_id")
    assert hold_id
    assert body == {
        "showtime_id": counter.showtime_id,
        "seats": [
            {
                "seat": "F7",
                "category": "standard",
                "ticket_type": "adult",
                "price": {"amount": 45_000, "currency": "INR"},
                "fee": {"amount": 1_000, "currency": "INR"},
                "tax": {"amount": 8_280, "currency": "INR"},
                "total": {"amount": 54_280, "currency": "INR"},
            },
            {
                "seat": "F8",
                "category": "standard",
                "ticket_type": "child",
                "price": {"amount": 25_000, "currency": "INR"},
                "fee": {"amount": 1_000, "currency": "INR"},
                "tax": {"amount": 4_680, "currency": "INR"},
                "total": {"amount": 30_680, "currency": "INR"},
            },
        ],
        "total": {"amount": 84_960, "currency": "INR"},
        "expires_at": rfc3339(NOW + 600_000),
        "renewals_left": 2,
        "next_to_each_other": True,
        "seq": 3,
    }


async def test_of_200_who_want_one_seat_one_gets_it_and_199_are_told_who_was_faster(counter: Counter) -> None:
    people = [counter.person() for _ in range(200)]
    path = f"/showtimes/{counter.showtime_id}/holds"
    answers = await asyncio.gather(*(who.post(path, {"seats": ["F7"]}) for who in people))
    assert Tally(answer.status for answer in answers) == {201: 1, 409: 199}
    for answer in answers:
        if answer.status == 409:
            body = await answer.json(content_type=None)
            assert answer.content_type == "application/problem+json"
            assert body["code"] == "seats_unavailable"
            assert body["conflicts"] == [{"seat": "F7", "reason": "held"}]
            assert body["detail"] == "Somebody was faster with F7."
    assert (await counter.seats())["held"] == ["F7"]


async def test_50_who_watch_500_overlapping_holds_see_what_the_map_says(counter: Counter) -> None:
    path = f"/api/v1/showtimes/{counter.showtime_id}/live"
    async with AsyncExitStack() as sockets:
        opened = [await sockets.enter_async_context(counter.house.client.ws_connect(path)) for _ in range(50)]
        dice, labels = random.Random(5), list(counter.cinema.layout.seats)
        people = [counter.person() for _ in range(500)]
        holds = f"/showtimes/{counter.showtime_id}/holds"
        await asyncio.gather(*(who.post(holds, {"seats": dice.sample(labels, dice.randint(1, 4))}) for who in people))
        truth = view_of(await counter.seats())
        for socket in opened:
            view: Any = None
            while view is None or view.seq < truth.seq:
                view = fold(view, await socket.receive_json(timeout=30))
                assert view != "resync"
            assert view == truth


async def test_500_overlapping_group_holds_are_all_or_nothing(counter: Counter) -> None:
    dice = random.Random(7)
    labels = list(counter.cinema.layout.seats)
    wishes = [dice.sample(labels, dice.randint(1, 6)) for _ in range(500)]
    path = f"/showtimes/{counter.showtime_id}/holds"
    answers = await asyncio.gather(*(counter.person().post(path, {"seats": wish}) for wish in wishes))
    held: list[str] = []
    for answer, wish in zip(answers, wishes, strict=True):
        body = await answer.json(content_type=None)
        if answer.status == 201:
            assert [line["seat"] for line in body["seats"]] == wish
            held += wish
        else:
            assert (answer.status, body["code"]) == (409, "seats_unavailable")
            assert {conflict["seat"] for conflict in body["conflicts"]} <= set(wish)
    assert len(held) == len(set(held)), "a seat was given twice"
    seen = await counter.seats()
    assert set(seen["held"]) == set(held)
    assert seen["counts"] == {"free": 120 - len(held), "held": len(held), "sold": 0, "blocked": 0}


@pytest.mark.parametrize(
    ("seats", "status", "code"),
    [
        ([" A1"], 422, "unknown_seat"),
        (["a1"], 422, "unknown_seat"),
        (["A01"], 422, "unknown_seat"),
        (["A1", "Z99"], 422, "unknown_seat"),
        (["A1", "A1"], 422, "duplicate_seat"),
        ([f"A{n}" for n in range(1, 12)], 409, "hold_limit"),
        ([f"A{n}" for n in range(1, 60)], 422, "validation_failed"),
        ([], 422, "validation_failed"),
        ([1], 422, "validation_failed"),
        (["A" * 100], 422, "validation_failed"),
        ("A1", 422, "validation_failed"),
        (None, 422, "validation_failed"),
    ],
)
async def test_nonsense_is_refused_with_a_code_and_holds_nothing(
    counter: Counter, seats: object, status: int, code: str
) -> None:
    response = await counter.person().post(f"/showtimes/{counter.showtime_id}/holds", {"seats": seats})
    assert (await expect(response, status))["code"] == code
    assert (await counter.seats())["counts"]["held"] == 0


@pytest.mark.parametrize("extra", ["role", "price", "user_id", "status", "owner", "total"])
async def test_nothing_can_be_smuggled_in(counter: Counter, extra: str) -> None:
    wish = {"seats": ["A1"], extra: 1}
    body = await expect(await counter.person().post(f"/showtimes/{counter.showtime_id}/holds", wish), 422)
    assert body["errors"][0]["path"] == extra
    assert (await counter.seats())["counts"]["held"] == 0


async def test_a_hold_needs_a_token_and_a_guest_has_one(counter: Counter) -> None:
    path = f"/showtimes/{counter.showtime_id}/holds"
    body = await expect(await counter.house.post(path, {"seats": ["A1"]}), 401)
    assert body["code"] == "auth_required"
    guest = await counter.house.guest()
    await expect(await counter.house.post(path, {"seats": ["A1"]}, token=guest["access_token"]), 201)


@pytest.mark.parametrize("showtime_id", ["nonsense", "01890000-0000-7000-8000-000000000001"])
async def test_an_unknown_showtime_is_not_found(counter: Counter, showtime_id: str) -> None:
    body = await expect(await counter.person().post(f"/showtimes/{showtime_id}/holds", {"seats": ["A1"]}), 404)
    assert body["code"] == "showtime_not_found"


async def test_the_cap_counts_what_a_customer_already_holds(counter: Counter) -> None:
    ana = counter.person()
    await ana.hold(counter.showtime_id, *(f"A{n}" for n in range(1, 9)))
    refused = await ana.post(f"/showtimes/{counter.showtime_id}/holds", {"seats": ["B1", "B2", "B3"]})
    body = await expect(refused, 409)
    assert (body["code"], body["limit"], body["held"]) == ("hold_limit", 10, 8)


async def test_the_best_seats_are_chosen_next_to_each_other(counter: Counter) -> None:
    wish = {"best_available": {"count": 4}, "ticket_types": {"*": "child"}}
    body = await expect(await counter.person().post(f"/showtimes/{counter.showtime_id}/holds", wish), 201)
    assert body["next_to_each_other"] is True
    assert len({line["seat"][0] for line in body["seats"]}) == 1
    assert {line["ticket_type"] for line in body["seats"]} == {"child"}


async def test_more_than_fits_together_is_refused_with_what_would_fit(house: House) -> None:
    counter = await open_counter(house, rows=2, seats_per_row=4)
    wish = {"best_available": {"count": 5}}
    body = await expect(await counter.person().post(f"/showtimes/{counter.showtime_id}/holds", wish), 409)
    assert (body["code"], body["largest_block"]) == ("no_block", 4)


async def test_a_lone_seat_is_refused_with_suggestions(house: House) -> None:
    counter = await open_counter(house, orphan_rule=OrphanRule.LENIENT)
    ana = counter.person()
    body = await expect(await ana.post(f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A2", "A3"]}), 409)
    assert (body["code"], body["orphans"]) == ("orphan_seat", ["A1"])
    suggestion = body["suggestions"][0]
    await ana.hold(counter.showtime_id, *suggestion)


async def test_seats_are_swapped_in_one_step(counter: Counter) -> None:
    ana, bob = counter.person(), counter.person()
    held = await ana.hold(counter.showtime_id, "A1", "A2")
    await bob.hold(counter.showtime_id, "B1")
    path = f"/holds/{held['hold_id']}"
    body = await expect(await ana.patch(path, {"add": ["A3"], "remove": ["A1"]}), 200)
    assert [line["seat"] for line in body["seats"]] == ["A2", "A3"]
    refused = await expect(await ana.patch(path, {"add": ["B1"], "remove": ["A2"]}), 409)
    assert refused["conflicts"] == [{"seat": "B1", "reason": "held"}]
    assert (await counter.seats())["held"] == ["A2", "A3", "B1"]
    unchanged = await expect(await ana.get(path), 200)
    assert [line["seat"] for line in unchanged["seats"]] == ["A2", "A3"]


async def test_seats_are_added_to_a_hold(counter: Counter) -> None:
    ana = counter.person()
    held = await ana.hold(counter.showtime_id, "A1")
    wish = {"seats": ["A2"], "hold_id": held["hold_id"]}
    body = await expect(await ana.post(f"/showtimes/{counter.showtime_id}/holds", wish), 200)
    assert (body["hold_id"], [line["seat"] for line in body["seats"]]) == (held["hold_id"], ["A1", "A2"])


async def test_a_hold_is_renewed_twice_and_not_more(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        counter = await open_counter(house)
        ana = counter.person()
        path = f"/holds/{(await ana.hold(counter.showtime_id, 'A1'))['hold_id']}"
        clock.advance(300_000)
        once = await expect(await ana.post(f"{path}/renew"), 200)
        assert (once["expires_at"], once["renewals_left"]) == (rfc3339(NOW + 900_000), 1)
        clock.advance(500_000)
        alias = await house.ask("PATCH", f"/seats/hold/{path.removeprefix('/holds/')}/refresh", token=ana.token)
        twice = await expect(alias, 200)
        assert (twice["expires_at"], twice["renewals_left"]) == (rfc3339(NOW + 1_200_000), 0)
        clock.advance(100_000)
        assert (await expect(await ana.post(f"{path}/renew"), 409))["code"] == "renew_limit"


async def test_a_hold_ends_at_its_deadline_and_its_seats_are_free(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        counter = await open_counter(house)
        ana = counter.person()
        path = f"/holds/{(await ana.hold(counter.showtime_id, 'A1'))['hold_id']}"
        seq = (await counter.seats())["seq"]
        clock.advance(599_999)
        await expect(await ana.get(path), 200)
        clock.advance(1)
        assert (await expect(await ana.get(path), 410))["code"] == "hold_expired"
        told = await expect(await house.get(f"/showtimes/{counter.showtime_id}/events", params={"after": seq}), 200)
        assert [item["free"] for item in told["items"]] == [["A1"]]
        assert (await expect(await ana.post(f"{path}/renew"), 410))["code"] == "hold_expired"
        await counter.person().hold(counter.showtime_id, "A1")


async def test_a_hold_also_ends_on_time_after_a_restart(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        counter = await open_counter(house)
        await counter.person().hold(counter.showtime_id, "A1")
        seq = (await counter.seats())["seq"]
    async with open_house(database_url, clock=clock) as house:
        clock.advance(600_000)
        told = await expect(await house.get(f"/showtimes/{counter.showtime_id}/events", params={"after": seq}), 200)
        assert [item["free"] for item in told["items"]] == [["A1"]]


async def test_letting_go_is_idempotent(counter: Counter) -> None:
    ana = counter.person()
    held = await ana.hold(counter.showtime_id, "A1")
    for _ in range(2):
        assert (await ana.delete(f"/holds/{held['hold_id']}")).status == 204
    assert (await ana.post("/bookings/release", {"hold_id": held["hold_id"]})).status == 204
    assert (await counter.seats())["held"] == []


async def test_other_peoples_holds_are_not_there(counter: Counter) -> None:
    ana, eve = counter.person(), counter.person()
    path = f"/holds/{(await ana.hold(counter.showtime_id, 'A1'))['hold_id']}"
    answers = [
        await eve.get(path),
        await eve.patch(path, {"add": ["A2"]}),
        await eve.post(f"{path}/renew"),
        await eve.delete(path),
    ]
    for answer in answers:
        assert (await expect(answer, 404))["code"] == "hold_not_found"
    assert (await counter.seats())["held"] == ["A1"]
    for nowhere in ("nonsense", "01890000-0000-7000-8000-000000000001"):
        assert (await expect(await ana.get(f"/holds/{nowhere}"), 404))["code"] == "hold_not_found"


async def test_other_peoples_booked_holds_are_not_there_either(counter: Counter) -> None:
    ana, eve = counter.person(), counter.person()
    hold_id = (await ana.hold(counter.showtime_id, "A1"))["hold_id"]
    await expect(await ana.post("/bookings", {"hold_id": hold_id}, key=fresh_key()), 201)
    for answer in (
        await eve.get(f"/holds/{hold_id}"),
        await eve.post("/bookings", {"hold_id": hold_id}, key=fresh_key()),
    ):
        assert (await expect(answer, 404))["code"] == "hold_not_found"
    assert (await expect(await ana.get(f"/holds/{hold_id}"), 409))["code"] == "hold_booked"


async def test_a_ticket_type_for_a_seat_that_is_not_asked_for_is_refused(counter: Counter) -> None:
    ana = counter.person()
    holds = f"/showtimes/{counter.showtime_id}/holds"
    refused = await expect(await ana.post(holds, {"seats": ["A1"], "ticket_types": {"A2": "child"}}), 422)
    assert refused["code"] == "seat_not_in_hold"
    assert refused["conflicts"] == [{"seat": "A2", "reason": "not_in_hold"}]
    path = f"/holds/{(await ana.hold(counter.showtime_id, 'A1'))['hold_id']}"
    assert (await expect(await ana.patch(path, {"ticket_types": {"A2": "child"}}), 422))["code"] == "seat_not_in_hold"
    assert (await counter.seats())["held"] == ["A1"]


@pytest.mark.parametrize(
    ("terms", "code"),
    [({"sales_open_at": NOW + HOUR}, "sales_not_open"), ({"sales_close_at": NOW - 1}, "sales_closed")],
)
async def test_outside_the_hours_of_sale_nothing_is_held(database_url: str, terms: dict[str, int], code: str) -> None:
    async with open_house(database_url, clock=ManualClock(NOW)) as house:
        counter = await open_counter(house, **terms)
        refused = await counter.person().post(f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A1"]})
        assert (await expect(refused, 409))["code"] == code


async def test_a_key_at_another_path_is_another_key_over_rest_and_socket(counter: Counter) -> None:
    ana, key = counter.person(), fresh_key()
    first, second = [(await ana.hold(counter.showtime_id, seat))["hold_id"] for seat in ("A1", "C1")]
    renewed = [await expect(await ana.post(f"/holds/{hold}/renew", key=key), 200) for hold in (first, second)]
    assert [answer["hold_id"] for answer in renewed] == [first, second]
    async with counter.house.client.ws_connect(f"/api/v1/showtimes/{counter.showtime_id}/live") as socket:
        await socket.send_json({"type": "auth", "id": 1, "token": ana.token})
        await socket.send_json({"type": "renew", "id": 2, "key": key, "hold_id": second})
        while (said := await socket.receive_json(timeout=30)).get("id") != 2:
            pass
    assert {name: said[name] for name in renewed[1]} == renewed[1]


async def test_one_key_sent_20_times_at_once_and_after_a_restart_is_one_hold_with_equal_bytes(
    database_url: str,
) -> None:
    async with open_house(database_url) as house:
        counter = await open_counter(house)
        ana, key = counter.person(), fresh_key()
        path, wish = f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A1", "A2"]}
        answers = await asyncio.gather(*(ana.post(path, wish, key=key) for _ in range(20)))
        assert {answer.status for answer in answers} == {201}
        bodies = {await answer.read() for answer in answers}
        assert len(bodies) == 1
        other = await expect(await ana.post(path, {"seats": ["A3"]}, key=key), 422)
        assert other["code"] == "idempotency_mismatch"
    async with open_house(database_url) as house:
        ana.house = house
        again = await ana.post(path, wish, key=key)
        assert (again.status, {await again.read()}) == (201, bodies)
        counter.house = house
        assert (await counter.seats())["counts"]["held"] == 2


async def test_a_refusal_under_a_key_is_repeated_byte_for_byte(counter: Counter) -> None:
    ana, key = counter.person(), fresh_key()
    path = f"/showtimes/{counter.showtime_id}/holds"
    held = await counter.person().hold(counter.showtime_id, "A1")
    answers = [await ana.post(path, {"seats": ["A1"]}, key=key) for _ in range(3)]
    assert {answer.status for answer in answers} == {409}
    assert len({await answer.read() for answer in answers}) == 1
    assert held["seq"] == (await counter.seats())["seq"]


async def test_a_refused_key_is_refused_with_equal_bytes_after_a_restart_although_the_seat_is_free(
    database_url: str,
) -> None:
    key, said = fresh_key(), {"seats": ["C1", "C2"]}
    async with open_house(database_url) as house:
        counter = await open_counter(house)
        path = f"/showtimes/{counter.showtime_id}/holds"
        ana, bob = counter.person(), counter.person()
        held = await ana.hold(counter.showtime_id, "C2")
        refused = await bob.post(path, said, key=key)
        first = refused.status, await refused.read()
        assert (await ana.delete(f"/holds/{held['hold_id']}")).status == 204
    async with open_house(database_url) as house:
        ana.house = bob.house = house
        again = await bob.post(path, said, key=key)
        assert (again.status, await again.read()) == first
        assert first[0] == 409
        other = await expect(await bob.post(path, {"seats": ["C1"]}, key=key), 422)
        assert other["code"] == "idempotency_mismatch"
        await expect(await bob.post(path, said, key=fresh_key()), 201)


async def test_the_same_key_of_two_people_or_two_showtimes_is_two_keys(house: House) -> None:
    counter = await open_counter(house)
    first, key = counter.showtime_id, fresh_key()
    second = await premiere(house.app[POOL], counter.cinema, house.app[CLOCK].now() + 48 * HOUR, sales_open_at=0)
    ana, bob = counter.person(), counter.person()

    async def hold(who: Any, showtime_id: str, seat: str) -> str:
        response = await who.post(f"/showtimes/{showtime_id}/holds", {"seats": [seat]}, key=key)
        return str((await expect(response, 201))["hold_id"])

    made = {await hold(ana, first, "A1"), await hold(bob, first, "A2"), await hold(ana, second, "A1")}
    assert len(made) == 3


async def test_one_key_over_http_and_over_the_live_socket_is_one_command(counter: Counter) -> None:
    ana, key = counter.person(), fresh_key()
    wish = {"best_available": {"count": 2, "category": "standard"}, "ticket_types": {"*": "child"}}
    held = await expect(await ana.post(f"/showtimes/{counter.showtime_id}/holds", wish, key=key), 201)
    path = f"/api/v1/showtimes/{counter.showtime_id}/live"
    async with counter.house.client.ws_connect(path) as socket:
        await socket.send_json({"type": "auth", "id": 1, "token": ana.token})
        await socket.send_json({"type": "hold", "id": 2, "key": key, **wish})
        await socket.send_json({"type": "hold", "id": 3, "key": key, "seats": ["A1"]})
        results: dict[int, dict[str, Any]] = {}
        while 3 not in results:
            said = await socket.receive_json(timeout=30)
            if said["type"] == "result":
                results[said["id"]] = said
    assert {name: results[2][name] for name in held} == held
    assert (results[3]["status"], results[3]["code"]) == (422, "idempotency_mismatch")
    assert (await counter.seats())["counts"]["held"] == 2


async def test_a_hold_that_became_a_booking_says_which(counter: Counter) -> None:
    ana = counter.person()
    held = await ana.hold(counter.showtime_id, "A1")
    wish = {"hold_id": held["hold_id"]}
    booked = await expect(await ana.post("/bookings", wish, key=fresh_key()), 201)
    for answer in (await ana.get(f"/holds/{held['hold_id']}"), await ana.post("/bookings", wish, key=fresh_key())):
        body = await expect(answer, 409)
        assert (body["code"], body["booking_id"]) == ("hold_booked", booked["id"])


async def test_a_body_that_is_no_object_is_refused_in_plain_words(counter: Counter) -> None:
    for path in (f"/showtimes/{counter.showtime_id}/holds", "/bookings"):
        answer = await counter.person().post(path, ["F7"], key=fresh_key())
        refused = await expect(answer, 422)
        assert [fault["message"] for fault in refused["errors"]] == ["This must be a JSON object."]
