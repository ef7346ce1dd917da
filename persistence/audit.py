"""The auditor: reads every log from its first event and asks whether everything worked out from it is still true.

`verify` compares and changes nothing, `rebuild` writes the projections anew, `replay` shows a showtime as it was. All
three run beside a working server: each showtime is read in one consistent snapshot, and `rebuild` locks a showtime's
head while it rewrites, which makes an append wait for a moment.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from actors.ids import is_uuid
from actors.ports import Layouts, UnknownShowtime
from actors.seatmap import invariants
from actors.seatmap.events import Record
from actors.seatmap.state import BookingStatus, SeatMap
from actors.seatmap.terms import Instant
from persistence import balances, codec, statements
from persistence.balances import Totals
from persistence.database import Pool, open_pool
from persistence.journal import LayoutCache
from persistence.layouts import StoredLayouts
from persistence.moments import instant
from persistence.projections import Changes, changes, is_projected, showtime_row
from persistence.recovery import LogDamaged, pages, read_on

LAYOUTS_KEPT_MAX: Final = 256
DIFFERENCES_SHOWN_MAX: Final = 200

Progress = Callable[[int, int], None]
"""Told how many showtimes of how many are done."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as the log says. `where` names a table and a row."""

    showtime_id: str
    where: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"showtime {self.showtime_id}: {self.where}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Report:
    showtimes: int = 0
    events: int = 0
    bookings: int = 0
    money: dict[str, Totals] = field(default_factory=dict)
    """What the ledger says, by currency."""

    differences: list[Difference] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return 1 if self.differences else 0


async def verify(pool: Pool, layouts: Layouts | None = None, progress: Progress | None = None) -> Report:
    """Replay every log and compare every projection with it."""
    layouts = LayoutCache(layouts or StoredLayouts(pool), LAYOUTS_KEPT_MAX)
    report = Report()
    async with pool.acquire() as connection:
        showtime_ids = [row[0] for row in await connection.fetch(statements.STREAMS)]
        for done, showtime_id in enumerate(showtime_ids, 1):
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await _verify_showtime(connection, layouts, showtime_id, report)
            if progress is not None:
                progress(done, len(showtime_ids))
        for table, showtime_id in await connection.fetch(statements.ORPHANS):
            report.differences.append(Difference(showtime_id, table, "no rows: there is no such log", "some"))
    return report


async def rebuild(pool: Pool, layouts: Layouts | None = None, progress: Progress | None = None) -> int:
    """Write every projection anew from the logs, and how many showtimes that were.

    Jobs that exist are left as they are. Those that were missing are to be done now, except for old news.
    """
    layouts = LayoutCache(layouts or StoredLayouts(pool), LAYOUTS_KEPT_MAX)
    async with pool.acquire() as connection:
        showtime_ids = [row[0] for row in await connection.fetch(statements.STREAMS)]
        for done, showtime_id in enumerate(showtime_ids, 1):
            async with connection.transaction():
                head = await connection.fetchrow(statements.HEAD_FOR_UPDATE, showtime_id)
                if head is None:  # never sold, and deleted since the list was read
                    continue
                _, found = await _told(connection, layouts, showtime_id, head["version"], head["epoch"])
                for statement in statements.FORGET_PROJECTIONS:
                    await connection.execute(statement, showtime_id)
                await connection.fetch(statements.REBUILD, *statements.changes_arguments([found]), showtime_id)
                await connection.execute(statements.DROP_OLD_NEWS, showtime_id)
            if progress is not None:
                progress(done, len(showtime_ids))
        for table, showtime_id in await connection.fetch(statements.ORPHANS):
            if table in ("booking", "booking_seat", "daily_sales", "ledger"):
                for statement in statements.FORGET_PROJECTIONS:
                    await connection.execute(statement, showtime_id)
    return len(showtime_ids)


async def replay(
    pool: Pool, showtime_id: str, version: int | None = None, at: Instant | None = None, layouts: Layouts | None = None
) -> SeatMap:
    """A showtime as it was at a version or at a time; as it is without either. UnknownShowtime, LogDamaged."""
    if not is_uuid(showtime_id):
        raise UnknownShowtime(showtime_id)
    layouts = layouts or StoredLayouts(pool)
    async with pool.acquire() as connection:
        head = await connection.fetchrow(statements.HEAD, showtime_id)
        if head is None:
            raise UnknownShowtime(showtime_id)
        until = head["version"]
        if at is not None:
            until = await connection.fetchval(statements.VERSION_AT, showtime_id, at)
        elif version is not None:
            until = version
        if until is None or not 1 <= until <= head["version"]:
            raise UnknownShowtime(f"{showtime_id} had no seat map then: its log has versions 1 to {head['version']}")
        return await read_on(connection, layouts, showtime_id, None, until, head["epoch"])


