"""Screens and the versions of their drawings, as those who run a theatre change them.

A version of a drawing never changes. A showtime keeps the one that it was planned with; what is planned from now on
gets the screen's present one.
"""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final, Literal, Self

from aiohttp import hdrs, web
from pydantic import AfterValidator, Field, model_validator
from typing_extensions import TypedDict

from actors.ids import mint
from actors.seatmap import pretix
from actors.seatmap.layout import Layout, from_plan, from_shortcut, to_plan
from actors.seatmap.state import SeatMap
from persistence import catalog, houses, timetable
from persistence.catalog import LayoutRow, Screen
from persistence.houses import HasShowtimes, InUse, NameTaken, ScreenSearch, Version
from persistence.layouts import from_row, to_row
from server.auth.identity import ADMIN, MANAGER, caller, require_staff_of
from server.cards import ScreenRecord, screen_record
from server.drawings import PlanGiven, drawn, read_plan, roomy
from server.errors import Problem, invalid, not_found
from server.keys import CLOCK, POOL, REGISTRY
from server.operations import Operation
from server.requests import Body, Cursor, Id, Page, Query, path_id, read_body, read_query
from server.responses import answer, no_content
from server.revisions import check, tagged
from server.shapes import Listed
from server.wire import rfc3339

RUNNERS: Final = frozenset((MANAGER, ADMIN))
FORMATS_MAX: Final = 20
VERSION_MAX: Final = 1_000_000


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name or not name.isprintable():
        raise ValueError("a name has at least one printable character")
    return name


def _once(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))


ScreenName = Annotated[str, Field(max_length=100), AfterValidator(_name)]
Formats = Annotated[
    list[Annotated[str, Field(max_length=40), AfterValidator(_name)]],
    Field(min_length=1, max_length=FORMATS_MAX),
    AfterValidator(_once),
]
VersionNumber = Annotated[int, Field(ge=1, le=VERSION_MAX)]
Count = Annotated[int, Field(ge=0, le=10_000)]
Key = Annotated[str, Field(min_length=1, max_length=60)]


class NewScreen(Body):
    """A screen with one of three drawings: `layout`, a plan of ours or of pretix; `layout_id`, a copy of a drawing that
    is there; or the shortcut of `rows` times `seats_per_row`, all `standard` unless `type_counts` says how many seats
    from the front are of each category, which add up to all of them."""

    theatre_id: Id
    name: ScreenName
    formats: Formats = Field(default_factory=lambda: ["2D"])
    layout: dict[str, Any] | None = None
    layout_id: Id | None = None
    rows: Annotated[int, Field(ge=1, le=52)] | None = None
    seats_per_row: Annotated[int, Field(ge=1, le=60)] | None = None
    aisles_after: Annotated[list[Count], Field(max_length=60)] = Field(default_factory=list)
    type_counts: Annotated[dict[Key, Count], Field(min_length=1, max_length=52)] | None = None

    @model_validator(mode="after")
    def _one_drawing(self) -> Self:
        shortcut = self.rows is not None or self.seats_per_row is not None
        if shortcut and (self.rows is None or self.seats_per_row is None):
            raise ValueError("rows and seats_per_row belong together")
        if [self.layout is not None, self.layout_id is not None, shortcut].count(True) != 1:
            raise ValueError("give layout, or layout_id, or rows and seats_per_row")
        if not shortcut and (self.type_counts is not None or self.aisles_after):
            raise ValueError("type_counts and aisles_after go with rows and seats_per_row")
        return self


class ScreenChanges(Body):
    """What is named is changed. `layout_version` is what showtimes that are planned from now on get."""

    name: ScreenName | None = None
    formats: Formats | None = None
    layout_version: VersionNumber | None = None


class ScreensQuery(Page):
    theatre_id: Id | None = None


class NewVersionQuery(Query):
    """`use=false` draws a version that no showtime gets yet."""

    use: bool = True


class FormatQuery(Query):
    format: Literal["plan", "pretix"] = "plan"


class PreviewQuery(Query):
    showtime_id: Id


class LayoutVersion(TypedDict):
    """`current` is whether showtimes planned now get it; `showtimes` is how many have it."""

    id: str
    screen_id: str
    version: int
    name: str
    capacity: int
    current: bool
    showtimes: int
    created_at: str


class MadeVersion(TypedDict):
    id: str
    screen_id: str
    version: int
    name: str
    capacity: int
    current: bool


class Vanishing(TypedDict):
    """A seat that somebody holds or has bought."""

    seat: str
    state: str
    booking_id: str | None


class Regraded(TypedDict):
    """A seat in use that would be of another category."""

    seat: str
    state: str
    category: str
    becomes: str


