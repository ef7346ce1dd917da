"""A journal without a database, for tests: it keeps the same promises, and it fails on request.

The contract tests of `PgJournal` run over this one too, so a test that passes with it means something.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from actors.ports import (
    REFUSALS_LOADED_MAX,
    Deposed,
    Enclosure,
    JournalDown,
    Layouts,
    Loaded,
    Refusals,
    Rejected,
    Stored,
    UnknownShowtime,
)
from actors.seatmap import house
from actors.seatmap.commands import Cause
from actors.seatmap.events import Record
from actors.seatmap.layout import Layout
from actors.seatmap.state import NEVER, SeatMap
from actors.seatmap.terms import Instant, Terms
from persistence import codec, refusals
from persistence.enclosures import enclose
from persistence.projections import Changes, changes, is_projected
from persistence.recovery import fold


class FewLayouts:
    """A fixed set of layouts."""

    def __init__(self, *layouts: Layout) -> None:
        self._layouts = {layout.id: layout for layout in layouts}

    async def layout(self, layout_id: str) -> Layout:
        return self._layouts[layout_id]


@dataclass(slots=True)
class Faults:
    """What goes wrong. Each `lost_…` happens once and resets itself; `gate`, while closed, keeps appends waiting."""

    lost_before: bool = False
    lost_after: bool = False
    down: bool = False
    is_poison: Callable[[Record], bool] = lambda _: False
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()


@dataclass(slots=True)
class _Stream:
    number: int
    deadline: Instant
    epoch: int = 0
    rows: list[codec.Row] = field(default_factory=list)
    kept: tuple[int, bytes] | None = None
    refused: dict[str, tuple[int, bytes]] = field(default_factory=dict)


class MemoryJournal:
    """`ports.Journal` over lists. Records pass through the codec, so what comes back is what would be read."""

    def __init__(self, layouts: Layouts, *, on_lost: Callable[[], None] = lambda: None) -> None:
        self._layouts = layouts
        self._streams: dict[str, _Stream] = {}
        self.on_lost = on_lost
        self.faults = Faults()
        self.appends = 0
        self.changes: list[Changes] = []
        self.enclosed: list[Enclosure] = []
        self._storing: set[asyncio.Task[None]] = set()

    async def schedule(self, showtime_id: str, number: int, terms: Terms, now: Instant, cause: Cause) -> None:
        events, deadline = house.begun(number, terms, now)
        rows = [codec.encode(Record(version, now, cause, event)) for version, event in enumerate(events, 1)]
        self._streams[showtime_id] = _Stream(number, deadline, rows=rows)

    async def acquire(self, showtime_id: str) -> Loaded:
        self._check_up()
        stream = self._streams.get(showtime_id)
        if stream is None:
            raise UnknownShowtime(showtime_id)
        stream.epoch += 1
        epoch, rows = stream.epoch, list(stream.rows)
        state: SeatMap | None = None
        version, older = 0, frozenset[str]()
        if stream.kept is not None:
            version, stored = stream.kept
            state = codec.snapshot_in(stored, await self._layouts.layout(codec.snapshot_layout(stored)))
            older = frozenset(row.key for row in rows[:version] if row.key is not None)
            rows = rows[version:]
        return Loaded(
            epoch,
            await fold(self._layouts, showtime_id, state, [_decoded(row) for row in rows]),
            version,
            older,
            _refused(list(stream.refused.items())[-REFUSALS_LOADED_MAX:]),
        )

    def store(
        self, epoch: int, before: SeatMap, after: SeatMap, records: Sequence[Record], stored: Stored,
        enclosures: Sequence[Enclosure] = (),
    ) -> None:  # fmt: skip
        async def append() -> None:
            try:
                await self.append(epoch, before, after, records, enclosures)
            except Exception as failure:  # noqa: BLE001 - the asker hears it
                stored(failure)
            else:
                stored(None)

        task = asyncio.get_running_loop().create_task(append())
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)

    async def append(
        self, epoch: int, before: SeatMap, after: SeatMap, records: Sequence[Record],
        enclosures: Sequence[Enclosure] = (),
    ) -> None:  # fmt: skip
        self._check_up()
        await self.faults.gate.wait()
        self._check_up()
        if self.faults.lost_before:
            self.faults.lost_before = False
            self._lose()
        try:
            rows = [codec.encode(record) for record in records]
            enclose(enclosures)
        except (TypeError, ValueError) as error:
            raise Rejected(str(error)) from error
        stream = self._streams.get(before.showtime_id)
        if stream is None or stream.epoch != epoch or len(stream.rows) != before.version:
            raise Deposed(before.showtime_id)
        if any("\\u0000" in row.body for row in rows) or any(map(self.faults.is_poison, records)):
            raise Rejected("poison")
        assert [row.version for row in rows] == list(range(before.version + 1, after.version + 1))
        stream.rows += rows
        stream.deadline = after.deadline
        self.enclosed += enclosures
        self.appends += 1
        if is_projected(records):
            self.changes.append(changes(before, after, records))
        if self.faults.lost_after:
            self.faults.lost_after = False
            self._lose()
        await asyncio.sleep(0)  # an append is never done at once: whoever relies on that is wrong

    async def locate(self, number: int) -> str | None:
        self._check_up()
        return next((name for name, stream in self._streams.items() if stream.number == number), None)

    async def deadlines(self) -> Sequence[tuple[str, Instant]]:
        self._check_up()
        return [(name, stream.deadline) for name, stream in self._streams.items() if stream.deadline < NEVER]

    async def recall(self, showtime_id: str, command_ids: Sequence[str]) -> Sequence[Record]:
        self._check_up()
        stream = self._streams.get(showtime_id)
        return [_decoded(row) for row in stream.rows if row.key in command_ids] if stream is not None else ()

    async def refuse(self, showtime_id: str, refused: Refusals, now: Instant) -> None:
        self._check_up()
        stream = self._streams[showtime_id]
        for key, (intent, refusal) in refused.items():
            stream.refused.setdefault(key, (intent, refusals.told(refusal)))

    async def refused(self, showtime_id: str, command_ids: Sequence[str]) -> Refusals:
        self._check_up()
        kept = self._streams[showtime_id].refused
        return _refused([(key, kept[key]) for key in command_ids if key in kept])

    async def snapshot(self, state: SeatMap) -> None:
        self._check_up()
        stream = self._streams[state.showtime_id]
        if stream.kept is None or stream.kept[0] < state.version:
            stream.kept = state.version, codec.snapshot_out(state)

    def records(self, showtime_id: str) -> list[Record]:
        """The whole log of a showtime."""
        return [_decoded(row) for row in self._streams[showtime_id].rows]

    def _check_up(self) -> None:
        if self.faults.down:
            raise JournalDown("down, as the test wishes")

    def _lose(self) -> None:
        self.on_lost()
        raise JournalDown("nobody knows, as the test wishes")


def _refused(kept: Sequence[tuple[str, tuple[int, bytes]]]) -> Refusals:
    return {key: (intent, refusals.refused(told)) for key, (intent, told) in kept}


def _decoded(row: codec.Row) -> Record:
    return codec.decode(row.version, row.at, row.key, codec.EVENT_SCHEMA, row.kind, row.body)
