"""Planning many showtimes at once: by a pattern, by copying a week, and publishing what waits."""

from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from actors.seatmap.terms import Instant
from persistence import timetable
from persistence.database import Connection
from persistence.programme import NewShowtime, Overlap, ProgrammeFilter
from persistence.timetable import Film, Planned
from server.auth.identity import ADMIN, MANAGER, Identity, caller, require_staff_of
from server.errors import Problem, invalid, not_found
from server.idempotency import idempotent
from server.keys import CLOCK, CONFIG, PLANNING, POOL, REGISTRY
from server.operations import Operation
from server.planning import film_of, planner
from server.repricing import usual
from server.requests import Body, Id, read_body
from server.responses import answer
from server.series import Candidate, Clash, Slot, copied, on_days, on_the_wall, settle, slot, span, wished
from server.timetable import Place, Showing, demand_published, overlap

PLANNERS: Final = frozenset((MANAGER, ADMIN))
SHOWTIMES_MAX: Final = 1_000
DAYS_MAX: Final = 92
WEEK_DAYS: Final = 7


def _day(text: object) -> object:
    if not isinstance(text, str) or len(text) != len("2026-11-21") or text[:2] not in ("20", "21"):
        raise ValueError("a day looks like 2026-11-21")
    return date.fromisoformat(text)


def _clock_time(text: object) -> object:
    if not isinstance(text, str) or len(text) != len("19:30"):
        raise ValueError("a time looks like 19:30")
    return time.fromisoformat(text)


BodyDay = Annotated[date, BeforeValidator(_day)]
ClockTime = Annotated[time, BeforeValidator(_clock_time)]
Weekday = Annotated[int, Field(ge=1, le=7)]


class Pattern(Showing):
    """A film on each of these screens, at each of these local times, on each of these weekdays (1 Monday, 7 Sunday)."""

    movie_id: Id
    screen_ids: Annotated[list[Id], Field(min_length=1, max_length=50)]
    times: Annotated[list[ClockTime], Field(min_length=1, max_length=48)]
    weekdays: Annotated[list[Weekday], Field(min_length=1, max_length=7)] = Field(
        default_factory=lambda: [*range(1, 8)]
    )
    price_list_id: Id | None = None
    first: BodyDay = Field(alias="from")
    last: BodyDay = Field(alias="to")


class Bulk(Body):
    pattern: Pattern
    dry_run: bool = False
    status: Literal["draft", "scheduled"] = "scheduled"


class WeekCopy(Body):
    """Seven cinema days from `from` on, again from `to` on."""

    theatre_id: Id
    first: BodyDay = Field(alias="from")
    target: BodyDay = Field(alias="to")
    dry_run: bool = False
    status: Literal["draft", "scheduled"] | None = None


class Publishing(Body):
    showtime_ids: Annotated[list[Id], Field(min_length=1, max_length=SHOWTIMES_MAX)]


class Scheduled(TypedDict):
    dry_run: bool
    created: list[Slot]
    conflicts: list[Clash]


class NotPublished(TypedDict):
    showtime_id: str
    reason: str
    detail: str


class Published(TypedDict):
    published: list[str]
    refused: list[NotPublished]


async def schedule_pattern(request: web.Request) -> web.Response:
    asked = await read_body(request, Bulk)
    pattern = asked.pattern
    if not pattern.first <= pattern.last < pattern.first + timedelta(days=DAYS_MAX):
        raise invalid("pattern.to", f"A pattern goes over {DAYS_MAX} days at most, from its first to its last.")
    who = await _planner_of(request, pattern.screen_ids)
    now, hold_seconds = request.app[CLOCK].now(), request.app[CONFIG].hold_ttl_s
    async with request.app[PLANNING], request.app[POOL].acquire() as connection, connection.transaction():
        halls = await timetable.take_screens(connection, pattern.screen_ids)
        film = await film_of(connection, pattern.movie_id)
        places = {
            hall.id: Place(hall, film, await usual(connection, hall, pattern, pattern.price_list_id), hold_seconds)
            for hall in halls.values()
        }
        draft = asked.status == "draft"
        candidates = [
            wished(pattern, places[screen_id], on_the_wall(day, at), draft=draft, now=now)
            for day in on_days(pattern.first, pattern.last, frozenset(pattern.weekdays))
            for screen_id in dict.fromkeys(pattern.screen_ids)
            for at in sorted(set(pattern.times))
        ]
        told, new = await _put(request, connection, who, candidates, dry=asked.dry_run)
    return await _done(request, told, new)


async def copy_week(request: web.Request) -> web.Response:
    asked = await read_body(request, WeekCopy)
    who = require_staff_of(request, asked.theatre_id, *PLANNERS)
    days = (asked.target - asked.first).days
    if days < WEEK_DAYS:
        raise invalid("to", "A week is copied to a later one.")
    now = request.app[CLOCK].now()
    wanted = ProgrammeFilter(
        theatre_id=asked.theatre_id,
        since_day=asked.first,
        until_day=asked.first + timedelta(days=WEEK_DAYS),
        drafts=True,
    )
    async with request.app[PLANNING], request.app[POOL].acquire() as connection, connection.transaction():
        found = await timetable.plans(connection, wanted, SHOWTIMES_MAX + 1)
        sources = [plan for plan in found if plan.showtime.status != "cancelled"]
        halls = await timetable.take_screens(connection, list({plan.terms.screen_id for plan in sources}))
        films = {movie_id: await film_of(connection, movie_id) for movie_id in {p.terms.movie_id for p in sources}}
        candidates = [
            copied(
                source,
                Place(halls[source.terms.screen_id], films[source.terms.movie_id]),
                days,
                draft=(asked.status or source.showtime.status) == "draft",
                now=now,
            )
            for source in sources
        ]
        told, new = await _put(request, connection, who, candidates, dry=asked.dry_run)
    return await _done(request, told, new)


