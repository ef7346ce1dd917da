"""The journal: the one writer of the event log, and the way back from the log to a seat map.

Whatever was asked for while the last commit ran goes into the next: one writer task, one connection of its own, one
statement per commit, no timer. The statement compares each showtime's version and epoch with what the writer believes,
so a stale owner writes nothing while its neighbours in the same commit do. When nobody can know whether a commit
arrived, the connection is given up, everybody who waits hears `JournalDown`, and every actor is rebuilt from the log.
"""

import asyncio
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NoReturn

import asyncpg

from actors.ids import is_uuid
from actors.ports import (
    Clock,
    Deposed,
    Enclosure,
    JournalDown,
    Layouts,
    Loaded,
    Overloaded,
    Refusals,
    Rejected,
    Stored,
    UnknownShowtime,
)
from actors.seatmap import house
from actors.seatmap.commands import ActorKind, Cause
from actors.seatmap.events import Record, SalesOpened, SeatsBlocked
from actors.seatmap.layout import Layout
from actors.seatmap.state import NEVER, SeatMap
from actors.seatmap.terms import Instant, Terms
from actors.seatmap.values import dataclass
from persistence import codec, refusals, statements
from persistence.database import Pool, WriterConnection
from persistence.enclosures import NOTHING, enclose
from persistence.projections import is_projected
from persistence.recovery import LogDamaged, read_on

_log: Final = logging.getLogger("marquee.journal")

WRITER_SETTINGS: Final = (
    # The statements never change and their arrays are short: plan once, and never by scanning every showtime.
    "SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off;"
    " SET synchronous_commit = on; SET lock_timeout = '1s'; SET statement_timeout = '5s';"
    " SET client_connection_check_interval = '500ms'"
)
_POISON: Final = ("22", "23", "54")
_NOTHING_HAPPENED: Final = (*_POISON, "40", "53", "55")
_UNKNOWN_ALTHOUGH: Final = ("40003",)
NUMBER_MAX: Final = (1 << 31) - 1
_CLOCKWORK: Final = Cause(command_id="", kind=ActorKind.SYSTEM, actor_id="clock")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLimits:
    rows_per_commit_max: int = 1_500
    rows_queued_max: int = 30_000
    replays_max: int = 20
    layouts_kept_max: int = 256
    numbers_kept_max: int = 50_000
    commit_seconds_max: float = 8.0
    reconnect_seconds_min: float = 0.05
    reconnect_seconds_max: float = 2.0


@dataclass(frozen=True, slots=True)
class Figures:
    """How the journal is doing. `lag_seconds` is how long the oldest unanswered append has waited."""

    connected: bool
    rows_queued: int
    lag_seconds: float
    commits: int
    rows: int
    commit_seconds: float


class Unsafe(JournalDown):
    """A database on which an acknowledged change could be lost or an owner could not be told from another."""


class _Pending:
    """One append on its way."""

    __slots__ = (
        "after", "asked_at", "before", "enclosed", "epoch", "failure", "records", "rows", "showtime_id", "stored"
    )  # fmt: skip

    def __init__(
        self, epoch: int, before: SeatMap, after: SeatMap, records: Sequence[Record], stored: Stored,
        enclosures: Sequence[Enclosure], asked_at: float,
    ) -> None:  # fmt: skip
        self.showtime_id = before.showtime_id
        self.epoch = epoch
        self.before = before
        self.after = after
        self.records = records
        self.rows: Sequence[codec.Row] = [codec.encode(record) for record in records]
        self.enclosed = enclose(enclosures)
        self.stored: Stored | None = stored
        self.failure: Exception | None = None
        self.asked_at = asked_at

    def tell(self) -> None:
        """Tell the asker what became of it, once."""
        stored, self.stored = self.stored, None
        if stored is not None:
            stored(self.failure)

    def fail(self, why: Exception) -> None:
        self.failure = why
        self.tell()


