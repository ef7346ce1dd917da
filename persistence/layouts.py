"""Where actors get their layouts from: the plans of the catalogue. LayoutCache keeps them, since they never change."""

from actors.seatmap.layout import Layout, from_plan, to_plan
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
    return from_plan(row.id, row.version, row.plan)


def to_row(layout: Layout, family_id: str) -> LayoutRow:
    return LayoutRow(layout.id, family_id, layout.version, layout.name, layout.capacity, to_plan(layout))
