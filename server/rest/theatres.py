"""Theatres and their screens."""

import contextlib
from typing import Annotated, Final

from aiohttp import web
from pydantic import AfterValidator, Field

from persistence import catalog, houses
from persistence.catalog import Screen, Theatre, TheatreFilter
from persistence.houses import ScreenSearch
from persistence.programme import ProgrammeFilter
from server.aliases import alias
from server.cards import ScreenCard, TheatreCard, screen_card, theatre_card
from server.errors import not_found
from server.kept import kept
from server.keys import CLOCK, POOL
from server.listings import ShowtimeCard, after_start, days_from, showtime_list
from server.operations import PUBLIC, Operation
from server.requests import Cursor, Day, Page, Text, path_id, read_query
from server.responses import public_answer
from server.shapes import Listed


def _point(text: str) -> str:
    lat, _, lng = text.partition(",")
    with contextlib.suppress(ValueError):
        if -90 <= float(lat) <= 90 and -180 <= float(lng) <= 180:
            return text
    raise ValueError("a place looks like 52.52,13.40")


class TheatresQuery(Page):
    city: Text | None = None
    q: Text | None = None
    near: Annotated[str, Field(max_length=60), AfterValidator(_point)] | None = None
    radius_km: float = Field(50.0, gt=0, le=20_100, allow_inf_nan=False)


class TheatreShowtimesQuery(Page):
    date: Day | None = None
    days: int = Field(1, ge=1, le=30)


async def list_theatres(request: web.Request) -> Listed[TheatreCard]:
    query = read_query(request, TheatresQuery)
    cursor = Cursor.read(query.cursor)
    lat, _, lng = (query.near or "").partition(",")
    wanted = TheatreFilter(
        text=query.q,
        city=query.city,
        near=(float(lat), float(lng)) if query.near else None,
        radius_km=query.radius_km,
        after=(cursor.key, cursor.id) if cursor else None,
    )
    rows = await catalog.theatres(request.app[POOL], wanted, query.limit + 1)
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    return {
        "items": [theatre_card(theatre) for theatre in shown],
        "next_cursor": Cursor(key=last.sort_key, id=last.id).text() if last else None,
    }


async def one_theatre(request: web.Request) -> web.Response:
    return public_answer(request, theatre_card(await _theatre(request)))


async def theatre_screens(request: web.Request) -> web.Response:
    theatre = await _theatre(request)
    query = read_query(request, Page)
    cursor = Cursor.read(query.cursor)
    wanted = ScreenSearch(theatre_id=theatre.id, after=(cursor.key, cursor.id) if cursor else None)
    rows = await houses.screens(request.app[POOL], wanted, query.limit + 1)
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    page: Listed[ScreenCard] = {
        "items": [screen_card(screen) for screen in shown],
        "next_cursor": Cursor(key=last.name.lower(), id=last.id).text() if last else None,
    }
    return public_answer(request, page)


async def theatre_showtimes(request: web.Request) -> web.Response:
    theatre = await _theatre(request)
    query = read_query(request, TheatreShowtimesQuery)
    since, until = days_from(query.date, query.days) if query.date else (None, None)
    wanted = ProgrammeFilter(
        theatre_id=theatre.id,
        since_day=since,
        until_day=until,
        ending_after=None if query.date else request.app[CLOCK].now(),
        after=after_start(Cursor.read(query.cursor)),
    )
    return public_answer(request, await showtime_list(request, wanted, query))


async def one_screen(request: web.Request) -> web.Response:
    return public_answer(request, screen_card(await _screen(request)))


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/theatres",
        handler=kept(list_theatres),
        summary="Find theatres by city, words or distance",
        access=PUBLIC,
        answers={200: Listed[TheatreCard], 304: None},
        query=TheatresQuery,
    ),
    Operation(
        method="GET",
        path="/api/v1/theatres/{theatre_id}",
        handler=one_theatre,
        summary="A theatre",
        access=PUBLIC,
        answers={200: TheatreCard, 304: None},
        problems=("theatre_not_found",),
    ),
    Operation(
        method="GET",
        path="/api/v1/theatres/{theatre_id}/screens",
        handler=theatre_screens,
        summary="The screens of a theatre",
        access=PUBLIC,
        answers={200: Listed[ScreenCard], 304: None},
        query=Page,
        problems=("theatre_not_found",),
    ),
    Operation(
        method="GET",
        path="/api/v1/theatres/{theatre_id}/showtimes",
        handler=theatre_showtimes,
        summary="What a theatre shows",
        access=PUBLIC,
        answers={200: Listed[ShowtimeCard], 304: None},
        query=TheatreShowtimesQuery,
        problems=("theatre_not_found",),
    ),
    Operation(
        method="GET",
        path="/api/v1/screens/{screen_id}",
        handler=one_screen,
        summary="A screen",
        access=PUBLIC,
        answers={200: ScreenCard, 304: None},
        problems=("screen_not_found",),
    ),
    alias("GET", "/api/v1/theaters", "/api/v1/theatres"),
    alias("GET", "/api/v1/theaters/{theatre_id}", "/api/v1/theatres/{theatre_id}"),
)


async def _theatre(request: web.Request) -> Theatre:
    theatre = await catalog.theatre(request.app[POOL], path_id(request, "theatre_id", "theatre"))
    if theatre is None:
        raise not_found("theatre")
    return theatre


async def _screen(request: web.Request) -> Screen:
    screen = await catalog.screen(request.app[POOL], path_id(request, "screen_id", "screen"))
    if screen is None:
        raise not_found("screen")
    return screen
