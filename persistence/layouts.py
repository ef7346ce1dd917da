"""Layouts as documents: what the column `layout.plan` holds, in both directions.

A plan holds everything that a `Layout` holds but its id, name and version, neighbours included: how those are worked out
may change one day, the layout of a showtime must not.
"""

from collections.abc import Mapping
from typing import Any

from actors.seatmap.layout import Category, Layout, Row, Seat, SeatKind, Zone
from persistence import catalog
from persistence.catalog import LayoutRow
from persistence.database import Executor


class UnknownLayout(Exception):
    """No layout with that id."""


class StoredLayouts:
    """`actors.ports.Layouts` over the catalogue."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def layout(self, layout_id: str) -> Layout:
        """UnknownLayout."""
        row = await catalog.layout(self._executor, layout_id)
        if row is None:
            raise UnknownLayout(layout_id)
        return from_row(row)


def from_row(row: LayoutRow) -> Layout:
    return from_plan(row.plan, id=row.id, version=row.version, name=row.name)


def to_row(layout: Layout, family_id: str) -> LayoutRow:
    return LayoutRow(layout.id, family_id, layout.version, layout.name, layout.capacity, to_plan(layout))


def to_plan(layout: Layout) -> dict[str, Any]:
    return {
        "categories": [[category.key, category.name, category.color] for category in layout.categories],
        "zones": [[zone.key, zone.name] for zone in layout.zones],
        "rows": [
            [row.zone, row.label, row.order, [_seat_out(layout.seats[label]) for label in row.seats]]
            for row in layout.rows
        ],
        "blocks": layout.blocks,
        "focal_point": layout.focal_point,
    }


def from_plan(plan: Mapping[str, Any], *, id: str, version: int, name: str) -> Layout:  # noqa: A002
    rows: list[Row] = []
    seats: dict[str, Seat] = {}
    for zone, label, order, places in plan["rows"]:
        rows.append(Row(zone, label, order, tuple(place[0] for place in places)))
        for place in places:
            seats[place[0]] = _seat_in(place, row=label, zone=zone)
    x, y = plan["focal_point"]
    return Layout(
        id=id,
        version=version,
        name=name,
        categories=tuple(Category(*category) for category in plan["categories"]),
        zones=tuple(Zone(*zone) for zone in plan["zones"]),
        rows=tuple(rows),
        seats=seats,
        blocks=tuple(tuple(block) for block in plan["blocks"]),
        focal_point=(x, y),
    )


def _seat_out(seat: Seat) -> list[Any]:
    return [
        seat.label, seat.number, seat.x, seat.y, seat.category, seat.kind, seat.attributes, seat.left, seat.right,
        seat.partner, seat.distance,
    ]  # fmt: skip


def _seat_in(place: list[Any], *, row: str, zone: str) -> Seat:
    label, number, x, y, category, kind, attributes, left, right, partner, distance = place
    return Seat(
        label=label,
        number=number,
        row=row,
        zone=zone,
        x=x,
        y=y,
        category=category,
        kind=SeatKind(kind),
        attributes=tuple(attributes),
        left=left,
        right=right,
        partner=partner,
        distance=distance,
    )
