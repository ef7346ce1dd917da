"""Passwords changed, forgotten and reset; addresses and numbers proved."""

import asyncio
from typing import Any

import pytest

from actors.runtime.clock import ManualClock
from persistence.database import Pool
from server.auth.proofs import CODE_MS, RESET_MS
from server.keys import CONFIG, POOL
from tests.server.house import House, open_house, plain

NOW = 1_790_000_000_000
EMAIL = "ana@example.com"
PHONE = "+4930123456"
OLD, NEW = "correct horse battery", "staple of another kind"


async def outcome(response: Any) -> tuple[int, str]:
    body = await response.json() if response.content_type == "application/problem+json" else {}
    return response.status, body.get("code", "")


async def login(house: House, password: str) -> tuple[int, str]:
    return await outcome(await house.post("/auth/login", {"email": EMAIL, "password": password}))


async def test_a_changed_password_is_the_only_one_and_others_are_signed_out(house: House) -> None:
    mine = await house.member(email=EMAIL, password=OLD)
    other = await (await house.post("/auth/login", {"email": EMAIL, "password": OLD})).json()
    asked = {"current_password": OLD, "new_password": NEW}
    response = await house.post("/auth/change-password", asked, token=mine["access_token"])
    assert response.status == 204
    assert (await house.get("/auth/me", token=mine["access_token"])).status == 200
    assert await outcome(await house.get("/auth/me", token=other["access_token"])) == (401, "token_revoked")
    assert (await house.post("/auth/refresh", {"refresh_token": other["refresh_token"]})).status == 401
    assert await login(house, OLD) == (401, "invalid_credentials")
    assert await login(house, NEW) == (200, "")
    assert "Your password was changed" in [letter["Subject"] for letter in await house.letters(EMAIL)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"current_password": "wrong horse", "new_password": NEW}, (400, "wrong_password")),
        ({"new_password": NEW}, (400, "wrong_password")),
        ({"current_password": OLD, "new_password": OLD}, (422, "same_password")),
        ({"current_password": OLD, "new_password": "password123"}, (422, "weak_password")),
        ({"current_password": OLD, "new_password": "short"}, (422, "weak_password")),
        ({"current_password": OLD}, (422, "validation_failed")),
    ],
)
async def test_a_bad_change_of_password_changes_nothing(
    house: House, asked: dict[str, str], expected: tuple[int, str]
) -> None:
    token = (await house.member(email=EMAIL, password=OLD))["access_token"]
    assert await outcome(await house.post("/auth/change-password", asked, token=token)) == expected
    assert await login(house, OLD) == (200, "")


async def test_of_two_changes_at_once_one_wins(house: House) -> None:
    token = (await house.member(email=EMAIL, password=OLD))["access_token"]
    changes = [{"current_password": OLD, "new_password": f"{NEW} {number}"} for number in range(4)]
    answers = await asyncio.gather(*(house.post("/auth/change-password", asked, token=token) for asked in changes))
    won = [asked for asked, answer in zip(changes, answers, strict=True) if answer.status == 204]
    assert len(won) == 1
    assert await login(house, won[0]["new_password"]) == (200, "")


async def test_a_stolen_token_is_no_way_to_guess_the_password(house: House) -> None:
    token = (await house.member(email=EMAIL, password=OLD))["access_token"]
    asked = {"current_password": "wrong horse", "new_password": NEW}
    answers = [await outcome(await house.post("/auth/change-password", asked, token=token)) for _ in range(11)]
    assert answers == [(400, "wrong_password")] * 10 + [(429, "login_throttled")]


async def test_a_forgotten_password_is_chosen_anew_once_and_ends_every_session(house: House) -> None:
    mine = await house.member(email=EMAIL, password=OLD)
    assert (await house.post("/auth/forgot-password", {"email": " Ana@Example.com "})).status == 202
    token = await house.letter_token(EMAIL, "reset")
    weak = await house.post("/auth/reset-password", {"token": token, "new_password": "password123"})
    assert await outcome(weak) == (422, "weak_password")
    asked = {"token": token, "new_password": NEW}
    answers = await asyncio.gather(*(house.post("/auth/reset-password", asked) for _ in range(4)))
    assert sorted([await outcome(answer) for answer in answers]) == [(204, "")] + [(400, "token_invalid")] * 3
    assert await outcome(await house.get("/auth/me", token=mine["access_token"])) == (401, "token_revoked")
    assert await login(house, OLD) == (401, "invalid_credentials")
    assert await login(house, NEW) == (200, "")


