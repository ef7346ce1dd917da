"""What people may do, who says so, and how soon it holds."""

import asyncio
from typing import Any

import pytest

from persistence.database import Pool
from server.staff import create_admin
from tests.server.house import House, open_house, plain
from tests.server.rest.cinema import Counter, expect, fresh_key, open_counter

PASSWORD = "correct horse battery"


async def code_of(response: Any) -> tuple[int, str]:
    return response.status, (await response.json())["code"]


@pytest.fixture
async def counter(house: House) -> Counter:
    return await open_counter(house)


@pytest.fixture
async def admin(house: House, database_url: str) -> str:
    """The token of an administrator."""
    said = await create_admin(database_url, "root@example.com")
    asked = {"email": "root@example.com", "password": said.split()[-1]}
    return str((await expect(await house.post("/auth/login", asked), 200))["access_token"])


async def change(house: House, admin: str, user_id: str, asked: dict[str, Any], **headers: str) -> Any:
    return await house.ask("PATCH", f"/admin/users/{user_id}", json=asked, token=admin, headers=headers)


async def test_a_grant_holds_at_once_and_refreshing_brings_it(counter: Counter, admin: str) -> None:
    house, theatre = counter.house, counter.cinema.theatre_id
    ana = await house.member()
    asked = {"roles": ["customer", "box_office"], "scopes": [theatre]}
    granted = await expect(await change(house, admin, ana["user"]["id"], asked), 200)
    assert (granted["roles"], granted["scopes"]) == (["box_office", "customer"], [theatre])
    assert await code_of(await house.get("/auth/me", token=ana["access_token"])) == (401, "token_expired")
    fresh = await expect(await house.post("/auth/refresh", {"refresh_token": ana["refresh_token"]}), 200)
    assert fresh["user"]["roles"] == ["box_office", "customer"]
    seats = {"block": [{"seat": "A1", "reason": "broken", "kind": "broken"}]}
    path = f"/admin/showtimes/{counter.showtime_id}/seats"
    assert (await house.ask("PUT", path, json=seats, token=fresh["access_token"])).status == 200
    await expect(await change(house, admin, ana["user"]["id"], {"roles": ["customer"], "scopes": []}), 200)
    refused = await house.ask("PUT", path, json=seats, token=fresh["access_token"])
    assert await code_of(refused) == (401, "token_expired")


async def test_a_change_that_changes_nothing_outdates_nobody(house: House, admin: str) -> None:
    ana = await house.member()
    same = await expect(await change(house, admin, ana["user"]["id"], {"roles": ["customer"]}), 200)
    assert same["revision"] == 1
    assert (await house.get("/auth/me", token=ana["access_token"])).status == 200


async def test_who_is_blocked_is_out_everywhere_and_stays_out(house: House, admin: str) -> None:
    ana = await house.member(email="ana@example.com", password=PASSWORD)
    blocked = await expect(await change(house, admin, ana["user"]["id"], {"blocked": True}), 200)
    assert blocked["blocked"] is True
    assert await code_of(await house.get("/auth/me", token=ana["access_token"])) == (401, "token_revoked")
    assert (await house.post("/auth/refresh", {"refresh_token": ana["refresh_token"]})).status == 401
    asked = {"email": "ana@example.com", "password": PASSWORD}
    assert await code_of(await house.post("/auth/login", asked)) == (401, "invalid_credentials")
    await house.post("/auth/forgot-password", {"email": "ana@example.com"})
    assert not any("#reset=" in plain(letter) for letter in await house.letters("ana@example.com"))
    await expect(await change(house, admin, ana["user"]["id"], {"blocked": False}), 200)
    assert (await house.post("/auth/login", asked)).status == 200


async def test_a_role_that_was_taken_stays_taken_after_a_restart(database_url: str) -> None:
    async with open_house(database_url) as house:
        said = await create_admin(database_url, "root@example.com")
        asked = {"email": "root@example.com", "password": said.split()[-1]}
        admin = (await expect(await house.post("/auth/login", asked), 200))["access_token"]
        ana = await house.member()
        await expect(await change(house, admin, ana["user"]["id"], {"roles": ["customer", "usher"]}), 200)
    async with open_house(database_url) as house:
        assert await code_of(await house.get("/auth/me", token=ana["access_token"])) == (401, "token_expired")
        fresh = await expect(await house.post("/auth/refresh", {"refresh_token": ana["refresh_token"]}), 200)
        assert fresh["user"]["roles"] == ["customer", "usher"]


async def test_of_two_administrators_who_demote_each_other_one_stays(house: House, admin: str) -> None:
    me = (await expect(await house.get("/auth/me", token=admin), 200))["id"]
    other = await house.member()
    await expect(await change(house, admin, other["user"]["id"], {"roles": ["admin"]}), 200)
    fresh = await expect(await house.post("/auth/refresh", {"refresh_token": other["refresh_token"]}), 200)
    demote = {"roles": ["customer"]}
    answers = await asyncio.gather(
        change(house, admin, other["user"]["id"], demote), change(house, fresh["access_token"], me, demote)
    )
    assert sorted(answer.status for answer in answers)[0] == 200
    assert sorted(answer.status for answer in answers)[1] in (401, 409)


