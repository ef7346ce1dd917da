"""The demo's programme: what would run on each screen on each cinema day, always the same for the same day.

Nothing here is random and nothing remembers: the day, the screen and the place in the evening decide. So loading the
demo again tomorrow adds tomorrow's new day and finds the others as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from typing import Any, Final
from zoneinfo import ZoneInfo

from actors.seatmap.layout import Layout
from actors.seatmap.terms import Instant, RefundStep, Tariff
from persistence.moments import instant

Json = Mapping[str, Any]

DAYS: Final = 7
PRESHOW_MINUTES: Final = 15
CLEANING_MINUTES: Final = 20
_STEP_MINUTES: Final = 5
_MATINEE_ENDS: Final = 17
_WEEKDAY: Final = (time(14, 0), time(21, 30))
_WEEKEND: Final = (time(11, 0), time(22, 30))
_FOR_CHILDREN: Final = ("G", "PG")
_FOR_ADULTS: Final = ("R", "NC-17")


@dataclass(frozen=True, slots=True)
class Film:
    title: str
    minutes: int
    certificate: str
    languages: tuple[str, ...]
    format: str
    draw: int


@dataclass(frozen=True, slots=True)
class Hall:
    """A screen with what decides its programme. `shift_minutes` keeps a house's screens from starting all at once."""

    key: str
    formats: tuple[str, ...]
    languages: tuple[str, ...]
    time_zone: str
    shift_minutes: int


@dataclass(frozen=True, slots=True)
class Screening:
    film: Film
    starts_at: Instant
    ends_at: Instant
    local_start: datetime
    language: str
    format: str


def screenings(hall: Hall, films: Sequence[Film], day: date) -> Iterator[Screening]:
    """One cinema day of one screen, front to back, never overlapping, in the theatre's own time."""
    zone = ZoneInfo(hall.time_zone)
    opens, last = _WEEKEND if day.weekday() >= 5 else _WEEKDAY
    # Counted in UTC from the first start on, so that a night when the clocks change has no gap and no overlap.
    start = datetime.combine(day, opens, zone).astimezone(UTC) + timedelta(minutes=hall.shift_minutes)
    end_of_starts = datetime.combine(day, last, zone).astimezone(UTC)
    shown: set[str] = set()
    while start <= end_of_starts:
        local = start.astimezone(zone)
        film = _choose(hall, films, day, local.hour, shown)
        shown.add(film.title)
        ends = start + timedelta(minutes=PRESHOW_MINUTES + film.minutes)
        language = _language(hall, film, day)
        yield Screening(film, instant(start), instant(ends), local, language, film.format)
        start = _round_up(ends + timedelta(minutes=CLEANING_MINUTES))


def tariff_of(layout: Layout, house: Json, currency: str, local_start: datetime) -> Tariff:
    """What seats cost there and then: by category and ticket type, less for a weekday matinee."""
    prices = house["tariffs"][currency]
    matinee = local_start.weekday() < 5 and local_start.hour < _MATINEE_ENDS
    percent = house["matinee_percent"] if matinee else 100
    return Tariff(
        currency=currency,
        prices={
            category.key: {
                ticket_type: _rounded(prices["adult"][category.key] * percent * share, prices["step"])
                for ticket_type, share in house["ticket_types"].items()
            }
            for category in layout.categories
        },
        default_ticket_type="adult",
        fee=prices["fee"],
        tax_bps=prices["tax_bps"],
    )


def refund_policy_of(house: Json, currency: str) -> tuple[RefundStep, ...]:
    return (RefundStep(24, 10_000), RefundStep(2, 5_000, house["tariffs"][currency]["late_fee"]))


def _choose(hall: Hall, films: Sequence[Film], day: date, hour: int, shown: set[str]) -> Film:
    """The film whose turn it is, among those that fit screen, languages and hour; big ones get a turn more often."""
    fitting = [
        film
        for film in films
        if film.title not in shown
        and film.format in hall.formats
        and not set(film.languages).isdisjoint(hall.languages)
        and not (hour < 16 and film.certificate in _FOR_ADULTS)
        and not (hour >= 20 and film.certificate in _FOR_CHILDREN)
    ]
    return max(fitting, key=lambda film: _chance(f"{hall.key} {day} {hour} {film.title}") ** (1 / film.draw))


def _language(hall: Hall, film: Film, day: date) -> str:
    spoken = [language for language in hall.languages if language in film.languages]
    return spoken[int(_chance(f"{hall.key} {day} {film.title} language") * len(spoken))]


def _chance(text: str) -> float:
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest()) / (1 << 48)


def _round_up(moment: datetime) -> datetime:
    return moment + timedelta(minutes=-moment.minute % _STEP_MINUTES, seconds=-moment.second)


def _rounded(ten_thousandths: int, step: int) -> int:
    """To the nearest `step` of minor units, but never free."""
    return max(step, (ten_thousandths + 5_000 * step) // (10_000 * step) * step)