async def test_whether_an_address_is_known_shows_nowhere(house: House) -> None:
    await house.member(email=EMAIL)
    answers = []
    for email in (EMAIL, "nobody@example.com"):
        response = await house.post("/auth/forgot-password", {"email": email})
        headers = {
            name: value for name, value in response.headers.items() if name.lower() not in ("x-request-id", "date")
        }
        answers.append((response.status, await response.read(), headers))
    assert answers[0] == answers[1]
    assert await house.letters("nobody@example.com") == []


async def test_an_unknown_address_leaves_the_same_job_and_no_letter(house: House, pool: Pool) -> None:
    """What is done for a known address is done for an unknown one, so that it takes as long."""
    await house.member(email=EMAIL)
    await house.settle()
    counts = []
    for email in (EMAIL, "nobody@example.com"):
        before = await pool.fetchval("SELECT count(*) FROM job")
        await house.post("/auth/forgot-password", {"email": email})
        counts.append(await pool.fetchval("SELECT count(*) FROM job") - before)
    await house.settle()
    assert counts == [1, 1]
    assert await pool.fetchval("SELECT count(*) FROM job WHERE state <> 'done'") == 0


async def test_a_letter_that_is_sent_again_carries_the_same_link_until_it_was_used(house: House, pool: Pool) -> None:
    await house.member(email=EMAIL, password=OLD)
    await house.post("/auth/forgot-password", {"email": EMAIL})
    first = await house.letter_token(EMAIL, "reset")
    resend = "UPDATE job SET state = 'ready', due_at = 'epoch' WHERE dedupe_key LIKE 'mail:reset:%'"
    await pool.execute(resend)
    assert await house.letter_token(EMAIL, "reset") == first
    assert (await house.post("/auth/reset-password", {"token": first, "new_password": NEW})).status == 204
    for letter in (house.app[CONFIG].data_dir / "mail").glob("*reset*"):
        letter.unlink()
    await pool.execute(resend)
    assert not any("#reset=" in plain(letter) for letter in await house.letters(EMAIL))


async def test_a_letter_survives_the_end_of_the_process(database_url: str) -> None:
    async with open_house(database_url, smtp_url="smtp://127.0.0.1:9") as house:
        await house.member(email=EMAIL)
    async with open_house(database_url) as house:
        await house.app[POOL].execute("UPDATE job SET state = 'ready', due_at = 'epoch' WHERE state <> 'done'")
        assert [letter["Subject"] for letter in await house.letters(EMAIL)] == ["Is this your address?"]