class Preview(TypedDict):
    """What would become of a showtime's seats in another version of the drawing. `fits` is whether nobody loses one."""

    showtime_id: str
    layout_version: int
    capacity: int
    added: int
    removed: int
    vanishing: list[Vanishing]
    regraded: list[Regraded]
    fits: bool


async def list_screens(request: web.Request) -> web.Response:
    """The screens of the caller's theatres by name; all of them for an administrator."""
    who = caller(request)
    query = read_query(request, ScreensQuery)
    if query.theatre_id is not None:
        require_staff_of(request, query.theatre_id, *RUNNERS)
    cursor = Cursor.read(query.cursor)
    wanted = ScreenSearch(
        theatre_ids=None if who.is_any(ADMIN) else tuple(who.theatres),
        theatre_id=query.theatre_id,
        after=(cursor.key, cursor.id) if cursor else None,
    )
    rows = await houses.screens(request.app[POOL], wanted, query.limit + 1)
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    page: Listed[ScreenRecord] = {
        "items": [screen_record(screen) for screen in shown],
        "next_cursor": Cursor(key=last.name.lower(), id=last.id).text() if last else None,
    }
    return answer(page)


async def show_screen(request: web.Request) -> web.Response:
    return _shown(await _own(request))


async def add_screen(request: web.Request) -> web.Response:
    asked = await read_body(request, NewScreen)
    pool, now = request.app[POOL], request.app[CLOCK].now()
    if await catalog.theatre(pool, asked.theatre_id) is None:
        raise invalid("theatre_id", "There is no such theatre.")
    require_staff_of(request, asked.theatre_id, *RUNNERS)
    screen_id = mint(now)
    layout = await _drawing(request, asked, mint(now))
    async with pool.acquire() as connection, connection.transaction():
        if await houses.take_theatre(connection, asked.theatre_id) is None:
            raise invalid("theatre_id", "There is no such theatre.")
        try:
            row = to_row(layout, mint(now))
            await houses.add_screen(connection, screen_id, asked.theatre_id, asked.name, asked.formats, row)
        except NameTaken:
            raise _name_taken() from None
    made = Screen(
        id=screen_id,
        theatre_id=asked.theatre_id,
        name=asked.name,
        formats=tuple(asked.formats),
        layout_id=layout.id,
        layout_version=layout.version,
        capacity=layout.capacity,
    )
    return _shown(made, 201)


async def change_screen(request: web.Request) -> web.Response:
    """Change what is named. Showtimes that are planned already keep their formats and their drawings."""
    asked = await read_body(request, ScreenChanges)
    if empty := [name for name in asked.model_fields_set if getattr(asked, name) is None]:
        raise invalid(empty[0], "This cannot be nothing.")
    own = await _own(request)
    async with request.app[POOL].acquire() as connection, connection.transaction():
        present = await houses.take_screen(connection, own.id)
        if present is None:
            raise not_found("screen")
        check(request, present.revision)
        wanted = replace(
            present,
            name=asked.name or present.name,
            formats=tuple(asked.formats or present.formats),
        )
        if asked.layout_version is not None:
            layout = await catalog.layout_of_screen(connection, present.id, asked.layout_version)
            if layout is None:
                raise invalid("layout_version", "The drawing of this screen has no such version.")
            wanted = replace(wanted, layout_id=layout.id, layout_version=layout.version, capacity=layout.capacity)
        if wanted == present:
            return _shown(present)
        try:
            await houses.write_screen(
                connection, wanted.id, wanted.name, wanted.formats, wanted.layout_id, request.app[CLOCK].now()
            )
        except NameTaken:
            raise _name_taken() from None
    return _shown(replace(wanted, revision=present.revision + 1))


async def delete_screen(request: web.Request) -> web.Response:
    """Only a screen that never had a showtime."""
    own = await _own(request)
    async with request.app[POOL].acquire() as connection, connection.transaction():
        present = await houses.take_screen(connection, own.id, whole=True)
        if present is None:
            raise not_found("screen")
        check(request, present.revision)
        try:
            await houses.delete_screens(connection, [present.id])
        except HasShowtimes:
            raise Problem(409, "has_showtimes", "This screen has showtimes, so it stays.") from None
        except InUse:
            raise Problem(409, "in_use", "Something else still refers to this screen.") from None
    return no_content()


async def list_versions(request: web.Request) -> web.Response:
    own = await _own(request)
    query = read_query(request, Page)
    cursor = Cursor.read(query.cursor)
    if cursor is not None and not (cursor.key.isdecimal() and len(cursor.key) < 8):
        raise invalid("cursor", "This cursor was not made by this server.")
    before = int(cursor.key) if cursor else None
    rows = await houses.versions(request.app[POOL], own.id, before, query.limit + 1)
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    page: Listed[LayoutVersion] = {
        "items": [_version(own.id, row) for row in shown],
        "next_cursor": Cursor(key=str(last.version), id=last.id).text() if last else None,
    }
    return answer(page)


