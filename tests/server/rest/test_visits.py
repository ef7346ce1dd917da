"""One's visits between two moments, and the file for one's own calendar."""

from datetime import timedelta

import pytest
from icalendar import Calendar

from persistence.moments import moment
from server.keys import CLOCK
from tests.server.house import House
from tests.server.rest.cinema import Counter, expect, open_counter


@pytest.fixture
async def counter(house: House) -> Counter:
    return await open_counter(house)


async def test_a_calendar_shows_what_is_confirmed_between_two_days(counter: Counter) -> None:
    ana, today = counter.person(), moment(counter.house.app[CLOCK].now()).date()
    bought = await ana.buy(counter.showtime_id, "A1", "A2")
    await ana.book(counter.showtime_id, "A3")
    await counter.person().buy(counter.showtime_id, "B1")
    shown = (await expect(await ana.get(f"/bookings/{bought['id']}"), 200))["showtime"]
    span = {"start": f"{today}", "end": f"{today + timedelta(days=3)}"}
    (entry,) = (await expect(await ana.get("/bookings/calendar", params=span), 200))["items"]
    assert (entry["id"], entry["reference"], entry["seats"]) == (bought["id"], bought["reference"], ["A1", "A2"])
    assert entry["title"] == shown["movie"]["title"]
    for name in ("starts_at", "ends_at", "starts_at_local", "business_date", "theatre", "screen"):
        assert entry[name] == shown[name], name
    for start, end, found in ((entry["starts_at"], entry["ends_at"], 1), (f"{today}", entry["starts_at"], 0)):
        page = await expect(await ana.get("/bookings/calendar", params={"start": start, "end": end}), 200)
        assert len(page["items"]) == found


@pytest.mark.parametrize("span", ["", "start=2026-11-21", "start=2026-11-21&end=2026-11-20", "start=x&end=y"])
async def test_a_span_that_is_none_is_refused(counter: Counter, span: str) -> None:
    problem = await expect(await counter.person().get(f"/bookings/calendar?{span}"), 422)
    assert problem["code"] == "validation_failed"


async def test_a_confirmed_booking_is_a_file_for_the_calendar_of_whom_it_is(counter: Counter) -> None:
    ana = counter.person()
    booked, bought = await ana.book(counter.showtime_id, "A1"), await ana.buy(counter.showtime_id, "B1")
    assert (await expect(await ana.get(f"/bookings/{booked['id']}/calendar.ics"), 409))["code"] == "not_confirmed"
    await expect(await counter.person().get(f"/bookings/{bought['id']}/calendar.ics"), 404)
    answer = await ana.get(f"/bookings/{bought['id']}/calendar.ics")
    assert (answer.status, answer.content_type) == (200, "text/calendar")
    (entry,) = Calendar.from_ical(await answer.text()).walk("VEVENT")
    assert str(entry["UID"]).startswith(f"{bought['id']}@")
    assert entry["STATUS"] == "CONFIRMED"
