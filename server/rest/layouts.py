"""Layouts: the drawings that showtimes are sold from. A version never changes, so it may be cached for ever."""

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from actors.seatmap.layout import Layout
from persistence import catalog
from persistence.catalog import LayoutRow
from persistence.layouts import from_row
from server.errors import not_found
from server.keys import POOL
from server.operations import PUBLIC, Operation
from server.requests import Cursor, Page, Query, path_id, read_query
from server.responses import IMMUTABLE, public_answer
from server.shapes import Listed


class VersionQuery(Query):
    version: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class LayoutOf(TypedDict):
    id: str
    name: str
    version: int
    capacity: int


class CategoryOf(TypedDict):
    """`color` is `#rrggbb`."""

    key: str
    name: str
    color: str


class ZoneOf(TypedDict):
    key: str
    name: str


class SeatOf(TypedDict):
    """`left` and `right` are the neighbours, null at an aisle or wall; `partner` is the other half of a pair."""

    seat: str
    number: str
    x: float
    y: float
    category: str
    kind: str
    attrs: tuple[str, ...]
    left: str | None
    right: str | None
    partner: str | None


class RowOf(TypedDict):
    label: str
    zone: str
    order: int
    seats: list[SeatOf]


class Point(TypedDict):
    x: float
    y: float


class Drawing(LayoutOf):
    """`x` grows to the right, `y` away from the screen, about 1.0 a seat pitch."""

    categories: list[CategoryOf]
    zones: list[ZoneOf]
    rows: list[RowOf]
    focal_point: Point


async def list_layouts(request: web.Request) -> web.Response:
    page = read_query(request, Page)
    cursor = Cursor.read(page.cursor)
    rows = await catalog.layouts(request.app[POOL], (cursor.key, cursor.id) if cursor else None, page.limit + 1)
    shown = rows[: page.limit]
    last = shown[-1] if len(rows) > page.limit else None
    return public_answer(
        request,
        {
            "items": [
                {"id": row.id, "name": row.name, "version": row.version, "capacity": row.capacity} for row in shown
            ],
            "next_cursor": Cursor(key=last.name.lower(), id=last.id).text() if last else None,
        },
    )


async def one_layout(request: web.Request) -> web.Response:
    row = await catalog.layout(request.app[POOL], path_id(request, "layout_id", "layout"))
    return public_answer(request, _drawing(row), IMMUTABLE)


async def screen_layout(request: web.Request) -> web.Response:
    """The screen's present layout, or the version asked for, which then never changes."""
    query = read_query(request, VersionQuery)
    row = await catalog.layout_of_screen(request.app[POOL], path_id(request, "screen_id", "screen"), query.version)
    drawing = _drawing(row)
    return public_answer(request, drawing, IMMUTABLE) if query.version else public_answer(request, drawing)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/layouts",
        handler=list_layouts,
        summary="List drawings by name, the newest version of each",
        access=PUBLIC,
        answers={200: Listed[LayoutOf], 304: None},
        query=Page,
    ),
    Operation(
        method="GET",
        path="/api/v1/layouts/{layout_id}",
        handler=one_layout,
        summary="A drawing, which never changes",
        access=PUBLIC,
        answers={200: Drawing, 304: None},
        problems=("layout_not_found",),
    ),
    Operation(
        method="GET",
        path="/api/v1/screens/{screen_id}/layout",
        handler=screen_layout,
        summary="The drawing of a screen, or a version of it",
        access=PUBLIC,
        answers={200: Drawing, 304: None},
        query=VersionQuery,
        problems=("layout_not_found",),
    ),
)


def _drawing(row: LayoutRow | None) -> Drawing:
    if row is None:
        raise not_found("layout")
    return drawing(from_row(row))


def drawing(layout: Layout) -> Drawing:
    """A layout as the seat map draws it. `x` grows to the right, `y` away from the screen."""
    x, y = layout.focal_point
    return {
        "id": layout.id,
        "name": layout.name,
        "version": layout.version,
        "capacity": layout.capacity,
        "categories": [
            {"key": category.key, "name": category.name, "color": category.color} for category in layout.categories
        ],
        "zones": [{"key": zone.key, "name": zone.name} for zone in layout.zones],
        "rows": [
            {
                "label": row.label,
                "zone": row.zone,
                "order": row.order,
                "seats": [_seat(layout, label) for label in row.seats],
            }
            for row in layout.rows
        ],
        "focal_point": {"x": x, "y": y},
    }


def _seat(layout: Layout, label: str) -> SeatOf:
    seat = layout.seats[label]
    return {
        "seat": seat.label,
        "number": seat.number,
        "x": seat.x,
        "y": seat.y,
        "category": seat.category,
        "kind": seat.kind,
        "attrs": seat.attributes,
        "left": seat.left,
        "right": seat.right,
        "partner": seat.partner,
    }