async def test_the_last_administrator_stays_one(house: House, admin: str) -> None:
    me = (await expect(await house.get("/auth/me", token=admin), 200))["id"]
    for asked in ({"roles": ["customer"]}, {"blocked": True}):
        assert await code_of(await change(house, admin, me, asked)) == (409, "last_admin")
    assert await code_of(await house.ask("DELETE", "/auth/me", token=admin)) == (409, "last_admin")


async def test_a_member_whom_somebody_else_changed_meanwhile_is_not_written_over(house: House, admin: str) -> None:
    ana = await house.member()
    seen = (await house.get(f"/admin/users/{ana['user']['id']}", token=admin)).headers["ETag"]
    first = await change(house, admin, ana["user"]["id"], {"roles": ["usher"]}, **{"If-Match": seen})
    assert first.status == 200
    second = await change(house, admin, ana["user"]["id"], {"roles": ["customer"]}, **{"If-Match": seen})
    assert await code_of(second) == (412, "precondition_failed")


@pytest.mark.parametrize(
    "asked",
    [{"roles": ["guest"]}, {"roles": []}, {"roles": ["owner"]}, {"scopes": ["0198-nothing"]}, {"password": "x" * 12},
     {"scopes": ["01980000-0000-7000-8000-000000000000"]}],
)  # fmt: skip
async def test_what_cannot_be_granted_is_refused(house: House, admin: str, asked: dict[str, Any]) -> None:
    ana = await house.member()
    assert await code_of(await change(house, admin, ana["user"]["id"], asked)) == (422, "validation_failed")


async def test_guests_and_strangers_are_no_members(house: House, admin: str) -> None:
    guest = await house.guest()
    for unknown in (guest["user"]["id"], "01980000-0000-7000-8000-000000000000", "nobody"):
        assert await code_of(await change(house, admin, unknown, {"roles": ["admin"]})) == (404, "user_not_found")
    manager = await house.member()
    for path in ("/admin/users", f"/admin/users/{manager['user']['id']}", "/admin/theatre-applications"):
        assert await code_of(await house.get(path, token=manager["access_token"])) == (403, "forbidden")
        assert await code_of(await house.get(path)) == (401, "auth_required")


async def test_members_are_found_and_listed_page_by_page(house: House, admin: str) -> None:
    ana = await house.member(email="ana_b@example.com", display_name="Ana 100% Bell", phone="+4930555")
    for _ in range(6):
        await house.member()
    await house.guest()

    async def found(**query: str) -> list[str]:
        body = await expect(await house.get("/admin/users", token=admin, params=query), 200)
        return [member["id"] for member in body["items"]]

    for words in ("ANA_B", "100%", "bell", "+4930555", "ana 100"):
        assert await found(q=words) == [ana["user"]["id"]]
    assert await found(q="anaxb") == []
    assert await found(q="%") == [ana["user"]["id"]]
    assert len(await found(role="admin")) == 1
    assert await found(blocked="true") == []
    seen: list[str] = []
    query: dict[str, str] = {"limit": "3"}
    while True:
        body = await expect(await house.get("/admin/users", token=admin, params=query), 200)
        seen += [member["id"] for member in body["items"]]
        if body["next_cursor"] is None:
            break
        query["cursor"] = body["next_cursor"]
    assert (len(seen), len(set(seen))) == (8, 8)


async def test_a_theatre_gets_and_loses_a_manager(counter: Counter, admin: str) -> None:
    house, theatre = counter.house, counter.cinema.theatre_id
    ana = await house.member()
    path = f"/admin/theatres/{theatre}/managers/{ana['user']['id']}"
    for method, roles, scopes in (
        ("PUT", ["customer", "manager"], [theatre]),
        ("PUT", ["customer", "manager"], [theatre]),
        ("DELETE", ["customer"], []),
        ("DELETE", ["customer"], []),
    ):
        assert (await house.ask(method, path, token=admin)).status == 204
        shown = await expect(await house.get(f"/admin/users/{ana['user']['id']}", token=admin), 200)
        assert (shown["roles"], shown["scopes"]) == (roles, scopes)
    nowhere = path.replace(theatre, "01980000-0000-7000-8000-000000000000")
    assert await code_of(await house.ask("PUT", nowhere, token=admin)) == (404, "theatre_not_found")


