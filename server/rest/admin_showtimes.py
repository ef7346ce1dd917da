"""Planning one showtime: make it, look at it, change it, put it on sale, take it back, delete it."""

from typing import Final, Literal

from aiohttp import hdrs, web
from pydantic import Field

from actors.ids import mint
from actors.seatmap.state import NEVER
from persistence import timetable
from persistence.moments import instant
from persistence.programme import Overlap, ProgrammeFilter
from persistence.timetable import HasSales, Planned
from server.auth.identity import ADMIN, MANAGER, Identity, caller, require_staff_of
from server.errors import invalid, not_found
from server.idempotency import idempotent
from server.keys import CLOCK, CONFIG, HUB, PLANNING, POOL, REGISTRY
from server.listings import PlannedCard, after_start, days_from, planned_card
from server.operations import Operation
from server.planning import (
    Changes,
    change,
    demand_no_holds,
    demand_room,
    film_of,
    has_sales,
    planner,
)
from server.repricing import usual
from server.requests import Cursor, Day, Id, Page, Text, WireTime, path_id, read_body, read_query
from server.responses import answer, no_content
from server.revisions import check, tagged
from server.shapes import Listed
from server.timetable import Place, Wishes, demand_published, overlap, plan

PLANNERS: Final = frozenset((MANAGER, ADMIN))


class NewShowing(Wishes):
    """A new showtime needs a film, a screen, a start, a language, a format and prices of its own or of price lists."""

    movie_id: Id
    screen_id: Id
    price_list_id: Id | None = None


class PlansQuery(Page):
    movie_id: Id | None = None
    theatre_id: Id | None = None
    screen_id: Id | None = None
    date: Day | None = None
    days: int = Field(1, ge=1, le=31)
    since: WireTime | None = Field(None, alias="from")
    until: WireTime | None = Field(None, alias="to")
    status: Literal["draft", "scheduled", "running", "completed", "cancelled"] | None = None
    language: Text | None = None
    format: Text | None = None


async def list_plans(request: web.Request) -> web.Response:
    """Every showtime of the caller's theatres, drafts too."""
    who = caller(request)
    query = read_query(request, PlansQuery)
    since_day, until_day = days_from(query.date, query.days) if query.date else (None, None)
    wanted = ProgrammeFilter(
        movie_id=query.movie_id,
        theatre_id=query.theatre_id,
        screen_id=query.screen_id,
        since_day=since_day,
        until_day=until_day,
        since=None if query.since is None else instant(query.since),
        until=None if query.until is None else instant(query.until),
        language=query.language,
        format=query.format,
        theatre_ids=None if who.is_any(ADMIN) else tuple(who.theatres),
        status=query.status,
        drafts=True,
        after=after_start(Cursor.read(query.cursor)),
    )
    rows = await timetable.plans(request.app[POOL], wanted, query.limit + 1)
    shown = rows[: query.limit]
    last = shown[-1].showtime if len(rows) > query.limit else None
    page: Listed[PlannedCard] = {
        "items": [planned_card(request, row) for row in shown],
        "next_cursor": Cursor(key=str(last.starts_at), id=last.id).text() if last else None,
    }
    return answer(page)


async def show_plan(request: web.Request) -> web.Response:
    present, _ = await _present(request)
    return _shown(request, present)


async def add_showtime(request: web.Request) -> web.Response:
    asked = await read_body(request, NewShowing)
    who = await _planner_of_screen(request, asked.screen_id)
    now = request.app[CLOCK].now()
    async with request.app[PLANNING], request.app[POOL].acquire() as connection, connection.transaction():
        halls = await timetable.take_screens(connection, [asked.screen_id])
        film = await film_of(connection, asked.movie_id)
        hall = halls[asked.screen_id]
        tariff = await usual(connection, hall, asked, asked.price_list_id)
        new = plan(mint(now), asked, Place(hall, film, tariff, request.app[CONFIG].hold_ttl_s), now)
        await demand_room(connection, new)
        if not new.draft:
            demand_published(film)
        try:
            await timetable.add(connection, [new], now, planner(request, who))
        except Overlap:
            raise overlap(None) from None
    if not new.draft:
        await request.app[REGISTRY].renew(new.id, timetable.due_at(new, now))
    return await _now(request, new.id, 201)


async def change_showtime(request: web.Request) -> web.Response:
    """Change what is named. 412 when somebody else has changed it since the caller looked.

    With `notify`, a showtime that somebody holds or has bought moves to a screen, or to its screen's new layout, where
    all those seats exist; `seats_vanish` names those that do not. Blocks on seats that are not there end.
    """
    return await _change(request, await read_body(request, Changes))


async def publish_showtime(request: web.Request) -> web.Response:
    """Put a draft on sale; what is on sale already stays as it is."""
    return await _change(request, Changes(status="scheduled"))


