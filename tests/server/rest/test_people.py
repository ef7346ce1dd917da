"""One's own account: sessions, profile, preferences, growing from a guest, and being forgotten."""

from typing import Any

from persistence.database import Pool
from tests.server.house import House
from tests.server.rest.cinema import Counter, expect, fresh_key, open_counter

EMAIL = "ana@example.com"
PASSWORD = "correct horse battery"


async def code_of(response: Any) -> tuple[int, str]:
    return response.status, (await response.json())["code"]


async def test_one_sees_where_one_is_signed_in_and_ends_it_there(house: House) -> None:
    first = await house.member(email=EMAIL, password=PASSWORD)
    second = await (
        await house.post("/auth/login", {"email": EMAIL, "password": PASSWORD}, headers={"User-Agent": "Browser/1"})
    ).json()
    listed = await expect(await house.get("/auth/sessions", token=first["access_token"]), 200)
    assert listed["next_cursor"] is None
    assert sorted((one["agent"] == "Browser/1", one["current"]) for one in listed["items"]) == [
        (False, True), (True, False),
    ]  # fmt: skip
    pages = [await expect(await house.get("/auth/sessions?limit=1", token=first["access_token"]), 200)]
    rest = f"/auth/sessions?limit=1&cursor={pages[0]['next_cursor']}"
    pages.append(await expect(await house.get(rest, token=first["access_token"]), 200))
    assert [page["items"] for page in pages] == [[one] for one in listed["items"]]
    assert pages[1]["next_cursor"] is None
    other = next(one for one in listed["items"] if not one["current"])
    stranger = await house.member()
    for token, status in ((stranger["access_token"], 404), (first["access_token"], 204), (first["access_token"], 404)):
        assert (await house.ask("DELETE", f"/auth/sessions/{other['id']}", token=token)).status == status
    assert await code_of(await house.get("/auth/me", token=second["access_token"])) == (401, "token_revoked")
    assert (await house.post("/auth/refresh", {"refresh_token": second["refresh_token"]})).status == 401
    left = await expect(await house.get("/auth/sessions", token=first["access_token"]), 200)
    assert [one["current"] for one in left["items"]] == [True]


async def test_a_profile_that_somebody_else_changed_meanwhile_is_not_written_over(house: House) -> None:
    token = (await house.member())["access_token"]
    seen = (await house.get("/auth/me", token=token)).headers["ETag"]

    async def change(name: str, **headers: str) -> Any:
        return await house.ask("PATCH", "/auth/me", json={"display_name": name}, token=token, headers=headers)

    first = await change("Ana One", **{"If-Match": seen})
    assert first.status == 200
    assert await code_of(await change("Ana Two", **{"If-Match": seen})) == (412, "precondition_failed")
    assert (await change("Ana Three", **{"If-Match": first.headers["ETag"]})).status == 200
    assert (await change("Ana Four", **{"If-Match": "*"})).status == 200
    assert (await (await change("Ana Five")).json())["display_name"] == "Ana Five"


async def test_another_number_has_to_be_proved_again(house: House) -> None:
    token = (await house.member())["access_token"]
    await house.post("/auth/otp/request", {"phone": "+4930123456"})
    asked = {"phone": "+4930123456", "code": await house.code("+4930123456")}
    await house.post("/auth/otp/verify", asked, token=token)
    same = await house.ask("PATCH", "/auth/me", json={"display_name": "Ana B"}, token=token)
    assert (await same.json())["phone_verified"] is True
    other = await house.ask("PATCH", "/auth/me", json={"phone": "+4930999999"}, token=token)
    assert (await other.json())["phone_verified"] is False


async def test_preferences_change_topic_by_topic_and_way_by_way(house: House) -> None:
    token = (await house.member())["access_token"]
    usual = await expect(await house.get("/me/notification-preferences", token=token), 200)
    assert usual["booking_confirmed"] == {"in_app": True, "email": True, "sms": False, "push": False}
    changes: list[dict[str, Any]] = [
        {"booking_confirmed": {"sms": True}},
        {"booking_confirmed": {"email": False}, "time_zone": "Asia/Kolkata"},
    ]
    for change in changes:
        response = await house.ask("PATCH", "/me/notification-preferences", json=change, token=token)
        assert response.status == 200
    changed = await expect(await house.get("/me/notification-preferences", token=token), 200)
    assert changed == usual | {
        "booking_confirmed": {"in_app": True, "email": False, "sms": True, "push": False}, "time_zone": "Asia/Kolkata",
    }  # fmt: skip
    assert (await (await house.get("/auth/me", token=token)).json())["time_zone"] == "Asia/Kolkata"
    for bad in ({"gossip": {"sms": True}}, {"booking_confirmed": {"pigeon": True}}, {"time_zone": "Mars/Base"}):
        response = await house.ask("PATCH", "/me/notification-preferences", json=bad, token=token)
        assert response.status == 422