async def verify_command(dsn: str) -> int:
    """`marquee verify`: 0 when all is as the logs say, 1 when not."""
    async with open_pool(dsn) as pool:
        report = await verify(pool, progress=_show_progress)
    for difference in report.differences[:DIFFERENCES_SHOWN_MAX]:
        _say(str(difference))
    if len(report.differences) > DIFFERENCES_SHOWN_MAX:
        _say(f"… and {len(report.differences) - DIFFERENCES_SHOWN_MAX} more")
    money = "; ".join(
        f"{currency} {sums.taken} captured, {sums.returned} refunded, {sums.sales} of live bookings, {sums.kept} kept, "
        f"{sums.refunds_due} to be returned, {sums.authorised} to be captured (minor units)"
        for currency, sums in sorted(report.money.items())
    )
    _say(
        f"{report.showtimes} showtimes, {report.events} events, {report.bookings} bookings; "
        f"{money or 'no money moved'}; "
        f"{len(report.differences) or 'no'} difference{'' if len(report.differences) == 1 else 's'}."
    )
    return report.exit_code


async def rebuild_command(dsn: str) -> int:
    """`marquee rebuild`."""
    async with open_pool(dsn) as pool:
        count = await rebuild(pool, progress=_show_progress)
    _say(f"Rewrote the projections of {count} showtimes from their logs.")
    return 0


async def replay_command(dsn: str, showtime_id: str, at: str | None) -> int:
    """`marquee replay`: the seat map as JSON. `at` is a version (a number) or a time (RFC 3339)."""
    version: int | None = None
    moment: Instant | None = None
    if at is not None and at.isdecimal():
        version = int(at)
    elif at is not None:
        try:
            then = datetime.fromisoformat(at)
        except ValueError:
            then = None
        if then is None or then.tzinfo is None:
            _say(f"{at} is neither a version nor a time such as 2026-11-21T18:00:00Z.", error=True)
            return 2
        moment = instant(then)
    async with open_pool(dsn) as pool:
        try:
            state = await replay(pool, showtime_id, version, moment)
        except UnknownShowtime as error:
            _say(f"No such seat map: {error}", error=True)
            return 2
        except LogDamaged as error:
            _say(str(error), error=True)
            return 1
    plain = {**codec.snapshot_plain(state), "free": state.free, "capacity": state.layout.capacity}
    _say(orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode())
    return 0


async def _told(
    connection: Any, layouts: Layouts, showtime_id: str, version: int, epoch: int
) -> tuple[SeatMap, Changes]:
    """What a whole log says, with the invariants checked on the way."""
    state: SeatMap | None = None
    told: list[Record] = []
    async for state, records in pages(connection, layouts, showtime_id, None, version, epoch):
        told += [record for record in records if is_projected((record,))]
        invariants.check(state)
    assert state is not None
    return state, changes(None, state, told)


async def _verify_showtime(connection: Any, layouts: Layouts, showtime_id: str, report: Report) -> None:
    head = await connection.fetchrow(statements.HEAD, showtime_id)
    if head is None:  # never sold, and deleted since the list was read
        return
    report.showtimes += 1
    report.events += head["version"]
    differences = report.differences
    beyond = await connection.fetchval(statements.BEYOND_HEAD, showtime_id, head["version"])
    if beyond is not None:
        differences.append(Difference(showtime_id, "stream", f"version {beyond}", f"version {head['version']}"))
    try:
        state, expected = await _told(connection, layouts, showtime_id, head["version"], head["epoch"])
    except (LogDamaged, codec.Unreadable, AssertionError, LookupError) as error:
        differences.append(Difference(showtime_id, "event", "a log that can be folded", f"{error!r}"))
        return
    if state.number != head["number"]:
        differences.append(Difference(showtime_id, "stream", f"number {state.number}", f"number {head['number']}"))
    bookings = _indexed(await connection.fetch(statements.BOOKINGS, showtime_id), "booking_id")
    seats = _indexed(await connection.fetch(statements.BOOKING_SEATS, showtime_id), "booking_id", "seat")
    sales = _indexed(await connection.fetch(statements.DAILY_SALES, showtime_id), "day", "currency")
    jobs = {row["dedupe_key"]: dict(row) for row in await connection.fetch(statements.JOBS, showtime_id)}
    ledger = _indexed(await connection.fetch(statements.POSTINGS, showtime_id), "ref")
    showtime = await connection.fetchrow(statements.SHOWTIME, showtime_id)
    report.bookings += len(expected.bookings)
    expected_bookings = [{k: v for k, v in row.items() if k != "at"} for row in _plain(expected.bookings)]
    differences += _compared(showtime_id, "booking", _indexed(expected_bookings, "booking_id"), bookings)
    differences += _compared(showtime_id, "booking_seat", _indexed(_plain(expected.seats), "booking_id", "seat"), seats)
    differences += _compared(showtime_id, "daily_sales", _indexed(_plain(expected.sales), "day", "currency"), sales)
    from_log = {ref: row for ref, row in ledger.items() if row["version"] is not None}
    differences += _compared(showtime_id, "ledger", _indexed(_plain(expected.postings), "ref"), from_log)
    for job in expected.jobs:
        found = jobs.get(job.dedupe_key)
        if found is None or found["topic"] != job.topic or _other(found["payload"], job.payload):
            differences.append(Difference(showtime_id, f"job {job.dedupe_key}", f"{job.payload}", f"{found}"))
    differences += _compared_showtime(state, showtime)
    differences += _compared_claims(state, bookings, seats)
    differences += _compared_sales(state, bookings, sales)
    balances.count(ledger.values(), report.money)
    differences += [Difference(showtime_id, *fault) for fault in balances.faults(state, ledger.values(), jobs.values())]


