"""From the log to a state: read in pages, check that nothing is missing, fold.

Pages keep a long log from occupying the event loop and the memory. A log with a hole, or with an epoch that goes back,
is not folded: its showtime stays closed until somebody has looked.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any, Final

from actors.ports import Layouts
from actors.seatmap.events import Record, ShowtimeRescheduled, ShowtimeScheduled
from actors.seatmap.state import SeatMap, evolve, genesis
from persistence import codec, statements

PAGE_ROWS: Final = 1_000


class LogDamaged(Exception):
    """The log of a showtime contradicts itself. The message says where."""


async def read_on(
    connection: Any, layouts: Layouts, showtime_id: str, state: SeatMap | None, until: int, epoch_max: int
) -> SeatMap:
    """The state at version `until`, from a state that is older, or from the beginning. LogDamaged, codec.Unreadable."""
    async for later, _ in pages(connection, layouts, showtime_id, state, until, epoch_max):
        state = later
    assert state is not None, "a log has at least one event"
    return state


async def pages(
    connection: Any, layouts: Layouts, showtime_id: str, state: SeatMap | None, until: int, epoch_max: int
) -> AsyncIterator[tuple[SeatMap, list[Record]]]:
    """The way there: each page's records and the state after them.

    While one page is folded the database reads the next, so leave the connection alone in between.
    """
    since = state.version if state is not None else 0
    epoch, ahead = 0, _page(connection, showtime_id, since, until)
    try:
        while since < until:
            rows = await ahead
            epoch = check(showtime_id, since, epoch, rows)
            if not rows:
                raise LogDamaged(f"showtime {showtime_id}: the events after version {since} are missing")
            if epoch > epoch_max:
                raise LogDamaged(f"showtime {showtime_id}: epoch {epoch} has written, but {epoch_max} is the newest")
            since = rows[-1][1]
            if since < until:
                ahead = _page(connection, showtime_id, since, until)
                await asyncio.sleep(0)  # lets the question leave before the work begins
            records = [codec.decode(*row[1:]) for row in rows]
            state = await fold(layouts, showtime_id, state, records)
            yield state, records
    finally:
        await asyncio.gather(ahead, return_exceptions=True)


def _page(connection: Any, showtime_id: str, since: int, until: int) -> "asyncio.Task[list[Any]]":
    return asyncio.create_task(connection.fetch(statements.EVENTS, showtime_id, since, until, PAGE_ROWS))


async def fold(layouts: Layouts, showtime_id: str, state: SeatMap | None, records: list[Record]) -> SeatMap:
    """`evolve`, beginning with the first record when there is no state yet."""
    if any(type(record.event) is ShowtimeRescheduled for record in records):
        records = [await _drawn(layouts, record) for record in records]
    if state is not None:
        return evolve(state, records)
    first, *rest = records
    assert isinstance(first.event, ShowtimeScheduled), first
    return evolve(genesis(showtime_id, await layouts.layout(first.event.terms.layout_id), first), rest)


async def _drawn(layouts: Layouts, record: Record) -> Record:
    """A move comes with the drawing that it leads to."""
    event = record.event
    if not isinstance(event, ShowtimeRescheduled):
        return record
    layout = await layouts.layout(event.terms.layout_id)
    return dataclasses.replace(record, event=dataclasses.replace(event, layout=layout))


def check(showtime_id: str, since: int, epoch: int, rows: Any) -> int:
    """Versions go up by one and epochs never down. The newest epoch; LogDamaged."""
    for row in rows:
        if row[1] != since + 1:
            raise LogDamaged(f"showtime {showtime_id}: version {since} is followed by {row[1]}")
        if row[0] < epoch:
            raise LogDamaged(f"showtime {showtime_id}: version {row[1]} has epoch {row[0]} after {epoch}")
        since, epoch = row[1], row[0]
    return epoch
