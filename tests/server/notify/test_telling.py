"""People are told: from what happens to a booking to the letters, texts and notices about it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import orjson
import pytest
from icalendar import Calendar

from actors.ids import mint
from actors.runtime.clock import ManualClock
from persistence import accounts, jobs
from persistence.jobs import Job
from server.keys import CONFIG, JOBS, POOL
from server.notify.news import KINDS
from server.notify.ways import TOPICS
from tests.server.house import House, open_house, plain
from tests.server.notify.mail_server import GONE, mail_server
from tests.server.rest.cinema import HOUR, Counter, Person, expect, fresh_key, open_counter

NOW = 1_795_255_200_000  # Saturday, 21 November 2026, 15:30 in India; the showtime begins a day later
PHONE = "+919812345678"


@dataclass
class Scene:
    """A counter, somebody with an account, and the clock."""

    counter: Counter
    ana: Person
    clock: ManualClock

    @property
    def house(self) -> House:
        return self.counter.house

    @property
    def showtime_id(self) -> str:
        return self.counter.showtime_id

    async def letters(self, to: str = "ana@example.com") -> list[EmailMessage]:
        """Those about bookings."""
        return [letter for letter in await self.house.letters(to) if "verify" not in letter["Message-ID"]]

    async def subjects(self) -> list[str]:
        return [letter["Subject"] for letter in await self.letters()]

    async def texts(self) -> list[str]:
        await self.house.settle()
        folder = self.house.app[CONFIG].data_dir / "sms"
        return [file.read_text() for file in sorted(folder.glob("*.txt"))]

    async def notices(self) -> list[str]:
        """The kinds of what is in the inbox."""
        await self.house.settle()
        return sorted(item["kind"] for item in (await expect(await self.ana.get("/notifications"), 200))["items"])

    async def prefer(self, **topics: dict[str, bool]) -> None:
        await expect(await self.ana.patch("/me/notification-preferences", topics), 200)

    async def cancel(self, booking: dict[str, Any], **asked: Any) -> None:
        await expect(await self.ana.post(f"/bookings/{booking['id']}/cancel", asked, key=fresh_key()), 200)

    async def move(self, hours: int) -> None:
        asked = {"starts_at": f"2026-11-22T{10 + hours}:00:00Z", "notify": True}
        await expect(await self.counter.manager().patch(f"/admin/showtimes/{self.showtime_id}", asked), 200)

    async def cancel_showtime(self) -> None:
        manager, path = self.counter.manager(), f"/admin/showtimes/{self.showtime_id}/cancel"
        await expect(await manager.post(path, {"reason": "A power cut"}, key=fresh_key()), 202)


def entry_of(letter: EmailMessage) -> tuple[str, Any]:
    """The method and the entry of the calendar file."""
    (file,) = letter.iter_attachments()
    calendar = Calendar.from_ical(file.get_content())
    assert file.get_param("method") == calendar["METHOD"]
    return str(calendar["METHOD"]), calendar.walk("VEVENT")[0]


async def set_the_scene(house: House, clock: ManualClock) -> Scene:
    """Jobs are worked when the test says so, not beside it."""
    house.app[JOBS]._claimer.cancel()
    counter = await open_counter(house)
    member = await house.member(email="ana@example.com", display_name="Ana")
    ana = Person(house, member["user"]["id"], ("customer",), ())
    await house.app[POOL].execute(
        "UPDATE account SET phone = $2, phone_verified_at = now() WHERE id = $1", ana.account_id, PHONE
    )
    return Scene(counter, ana, clock)


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    clock = ManualClock(NOW)
    async with open_house(database_url, clock=clock, public_url="https://tickets.example") as house:
        yield await set_the_scene(house, clock)


async def test_who_buys_seats_hears_of_it_once_with_a_calendar_file(scene: Scene) -> None:
    booked = await scene.ana.buy(scene.showtime_id, "A1", "A2")
    (letter,) = await scene.letters()
    assert letter["Subject"] == "Your seats for The Long Night, Sunday, November 22, 2026"
    assert letter["Message-ID"] == f"<confirmed.{booked['id']}@tickets.example>"
    text = plain(letter)
    for fact in ("Hello Ana,", "A1, A2", booked["reference"], f"https://tickets.example/bookings/{booked['id']}"):
        assert fact in text
    assert "₹1,085.60" in text
    method, entry = entry_of(letter)
    assert (method, entry["UID"]) == ("PUBLISH", f"{booked['id']}@tickets.example")
    assert await scene.notices() == ["booking_confirmed"]
    assert await scene.texts() == []


async def test_a_booking_is_confirmed_to_its_contact(scene: Scene) -> None:
    held = await scene.ana.hold(scene.showtime_id, "A1")
    contact = {"email": "aunt@example.com", "name": "Aunt Ada"}
    asked = {"hold_id": held["hold_id"], "contact": contact}
    booked = await expect(await scene.ana.post("/bookings", asked, key=fresh_key()), 201)
    await scene.ana.post(f"/bookings/{booked['id']}/confirm", {"provider": "sandbox"}, key=fresh_key())
    (letter,) = await scene.letters("aunt@example.com")
    assert "Hello Aunt Ada," in plain(letter)
    assert await scene.letters() == []


async def test_a_booking_without_any_address_is_no_failure(scene: Scene) -> None:
    nobody = scene.counter.person()
    await nobody.buy(scene.showtime_id, "A1")
    await scene.house.settle()
    scene.clock.advance(HOUR)
    await scene.house.settle()
    assert await states(scene.house, "mail") <= {"done", "ready"}


async def states(house: House, topic: str) -> set[str]:
    rows = await house.app[POOL].fetch("SELECT DISTINCT state FROM job WHERE topic = $1", topic)
    return {row["state"] for row in rows}


async def test_a_cancellation_names_what_comes_back_and_takes_the_calendar_entry_away(scene: Scene) -> None:
    booked = await scene.ana.buy(scene.showtime_id, "A1", "A2")
    await scene.house.settle()
    await scene.cancel(booked)
    first, last = await scene.letters()
    assert last["Subject"] == f"Your booking {booked['reference']} is cancelled"
    assert "goes back the way you paid" in plain(last)
    (published, before), (cancelled, after) = entry_of(first), entry_of(last)
    assert (published, cancelled, after["STATUS"]) == ("PUBLISH", "CANCEL", "CANCELLED")
    assert before["UID"] == after["UID"]
    assert before["SEQUENCE"] < after["SEQUENCE"]
    assert await scene.notices() == ["booking_cancelled", "booking_confirmed"]


async def test_giving_back_one_seat_leaves_the_rest_in_the_calendar(scene: Scene) -> None:
    booked = await scene.ana.buy(scene.showtime_id, "A1", "A2")
    await scene.house.settle()
    await scene.cancel(booked, seats=["A2"])
    last = (await scene.letters())[-1]
    assert "The seat A2 was given back." in plain(last)
    assert "Seat: A1" in plain(last)
    assert entry_of(last)[0] == "PUBLISH"


async def test_a_cancellation_does_not_name_seats_that_were_given_back_before(scene: Scene) -> None:
    booked = await scene.ana.buy(scene.showtime_id, "A1", "A2", "A3")
    await scene.cancel(booked, seats=["A2"])
    await scene.house.settle()
    await scene.cancel(booked)
    letters = [letter for letter in await scene.letters() if letter["Subject"].endswith("is cancelled")]
    assert ["Seats: A1, A3" in plain(letter) for letter in letters] == [True]


async def test_a_confirmation_that_comes_after_the_end_says_what_became_of_it(scene: Scene) -> None:
    booked = await scene.ana.buy(scene.showtime_id, "A1")
    await scene.cancel(booked)
    letters = {letter["Message-ID"].partition(".")[0]: letter for letter in await scene.letters()}
    assert letters["<confirmed"]["Subject"] == f"Your booking {booked['reference']} was cancelled"
    assert "no longer yours" in plain(letters["<confirmed"])
    assert not list(letters["<confirmed"].iter_attachments())
    assert set(letters) == {"<confirmed", "<cancelled"}


async def test_a_cancelled_showtime_is_told_to_each_booking_once(scene: Scene) -> None:
    await scene.ana.buy(scene.showtime_id, "A1")
    await scene.ana.buy(scene.showtime_id, "B1")
    await scene.house.settle()
    await scene.cancel_showtime()
    told = [letter for letter in await scene.letters() if letter["Subject"].startswith("Cancelled: The Long Night")]
    assert len(told) == 2
    assert all("₹542.80 goes back the way you paid" in plain(letter) for letter in told)
    assert [entry_of(letter)[0] for letter in told] == ["CANCEL", "CANCEL"]
    assert (await scene.notices())[2:] == ["showtime_cancelled", "showtime_cancelled"]


async def test_a_moved_showtime_is_told_to_whose_bookings_stand(scene: Scene) -> None:
    kept, gone = await scene.ana.buy(scene.showtime_id, "A1"), await scene.ana.buy(scene.showtime_id, "B1")
    await scene.cancel(gone)
    await scene.house.settle()
    await scene.move(2)
    await scene.house.settle()
    moved = [letter for letter in await scene.letters() if letter["Subject"].startswith("New time for The Long Night")]
    assert [letter["Message-ID"].split(".")[-2:] for letter in moved] == [[f"{kept['id']}@tickets", "example>"]]
    text = plain(moved[0])
    assert "Before: Sunday, November 22, 2026, 3:30 PM" in text
    assert "Now: Sunday, November 22, 2026, 5:30 PM" in text
    assert entry_of(moved[0])[1].decoded("DTSTART").isoformat() == "2026-11-22T12:00:00+00:00"
    assert "showtime_changed" in await scene.notices()


async def test_only_the_last_of_two_moves_is_told(scene: Scene) -> None:
    await scene.ana.buy(scene.showtime_id, "A1")
    await scene.house.settle()
    await scene.move(2)
    await scene.move(3)
    times = [subject for subject in await scene.subjects() if subject.startswith("New time")]
    assert times == ["New time for The Long Night: Sunday, November 22, 2026, 6:30 PM"]


async def test_another_screen_is_told_and_the_calendar_follows(scene: Scene) -> None:
    booked, manager = await scene.ana.buy(scene.showtime_id, "A1"), scene.counter.manager()
    await scene.house.settle()
    path = f"/admin/showtimes/{scene.showtime_id}"
    shown = await expect(await manager.get(path), 200)
    alike = {"theatre_id": shown["theatre"]["id"], "name": "The Annexe", "formats": ["2D"]}
    screen = await expect(await manager.post("/admin/screens", {**alike, "layout_id": shown["layout_id"]}), 201)
    await expect(await manager.patch(path, {"screen_id": screen["id"], "notify": True}), 200)
    place = f"The Annexe, {shown['theatre']['name']}"  # it may be in another house
    assert (await scene.subjects())[-1] == f"Another screen for The Long Night: {place}"
    letter = (await scene.letters())[-1]
    assert f"to another screen: {place} in Pune." in plain(letter).replace("\n", " ")
    assert (booked["reference"] in plain(letter), "A1" in plain(letter)) == (True, True)
    assert "The Annexe" in entry_of(letter)[1]["LOCATION"]
    assert await scene.notices() == ["booking_confirmed", "screen_changed"]


async def test_a_reminder_comes_three_hours_before(scene: Scene) -> None:
    await scene.ana.buy(scene.showtime_id, "A1")
    scene.clock.advance(21 * HOUR - 1)
    assert len(await scene.letters()) == 1
    scene.clock.advance(1)
    assert (await scene.subjects())[-1] == "Soon: The Long Night, 3:30 PM"
    assert await scene.notices() == ["booking_confirmed", "reminder"]


async def test_a_reminder_moves_with_its_showtime(scene: Scene) -> None:
    await scene.ana.buy(scene.showtime_id, "A1")
    await scene.move(4)
    scene.clock.advance(22 * HOUR)
    assert not any(subject.startswith("Soon") for subject in await scene.subjects())
    scene.clock.advance(3 * HOUR)
    assert (await scene.subjects())[-1] == "Soon: The Long Night, 7:30 PM"


async def test_nobody_is_reminded_of_what_was_cancelled_or_does_not_want_to_be(scene: Scene) -> None:
    cancelled = await scene.ana.buy(scene.showtime_id, "A1")
    await scene.cancel(cancelled)
    await scene.ana.buy(scene.showtime_id, "B1")
    await scene.prefer(booking_reminder={"email": False, "in_app": False})
    scene.clock.advance(22 * HOUR)
    assert not any(subject.startswith("Soon") for subject in await scene.subjects())
    assert "reminder" not in await scene.notices()


def test_there_is_a_topic_for_each_kind_of_news() -> None:
    assert TOPICS.keys() == KINDS


async def test_each_way_is_wished_for_by_itself(scene: Scene) -> None:
    await scene.prefer(booking_confirmed={"email": False, "sms": True}, booking_cancelled={"in_app": False})
    booked = await scene.ana.buy(scene.showtime_id, "A1")
    assert await scene.letters() == []
    (text,) = await scene.texts()
    assert text.startswith(f"{PHONE}\n\nThe Long Night, Sunday, November 22, 2026 3:30 PM, Odeon")
    assert await scene.notices() == ["booking_confirmed"]
    await scene.cancel(booked)
    assert await scene.subjects() == [f"Your booking {booked['reference']} is cancelled"]
    assert await scene.notices() == ["booking_confirmed"]


async def test_a_number_that_was_never_proved_gets_no_texts(scene: Scene) -> None:
    await scene.prefer(booking_confirmed={"sms": True})
    await scene.house.app[POOL].execute("UPDATE account SET phone_verified_at = NULL")
    await scene.ana.buy(scene.showtime_id, "A1")
    assert await scene.texts() == []


async def test_letters_about_security_always_go_out(scene: Scene) -> None:
    off = {"email": False, "sms": False, "in_app": False, "push": False}
    topics = ("booking_confirmed", "booking_cancelled", "booking_reminder", "showtime_changed")
    await scene.prefer(**dict.fromkeys(topics, off))
    await scene.house.post("/auth/forgot-password", {"email": "ana@example.com"})
    assert await scene.subjects() == ["Choose a new password"]


async def test_people_read_their_own_language(scene: Scene) -> None:
    await expect(await scene.ana.patch("/auth/me", {"locale": "de-DE"}), 200)
    await scene.ana.buy(scene.showtime_id, "A1")
    (letter,) = await scene.letters()
    assert letter["Subject"] == "Ihre Plätze für The Long Night, Sonntag, 22. November 2026"
    assert "Uhrzeit" not in plain(letter)
    assert "1.085,60" not in plain(letter)
    assert "542,80" in plain(letter)
    inbox = await expect(await scene.ana.get("/notifications"), 200)
    assert inbox["items"][0]["title"] == "Ihre Plätze für The Long Night sind gebucht"


async def test_who_was_erased_in_between_gets_nothing(scene: Scene) -> None:
    await scene.house.settle()
    booked = await scene.ana.book(scene.showtime_id, "A1")
    await scene.house.app[JOBS].settle()
    before = len(await scene.house.letters("ana@example.com"))
    await scene.ana.post(f"/bookings/{booked['id']}/confirm", {"provider": "sandbox"}, key=fresh_key())
    pool = scene.house.app[POOL]
    async with pool.acquire() as connection, connection.transaction():
        await accounts.erase(connection, scene.ana.account_id, NOW)
    assert len(await scene.house.letters("ana@example.com")) == before
    assert await pool.fetchval("SELECT count(*) FROM notification") == 0


async def test_a_payment_that_failed_is_told_while_it_can_be_tried_again(scene: Scene) -> None:
    booked = await scene.ana.book(scene.showtime_id, "A1")
    await announce_failure(scene, booked)
    (letter,) = await scene.letters()
    assert letter["Subject"] == "Your payment for The Long Night did not go through"
    assert "Your seats are kept for you until 3:40 PM." in plain(letter)


async def test_a_payment_that_failed_and_then_succeeded_is_no_news(scene: Scene) -> None:
    booked = await scene.ana.book(scene.showtime_id, "A1")
    await scene.ana.post(f"/bookings/{booked['id']}/confirm", {"provider": "sandbox"}, key=fresh_key())
    await announce_failure(scene, booked)
    assert not any("did not go through" in subject for subject in await scene.subjects())


async def announce_failure(scene: Scene, booked: dict[str, Any]) -> None:
    payment_id = mint(NOW)
    facts = {
        "event": "payment_failed", "showtime_id": scene.showtime_id, "version": 1, "booking_id": booked["id"],
        "reference": booked["reference"], "owner": scene.ana.account_id, "payment_id": payment_id,
        "amount": 1, "currency": "INR",
    }  # fmt: skip
    key = f"payment_failed:{payment_id}"
    await jobs.put(scene.house.app[POOL], [Job("announce", key, scene.showtime_id, facts)])


async def test_an_announcement_that_is_spread_again_tells_nobody_twice(scene: Scene) -> None:
    await scene.ana.buy(scene.showtime_id, "A1")
    await scene.house.settle()
    pool = scene.house.app[POOL]
    await pool.execute("UPDATE job SET state = 'ready', due_at = 'epoch' WHERE topic IN ('announce', 'mail')")
    await scene.house.settle()
    assert len(await scene.letters()) == 1
    assert await pool.fetchval("SELECT count(*) FROM notification") == 1
    assert (
        await pool.fetchval("SELECT count(*) FROM job WHERE topic = 'mail' AND dedupe_key LIKE 'mail:confirmed:%'") == 1
    )


async def test_no_job_names_anybody(scene: Scene) -> None:
    await scene.prefer(booking_confirmed={"sms": True})
    booked = await scene.ana.buy(scene.showtime_id, "A1")
    await scene.cancel(booked)
    await scene.house.post("/auth/forgot-password", {"email": "ana@example.com"})
    await scene.house.post("/auth/otp/request", {"phone": PHONE})
    await scene.house.settle()
    rows = await scene.house.app[POOL].fetch("SELECT dedupe_key, payload, last_error FROM job")
    written = orjson.dumps([[row["dedupe_key"], row["payload"].decode(), row["last_error"]] for row in rows]).decode()
    token = await scene.house.letter_token("ana@example.com", "reset")
    for secret in ("ana@", "Ana", PHONE[1:], await scene.house.code(PHONE), token):
        assert secret not in written


async def test_a_mail_server_that_hangs_up_after_the_letter_gets_the_same_letter_again(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with (
        mail_server() as server,
        open_house(database_url, clock=clock, smtp_url=server.url, public_url="https://tickets.example") as house,
    ):
        scene = await set_the_scene(house, clock)
        await house.settle()
        server.arrived.clear()
        server.says = [GONE, "451 busy", GONE]
        booked = await scene.ana.buy(scene.showtime_id, "A1")
        for _ in range(4):
            await house.settle()
            clock.advance(HOUR // 60)
        await house.settle()
        assert {letter["Message-ID"] for letter in server.arrived} == {f"<confirmed.{booked['id']}@tickets.example>"}
        assert len(server.arrived) == 3
        assert await states(house, "mail") == {"done"}


async def test_an_address_that_does_not_exist_parks_the_letter(database_url: str) -> None:
    clock = ManualClock(NOW)
    async with mail_server() as server, open_house(database_url, clock=clock, smtp_url=server.url) as house:
        scene = await set_the_scene(house, clock)
        await house.settle()
        server.says_to = ["550 there is no ana@example.com"]
        await scene.ana.buy(scene.showtime_id, "A1")
        await house.settle()
        row = await house.app[POOL].fetchrow(
            "SELECT state, last_error FROM job WHERE dedupe_key LIKE 'mail:confirmed:%'"
        )
        assert row is not None
        assert row["state"] == "parked"
        assert "550" in row["last_error"]
        assert "ana" not in row["last_error"]