def _other(stored: str | None, payload: Mapping[str, object]) -> bool:
    """Whether a job is about something else. The payload of a finished job is forgotten in time."""
    return stored is not None and orjson.loads(stored) != payload


def _compared_showtime(state: SeatMap, showtime: Mapping[str, Any] | None) -> Iterator[Difference]:
    """The catalogue's copy. Holds do not pay for it, so its free seats are only compared at its own version."""
    if showtime is None:
        yield Difference(state.showtime_id, "showtime", "a row in the catalogue", "none")
        return
    (expected,) = _plain([showtime_row(state)])
    current = showtime["version"] == state.version
    for name, value in expected.items():
        if name not in ("version", "free_seats") and value != showtime[name]:
            yield Difference(state.showtime_id, f"showtime.{name}", f"{value}", f"{showtime[name]}")
    if current and showtime["free_seats"] != state.free:
        yield Difference(state.showtime_id, "showtime.free_seats", f"{state.free}", f"{showtime['free_seats']}")


def _compared_claims(
    state: SeatMap, bookings: Mapping[Any, Mapping[str, Any]], seats: Mapping[Any, Mapping[str, Any]]
) -> Iterator[Difference]:
    """Every sold seat has one live row, and no other seat has."""
    sold = [
        row["seat"]
        for row in seats.values()
        if row["live"] and bookings.get((row["booking_id"],), {}).get("status") == BookingStatus.CONFIRMED
    ]
    if len(sold) != state.sold:
        yield Difference(state.showtime_id, "live seats of confirmed bookings", f"{state.sold}", f"{len(sold)}")


def _compared_sales(
    state: SeatMap, bookings: Mapping[Any, Mapping[str, Any]], sales: Mapping[Any, Mapping[str, Any]]
) -> Iterator[Difference]:
    """Each day's sales together are what the bookings were paid with and what they gave back."""
    left: dict[str, int] = {}
    for row in bookings.values():
        left[row["currency"]] = left.get(row["currency"], 0) + row["paid"] - row["refunded"]
    for row in sales.values():
        left[row["currency"]] = left.get(row["currency"], 0) - row["captured"] + row["refunded"]
    for currency, rest in left.items():
        if rest:
            yield Difference(state.showtime_id, "daily_sales", f"as much {currency} as bookings have", f"{-rest} more")


def _compared(
    showtime_id: str, table: str, expected: Mapping[Any, Mapping[str, Any]], found: Mapping[Any, Mapping[str, Any]]
) -> Iterator[Difference]:
    for key in expected.keys() | found.keys():
        want, have = expected.get(key), found.get(key)
        where = f"{table} {' '.join(key)}"
        if want is None or have is None:
            yield Difference(showtime_id, where, "a row" if want else "no row", "a row" if have else "none")
            continue
        for name, value in want.items():
            if have[name] != value:
                yield Difference(showtime_id, f"{where} {name}", f"{value!r}", f"{have[name]!r}")


def _plain(rows: Iterable[Any]) -> list[Mapping[str, Any]]:
    """Rows as the database has them, by column."""
    return [{name: getattr(row, name) for name in row.__slots__} for row in rows]


def _indexed(rows: Sequence[Mapping[str, Any]], *key: str) -> dict[tuple[str, ...], Mapping[str, Any]]:
    return {tuple(row[name] for name in key): row for row in rows}


def _show_progress(done: int, all_of_them: int) -> None:
    """A line that rewrites itself, for people who watch a long run."""
    if sys.stderr.isatty() and (done % 20 == 0 or done == all_of_them):
        sys.stderr.write(f"\r{done} of {all_of_them} showtimes" + ("\n" if done == all_of_them else ""))
        sys.stderr.flush()


def _say(sentence: str, *, error: bool = False) -> None:
    (sys.stderr if error else sys.stdout).write(sentence + "\n")
