"""Calendar files: one entry for each booking, moved and taken away by later letters."""

from icalendar import Calendar

from server.notify.calendars import calendar_of
from server.notify.speech import speech_for
from tests.server.notify.samples import HOUR, LINK, STARTS, TITLE, booking

NOW = STARTS - 48 * HOUR


def file(*, sequence: int = 5, ends: bool = False) -> Calendar:
    told = calendar_of(
        booking(), speech_for("en"), host="tickets.example", link=LINK, sequence=sequence, at=NOW, ends=ends
    )
    assert told.method == ("CANCEL" if ends else "PUBLISH")
    return Calendar.from_ical(told.text)


def test_a_booking_is_an_entry_from_its_start_to_its_end() -> None:
    (entry,) = file().walk("VEVENT")
    assert entry["SUMMARY"] == TITLE
    assert entry["LOCATION"] == "Odeon, Audi 3, Pune"
    assert entry["DESCRIPTION"] == "Seats F7, F8. Reference 7KQ2MX4P."
    assert entry.decoded("DTSTART").isoformat() == "2026-11-22T13:30:00+00:00"
    assert (entry.decoded("DTEND") - entry.decoded("DTSTART")).total_seconds() == 2 * HOUR / 1000


def test_a_later_letter_is_about_the_same_entry_and_wins() -> None:
    first, moved, gone = file(sequence=5), file(sequence=9), file(sequence=12, ends=True)
    entries = [calendar.walk("VEVENT")[0] for calendar in (first, moved, gone)]
    assert {str(entry["UID"]) for entry in entries} == {f"{booking().id}@tickets.example"}
    assert [entry["SEQUENCE"] for entry in entries] == [5, 9, 12]
    assert [entry["STATUS"] for entry in entries] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    assert (first["METHOD"], gone["METHOD"]) == ("PUBLISH", "CANCEL")
