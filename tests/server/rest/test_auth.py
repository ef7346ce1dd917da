"""Registering, signing in, staying signed in, and really signing out."""

import asyncio
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from limits import RateLimitItemPerMinute

from actors.runtime.clock import ManualClock
from persistence.database import Pool
from server.auth import passwords
from server.auth.tokens import ACCESS_MS
from server.errors import Problem
from server.keys import PASSWORDS
from server.limiter import Rates
from tests.server.house import House, open_house

NOW = 1_790_000_000_000


async def code_of(response: Any) -> str:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json()
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert body["status"] == response.status
    assert body["detail"].endswith(".")
    return str(body["code"])


async def test_who_registers_is_signed_in_and_a_customer(house: House) -> None:
    response = await house.post(
        "/auth/register",
        {"email": " Ana@Example.COM", "password": "correct horse", "display_name": "Ana", "phone": "+49 30 1234567"},
    )
    assert response.status == 201
    body = await response.json()
    assert body["user"] | {"id": "", "created_at": ""} == {
        "id": "", "created_at": "", "email": "ana@example.com", "display_name": "Ana", "phone": "+49301234567",
        "locale": "en", "time_zone": "UTC", "roles": ["customer"], "theatre_ids": [],
        "email_verified": False, "phone_verified": False,
    }  # fmt: skip
    assert body["expires_in"] == 900
    me = await house.get("/auth/me", token=body["access_token"])
    assert await me.json() == body["user"]


async def test_an_address_can_register_once(house: House) -> None:
    await house.member(email="ana@example.com")
    asked = {"email": "ANA@example.com", "password": "correct horse", "display_name": "Ana"}
    response = await house.post("/auth/register", asked)
    assert (response.status, await code_of(response)) == (409, "email_taken")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"password": "short"}, 422, "weak_password"),
        ({"password": "password123"}, 422, "weak_password"),
        ({"password": "x" * 1_025}, 422, "weak_password"),
        ({"password": "abababababab"}, 422, "weak_password"),
        ({"password": "Ana@Example.com"}, 422, "weak_password"),
        ({"password": 12345678}, 422, "validation_failed"),
        ({"email": "nobody"}, 422, "validation_failed"),
        ({"email": "a@b"}, 422, "validation_failed"),
        ({"display_name": " x "}, 422, "validation_failed"),
        ({"phone": "call me"}, 422, "validation_failed"),
        ({"confirmPassword": "different"}, 422, "validation_failed"),
        ({"role": "admin"}, 422, "validation_failed"),
        ({"roles": ["admin"]}, 422, "validation_failed"),
    ],
)
async def test_a_bad_registration_is_refused(house: House, change: dict[str, Any], status: int, code: str) -> None:
    asked = {"email": "ana@example.com", "password": "correct horse", "display_name": "Ana"} | change
    response = await house.post("/auth/register", asked)
    assert (response.status, await code_of(response)) == (status, code)


async def test_a_long_password_counts_to_its_last_byte(house: House) -> None:
    password = "long " * 200
    await house.member(email="ana@example.com", password=password)
    right = await house.post("/auth/login", {"email": "ana@example.com", "password": password})
    wrong = await house.post("/auth/login", {"email": "ana@example.com", "password": password[:-1] + "!"})
    assert (right.status, wrong.status) == (200, 401)


async def test_each_of_the_commonest_passwords_is_refused_however_it_is_written() -> None:
    common = (Path(passwords.__file__).parent / "common-passwords.txt").read_text().split()
    assert len(set(common)) >= 3_000
    assert {"michelle", "jennifer", "elizabeth"} < set(common), "names are common, too"
    for password in common:
        for written in (password, password.upper(), password.capitalize()):
            with pytest.raises(Problem, match="weak_password"):
                passwords.check_strength(written, "ana@example.com")
    passwords.check_strength("correct horse battery", "ana@example.com")


@pytest.mark.parametrize("length", [70, 72, 73, 200, 1_024])
async def test_passwords_that_differ_in_the_last_byte_differ(length: int) -> None:
    desk = passwords.Passwords(cost=4)
    stored = await desk.hash("x" * (length - 1) + "a")
    assert await desk.matches("x" * (length - 1) + "a", stored)
    assert not await desk.matches("x" * (length - 1) + "b", stored)
    desk.close()


async def test_a_password_is_the_same_from_every_keyboard() -> None:
    desk = passwords.Passwords(cost=4)
    assert await desk.matches("cafe\u0301 au lait", await desk.hash("caf\u00e9 au lait"))
    desk.close()


async def test_a_flood_of_sign_ins_is_turned_away_and_not_queued_without_end() -> None:
    desk = passwords.Passwords(cost=4)
    stored = await desk.hash("correct horse")
    flooding = 2 * desk.pending_max
    flood = await asyncio.gather(*(desk.matches("wrong", stored) for _ in range(flooding)), return_exceptions=True)
    refused = [answer for answer in flood if isinstance(answer, Problem)]
    assert {problem.code for problem in refused} == {"busy"}
    assert len(refused) == flooding - desk.pending_max
    assert await desk.matches("correct horse", stored)
    desk.close()