async def test_an_approved_application_makes_a_theatre_and_its_manager(house: House, admin: str) -> None:
    ana = await house.member(email="ana@example.com")
    asked = {"name": "Lichtburg", "city": "Essen", "address": "1 Road", "time_zone": "Europe/Berlin", "currency": "EUR"}
    made = await expect(await house.post("/theatre-applications", asked, token=ana["access_token"]), 201)
    assert (made["status"], made["contact"]["email"]) == ("pending", "ana@example.com")
    path = f"/admin/theatre-applications/{made['id']}"
    listed = await expect(await house.get("/admin/theatre-applications?status=pending", token=admin), 200)
    assert [one["id"] for one in listed["items"]] == [made["id"]]
    answers = await asyncio.gather(
        *(house.post(f"{path}/approve", token=admin) for _ in range(3)),
        house.post(f"{path}/reject", {"reason": "no"}, token=admin),
    )
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert {(await code_of(answer))[1] for answer in answers if answer.status == 409} == {"already_decided"}


async def test_what_an_approval_grants_holds_at_once(house: House, admin: str) -> None:
    ana = await house.member(email="ana@example.com")
    asked = {"name": "Lichtburg", "city": "Essen", "time_zone": "Europe/Berlin", "currency": "EUR"}
    made = await expect(await house.post("/theatre-applications", asked, token=ana["access_token"]), 201)
    decided = await expect(await house.post(f"/admin/theatre-applications/{made['id']}/approve", token=admin), 200)
    theatre = await expect(await house.get(f"/theatres/{decided['theatre_id']}"), 200)
    assert (theatre["name"], theatre["time_zone"]) == ("Lichtburg", "Europe/Berlin")
    fresh = await expect(await house.post("/auth/refresh", {"refresh_token": ana["refresh_token"]}), 200)
    assert fresh["user"]["roles"] == ["customer", "manager"]
    assert fresh["user"]["theatre_ids"] == [decided["theatre_id"]]
    assert "Lichtburg is open" in [letter["Subject"] for letter in await house.letters("ana@example.com")]

    again = await expect(await house.post("/theatre-applications", asked, token=fresh["access_token"]), 201)
    taken = await house.post(f"/admin/theatre-applications/{again['id']}/approve", token=admin)
    assert await code_of(taken) == (409, "name_taken")
    own = await expect(await house.get("/theatre-applications", token=fresh["access_token"]), 200)
    assert [one["status"] for one in own["items"]] == ["pending", "approved"]


async def test_an_application_that_is_sent_twice_is_one(house: House) -> None:
    ana = await house.member()
    headers = {"Idempotency-Key": fresh_key()}
    asked = {"name": "Scala", "city": "Ulm"}
    made = [
        await expect(await house.post("/theatre-applications", asked, token=ana["access_token"], headers=headers), 201)
        for _ in range(2)
    ]
    assert made[0] == made[1]
    own = await expect(await house.get("/theatre-applications", token=ana["access_token"]), 200)
    assert len(own["items"]) == 1


async def test_a_rejection_says_why_and_grants_nothing(house: House, admin: str) -> None:
    ana = await house.member(email="ana@example.com")
    made = await expect(
        await house.post("/theatre-applications", {"name": "Scala", "city": "Ulm"}, token=ana["access_token"]), 201
    )
    path = f"/admin/theatre-applications/{made['id']}/reject"
    assert await code_of(await house.post(path, {"reason": " "}, token=admin)) == (422, "validation_failed")
    decided = await expect(await house.post(path, {"reason": "There is one already."}, token=admin), 200)
    assert (decided["status"], decided["reason"], decided["theatre_id"]) == ("rejected", "There is one already.", None)
    letters = [plain(letter) for letter in await house.letters("ana@example.com")]
    assert any("There is one already." in text for text in letters)
    assert (await house.get("/auth/me", token=ana["access_token"])).status == 200


async def test_a_stranger_who_registered_the_address_does_not_become_the_administrator(
    house: House, database_url: str, pool: Pool
) -> None:
    stranger = await house.member(email="root@example.com", password=PASSWORD)
    said = await create_admin(database_url, "root@example.com")
    asked = {"email": "root@example.com", "password": PASSWORD}
    assert (await house.post("/auth/login", asked)).status == 401
    assert (await house.post("/auth/refresh", {"refresh_token": stranger["refresh_token"]})).status == 401
    signed_in = await expect(await house.post("/auth/login", asked | {"password": said.split()[-1]}), 200)
    assert "admin" in signed_in["user"]["roles"]


async def test_who_proved_the_address_becomes_administrator_and_keeps_the_password(
    house: House, database_url: str
) -> None:
    await house.member(email="root@example.com", password=PASSWORD)
    token = await house.letter_token("root@example.com", "verify")
    assert (await house.post("/auth/verify-email", {"token": token})).status == 204
    assert (await create_admin(database_url, "root@example.com")).endswith("keeps the password.")
    asked = {"email": "root@example.com", "password": PASSWORD}
    assert "admin" in (await expect(await house.post("/auth/login", asked), 200))["user"]["roles"]