async def add_version(request: web.Request) -> web.Response:
    """Draw a new version, which showtimes that are planned from now on get; with `use=false` nobody gets it yet."""
    own = await _own(request)
    query = read_query(request, NewVersionQuery)
    document = (await read_body(request, PlanGiven)).root
    now = request.app[CLOCK].now()
    present = await catalog.layout(request.app[POOL], own.layout_id)
    known = () if present is None else from_row(present).categories
    layout = await read_plan(mint(now), 1, document, known=known)
    async with request.app[POOL].acquire() as connection, connection.transaction():
        screen = await houses.take_screen(connection, own.id)
        if screen is None:
            raise not_found("screen")
        check(request, screen.revision)
        family_id, version = await houses.next_version(connection, screen.layout_id)
        layout = replace(layout, version=version)
        await catalog.put_layout(connection, to_row(layout, family_id))
        if query.use:
            await houses.write_screen(connection, screen.id, screen.name, screen.formats, layout.id, now)
    made: MadeVersion = {
        "id": layout.id,
        "screen_id": screen.id,
        "version": layout.version,
        "name": layout.name,
        "capacity": layout.capacity,
        "current": query.use,
    }
    place = f"/api/v1/admin/screens/{screen.id}/layouts/{layout.version}"
    return answer(made, 201, {hdrs.LOCATION: place})


async def show_version(request: web.Request) -> web.Response:
    """The document that can be sent back changed: our plan, or with `format=pretix` a pretix seating plan."""
    row = await _own_version(request)
    if read_query(request, FormatQuery).format == "pretix":
        return answer(pretix.from_layout(from_row(row)))
    return answer(to_plan(from_row(row)))


async def delete_version(request: web.Request) -> web.Response:
    """Only a version that neither a screen nor a showtime has."""
    own, row = await _own(request), await _own_version(request)
    async with request.app[POOL].acquire() as connection, connection.transaction():
        await houses.take_screen(connection, own.id)  # or it could choose this version meanwhile
        try:
            await houses.delete_version(connection, row)
        except InUse:
            raise Problem(409, "layout_in_use", "A showtime or screen uses this version.") from None
    return no_content()


async def preview_version(request: web.Request) -> web.Response:
    """Which held and sold seats of a showtime this version does not have."""
    own, row = await _own(request), await _own_version(request)
    showtime_id = read_query(request, PreviewQuery).showtime_id
    planned = await timetable.planned(request.app[POOL], showtime_id)
    if planned is None or planned.showtime.theatre_id != own.theatre_id:
        raise not_found("showtime")
    layout = from_row(row)
    if planned.showtime.status == "draft":
        present = await catalog.layout(request.app[POOL], planned.showtime.layout_id)
        assert present is not None
        return answer(_preview(showtime_id, from_row(present), layout, None))
    state = (await request.app[REGISTRY].actor(showtime_id)).snapshot
    return answer(_preview(showtime_id, state.layout, layout, state))


def _preview(showtime_id: str, present: Layout, layout: Layout, state: SeatMap | None) -> Preview:
    """Seats that the house itself has blocked belong to nobody, and are not named."""
    taken = {} if state is None else state.taken
    vanishing: list[Vanishing] = []
    regraded: list[Regraded] = []
    for label, seat in present.seats.items():
        claim = taken.get(label)
        if state is None or claim is None or claim.state.value == "blocked":
            continue
        becomes = layout.seats.get(label)
        if becomes is None:
            booking_id = claim.by if claim.by in state.bookings else None
            vanishing.append({"seat": label, "state": claim.state.value, "booking_id": booking_id})
        elif becomes.category != seat.category:
            regraded.append(
                {
                    "seat": label,
                    "state": claim.state.value,
                    "category": seat.category,
                    "becomes": becomes.category,
                }
            )
    return {
        "showtime_id": showtime_id,
        "layout_version": layout.version,
        "capacity": layout.capacity,
        "added": len(layout.seats.keys() - present.seats.keys()),
        "removed": len(present.seats.keys() - layout.seats.keys()),
        "vanishing": vanishing,
        "regraded": regraded,
        "fits": not vanishing,
    }


async def _drawing(request: web.Request, asked: NewScreen, layout_id: str) -> Layout:
    """The drawing of a new screen, its own from now on. 422."""
    if asked.layout is not None:
        return await read_plan(layout_id, 1, asked.layout, "layout")
    if asked.layout_id is not None:
        row = await catalog.layout(request.app[POOL], asked.layout_id)
        if row is None:
            raise invalid("layout_id", "There is no such layout.")
        return await drawn(partial(from_plan, layout_id, 1, row.plan), "layout_id")
    assert asked.rows is not None
    assert asked.seats_per_row is not None
    plan = partial(
        from_shortcut, asked.name, asked.rows, asked.seats_per_row,
        aisles_after=asked.aisles_after, type_counts=asked.type_counts,
    )  # fmt: skip
    return await drawn(lambda: from_plan(layout_id, 1, plan()))


