"""Many showtimes at once: a pattern laid over the calendar, or a week laid over another one.

Days are cinema days: a time before six in the morning belongs to the night after. Each showtime is judged as if it had
been asked for alone; what does not fit is named with its reason and keeps nothing else from taking place.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NotRequired
from zoneinfo import ZoneInfo

from typing_extensions import TypedDict

from actors.ids import mint
from actors.seatmap.terms import Instant
from persistence.moments import instant, moment
from persistence.programme import DAY_BEGINS_HOUR, NewShowtime, business_date
from persistence.timetable import Hall, Occupied, Planned
from server.errors import Problem
from server.timetable import Place, Showing, Wishes, clear_at, demand_published, local_start, overlap, plan
from server.wire import rfc3339

DAY_MS: Final = 86_400_000


class Slot(TypedDict):
    """A showtime that takes place. No id: it would, if this were not a dry run."""

    id: str | None
    screen_id: str
    movie_id: str
    starts_at: str
    starts_at_local: str
    business_date: date
    ends_at: str
    clear_at: str
    status: str


class Clash(TypedDict):
    """A showtime that does not fit. `reason` is the code that asking for it alone would get."""

    screen_id: str
    starts_at_local: str
    reason: str
    detail: str
    showtime_id: NotRequired[str | None]
    """Who has the screen; null when it is another one of the same request."""
    copy_of: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A showtime that is wished for: where, when on the wall's clock, and how it is made once that is known."""

    hall: Hall
    local: datetime
    make: Callable[[Instant], NewShowtime]
    copy_of: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    fitting: list[NewShowtime]
    clashes: list[Clash]


def on_days(first: date, last: date, weekdays: frozenset[int]) -> Iterator[date]:
    """The days from first to last that fall on one of these weekdays (1 Monday to 7 Sunday)."""
    day = first
    while day <= last:
        if day.isoweekday() in weekdays:
            yield day
        day += timedelta(days=1)


def on_the_wall(day: date, at: time) -> datetime:
    """A time of a cinema day: early hours are those of the night after."""
    return datetime.combine(day + timedelta(days=1) if at.hour < DAY_BEGINS_HOUR else day, at)


def wished(asked: Showing, place: Place, local: datetime, *, draft: bool, now: Instant) -> Candidate:
    """One showtime of a pattern."""

    def make(starts_at: Instant) -> NewShowtime:
        wishes = Wishes(
            **{name: getattr(asked, name) for name in Showing.model_fields},
            starts_at=moment(starts_at),
            status="draft" if draft else "scheduled",
        )
        return _published(plan(mint(now), wishes, place, now), place)

    return Candidate(place.hall, local, make)


def copied(source: Planned, place: Place, days: int, *, draft: bool, now: Instant) -> Candidate:
    """The same showtime that many days later, by the clock on the wall, in the layout that its screen has now."""
    terms = source.terms
    template = replace(source, showtime=replace(source.showtime, status="draft"))
    local = source.showtime.local_start.replace(tzinfo=None) + timedelta(days=days)

    def make(starts_at: Instant) -> NewShowtime:
        opens = terms.sales_open_at + starts_at - terms.starts_at
        wishes = Wishes(starts_at=moment(starts_at), sales_open_at=moment(opens))
        return _published(replace(plan(mint(now), wishes, place, now, template), draft=draft), place)

    return Candidate(place.hall, local, make, source.showtime.id)


def _published(new: NewShowtime, place: Place) -> NewShowtime:
    if not new.draft:
        demand_published(place.film)
    return new


def settle(candidates: Sequence[Candidate], taken: dict[str, list[Occupied]]) -> Outcome:
    """Who fits, the earlier named first. A time that comes twice means its first coming."""
    outcome = Outcome([], [])
    ours: set[str] = set()
    for candidate in candidates:
        hall = candidate.hall
        try:
            new = candidate.make(local_start(candidate.local, hall.time_zone, fold=0))
            until = clear_at(new)
            for other in taken.get(hall.id, ()):
                if other.starts_at < until and new.terms.starts_at < other.clear_at:
                    raise overlap(replace(other, id="") if other.id in ours else other)
        except Problem as problem:
            outcome.clashes.append(_clash(candidate, problem))
        else:
            outcome.fitting.append(new)
            ours.add(new.id)
            taken.setdefault(hall.id, []).append(Occupied(new.id, "another of these", new.terms.starts_at, until))
    return outcome


def span(candidates: Sequence[Candidate]) -> tuple[Instant, Instant]:
    """A span that has in it whatever can be in the way of the candidates."""
    days = [candidate.local.date() for candidate in candidates]
    first, last = (instant(datetime.combine(day, time(), UTC)) for day in (min(days), max(days)))
    return first - 2 * DAY_MS, last + 4 * DAY_MS


def slot(new: NewShowtime, time_zone: str, *, dry: bool) -> Slot:
    terms = new.terms
    return {
        "id": None if dry else new.id,
        "screen_id": terms.screen_id,
        "movie_id": terms.movie_id,
        "starts_at": rfc3339(terms.starts_at),
        "starts_at_local": moment(terms.starts_at).astimezone(ZoneInfo(time_zone)).isoformat(timespec="seconds"),
        "business_date": business_date(terms.starts_at, time_zone),
        "ends_at": rfc3339(terms.ends_at),
        "clear_at": rfc3339(clear_at(new)),
        "status": "draft" if new.draft else "scheduled",
    }


def _clash(candidate: Candidate, problem: Problem) -> Clash:
    clash: Clash = {
        "screen_id": candidate.hall.id,
        "starts_at_local": candidate.local.isoformat(timespec="seconds"),
        "reason": problem.code,
        "detail": problem.detail,
    }
    if problem.code == "overlap":
        clash["showtime_id"] = str(problem.facts["showtime_id"]) or None
    if candidate.copy_of is not None:
        clash["copy_of"] = candidate.copy_of
    return clash