async def test_a_link_lives_an_hour_and_a_newer_one_replaces_it(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        await house.member(email=EMAIL, password=OLD)
        links = []
        for _ in range(2):
            await house.post("/auth/forgot-password", {"email": EMAIL})
            links.append(await house.letter_token(EMAIL, "reset"))
            clock.advance(1)
        replaced = await house.post("/auth/reset-password", {"token": links[0], "new_password": NEW})
        assert await outcome(replaced) == (400, "token_invalid")
        clock.advance(RESET_MS)
        late = await house.post("/auth/reset-password", {"token": links[1], "new_password": NEW})
        assert await outcome(late) == (400, "token_invalid")


async def test_links_lead_to_where_the_operator_said_whatever_the_client_calls_us(database_url: str) -> None:
    async with open_house(database_url, public_url="https://tickets.example") as house:
        await house.member(email=EMAIL)
        headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        await house.post("/auth/forgot-password", {"email": EMAIL}, headers=headers)
        letters = await house.letters(EMAIL)
        assert any("https://tickets.example/sign-in#reset=" in plain(letter) for letter in letters)
        assert not any("evil" in letter.as_string() for letter in letters)
        assert {letter["From"] for letter in letters} == {"Marquee <no-reply@tickets.example>"}


async def test_an_address_is_proved_with_the_letter_to_it(house: House) -> None:
    member = await house.member(email=EMAIL)
    token = await house.letter_token(EMAIL, "verify")
    assert (await house.post("/auth/verify-email", {"token": token})).status == 204
    assert (await (await house.get("/auth/me", token=member["access_token"])).json())["email_verified"] is True
    again = await house.post("/auth/verify-email", {"token": token})
    assert await outcome(again) == (400, "token_invalid")
    for crossed in ("reset-password", "verify-email"):
        asked = {"token": "x" * 43} | ({"new_password": NEW} if crossed == "reset-password" else {})
        assert await outcome(await house.post(f"/auth/{crossed}", asked)) == (400, "token_invalid")


async def test_a_letter_that_proves_an_address_does_not_reset_a_password(house: House) -> None:
    await house.member(email=EMAIL)
    token = await house.letter_token(EMAIL, "verify")
    crossed = await house.post("/auth/reset-password", {"token": token, "new_password": NEW})
    assert await outcome(crossed) == (400, "token_invalid")
    assert (await house.post("/auth/verify-email", {"token": token})).status == 204


async def test_so_many_letters_go_to_one_address(house: House) -> None:
    statuses = [(await house.post("/auth/forgot-password", {"email": EMAIL})).status for _ in range(6)]
    assert statuses == [202] * 5 + [429]
    assert (await house.post("/auth/forgot-password", {"email": "bob@example.com"})).status == 202


async def test_tokens_and_codes_are_stored_as_digests(house: House, pool: Pool) -> None:
    await house.member(email=EMAIL)
    await house.post("/auth/forgot-password", {"email": EMAIL})
    await house.post("/auth/otp/request", {"phone": PHONE})
    secrets = [await house.letter_token(EMAIL, "reset"), await house.code(PHONE)]
    stored = await pool.fetch("SELECT digest FROM letter_token UNION ALL SELECT digest FROM phone_code")
    assert len(stored) == 3  # one proves the address
    assert not any(secret.encode() in row["digest"] for secret in secrets for row in stored)


async def test_a_number_and_its_code_make_an_account_and_later_open_it(house: House) -> None:
    people = []
    for _ in range(2):
        assert (await house.post("/auth/otp/request", {"phone": "+49 30 123456"})).status == 202
        response = await house.post("/auth/otp/verify", {"phone": PHONE, "code": await house.code(PHONE)})
        assert response.status == 200
        people.append((await response.json())["user"])
    assert people[0] == people[1]
    assert (people[0]["roles"], people[0]["phone_verified"]) == (["customer"], True)


async def test_a_code_works_once_even_for_many_at_once(house: House) -> None:
    await house.post("/auth/otp/request", {"phone": PHONE})
    asked = {"phone": PHONE, "code": await house.code(PHONE)}
    answers = await asyncio.gather(*(house.post("/auth/otp/verify", asked) for _ in range(5)))
    assert sorted([await outcome(answer) for answer in answers]) == [(200, "")] + [(401, "otp_invalid")] * 4


async def test_after_five_wrong_codes_the_right_one_is_refused_until_there_is_a_new_one(house: House) -> None:
    await house.post("/auth/otp/request", {"phone": PHONE})
    code = await house.code(PHONE)
    wrong = {"phone": PHONE, "code": f"{(int(code) + 1) % 1_000_000:06}"}
    answers = [await outcome(await house.post("/auth/otp/verify", wrong)) for _ in range(5)]
    assert answers == [(401, "otp_invalid")] * 5
    response = await house.post("/auth/otp/verify", {"phone": PHONE, "code": code})
    assert await outcome(response) == (429, "otp_throttled")
    assert int(response.headers["Retry-After"]) > 0
    await house.post("/auth/otp/request", {"phone": PHONE})
    fresh = await house.post("/auth/otp/verify", {"phone": PHONE, "code": await house.code(PHONE)})
    assert fresh.status == 200


async def test_many_guesses_at_once_are_five_tries_too(house: House) -> None:
    await house.post("/auth/otp/request", {"phone": PHONE})
    code = await house.code(PHONE)
    guesses = [f"{(int(code) + step) % 1_000_000:06}" for step in range(1, 13)]
    answers = await asyncio.gather(*(house.post("/auth/otp/verify", {"phone": PHONE, "code": one}) for one in guesses))
    codes = sorted([await outcome(answer) for answer in answers])
    assert codes == [(401, "otp_invalid")] * 5 + [(429, "otp_throttled")] * 7


async def test_a_code_lives_five_minutes_and_is_for_its_number_only(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock) as house:
        await house.post("/auth/otp/request", {"phone": PHONE})
        code = await house.code(PHONE)
        other = await house.post("/auth/otp/verify", {"phone": "+4930999999", "code": code})
        assert await outcome(other) == (401, "otp_invalid")
        clock.advance(CODE_MS)
        late = await house.post("/auth/otp/verify", {"phone": PHONE, "code": code})
        assert await outcome(late) == (401, "otp_invalid")


@pytest.mark.parametrize("code", ["12345", "1234567", "12345x", "١٢٣٤٥٦", 123456])
async def test_a_code_is_six_digits(house: House, code: object) -> None:
    response = await house.post("/auth/otp/verify", {"phone": PHONE, "code": code})
    assert await outcome(response) == (422, "validation_failed")


async def test_a_member_proves_a_number_and_nobody_else_can(house: House) -> None:
    ana, bob = await house.member(), await house.member()

    async def prove(token: str) -> Any:
        await house.post("/auth/otp/request", {"phone": PHONE})
        return await house.post("/auth/otp/verify", {"phone": PHONE, "code": await house.code(PHONE)}, token=token)

    mine = await (await prove(ana["access_token"])).json()
    assert (mine["user"]["id"], mine["user"]["phone_verified"]) == (ana["user"]["id"], True)
    assert await outcome(await prove(bob["access_token"])) == (409, "phone_taken")


async def test_a_number_that_was_only_written_down_opens_nothing(house: House) -> None:
    ana = await house.member(phone=PHONE)
    await house.post("/auth/otp/request", {"phone": PHONE})
    response = await house.post("/auth/otp/verify", {"phone": PHONE, "code": await house.code(PHONE)})
    assert (await response.json())["user"]["id"] != ana["user"]["id"]


async def test_who_registered_with_a_strangers_address_loses_the_account_to_its_owner(house: House) -> None:
    squatter = await house.member(email=EMAIL, password=OLD)
    await house.post("/auth/otp/request", {"phone": PHONE})
    asked = {"phone": PHONE, "code": await house.code(PHONE)}
    assert (await house.post("/auth/otp/verify", asked, token=squatter["access_token"])).status == 200
    await house.post("/auth/forgot-password", {"email": EMAIL})
    token = await house.letter_token(EMAIL, "reset")
    assert (await house.post("/auth/reset-password", {"token": token, "new_password": NEW})).status == 204
    await house.post("/auth/otp/request", {"phone": PHONE})
    response = await house.post("/auth/otp/verify", {"phone": PHONE, "code": await house.code(PHONE)})
    assert (await response.json())["user"]["id"] != squatter["user"]["id"]


@pytest.mark.parametrize(
    ("header", "locale", "subject", "code"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "de-AT", "Ist das Ihre Adresse?", "ist Ihr Code"),
        ("hi", "hi", "क्या यह आपका पता है?", "आपका Marquee कोड"),
        ("*;q=0.1, en-GB", "en-GB", "Is this your address?", "is your Marquee code"),
        ("fr-FR", "fr-FR", "Is this your address?", "is your Marquee code"),
        ("", "en", "Is this your address?", "is your Marquee code"),
        ("; drop table,,-", "en", "Is this your address?", "is your Marquee code"),
    ],
)
async def test_who_is_new_is_written_to_in_the_browsers_language(
    house: House, header: str, locale: str, subject: str, code: str
) -> None:
    headers = {"Accept-Language": header}
    asked = {"email": EMAIL, "password": OLD, "display_name": "Ana"}
    registered = await (await house.post("/auth/register", asked, headers=headers)).json()
    assert registered["user"]["locale"] == locale
    assert [letter["Subject"] for letter in await house.letters(EMAIL)] == [subject]
    await house.post("/auth/otp/request", {"phone": PHONE}, headers=headers)
    await house.settle()
    (text,) = (house.app[CONFIG].data_dir / "sms").glob("*.txt")
    assert code in text.read_text()