async def publish_many(request: web.Request) -> web.Response:
    """Put drafts on sale. What cannot be is named; what is on sale already counts as published."""
    asked = await read_body(request, Publishing)
    now = request.app[CLOCK].now()
    known = await timetable.plans_by_id(request.app[POOL], asked.showtime_ids)
    for plan in known:
        require_staff_of(request, plan.showtime.theatre_id, *PLANNERS)
    async with request.app[PLANNING], request.app[POOL].acquire() as connection, connection.transaction():
        await timetable.take_screens(connection, [plan.terms.screen_id for plan in known])
        plans = {plan.showtime.id: plan for plan in await timetable.plans_by_id(connection, asked.showtime_ids)}
        films = {plan.terms.movie_id: await film_of(connection, plan.terms.movie_id) for plan in plans.values()}
        told: Published = {"published": [], "refused": []}
        for showtime_id in dict.fromkeys(asked.showtime_ids):
            if (why := _unpublishable(plans.get(showtime_id), films, now)) is None:
                told["published"].append(showtime_id)
            else:
                told["refused"].append({"showtime_id": showtime_id, "reason": why.code, "detail": why.detail})
        drafts = [timetable.as_new(plans[each]) for each in told["published"] if plans[each].showtime.status == "draft"]
        await timetable.publish(connection, drafts, now, planner(request, caller(request)))
    for new in drafts:
        await request.app[REGISTRY].renew(new.id, timetable.due_at(new, now))
    return answer(told)


_ADMIN: Final = "/api/v1/admin/showtimes"
OPERATIONS: Final = (
    Operation(
        "POST",
        f"{_ADMIN}/bulk",
        idempotent(schedule_pattern),
        "Schedule a film by a pattern; what does not fit is named.",
        PLANNERS,
        {200: Scheduled, 201: Scheduled},
        asks=Bulk,
        problems=("movie_not_published", "overlap"),
    ),
    Operation(
        "POST",
        f"{_ADMIN}/copy-week",
        idempotent(copy_week),
        "Copy a theatre's week to a later one.",
        PLANNERS,
        {200: Scheduled, 201: Scheduled},
        asks=WeekCopy,
        problems=("overlap",),
    ),
    Operation(
        "POST",
        f"{_ADMIN}/publish",
        idempotent(publish_many),
        "Put many drafts on sale.",
        PLANNERS,
        {200: Published},
        asks=Publishing,
    ),
)


async def _put(
    request: web.Request, connection: Connection, who: Identity, candidates: Sequence[Candidate], *, dry: bool
) -> tuple[Scheduled, list[NewShowtime]]:
    """Judge the candidates and, unless it is a dry run, put those that fit into the programme."""
    if len(candidates) > SHOWTIMES_MAX:
        raise invalid("", f"That would be {len(candidates)} showtimes; {SHOWTIMES_MAX} can be made at once.")
    if not candidates:
        return {"dry_run": dry, "created": [], "conflicts": []}, []
    zones = {candidate.hall.id: candidate.hall.time_zone for candidate in candidates}
    outcome = settle(candidates, await timetable.occupations(connection, list(zones), *span(candidates)))
    created = [] if dry else outcome.fitting
    if created:
        try:
            await timetable.add(connection, created, request.app[CLOCK].now(), planner(request, who))
        except Overlap:
            raise overlap(None) from None
    slots = [slot(new, zones[new.terms.screen_id], dry=dry) for new in outcome.fitting]
    return {"dry_run": dry, "created": slots, "conflicts": outcome.clashes}, created


async def _done(request: web.Request, told: Scheduled, new: Sequence[NewShowtime]) -> web.Response:
    now = request.app[CLOCK].now()
    for each in new:
        if not each.draft:
            await request.app[REGISTRY].renew(each.id, timetable.due_at(each, now))
    return answer(told, 201 if new else 200)


async def _planner_of(request: web.Request, screen_ids: Sequence[str]) -> Identity:
    """A caller who plans for the theatres of all these screens. 422, 403 out_of_scope."""
    theatres = await timetable.theatres_of_screens(request.app[POOL], screen_ids)
    if missing := [screen_id for screen_id in screen_ids if screen_id not in theatres]:
        raise invalid("pattern.screen_ids", f"There is no screen {missing[0]}.")
    for theatre_id in set(theatres.values()):
        require_staff_of(request, theatre_id, *PLANNERS)
    return caller(request)


def _unpublishable(plan: Planned | None, films: Mapping[str, Film], now: Instant) -> Problem | None:
    """Why a draft cannot be put on sale now."""
    if plan is None:
        return not_found("showtime")
    if plan.showtime.status != "draft":
        return None
    if plan.terms.starts_at <= now:
        return Problem(422, "in_past", "A showtime cannot begin in the past.")
    try:
        demand_published(films[plan.terms.movie_id])
    except Problem as problem:
        return problem
    return None
