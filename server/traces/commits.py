"""The journal, with a span for what each command waits for and one for each commit.

A commit serves many commands at once. Its span is a child of the first one's and has links to all of them, and each of
them has a link to it.
"""

from collections.abc import Sequence
from contextvars import copy_context
from typing import Any, Final

from opentelemetry.trace import Link, Span, Tracer

from actors.ports import Enclosure, Refusals, Stored
from actors.seatmap.events import Record
from actors.seatmap.state import SeatMap
from actors.seatmap.terms import Instant
from persistence.journal import PgJournal
from server.traces.commands import waits
from server.traces.spans import below, end, ending

LINKS_MAX: Final = 128


class TracedJournal(PgJournal):
    def __init__(self, tracer: Tracer, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._tracer = tracer
        self._waiting: dict[tuple[str, int, int], Sequence[Span]] = {}

    def store(
        self, epoch: int, before: SeatMap, after: SeatMap, records: Sequence[Record], stored: Stored,
        enclosures: Sequence[Enclosure] = (),
    ) -> None:  # fmt: skip
        waiting = waits("journal append", records=len(records))
        if not waiting:
            super().store(epoch, before, after, records, stored, enclosures)
            return
        place, turn = (before.showtime_id, epoch, after.version), copy_context()

        def told(failure: Exception | None) -> None:
            self._waiting.pop(place, None)
            end(waiting, failure)
            turn.run(stored, failure)  # the rest of the turn, after the commit of many

        self._waiting[place] = waiting
        super().store(epoch, before, after, records, told, enclosures)

    async def refuse(self, showtime_id: str, refused: Refusals, now: Instant) -> None:
        with ending(*waits("journal refuse", refusals=len(refused))):
            await super().refuse(showtime_id, refused, now)

    async def recall(self, showtime_id: str, command_ids: Sequence[str]) -> Sequence[Record]:
        with ending(*waits("journal recall", commands=len(command_ids))):
            return await super().recall(showtime_id, command_ids)

    async def refused(self, showtime_id: str, command_ids: Sequence[str]) -> Refusals:
        with ending(*waits("journal recall", commands=len(command_ids))):
            return await super().refused(showtime_id, command_ids)

    async def _write(self, batch: Sequence[Any]) -> frozenset[str]:
        carried = [
            span
            for pending in batch
            for span in self._waiting.get((pending.showtime_id, pending.epoch, pending.after.version), ())
        ]
        if not carried:
            return await super()._write(batch)
        commit = self._tracer.start_span(
            "journal commit",
            context=below(carried[0]),
            links=[Link(span.get_span_context()) for span in carried[:LINKS_MAX]],
            attributes={
                "db.system.name": "postgresql",
                "marquee.appends": len(batch),
                "marquee.records": sum(len(pending.records) for pending in batch),
            },
        )
        for span in carried:
            span.add_link(commit.get_span_context())
        with ending(commit):
            return await super()._write(batch)
