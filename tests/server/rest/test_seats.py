"""Looking at the seat map over HTTP, and the house's hand on it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.ids import mint
from actors.runtime.clock import ManualClock
from server.keys import CLOCK, HUB, LIVE, REGISTRY
from server.live.fold import fold, view_of
from server.rest.seats import WAIT_SECONDS_MAX, Encoded
from tests.server.house import House, open_house
from tests.server.rest.cinema import Counter, expect, fresh_key, open_counter

NOW = 1_800_000_000_000


@pytest.fixture
async def counter(house: House) -> Counter:
    return await open_counter(house, rows=3, seats_per_row=4)


async def events(counter: Counter, after: int, **query: str) -> dict[str, Any]:
    path = f"/showtimes/{counter.showtime_id}/events"
    return await expect(await counter.house.get(path, params={"after": str(after), **query}), 200)


async def test_the_map_says_what_is_taken_and_what_is_left(database_url: str) -> None:
    async with open_house(database_url, clock=ManualClock(NOW)) as house:
        counter = await open_counter(house, rows=3, seats_per_row=4)
        await counter.person().hold(counter.showtime_id, "A1")
        await counter.person().buy(counter.showtime_id, "B1")
        seen = await counter.seats()
    assert seen.pop("seq") > 3
    assert seen == {
        "showtime_id": counter.showtime_id,
        "epoch": 1,
        "layout_id": counter.cinema.layout.id,
        "layout_version": 1,
        "status": "scheduled",
        "sales": "open",
        "counts": {"free": 10, "held": 1, "sold": 1, "blocked": 0},
        "held": ["A1"],
        "sold": ["B1"],
        "blocked": [],
        "areas": [{"category": "standard", "free": 10, "largest_block": 4, "accessible_free": 0}],
        "server_time": "2027-01-15T08:00:00Z",
    }


async def test_other_forms_list_all_seats_or_only_count_them(counter: Counter) -> None:
    await counter.person().buy(counter.showtime_id, "A1")
    full = await counter.seats(format="full")
    assert (full["total_seats"], full["booked_seats"], len(full["available_seats"])) == (12, ["A1"], 11)
    counted = await counter.seats(format="counts")
    assert counted["counts"]["sold"] == 1
    assert "sold" not in counted
    await expect(await counter.house.get(f"/showtimes/{counter.showtime_id}/seats?format=xml"), 422)


async def test_with_a_token_the_map_shows_ones_own_holds_and_nobody_elses(counter: Counter) -> None:
    ana, bob = counter.person(), counter.person()
    held = await ana.hold(counter.showtime_id, "A1")
    await bob.hold(counter.showtime_id, "A2")
    path = f"/showtimes/{counter.showtime_id}/seats"
    answer = await ana.get(path)
    mine = (await expect(answer, 200))["mine"]
    assert [(hold["hold_id"], hold["seats"], hold["expires_at"]) for hold in mine] == [
        (held["hold_id"], held["seats"], held["expires_at"])
    ]
    assert answer.headers["Cache-Control"] == "private, no-store"
    public = await (await counter.house.get(path)).text()
    assert held["hold_id"] not in public
    assert ana.account_id not in public


async def test_a_map_that_has_not_changed_is_not_sent_again(counter: Counter) -> None:
    path = f"/showtimes/{counter.showtime_id}/seats"
    first = await counter.house.get(path)
    condition = {"If-None-Match": first.headers["ETag"]}
    assert (await counter.house.get(path, headers=condition)).status == 304
    await counter.person().hold(counter.showtime_id, "A1")
    changed = await counter.house.get(path, headers=condition)
    assert (await expect(changed, 200))["held"] == ["A1"]


async def test_the_staff_sees_the_map_as_it_was_at_a_version_or_a_moment(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        counter = await open_counter(house, rows=3, seats_per_row=4)
        ana, manager = counter.person(), counter.manager()
        path, seen = f"/showtimes/{counter.showtime_id}/seats", []
        for seat in ("A1", "A2", "A3"):
            clock.advance(1_000)
            await ana.hold(counter.showtime_id, seat)
            seen.append((clock.now(), await counter.seats()))
        clock.advance(1_000)
        await ana.hold(counter.showtime_id, "B1")
        for moment, then in seen:
            text = datetime.fromtimestamp((moment + 500) / 1_000, UTC).isoformat()
            for at in (str(then["seq"]), text, text.replace("+00:00", "Z")):
                past = await expect(await manager.get(path, params={"at": at}), 200)
                assert {**past, "server_time": ""} == {**then, "server_time": ""}
        counts = await expect(await manager.get(path, params={"at": "1", "format": "counts"}), 200)
        assert counts["counts"] == {"free": 12, "held": 0, "sold": 0, "blocked": 0}
        for nonsense in ("-1", "yesterday", "2026-11-21T18:00:00", "99999", "1999-01-01T00:00:00Z"):
            refused = await expect(await manager.get(path, params={"at": nonsense}), 422)
            assert [fault["path"] for fault in refused["errors"]] == ["at"]
            assert "function" not in refused["errors"][0]["message"]
        first = {"at": "1"}
        assert (await expect(await house.get(path, params=first), 401))["code"] == "auth_required"
        assert (await expect(await ana.get(path, params=first), 403))["code"] == "forbidden"
        stranger = counter.person("manager", theatres=(counter.showtime_id,))
        assert (await expect(await stranger.get(path, params=first), 403))["code"] == "out_of_scope"


async def test_a_seat_that_is_named_twice_in_one_change_of_the_house_is_refused(counter: Counter) -> None:
    path = f"/admin/showtimes/{counter.showtime_id}/seats"
    for asked in (
        {"block": [{"seat": "A1"}, {"seat": "A2"}], "unblock": ["A1"]},
        {"block": [{"seat": "A1"}, {"seat": "A1", "kind": "broken"}]},
    ):
        body = await expect(await counter.manager().put(path, asked), 422)
        assert (body["code"], body["conflicts"]) == ("duplicate_seat", [{"seat": "A1", "reason": "twice"}])
    assert (await counter.seats())["blocked"] == []


async def test_a_block_ends_when_the_house_said(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        counter = await open_counter(house, rows=3, seats_per_row=4)
        manager, path = counter.manager(), f"/admin/showtimes/{counter.showtime_id}"
        block = {"seat": "A1", "kind": "house", "reason": "press", "release_at": "2027-01-15T09:00:00Z"}
        late = {"seat": "A2", "release_at": "2027-01-15T07:00:00Z"}
        refused = await expect(await manager.put(f"{path}/seats", {"block": [block, late]}), 422)
        assert [fault["path"] for fault in refused["errors"]] == ["block.1.release_at"]
        done = await expect(await manager.put(f"{path}/seats", {"block": [block, {"seat": "B1"}]}), 200)
        assert done["results"] == [{"seat": "A1", "result": "blocked"}, {"seat": "B1", "result": "blocked"}]
        backstage = await expect(await manager.get(f"{path}/live"), 200)
        assert [one["release_at"] for one in backstage["blocked"]] == ["2027-01-15T09:00:00Z", None]
        clock.advance(59 * 60_000)
        assert (await counter.seats())["blocked"] == ["A1", "B1"]
        clock.advance(60_000)
        await counter.person().hold(counter.showtime_id, "A1")
        assert (await counter.seats())["blocked"] == ["B1"]


async def test_seats_of_an_allotment_are_not_sold_to_the_public(counter: Counter) -> None:
    manager, ana, path = counter.manager(), counter.person(), f"/admin/showtimes/{counter.showtime_id}"
    await ana.hold(counter.showtime_id, "A4")
    asked = {"channel": {"agency": ["A1", "A2"], "school": ["A4", "B1"]}}
    done = await expect(await manager.put(f"{path}/seats", asked), 200)
    assert done["results"] == [
        {"seat": "A1", "result": "allotted"},
        {"seat": "A2", "result": "allotted"},
        {"seat": "A4", "result": "refused", "reason": "held"},
        {"seat": "B1", "result": "allotted"},
    ]
    assert done["counts"] == {"free": 8, "held": 1, "sold": 0, "blocked": 3}
    backstage = await expect(await manager.get(f"{path}/live"), 200)
    assert (backstage["channel"], backstage["blocked"]) == ({"agency": ["A1", "A2"], "school": ["B1"]}, [])
    refused = await expect(await ana.post(f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A1", "A3"]}), 409)
    assert refused["conflicts"] == [{"seat": "A1", "reason": "channel"}]
    twice = {"channel": {"agency": ["C1"]}, "unblock": ["C1"]}
    assert (await expect(await manager.put(f"{path}/seats", twice), 422))["code"] == "duplicate_seat"
    for nameless in ("", "   ", " agency", "agency\n"):
        await expect(await manager.put(f"{path}/seats", {"channel": {nameless: ["C1"]}}), 422)
    freed = await expect(await manager.put(f"{path}/seats", {"unblock": ["A1"]}), 200)
    assert freed["results"] == [{"seat": "A1", "result": "free"}]
    await ana.hold(counter.showtime_id, "A1")


async def test_the_deltas_lead_from_every_old_map_to_the_new_one(counter: Counter) -> None:
    ana, manager = counter.person(), counter.manager()
    maps = [await counter.seats()]
    held = await ana.hold(counter.showtime_id, "A1", "A2")
    maps.append(await counter.seats())
    await ana.patch(f"/holds/{held['hold_id']}", {"add": ["A3"], "remove": ["A1"]})
    maps.append(await counter.seats())
    await ana.buy(counter.showtime_id, "B1")
    await manager.put(f"/admin/showtimes/{counter.showtime_id}/seats", {"block": [{"seat": "C1"}]})
    await ana.delete(f"/holds/{held['hold_id']}")
    await manager.post(f"/admin/showtimes/{counter.showtime_id}/sales/close", {})
    last = await counter.seats()
    for old in maps:
        told = await events(counter, old["seq"])
        assert [item.get("from", item.get("seq")) for item in told["items"]] == list(
            range(old["seq"] + 1, last["seq"] + 1)
        )
        view = view_of(old)
        for item in told["items"]:
            after = fold(view, {"counts": view.counts, **item})
            assert after not in (None, "resync")
            view = after  # type: ignore[assignment]
        assert {**view.as_json(), "counts": last["counts"]} == {
            name: last[name] if name not in ("held", "sold", "blocked") else sorted(last[name])
            for name in view.as_json()
        }


async def test_whoever_reads_deltas_hears_that_the_last_seats_went(counter: Counter) -> None:
    old = await counter.seats()
    for seats in (("A1", "A2", "A3", "A4", "B1", "B2", "B3"), ("B4", "C1", "C2", "C3", "C4")):
        await counter.person().buy(counter.showtime_id, *seats)
        view = view_of(old)
        for item in (await events(counter, old["seq"]))["items"]:
            after = fold(view, {"counts": view.counts, **item})
            assert after not in (None, "resync")
            view = after  # type: ignore[assignment]
        assert view.sales == (await counter.seats())["sales"]
    assert view.sales == "sold_out"


async def test_old_deltas_are_read_from_the_log_after_a_restart(database_url: str) -> None:
    async with open_house(database_url) as house:
        counter = await open_counter(house)
        ana = counter.person()
        for n in range(1, 6):
            await ana.hold(counter.showtime_id, f"A{n}")
        before = await events(counter, 0)
    async with open_house(database_url) as house:
        counter.house = house
        after = await events(counter, 0, wait="0")
        assert (after["epoch"], before["epoch"]) == (2, 1)
        for item in before["items"] + after["items"]:
            del item["epoch"]
        assert after["items"] == before["items"]
        first = await events(counter, 0, limit="2")
        assert (len(first["items"]), first["next_after"]) == (2, 2)


async def test_who_is_up_to_date_waits_for_the_next_change(counter: Counter) -> None:
    seq = (await counter.seats())["seq"]
    nothing = await events(counter, seq, wait="0")
    assert (nothing["items"], nothing["next_after"]) == ([], seq)
    hub_waits = asyncio.ensure_future(events(counter, seq))
    await counter.person().hold(counter.showtime_id, "A1")
    told = await hub_waits
    assert told["items"][-1]["held"] == ["A1"]


async def test_who_waits_for_a_change_does_not_hold_up_a_restart(counter: Counter) -> None:
    seq = (await counter.seats())["seq"]
    waiting = asyncio.ensure_future(events(counter, seq))
    async with asyncio.timeout(WAIT_SECONDS_MAX / 2):
        while not counter.house.app[HUB]._waiters:
            await asyncio.sleep(0.01)
        await counter.house.app[LIVE].drain()
        told = await waiting
    assert (told["items"], told["next_after"]) == ([], seq)


async def test_deltas_from_too_far_away_are_gone(counter: Counter) -> None:
    path = f"/showtimes/{counter.showtime_id}/events"
    body = await expect(await counter.house.get(path, params={"after": "999999"}), 410)
    assert body["code"] == "seq_too_old"
    await expect(await counter.house.get(path), 422)
    await expect(await counter.house.get(path, params={"after": "-1"}), 422)


async def test_nothing_public_names_a_person(counter: Counter) -> None:
    ana = counter.person()
    bought = await ana.buy(counter.showtime_id, "A1")
    text = await (await counter.house.get(f"/showtimes/{counter.showtime_id}/events?after=0")).text()
    for secret in (ana.account_id, bought["id"], bought["reference"], bought["hold_id"], "108560", "amount"):
        assert secret not in text


async def test_the_staff_of_the_theatre_reads_who_did_what(counter: Counter) -> None:
    ana, manager = counter.person(), counter.manager()
    seq = (await counter.seats())["seq"]
    held = await ana.hold(counter.showtime_id, "A1")
    path = f"/showtimes/{counter.showtime_id}/events?after={seq}&wait=0"
    for who in (manager, counter.person("box_office", theatres=(counter.cinema.theatre_id,)), counter.person("admin")):
        [item] = (await expect(await who.get(path), 200))["items"]
        record = item.pop("record")
        assert (record["event"], record["hold_id"], record["owner"]) == ("seats_held", held["hold_id"], ana.account_id)
        assert record["actor"] == {"kind": "customer", "id": ana.account_id}
        assert (item["from"], item["to"], item["held"]) == (seq + 1, seq + 1, ["A1"])
    elsewhere = counter.person("manager", theatres=(mint(NOW),))
    for who in (ana, elsewhere, counter.person("usher", theatres=(counter.cinema.theatre_id,))):
        assert (await expect(await who.get(path), 200))["items"] == [item]


async def test_an_unknown_showtime_has_no_map(counter: Counter) -> None:
    unknown = mint(counter.house.app[CLOCK].now())
    for path in (f"/showtimes/{unknown}/seats", "/showtimes/x/seats", f"/showtimes/{unknown}/events?after=0"):
        assert (await expect(await counter.house.get(path), 404))["code"] == "showtime_not_found"


async def test_the_old_addresses_of_the_map_lead_to_it(counter: Counter) -> None:
    for path in (
        f"/shows/{counter.showtime_id}/seats",
        f"/seats/availability?showtimeId={counter.showtime_id}",
        f"/seats?showtime_id={counter.showtime_id}",
    ):
        answer = await counter.house.get(path)
        assert [(step.status, "X-Request-Id" in step.headers) for step in answer.history] == [(308, True)]
        assert (await expect(answer, 200))["counts"]["free"] == 12
    await expect(await counter.house.get("/seats"), 422)
    sought = await counter.house.get(f"/seats?showtimeId={counter.showtime_id}&format=full")
    assert (await expect(sought, 200))["total_seats"] == 12


async def test_the_house_blocks_seats_and_frees_them_seat_by_seat(counter: Counter) -> None:
    await counter.person().buy(counter.showtime_id, "A1")
    path, manager = f"/admin/showtimes/{counter.showtime_id}/seats", counter.manager()
    wish = {"block": [{"seat": "A1"}, {"seat": "A2", "kind": "broken", "reason": "spring"}, {"seat": "A3"}]}
    body = await expect(await manager.put(path, wish), 200)
    assert {result["seat"]: (result["result"], result.get("reason")) for result in body["results"]} == {
        "A1": ("refused", "sold"),
        "A2": ("blocked", None),
        "A3": ("blocked", None),
    }
    assert (await counter.seats())["blocked"] == ["A2", "A3"]
    refused = await expect(
        await counter.person().post(f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A2"]}), 409
    )
    assert (refused["conflicts"], refused["detail"]) == (
        [{"seat": "A2", "reason": "blocked"}],
        "A2 is not for sale.",
    )
    await expect(await manager.put(path, {"unblock": ["A2", "A3"]}), 200)
    assert (await counter.seats())["blocked"] == []
    sold = await expect(await manager.put(path, {"block": [{"seat": "A1"}]}), 409)
    assert sold["conflicts"] == [{"seat": "A1", "reason": "sold"}]
    unknown = await expect(await manager.put(path, {"block": [{"seat": "A2"}, {"seat": "a2"}]}), 422)
    assert unknown["code"] == "unknown_seat"
    assert (await counter.seats())["blocked"] == []


async def test_sales_are_closed_and_opened_by_hand(counter: Counter) -> None:
    ana, manager = counter.person(), counter.manager()
    path = f"/admin/showtimes/{counter.showtime_id}/sales"
    assert (await expect(await manager.post(f"{path}/close", {"reason": "projector"}), 200))["sales"] == "closed"
    refused = await ana.post(f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A1"]})
    assert (await expect(refused, 409))["code"] == "sales_closed"
    assert (await expect(await manager.post(f"{path}/open"), 200))["sales"] == "open"
    await ana.hold(counter.showtime_id, "A1")


async def test_a_cancelled_showtime_gives_everybody_their_money_back(counter: Counter) -> None:
    ana, bob, manager = counter.person(), counter.person(), counter.manager()
    bought = await ana.buy(counter.showtime_id, "A1", "A2")
    await bob.hold(counter.showtime_id, "B1")
    path, key = f"/admin/showtimes/{counter.showtime_id}/cancel", fresh_key()
    first = await manager.post(path, {"reason": "power cut"}, key=key)
    body = await expect(first, 202)
    assert (body["bookings"], body["pending"], body["amount"]) == (1, 1, bought["total"])
    again = await manager.post(path, {"reason": "power cut"}, key=key)
    assert await again.read() == await first.read()
    other = await expect(await manager.post(path, {"reason": "again"}, key=fresh_key()), 409)
    assert other["code"] == "already_cancelled"
    seen = await counter.seats()
    assert (seen["status"], seen["sales"], seen["counts"]["free"]) == ("cancelled", "closed", 12)
    refused = await ana.post(f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A1"]})
    assert (await expect(refused, 409))["code"] == "showtime_cancelled"
    shown = await expect(await ana.get(f"/bookings/{bought['id']}"), 200)
    assert (shown["status"], shown["payment"]["status"]) == ("cancelled", "refunded")


async def test_only_the_staff_of_the_theatre_may_touch_its_showtimes(counter: Counter) -> None:
    base = f"/admin/showtimes/{counter.showtime_id}"
    foreign = counter.person("manager", theatres=(counter.showtime_id,))
    for who, status, code in (
        (foreign, 403, "out_of_scope"),
        (counter.person(), 403, "forbidden"),
        (counter.person("guest"), 403, "forbidden"),
        (counter.person("usher", theatres=(counter.cinema.theatre_id,)), 403, "forbidden"),
    ):
        for answer in (
            await who.put(f"{base}/seats", {"block": [{"seat": "A1"}]}),
            await who.post(f"{base}/sales/close", {}),
            await who.post(f"{base}/cancel", {"reason": "x"}, key=fresh_key()),
            await who.get(f"{base}/live"),
        ):
            assert (await expect(answer, status))["code"] == code
    await expect(await counter.house.get(f"{base}/live"), 401)
    await expect(await counter.manager().get("/admin/showtimes/nonsense/live"), 404)
    await expect(await counter.person("admin").get(f"{base}/live"), 200)


async def test_what_the_house_does_under_a_key_is_answered_as_at_first(counter: Counter) -> None:
    manager, base = counter.manager(), f"/admin/showtimes/{counter.showtime_id}"
    done = [
        ("PUT", f"{base}/seats", {"block": [{"seat": "A1"}]}),
        ("POST", f"{base}/sales/close", {"reason": "fire"}),
        ("POST", f"{base}/sales/open", {}),
        ("PUT", f"{base}/seats", {"unblock": ["A1"]}),
    ]
    headers = [{"Idempotency-Key": fresh_key()} for _ in done]

    async def say(number: int) -> tuple[int, bytes]:
        method, path, body = done[number]
        answer = await counter.house.ask(method, path, token=manager.token, json=body, headers=headers[number])
        return answer.status, await answer.read()

    first = [await say(number) for number in range(len(done))]
    assert {status for status, _ in first} == {200}
    await counter.person().hold(counter.showtime_id, "B1")
    assert [await say(number) for number in range(len(done))] == first


async def test_the_house_sees_who_holds_what(counter: Counter) -> None:
    ana = counter.person()
    held = await ana.hold(counter.showtime_id, "A1")
    booked = await ana.book(counter.showtime_id, "B1")
    live = await expect(await counter.manager().get(f"/admin/showtimes/{counter.showtime_id}/live"), 200)
    assert live["mailbox_depth"] == 0
    assert live["holds"] == [
        {
            "hold_id": held["hold_id"],
            "holder": ana.account_id,
            "seats": ["A1"],
            "expires_at": held["expires_at"],
            "renewals_left": 2,
        }
    ]
    assert [unpaid["reference"] for unpaid in live["unpaid"]] == [booked["reference"]]


async def test_the_house_can_take_a_hold_away(counter: Counter) -> None:
    ana = counter.person()
    held = await ana.hold(counter.showtime_id, "A1")
    path = f"/admin/showtimes/{counter.showtime_id}/holds/{held['hold_id']}/release"
    await expect(await ana.post(path, {}), 403)
    assert (await counter.manager().post(path, {"reason": "abandoned"})).status == 204
    await expect(await ana.get(f"/holds/{held['hold_id']}"), 410)
    assert (await counter.seats())["held"] == []


async def test_a_map_is_encoded_once_for_each_version(counter: Counter) -> None:
    actor, kept = await counter.house.app[REGISTRY].actor(counter.showtime_id), Encoded()
    assert kept.body(actor, "sparse") is kept.body(actor, "sparse")