class PgJournal:
    """`ports.Journal` over PostgreSQL.

    `connect` opens the writer's own connection, straight to the server. `heard` is told the database's time after each
    commit. `on_lost` is called when nobody knows what became of a commit: every actor must then be dropped; `on_jobs`
    when job rows were written.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[WriterConnection]],
        pool: Pool,
        layouts: Layouts,
        clock: Clock,
        limits: JournalLimits | None = None,
        *,
        heard: Callable[[Instant], None] = lambda _: None,
        on_lost: Callable[[], None] = lambda: None,
        durable_only: bool = True,
    ) -> None:
        self._connect = connect
        self._pool = pool
        self._layouts = LayoutCache(layouts, (limits or JournalLimits()).layouts_kept_max)
        self._clock = clock
        self._limits = limits or JournalLimits()
        self._heard = heard
        self.on_lost = on_lost
        self.on_jobs: Callable[[], None] = lambda: None
        self._durable_only = durable_only
        self._connection: WriterConnection | None = None
        self._holds_only: Any = None
        self._with_projections: Any = None
        self._queue: deque[_Pending] = deque()
        self._rows_queued = 0
        self._in_flight: list[_Pending] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._warned = False
        self._writer: asyncio.Task[None] | None = None
        self._replays = asyncio.Semaphore(self._limits.replays_max)
        self._numbers: OrderedDict[int, str] = OrderedDict()
        self._commits = 0
        self._rows = 0
        self._commit_seconds = 0.0

    async def start(self) -> None:
        """Connect and begin to write. JournalDown when there is no database, Unsafe when it must not be used."""
        self._loop = asyncio.get_running_loop()
        await self._open()
        self._writer = asyncio.create_task(self._run(), name="journal writer")

    async def close(self) -> None:
        """Write what is queued, then let go. Appends after this raise JournalDown."""
        self._closing = True
        self._wake.set()
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            await connection.close()

    def figures(self) -> Figures:
        waiting = self._in_flight or self._queue
        lag = self._clock.monotonic() - waiting[0].asked_at if waiting else 0.0
        return Figures(
            self._connection is not None, self._rows_queued, lag, self._commits, self._rows, self._commit_seconds
        )

    async def append(
        self, epoch: int, before: SeatMap, after: SeatMap, records: Sequence[Record],
        enclosures: Sequence[Enclosure] = (),
    ) -> None:  # fmt: skip
        """`store` for somebody who waits. Deposed, Rejected, Overloaded, JournalDown."""
        done: asyncio.Future[None] = self._loop.create_future()

        def stored(failure: Exception | None) -> None:
            if done.done():  # the asker has gone; what is stored is stored
                return
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)

        self.store(epoch, before, after, records, stored, enclosures)
        await done

    def store(
        self, epoch: int, before: SeatMap, after: SeatMap, records: Sequence[Record], stored: Stored,
        enclosures: Sequence[Enclosure] = (),
    ) -> None:  # fmt: skip
        if self._connection is None or self._closing:
            stored(JournalDown("the journal is not connected"))
            return
        if self._rows_queued + len(records) > self._limits.rows_queued_max:
            stored(Overloaded("the journal has too much to write"))
            return
        assert records[0].version == before.version + 1, (records[0].version, before.version)
        assert records[-1].version == after.version, (records[-1].version, after.version)
        try:
            pending = _Pending(epoch, before, after, records, stored, enclosures, self._clock.monotonic())
        except (TypeError, ValueError) as error:
            stored(Rejected(f"cannot be written: {error}"))
            return
        self._queue.append(pending)
        self._rows_queued += len(records)
        if not self._wake.is_set():
            self._wake.set()

    async def acquire(self, showtime_id: str) -> Loaded:
        if not is_uuid(showtime_id):
            raise UnknownShowtime(showtime_id)
        async with self._replays:
            try:
                return await self._acquire(showtime_id)
            except _WORLD as error:
                _down(error)

    async def locate(self, number: int) -> str | None:
        if (known := self._numbers.get(number)) is not None:
            return known
        if not 0 < number <= NUMBER_MAX:
            return None
        try:
            showtime_id: str | None = await self._pool.fetchval(statements.LOCATE, number)
        except _WORLD as error:
            _down(error)
        if showtime_id is not None:
            self._numbers[number] = showtime_id
            if len(self._numbers) > self._limits.numbers_kept_max:
                self._numbers.popitem(last=False)
        return showtime_id

    async def deadlines(self) -> Sequence[tuple[str, Instant]]:
        try:
            return [(row[0], row[1]) for row in await self._pool.fetch(statements.DEADLINES)]
        except _WORLD as error:
            _down(error)

    async def recall(self, showtime_id: str, command_ids: Sequence[str]) -> Sequence[Record]:
        keys = [command_id for command_id in command_ids if is_uuid(command_id)]
        if not keys or not is_uuid(showtime_id):
            return ()
        try:
            return [codec.decode(*row[1:]) for row in await self._pool.fetch(statements.RECALL, showtime_id, keys)]
        except _WORLD as error:
            _down(error)

    async def refuse(self, showtime_id: str, refused: Refusals, now: Instant) -> None:
        try:
            await refusals.keep(self._pool, showtime_id, refused, now)
        except _WORLD as error:
            _down(error)

    async def refused(self, showtime_id: str, command_ids: Sequence[str]) -> Refusals:
        try:
            return await refusals.of(self._pool, showtime_id, command_ids)
        except _WORLD as error:
            _down(error)

    async def snapshot(self, state: SeatMap) -> None:
        try:
            await self._pool.execute(
                statements.SNAPSHOT,
                state.showtime_id,
                state.version,
                codec.SNAPSHOT_SCHEMA,
                codec.snapshot_out(state),
                state.free,
                state.number,
            )
        except _WORLD as error:
            _down(error)

    async def _acquire(self, showtime_id: str) -> Loaded:
        """Each statement takes a connection of its own: nobody waits for a second one while holding the first."""
        head = await self._pool.fetchrow(statements.ACQUIRE, showtime_id, codec.SNAPSHOT_SCHEMA)
        if head is None:
            raise UnknownShowtime(showtime_id)
        epoch, version, number, kept = head
        # Nobody has ever refused anything in the name of a showtime that is awake for the first time.
        refused = await refusals.newest(self._pool, showtime_id) if epoch > 1 else {}
        snapshot = await self._snapshot_in(kept) if kept is not None else None
        if snapshot is None or snapshot.number != number:  # another number: of a log that was withdrawn
            state = await read_on(self._pool, self._layouts, showtime_id, None, version, epoch)
            return Loaded(epoch, state, refused=refused)
        older = await self._pool.fetch(statements.KEYS, showtime_id, snapshot.version)
        state = await read_on(self._pool, self._layouts, showtime_id, snapshot, version, epoch)
        return Loaded(epoch, state, snapshot.version, frozenset(row[0] for row in older), refused)

    async def _snapshot_in(self, kept: bytes) -> SeatMap:
        return codec.snapshot_in(kept, await self._layouts.layout(codec.snapshot_layout(kept)))

    async def _open(self) -> None:
        """A fresh writer connection, vetted and prepared."""
        try:
            connection = await self._connect()
        except _WORLD as error:
            _down(error)
        try:
            await self._vet(connection)
            holds_only = await connection.prepare(statements.APPEND)
            with_projections = await connection.prepare(statements.APPEND_PROJECTED)
            # Comes last: a prepare leaves an implicit transaction open, whose locks would last until the first commit.
            await connection.execute(WRITER_SETTINGS)
        except BaseException as error:
            connection.terminate()
            if isinstance(error, _WORLD):
                _down(error)
            raise
        self._warned = False
        connection.add_log_listener(self._on_notice)
        connection.add_termination_listener(self._on_terminated)
        self._holds_only, self._with_projections = holds_only, with_projections
        self._connection = connection

    async def _vet(self, connection: Any) -> None:
        pid, standby, fsync = await connection.fetchrow(statements.VET)
        if pid != connection.get_server_pid():
            raise Unsafe("The journal needs a direct connection: there is a transaction pooler in front of PostgreSQL.")
        if standby:
            raise Unsafe("The journal needs the primary: this PostgreSQL server is a standby.")
        if self._durable_only and fsync != "on":
            raise Unsafe("PostgreSQL runs with fsync off: an acknowledged change could be lost.")

    def _on_notice(self, _connection: Any, message: Any) -> None:
        """A warning can mean that a commit did not reach the standby it was promised to."""
        if getattr(message, "severity_en", None) == "WARNING":
            self._warned = True

    def _on_terminated(self, connection: Any) -> None:
        self._lose(connection, "the database closed the journal's connection")

    async def _run(self) -> None:
        while True:
            if self._connection is None:
                if self._closing:
                    return
                await self._reconnect()
            elif self._queue:
                await self._commit(self._take())
            elif self._closing:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    def _take(self) -> list[_Pending]:
        """All that waits, up to the limit; of one showtime only appends that follow each other."""
        batch: list[_Pending] = []
        newest: dict[str, _Pending] = {}
        rows = 0
        while self._queue:
            pending = self._queue[0]
            rows += len(pending.rows)
            if batch and rows > self._limits.rows_per_commit_max:
                break
            last = newest.get(pending.showtime_id)
            if last is not None and (last.epoch, last.after.version) != (pending.epoch, pending.before.version):
                break
            newest[pending.showtime_id] = pending
            batch.append(self._queue.popleft())
            self._rows_queued -= len(pending.rows)
        return batch

    async def _commit(self, batch: list[_Pending]) -> None:
        connection = self._connection
        assert connection is not None
        self._in_flight = batch
        give_up = self._loop.call_later(self._limits.commit_seconds_max, connection.terminate)
        try:
            fenced = await self._write(batch)
        except BaseException as error:  # noqa: BLE001 - whatever it is, somebody waits for the outcome
            give_up.cancel()
            await self._explain(connection, batch, error)
            return
        give_up.cancel()
        if self._warned:
            self._lose(connection, "the database warned that a commit may not be safe")
            return
        self._in_flight = []
        for pending in batch:
            if pending.showtime_id in fenced:
                pending.failure = Deposed(pending.showtime_id)
        # Told a moment later, so that the next commit is on its way before the actors go on.
        self._loop.call_soon(_tell, batch)

    async def _explain(self, connection: Any, batch: list[_Pending], error: BaseException) -> None:
        """Definitely nothing: find the guilty one. Anything else: nobody knows, so give up the connection."""
        state = getattr(error, "sqlstate", None) or ""
        if connection is not self._connection or state in _UNKNOWN_ALTHOUGH or state[:2] not in _NOTHING_HAPPENED:
            self._lose(connection, f"the outcome of a commit is unknown ({type(error).__name__}: {error})")
            if not isinstance(error, Exception):
                raise error
            return
        if len(batch) > 1:
            await self._one_by_one(batch)
            return
        self._in_flight = []
        if state[:2] in _POISON:
            _log.warning("append rejected: %s: %s", state, error)
            batch[0].fail(Rejected(f"{state}: {error}"))
        else:
            batch[0].fail(JournalDown(f"{state}: {error}"))

    async def _one_by_one(self, batch: list[_Pending]) -> None:
        """Nothing of the batch was stored: each goes alone, so that only the guilty one fails."""
        failed: dict[str, Exception] = {}
        for place, pending in enumerate(batch):
            if pending.showtime_id in failed:
                pending.fail(failed[pending.showtime_id])
                continue
            await self._commit([pending])
            if self._connection is None:
                for rest in batch[place + 1 :]:
                    rest.fail(JournalDown("the journal lost its connection"))
                return
            if pending.failure is not None:
                failed[pending.showtime_id] = pending.failure

    async def _write(self, batch: Sequence[_Pending]) -> frozenset[str]:
        """Store the batch in one statement. The showtimes whose fence refused."""
        started_at = self._clock.monotonic()
        arguments = statements.append_arguments(batch)
        if any(pending.enclosed is not NOTHING or is_projected(pending.records) for pending in batch):
            projections = statements.projection_arguments(batch)
            enclosed = statements.enclosure_arguments(batch)
            row = await self._with_projections.fetchrow(*projections, *enclosed, *arguments)
            if projections[statements.JOBS_AT] != statements.NO_ROWS:
                self.on_jobs()
        else:
            row = await self._holds_only.fetchrow(*arguments)
        database_now, fenced = row
        self._commit_seconds = self._clock.monotonic() - started_at
        self._commits += 1
        self._rows += sum(len(pending.rows) for pending in batch)
        self._heard(database_now)
        return frozenset(fenced or ())

    def _lose(self, connection: WriterConnection, why: str) -> None:
        """Give the connection up and fail everybody who waits. The log alone knows what was stored."""
        if connection is not self._connection:
            return
        self._connection = None
        connection.terminate()
        waiting = [*self._in_flight, *self._queue]
        self._in_flight = []
        self._queue.clear()
        self._rows_queued = 0
        for pending in waiting:
            pending.fail(JournalDown(why))
        self._wake.set()
        if not self._closing:
            _log.error("journal lost: %s", why)
            self.on_lost()

    async def _reconnect(self) -> None:
        pause = self._limits.reconnect_seconds_min
        while not self._closing:
            try:
                await self._open()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try may succeed
                _log.warning("journal not connected: %s", error)
            else:
                _log.info("journal connected again")
                return
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), pause * random.uniform(0.5, 1.0))  # noqa: S311
            except TimeoutError:
                pause = min(pause * 2, self._limits.reconnect_seconds_max)


def _tell(batch: Sequence[_Pending]) -> None:
    for pending in batch:
        pending.tell()


class LayoutCache:
    """Layouts never change, so the latest used ones are kept."""

    def __init__(self, layouts: Layouts, kept_max: int) -> None:
        self._layouts = layouts
        self._kept_max = kept_max
        self._kept: OrderedDict[str, Layout] = OrderedDict()

    async def layout(self, layout_id: str) -> Layout:
        if (known := self._kept.get(layout_id)) is not None:
            self._kept.move_to_end(layout_id)
            return known
        layout = self._kept[layout_id] = await self._layouts.layout(layout_id)
        if len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
        return layout


_WORLD: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


def _down(error: BaseException) -> NoReturn:
    raise JournalDown(f"{type(error).__name__}: {error}") from error


async def schedule(connection: Any, showtime_id: str, number: int, terms: Terms, now: Instant, cause: Cause) -> None:
    """Begin a showtime's log. Call it in the transaction that inserts the showtime's catalogue row."""
    await schedule_all(connection, [(showtime_id, number, terms)], now, cause)


async def schedule_all(
    connection: Any,
    showtimes: Sequence[tuple[str, int, Terms]],
    now: Instant,
    cause: Cause,
    blocks: Sequence[SeatsBlocked] = (),
) -> None:
    """Begin many logs at once: (showtime id, number, terms) each. Sales that are open already open here and now.

    `blocks` are seats that are blocked from the beginning, in each.
    """
    begun = [house.begun(number, terms, now, blocks) for _, number, terms in showtimes]
    blocked = sum(len(block.seats) for block in blocks)
    owners, rows = [], []
    for (showtime_id, _, _), (events, _) in zip(showtimes, begun, strict=True):
        for version, event in enumerate(events, 1):
            owners.append(showtime_id)
            rows.append(codec.encode(Record(version, now, _CLOCKWORK if type(event) is SalesOpened else cause, event)))
    await connection.execute(
        statements.SCHEDULE,
        [showtime_id for showtime_id, _, _ in showtimes],
        [number for _, number, _ in showtimes],
        [len(events) for events, _ in begun],
        [deadline if deadline < NEVER else None for _, deadline in begun],
        now,
        codec.EVENT_SCHEMA,
        owners,
        [row.version for row in rows],
        [row.key for row in rows],
        [row.kind for row in rows],
        [row.body for row in rows],
        [any(type(event) is SalesOpened for event in events) for events, _ in begun],
        blocked,
    )


__all__ = ["Figures", "JournalLimits", "LayoutCache", "LogDamaged", "PgJournal", "Unsafe", "schedule", "schedule_all"]
