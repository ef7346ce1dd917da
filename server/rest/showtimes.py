"""The programme: showtimes by every filter, what the filters can be, and one showtime with its prices."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from actors.seatmap.price_rules import applying
from actors.seatmap.terms import PriceRule
from persistence import programme
from persistence.moments import instant
from persistence.programme import ProgrammeFilter, ShowtimeDetail
from server.errors import not_found
from server.keys import CLOCK, POOL, REGISTRY
from server.listings import ShowtimeCard, ShowtimePage, after_start, days_from, showtime_list, showtime_page
from server.operations import PUBLIC, Operation
from server.requests import Cursor, Day, Id, Page, Query, Text, WireTime, path_id, read_query
from server.responses import public_answer
from server.shapes import Listed


class ShowtimesQuery(Page):
    movie_id: Id | None = None
    theatre_id: Id | None = None
    screen_id: Id | None = None
    city: Text | None = None
    date: Day | None = None
    since: WireTime | None = Field(None, alias="from")
    until: WireTime | None = Field(None, alias="to")
    language: Text | None = None
    format: Text | None = None


class FacetsQuery(Query):
    city: Text | None = None
    date: Day | None = None


class FacetMovie(TypedDict):
    id: str
    title: str


class Facets(TypedDict):
    """Only what there is something of."""

    cities: tuple[str, ...]
    dates: tuple[date, ...]
    movies: list[FacetMovie]
    formats: tuple[str, ...]
    languages: tuple[str, ...]


async def list_showtimes(request: web.Request) -> web.Response:
    query = read_query(request, ShowtimesQuery)
    since_day, until_day = days_from(query.date, 1) if query.date else (None, None)
    dated = query.date or query.since or query.until
    wanted = ProgrammeFilter(
        movie_id=query.movie_id,
        theatre_id=query.theatre_id,
        screen_id=query.screen_id,
        city=query.city,
        since_day=since_day,
        until_day=until_day,
        since=_instant(query.since),
        until=_instant(query.until),
        ending_after=None if dated else request.app[CLOCK].now(),
        language=query.language,
        format=query.format,
        after=after_start(Cursor.read(query.cursor)),
    )
    return public_answer(request, await showtime_list(request, wanted, query))


async def facets(request: web.Request) -> web.Response:
    query = read_query(request, FacetsQuery)
    since_day, until_day = days_from(query.date, 1) if query.date else (None, None)
    ending_after = None if query.date else request.app[CLOCK].now()
    wanted = ProgrammeFilter(city=query.city, since_day=since_day, until_day=until_day, ending_after=ending_after)
    found = await programme.facets(request.app[POOL], wanted)
    shown: Facets = {
        "cities": found.cities,
        "dates": found.dates,
        "movies": [{"id": movie_id, "title": title} for movie_id, title in found.movies],
        "formats": found.formats,
        "languages": found.languages,
    }
    return public_answer(request, shown)


async def one_showtime(request: web.Request) -> web.Response:
    found = await programme.showtime(request.app[POOL], path_id(request, "showtime_id", "showtime"))
    if found is None:
        raise not_found("showtime")
    return public_answer(request, showtime_page(request, found, await _rules_now(request, found)))


async def _rules_now(request: web.Request, found: ShowtimeDetail) -> Sequence[PriceRule]:
    """What moves the prices at this moment. Some rules ask how full the hall is, which its actor knows."""
    if not found.tariff.rules:
        return ()
    actor = await request.app[REGISTRY].actor(found.showtime.id)
    return applying(actor.snapshot, request.app[CLOCK].now())


OPERATIONS: Final = (
    Operation(
        "GET",
        "/api/v1/showtimes",
        list_showtimes,
        "The programme, by start.",
        PUBLIC,
        {200: Listed[ShowtimeCard], 304: None},
        query=ShowtimesQuery,
    ),
    Operation(
        "GET",
        "/api/v1/showtimes/facets",
        facets,
        "What the filters of the programme can be set to.",
        PUBLIC,
        {200: Facets, 304: None},
        query=FacetsQuery,
    ),
    Operation(
        "GET",
        "/api/v1/showtimes/{showtime_id}",
        one_showtime,
        "One showtime with what its seats cost now, and its rules.",
        PUBLIC,
        {200: ShowtimePage, 304: None},
        problems=("showtime_not_found",),
    ),
)


def _instant(at: datetime | None) -> int | None:
    return None if at is None else instant(at)