async def _own(request: web.Request) -> Screen:
    """The screen in the path, which the caller runs. 404 screen_not_found, 403 out_of_scope."""
    screen = await catalog.screen(request.app[POOL], path_id(request, "screen_id", "screen"))
    if screen is None:
        raise not_found("screen")
    require_staff_of(request, screen.theatre_id, *RUNNERS)
    return screen


async def _own_version(request: web.Request) -> LayoutRow:
    """The version in the path, of a screen that the caller runs. 404 layout_not_found, 403 out_of_scope."""
    own = await _own(request)
    number = request.match_info["version"]
    known = number.isascii() and number.isdecimal() and len(number) <= 7
    row = await catalog.layout_of_screen(request.app[POOL], own.id, int(number)) if known else None
    if row is None:
        raise not_found("layout")
    return row


def _version(screen_id: str, row: Version) -> LayoutVersion:
    return {
        "id": row.id,
        "screen_id": screen_id,
        "version": row.version,
        "name": row.name,
        "capacity": row.capacity,
        "current": row.current,
        "showtimes": row.showtimes,
        "created_at": rfc3339(row.created_at),
    }


def _shown(screen: Screen, status: int = 200) -> web.Response:
    headers = {**tagged(screen.revision)}
    if status == 201:
        headers[hdrs.LOCATION] = f"/api/v1/admin/screens/{screen.id}"
    return answer(screen_record(screen), status, headers)


def _name_taken() -> Problem:
    return Problem(409, "name_taken", "There is already a screen of this name in this theatre.")


_ALL: Final = "/api/v1/admin/screens"
_ONE: Final = "/api/v1/admin/screens/{screen_id}"
_VERSION: Final = "/api/v1/admin/screens/{screen_id}/layouts/{version}"
_PATCH: Final = Operation(
    method="PATCH",
    path=_ONE,
    handler=change_screen,
    summary="Change a screen",
    access=RUNNERS,
    answers={200: ScreenRecord},
    asks=ScreenChanges,
    problems=("screen_not_found", "precondition_failed", "name_taken"),
)
OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_ALL,
        handler=list_screens,
        summary="List the screens that one runs",
        access=RUNNERS,
        answers={200: Listed[ScreenRecord]},
        query=ScreensQuery,
    ),
    Operation(
        method="POST",
        path=_ALL,
        handler=roomy(add_screen),
        summary="Add a screen",
        access=RUNNERS,
        answers={201: ScreenRecord},
        asks=NewScreen,
        problems=("name_taken", "body_too_large"),
        remembers=True,
    ),
    Operation(
        method="GET",
        path=_ONE,
        handler=show_screen,
        summary="A screen as those who run it see it",
        access=RUNNERS,
        answers={200: ScreenRecord},
        problems=("screen_not_found",),
    ),
    _PATCH,
    _PATCH.also("PUT", _ONE),
    Operation(
        method="DELETE",
        path=_ONE,
        handler=delete_screen,
        summary="Delete a screen that never had a showtime",
        access=RUNNERS,
        answers={204: None},
        problems=("screen_not_found", "precondition_failed", "has_showtimes", "in_use"),
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/layouts",
        handler=list_versions,
        summary="The versions of a screen's drawing, the newest first",
        access=RUNNERS,
        answers={200: Listed[LayoutVersion]},
        query=Page,
        problems=("screen_not_found",),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/layouts",
        handler=roomy(add_version),
        summary="Draw a new version",
        access=RUNNERS,
        answers={201: MadeVersion},
        asks=PlanGiven,
        query=NewVersionQuery,
        problems=("screen_not_found", "precondition_failed", "body_too_large"),
        remembers=True,
    ),
    Operation(
        method="GET",
        path=_VERSION,
        handler=show_version,
        summary="A version as a document",
        access=RUNNERS,
        answers={200: dict[str, Any]},
        query=FormatQuery,
        problems=("screen_not_found", "layout_not_found"),
    ),
    Operation(
        method="DELETE",
        path=_VERSION,
        handler=delete_version,
        summary="Delete a version that nothing uses",
        access=RUNNERS,
        answers={204: None},
        problems=("screen_not_found", "layout_not_found", "layout_in_use"),
    ),
    Operation(
        method="POST",
        path=f"{_VERSION}/preview",
        handler=preview_version,
        summary="Whose seats a version would take away",
        access=RUNNERS,
        answers={200: Preview},
        query=PreviewQuery,
        problems=("screen_not_found", "layout_not_found", "showtime_not_found"),
    ),
)