async def delete_showtime(request: web.Request) -> web.Response:
    """Only what was never sold; the rest can be cancelled."""
    present, _ = await _present(request)
    showtime_id = present.showtime.id
    check(request, present.revision)
    demand_no_holds(request, showtime_id)
    async with request.app[PLANNING], request.app[POOL].acquire() as connection, connection.transaction():
        try:
            await timetable.delete(connection, showtime_id)
        except HasSales:
            raise has_sales() from None
    await _leave(request, showtime_id)
    return no_content()


_ONE: Final = "/api/v1/admin/showtimes/{showtime_id}"
_UNFIT: Final = (
    "in_past",
    "too_short",
    "format_mismatch",
    "language_mismatch",
    "category_unpriced",
    "nonexistent_local_time",
    "ambiguous_local_time",
    "overlap",
    "movie_not_published",
)
_UNCHANGEABLE: Final = (
    "showtime_not_found",
    "has_sales",
    "already_started",
    "showtime_cancelled",
    "precondition_failed",
)

_UNMOVABLE: Final = ("seats_vanish", "currency_differs", "past_deadline", "showtime_over")

_PATCH: Final = Operation(
    method="PATCH",
    path=_ONE,
    handler=change_showtime,
    summary="Change or move a showtime, publish or withdraw it",
    access=PLANNERS,
    answers={200: PlannedCard},
    asks=Changes,
    problems=(*_UNFIT, *_UNCHANGEABLE, *_UNMOVABLE),
)
OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/admin/showtimes",
        handler=list_plans,
        summary="List showtimes, drafts too",
        access=PLANNERS,
        answers={200: Listed[PlannedCard]},
        query=PlansQuery,
    ),
    Operation(
        method="POST",
        path="/api/v1/admin/showtimes",
        handler=idempotent(add_showtime),
        summary="Schedule a showtime",
        access=PLANNERS,
        answers={201: PlannedCard},
        asks=NewShowing,
        problems=_UNFIT,
    ),
    Operation(
        method="GET",
        path=_ONE,
        handler=show_plan,
        summary="A showtime as its planners see it",
        access=PLANNERS,
        answers={200: PlannedCard},
        problems=("showtime_not_found",),
    ),
    _PATCH,
    _PATCH.also("PUT", _ONE),
    Operation(
        method="DELETE",
        path=_ONE,
        handler=delete_showtime,
        summary="Delete a showtime that was never sold",
        access=PLANNERS,
        answers={204: None},
        problems=("showtime_not_found", "has_sales", "precondition_failed"),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/publish",
        handler=idempotent(publish_showtime),
        summary="Put a draft on sale",
        access=PLANNERS,
        answers={200: PlannedCard},
        problems=(*_UNFIT, *_UNCHANGEABLE),
    ),
)


async def _change(request: web.Request, asked: Changes) -> web.Response:
    present, who = await _present(request)
    showtime_id = present.showtime.id
    if asked.screen_id is not None and asked.screen_id != present.terms.screen_id:
        await _planner_of_screen(request, asked.screen_id)
    registry = request.app[REGISTRY]
    if present.showtime.status != "draft":
        await registry.actor(showtime_id)  # awake before a connection is held, because waking needs one too
    async with request.app[PLANNING], request.app[POOL].acquire() as connection, connection.transaction():
        due_at = await change(request, connection, who, showtime_id, asked, present.terms.screen_id)
    if due_at == NEVER:
        await _leave(request, showtime_id)
    elif due_at is not None:
        await registry.renew(showtime_id, due_at)
    return await _now(request, showtime_id)


async def _leave(request: web.Request, showtime_id: str) -> None:
    """Its log is gone: so are its actor and its watchers."""
    request.app[HUB].gone(showtime_id)
    await request.app[REGISTRY].renew(showtime_id)


async def _present(request: web.Request) -> tuple[Planned, Identity]:
    """The showtime in the path, and a caller who plans for its theatre. 403 forbidden or out_of_scope."""
    found = await timetable.planned(request.app[POOL], path_id(request, "showtime_id", "showtime"))
    if found is None:
        raise not_found("showtime")
    return found, require_staff_of(request, found.showtime.theatre_id, *PLANNERS)


async def _planner_of_screen(request: web.Request, screen_id: str) -> Identity:
    """A caller who plans for the theatre of a screen that the body names. 422, 403 out_of_scope."""
    theatre_id = (await timetable.theatres_of_screens(request.app[POOL], [screen_id])).get(screen_id)
    if theatre_id is None:
        raise invalid("screen_id", "There is no such screen.")
    return require_staff_of(request, theatre_id, *PLANNERS)


async def _now(request: web.Request, showtime_id: str, status: int = 200) -> web.Response:
    """The showtime as it has become."""
    found = await timetable.planned(request.app[POOL], showtime_id)
    if found is None:
        raise not_found("showtime")
    return _shown(request, found, status)


def _shown(request: web.Request, found: Planned, status: int = 200) -> web.Response:
    headers = {**tagged(found.revision)}
    if status == 201:
        headers[hdrs.LOCATION] = f"/api/v1/admin/showtimes/{found.showtime.id}"
    return answer(planned_card(request, found), status, headers)