async def test_whoever_is_turned_away_in_a_flood_has_not_failed(house: House) -> None:
    await house.member(email="ana@example.com", password="correct horse")
    asked = {"email": "ana@example.com", "password": "correct horse"}
    desk = house.app[PASSWORDS]
    desk.pending_max = 0
    turned_away = [await house.post("/auth/login", asked) for _ in range(11)]
    assert {(response.status, response.headers["Retry-After"]) for response in turned_away} == {(503, "2")}
    desk.pending_max = 1
    assert (await house.post("/auth/login", asked)).status == 200


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(house: House) -> None:
    await house.member(email="ana@example.com")
    answers = []
    for email in ("ana@example.com", "nobody@example.com"):
        response = await house.post("/auth/login", {"email": email, "password": "wrong horse"})
        body = await response.json()
        answers.append((response.status, body | {"request_id": ""}))
    assert answers[0] == answers[1]
    assert answers[0][1]["code"] == "invalid_credentials"


async def test_an_address_is_the_same_from_every_keyboard(house: House) -> None:
    await house.member(email="J\u00fcrgen@example.com", password="correct horse battery")
    asked = {"email": " JU\u0308RGEN@example.com", "password": "correct horse battery"}
    assert (await house.post("/auth/login", asked)).status == 200


async def test_every_sign_in_that_fails_costs_the_same_work(
    house: House, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.member(email="ana@example.com")
    await house.member(email="blocked@example.com", password="correct horse battery")
    await pool.execute("UPDATE account SET blocked_at = now() WHERE email = 'blocked@example.com'")
    await house.member(email="numbered@example.com")
    await pool.execute("UPDATE account SET password_hash = NULL WHERE email = 'numbered@example.com'")
    work: list[bytes] = []
    really = bcrypt.checkpw
    monkeypatch.setattr(
        bcrypt, "checkpw", lambda password, against: work.append(against[:7]) or really(password, against)
    )
    for name in ("ana", "nobody", "blocked", "numbered", "no address at all"):
        asked = {"email": f"{name}@example.com", "password": "wrong horse battery"}
        response = await house.post("/auth/login", asked)
        assert (response.status, await code_of(response)) == (401, "invalid_credentials")
    assert work == [b"$2b$04$"] * 5


async def test_ten_wrong_passwords_are_enough_and_others_are_not_locked_out(house: House) -> None:
    await house.member(email="ana@example.com", password="correct horse")
    await house.member(email="bob@example.com", password="correct horse")
    wrong = {"email": "ana@example.com", "password": "wrong horse"}
    statuses = [(await house.post("/auth/login", wrong)).status for _ in range(10)]
    assert statuses == [401] * 10
    response = await house.post("/auth/login", wrong | {"password": "correct horse"})
    assert (response.status, await code_of(response)) == (429, "login_throttled")
    assert 0 < int(response.headers["Retry-After"]) <= 900
    other = await house.post("/auth/login", {"email": "bob@example.com", "password": "correct horse"})
    assert other.status == 200


async def test_a_right_password_forgives_the_wrong_ones(house: House) -> None:
    await house.member(email="ana@example.com", password="correct horse")
    for password in ["wrong horse"] * 9 + ["correct horse"] + ["wrong horse"] * 9 + ["correct horse"]:
        response = await house.post("/auth/login", {"email": "ana@example.com", "password": password})
    assert response.status == 200


async def test_a_guest_has_a_token_but_no_profile_to_change(house: House) -> None:
    guest = await house.guest()
    assert guest["user"]["roles"] == ["guest"]
    assert (await house.get("/auth/me", token=guest["access_token"])).status == 200
    response = await house.ask("PATCH", "/auth/me", json={"display_name": "X Y"}, token=guest["access_token"])
    assert (response.status, await code_of(response)) == (403, "forbidden")


async def test_an_address_gets_so_many_guests_a_minute(database_url: str) -> None:
    async with open_house(database_url, rates=Rates(guests=RateLimitItemPerMinute(3))) as house:
        statuses = [(await house.post("/auth/guest")).status for _ in range(4)]
        assert statuses == [201, 201, 201, 429]
    async with open_house(database_url, rates=Rates(guests=RateLimitItemPerMinute(3)), rate_limit=False) as house:
        assert [(await house.post("/auth/guest")).status for _ in range(4)] == [201] * 4


async def test_a_profile_changes_field_by_field(house: House) -> None:
    member = await house.member(phone="+493012345")
    token = member["access_token"]

    async def change(asked: dict[str, Any]) -> Any:
        return await house.ask("PATCH", "/auth/me", json=asked, token=token)

    changed = await (await change({"locale": "de-DE", "time_zone": "Europe/Berlin"})).json()
    assert changed == member["user"] | {"locale": "de-DE", "time_zone": "Europe/Berlin"}
    assert (await (await change({"phone": None})).json())["phone"] is None
    for bad in ({"display_name": None}, {"time_zone": "Mars/Base"}, {"email": "x@example.com"}, {"roles": ["admin"]}):
        assert await code_of(await change(bad)) == "validation_failed"


async def test_a_refresh_token_is_exchanged_once_and_using_it_again_ends_the_family(house: House) -> None:
    first = await house.member()
    second = await (await house.post("/auth/refresh", {"refresh_token": first["refresh_token"]})).json()
    assert second["user"] == first["user"]
    again = await house.post("/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert (again.status, await code_of(again)) == (401, "refresh_reused")
    newer = await house.post("/auth/refresh", {"refresh_token": second["refresh_token"]})
    assert newer.status == 401
    for pair in (first, second):
        response = await house.get("/auth/me", token=pair["access_token"])
        assert (response.status, await code_of(response)) == (401, "token_revoked")


async def test_of_many_refreshes_at_once_exactly_one_wins(house: House) -> None:
    member = await house.member()
    answers = await asyncio.gather(
        *(house.post("/auth/refresh", {"refresh_token": member["refresh_token"]}) for _ in range(8))
    )
    assert sorted(response.status for response in answers) == [200] + [401] * 7


async def test_a_refresh_token_lives_a_week_and_an_access_token_a_quarter_of_an_hour(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        member = await house.member()
        clock.advance(ACCESS_MS)
        response = await house.get("/auth/me", token=member["access_token"])
        assert (response.status, await code_of(response)) == (401, "token_expired")
        clock.advance(7 * 86_400_000)
        response = await house.post("/auth/refresh", {"refresh_token": member["refresh_token"]})
        assert (response.status, await code_of(response)) == (401, "refresh_expired")


async def test_the_site_keeps_its_refresh_token_in_a_cookie_that_scripts_and_other_sites_cannot_use(
    house: House,
) -> None:
    response = await house.post("/auth/guest")
    cookie = response.cookies["marquee_refresh"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/api/v1/auth")
    headers = {"Cookie": f"marquee_refresh={cookie.value}"}
    foreign = await house.post("/auth/refresh", headers=headers | {"Origin": "https://evil.example"})
    assert (foreign.status, await code_of(foreign)) == (403, "forbidden")
    own = await house.post("/auth/refresh", headers=headers)
    assert own.status == 200
    assert own.cookies["marquee_refresh"].value != cookie.value


async def test_a_secure_site_gets_a_secure_cookie(database_url: str) -> None:
    async with open_house(database_url, public_url="https://tickets.example") as house:
        cookie = (await house.post("/auth/guest")).cookies["__Secure-marquee_refresh"]
        assert cookie["secure"]


async def test_signing_out_ends_the_session_at_once(house: House) -> None:
    member = await house.member()
    token = member["access_token"]
    heard: list[str] = []
    from server.keys import TOKENS

    house.app[TOKENS].on_revoked(heard.append)
    assert (await house.post("/auth/logout", token=token)).status == 204
    assert len(heard) == 1
    response = await house.get("/auth/me", token=token)
    assert (response.status, await code_of(response)) == (401, "token_revoked")
    assert (await house.post("/auth/refresh", {"refresh_token": member["refresh_token"]})).status == 401


async def test_signing_out_everywhere_ends_every_session_also_after_a_restart(database_url: str) -> None:
    async with open_house(database_url) as house:
        first = await house.member(email="ana@example.com", password="correct horse")
        second = await (
            await house.post("/auth/login", {"email": "ana@example.com", "password": "correct horse"})
        ).json()
        assert (await house.post("/auth/logout", {"all": True}, token=first["access_token"])).status == 204
    async with open_house(database_url) as house:
        for pair in (first, second):
            assert await code_of(await house.get("/auth/me", token=pair["access_token"])) == "token_revoked"


async def test_secrets_are_stored_as_digests(house: House, pool: Pool) -> None:
    member = await house.member(email="ana@example.com", password="correct horse")
    assert await pool.fetchval("SELECT password_hash FROM account WHERE email = 'ana@example.com'") != "correct horse"
    digests = await pool.fetch("SELECT digest FROM refresh_token")
    assert member["refresh_token"].encode() not in {row["digest"] for row in digests}


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer ", "bearer x.y.z", "Token x"])
async def test_a_strange_authorization_is_refused(house: House, header: str) -> None:
    response = await house.get("/auth/me", headers={"Authorization": header})
    assert (response.status, await code_of(response)) == (401, "auth_required")
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_the_old_address_of_ones_profile_leads_on(house: House) -> None:
    token = (await house.member())["access_token"]
    moved = await house.get("/users/me", token=token)
    assert await moved.json() == await (await house.get("/auth/me", token=token)).json()