async def test_a_guest_who_registers_keeps_holds_and_bookings(house: House) -> None:
    counter = await open_counter(house)
    guest = await house.guest()
    held = await expect(await hold(counter, guest["access_token"], "A1", "A2"), 201)
    booked = await expect(await book(counter, guest["access_token"], held["hold_id"]), 201)
    still = await expect(await hold(counter, guest["access_token"], "B1"), 201)
    asked = {"email": EMAIL, "password": PASSWORD, "display_name": "Ana"}
    member = await expect(await house.post("/auth/register", asked, token=guest["access_token"]), 201)
    assert member["user"]["id"] == guest["user"]["id"]
    assert (member["user"]["roles"], member["user"]["created_at"]) == (["customer"], guest["user"]["created_at"])
    token = member["access_token"]
    assert (await house.get(f"/holds/{still['hold_id']}", token=token)).status == 200
    mine = await expect(await house.get("/bookings", token=token), 200)
    assert [one["id"] for one in mine["items"]] == [booked["id"]]
    assert (await house.post("/auth/refresh", {"refresh_token": guest["refresh_token"]})).status == 401
    assert (await house.post("/auth/login", {"email": EMAIL, "password": PASSWORD})).status == 200


async def test_a_guest_who_proves_a_number_keeps_holds(house: House) -> None:
    counter = await open_counter(house)
    guest = await house.guest()
    held = await expect(await hold(counter, guest["access_token"], "A1"), 201)
    await house.post("/auth/otp/request", {"phone": "+4930123456"})
    asked = {"phone": "+4930123456", "code": await house.code("+4930123456")}
    member = await expect(await house.post("/auth/otp/verify", asked, token=guest["access_token"]), 200)
    assert (await house.get(f"/holds/{held['hold_id']}", token=member["access_token"])).status == 200


async def test_an_address_that_is_taken_leaves_the_guest_a_guest(house: House) -> None:
    await house.member(email=EMAIL)
    guest = await house.guest()
    asked = {"email": EMAIL, "password": PASSWORD, "display_name": "Ana"}
    response = await house.post("/auth/register", asked, token=guest["access_token"])
    assert await code_of(response) == (409, "email_taken")
    refreshed = await expect(await house.post("/auth/refresh", {"refresh_token": guest["refresh_token"]}), 200)
    assert refreshed["user"]["roles"] == ["guest"]


async def test_who_is_erased_leaves_no_trace_but_the_bookings_and_the_log(house: House, pool: Pool) -> None:
    counter = await open_counter(house)
    ana = await house.member(email=EMAIL, password=PASSWORD, display_name="Ana Unmistakable", phone="+49301111111")
    token = ana["access_token"]
    held = await expect(await hold(counter, token, "A1"), 201)
    contact = {"email": EMAIL, "name": "Ana Unmistakable", "phone": "+49301111111"}
    await expect(await book(counter, token, held["hold_id"], contact=contact), 201)
    await house.settle()
    refused = await house.ask("DELETE", "/auth/me", token=token)
    assert await code_of(refused) == (409, "upcoming_bookings")

    wanted = {"name": "Cine Ana", "city": "Ulm"}
    made = await expect(await house.post("/theatre-applications", wanted, token=token), 201)
    admin = counter.person("admin")
    decided = await admin.post(f"/admin/theatre-applications/{made['id']}/approve", key=fresh_key())
    assert (await expect(decided, 200))["contact"]["email"] == EMAIL
    fresh = await expect(await house.post("/auth/refresh", {"refresh_token": ana["refresh_token"]}), 200)
    token = fresh["access_token"]
    await pool.execute("UPDATE showtime SET starts_at = now() - interval '3 days', ends_at = now() - interval '2 days'")
    log = await pool.fetch("SELECT * FROM event ORDER BY showtime_id, version")
    assert (await house.ask("DELETE", "/auth/me", token=token)).status == 202
    assert await code_of(await house.get("/auth/me", token=token)) == (401, "token_revoked")
    assert (await house.post("/auth/refresh", {"refresh_token": ana["refresh_token"]})).status == 401
    assert (await house.post("/auth/login", {"email": EMAIL, "password": PASSWORD})).status == 401
    assert await pool.fetch("SELECT * FROM event ORDER BY showtime_id, version") == log
    assert await pool.fetchval("SELECT count(*) FROM booking WHERE owner = $1", ana["user"]["id"]) == 1
    assert await places_with(pool, "Unmistakable", EMAIL, "49301111111") == []
    again = await house.member(email=EMAIL, phone="+49301111111")
    assert again["user"]["id"] != ana["user"]["id"]


async def test_a_guest_has_nothing_to_erase(house: House) -> None:
    guest = await house.guest()
    response = await house.ask("DELETE", "/auth/me", token=guest["access_token"])
    assert await code_of(response) == (403, "forbidden")


async def places_with(pool: Pool, *words: str) -> list[str]:
    """Every table in which one of these texts is found."""
    tables = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [
        name
        for (name,) in tables
        for word in words
        if await pool.fetchval(f"SELECT count(*) FROM {name} t WHERE t::text LIKE '%' || $1 || '%'", word)
    ]


async def hold(counter: Counter, token: str, *seats: str) -> Any:
    return await counter.house.post(f"/showtimes/{counter.showtime_id}/holds", {"seats": list(seats)}, token=token)


async def book(counter: Counter, token: str, hold_id: str, **rest: Any) -> Any:
    asked = {"hold_id": hold_id, "contact": {"email": "guest@example.com", "name": "A Guest"}, **rest}
    headers = {"Idempotency-Key": fresh_key()}
    return await counter.house.post("/bookings", asked, token=token, headers=headers)
