"""A guest chooses seats and then signs in: the seats come along."""

from typing import Any

import pytest

from tests.server.house import House
from tests.server.rest.cinema import Counter, expect, open_counter

PHONE = "+4930123456"


@pytest.fixture
async def counter(house: House) -> Counter:
    return await open_counter(house)


async def hold(counter: Counter, token: str, *seats: str) -> dict[str, Any]:
    path = f"/showtimes/{counter.showtime_id}/holds"
    return await expect(await counter.house.post(path, {"seats": seats}, token=token), 201)


async def mine(counter: Counter, token: str) -> list[dict[str, Any]]:
    response = await counter.house.get(f"/showtimes/{counter.showtime_id}/seats", token=token)
    holds: list[dict[str, Any]] = (await expect(response, 200))["mine"]
    return holds


async def test_what_a_guest_holds_comes_along_when_it_logs_in(counter: Counter) -> None:
    house = counter.house
    await house.member(email="ana@example.com", password="correct horse")
    guest = (await house.guest())["access_token"]
    held = await hold(counter, guest, "F7", "F8")
    asked = {"email": "ana@example.com", "password": "wrong horse"}
    await expect(await house.post("/auth/login", asked, token=guest), 401)
    assert [one["hold_id"] for one in await mine(counter, guest)] == [held["hold_id"]]
    ana = (await expect(await house.post("/auth/login", asked | {"password": "correct horse"}, token=guest), 200))[
        "access_token"
    ]
    (own,) = await mine(counter, ana)
    assert own["hold_id"] != held["hold_id"]
    assert (held["renewals_left"], own["renewals_left"]) == (2, 1), "no longer in all than the guest could have had it"
    same = ("seats", "total", "expires_at", "next_to_each_other")
    assert {name: own[name] for name in same} == {name: held[name] for name in same}
    assert await mine(counter, guest) == []
    late = await house.post("/bookings", {"hold_id": held["hold_id"], "contact": {"email": "gus@example.com"}},
        token=guest, headers={"Idempotency-Key": "late"})  # fmt: skip
    assert (late.status, (await late.json())["code"]) == (410, "hold_expired")
    placed = await house.post("/bookings", {"hold_id": own["hold_id"]}, token=ana, headers={"Idempotency-Key": "ana"})
    assert (await expect(placed, 201))["status"] == "pending_payment"


async def test_it_comes_along_by_a_code_as_well(counter: Counter) -> None:
    house = counter.house

    async def by_code(token: str | None) -> dict[str, Any]:
        await house.post("/auth/otp/request", {"phone": PHONE})
        asked = {"phone": PHONE, "code": await house.code(PHONE)}
        return await expect(await house.post("/auth/otp/verify", asked, token=token), 200)

    before = await by_code(None)
    guest = (await house.guest())["access_token"]
    await hold(counter, guest, "A1")
    now = await by_code(guest)
    assert now["user"]["id"] == before["user"]["id"]
    assert [one["seats"][0]["seat"] for one in await mine(counter, now["access_token"])] == ["A1"]


async def test_more_than_one_may_have_stays_with_the_guest(counter: Counter) -> None:
    house = counter.house
    ana = (await house.member(email="ana@example.com", password="correct horse"))["access_token"]
    await hold(counter, ana, *[f"A{n}" for n in range(1, 10)])
    guest = (await house.guest())["access_token"]
    few, many = await hold(counter, guest, "B1"), await hold(counter, guest, "C1", "C2")
    asked = {"email": "ana@example.com", "password": "correct horse"}
    await expect(await house.post("/auth/login", asked, token=guest), 200)
    assert [[line["seat"] for line in one["seats"]] for one in await mine(counter, ana)][1:] == [["B1"]]
    assert [one["hold_id"] for one in await mine(counter, guest)] == [many["hold_id"]]
    assert few["hold_id"] not in {one["hold_id"] for one in await mine(counter, ana)}


async def test_nobody_but_a_guest_leaves_anything_behind(counter: Counter) -> None:
    house = counter.house
    bob = (await house.member(email="bob@example.com"))["access_token"]
    await house.member(email="ana@example.com", password="correct horse")
    held = await hold(counter, bob, "D1")
    asked = {"email": "ana@example.com", "password": "correct horse"}
    ana = (await expect(await house.post("/auth/login", asked, token=bob), 200))["access_token"]
    assert await mine(counter, ana) == []
    assert [one["hold_id"] for one in await mine(counter, bob)] == [held["hold_id"]]
    await expect(await house.post("/auth/login", asked, token="nobody's"), 200)
