"""Every SQL statement of the journal, and the arguments that go with the two that matter for speed.

An append is one statement. `head` is the fence: it raises the version of each showtime whose version and epoch are what
the writer believes, and everything after it is done only for the showtimes in `head`. The projections are part of the
same statement, so there is nothing to roll back and nothing to wait for in between.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import orjson

from actors.seatmap.events import Record
from actors.seatmap.state import NEVER, SeatMap
from persistence import codec, ledger
from persistence.enclosures import Enclosed
from persistence.projections import Changes, changes


class Append(Protocol):
    """What a commit needs to know of one append."""

    showtime_id: str
    epoch: int
    before: SeatMap
    after: SeatMap
    records: Sequence[Record]
    rows: Sequence[codec.Row]
    enclosed: Enclosed


_BETWEEN: Final = 0x1E
_DIVIDER: Final = chr(_BETWEEN)
_SCHEMA: Final = str(codec.EVENT_SCHEMA)

# `IS TRUE` keeps the planner from making this a join: a hashed lookup is right for one row and for a thousand.
_ALLOWED: Final = "(showtime_id IN (SELECT showtime_id FROM head)) IS TRUE"

_PAID_NOW: Final = """json_to_recordset($%d::text::json) AS r (payment_id uuid, booking_id uuid, showtime_id uuid,
        owner text, provider text, order_id text, amount bigint, currency text, provider_payment_id text, at bigint)"""

# Rows arrive as JSON ($1 to $6). Seats that are given up come before seats that are claimed, or the unique index on
# live seats would see both; reading `given_up` is what puts them in order.
_PROJECTIONS: Final = f"""
, projected_booking AS (
    INSERT INTO booking AS b (booking_id, showtime_id, reference, hold_id, owner, status, currency, total, paid,
        refunded, payment_status, payment_id, provider, provider_payment_id, reason, version, created_at, expires_at,
        confirmed_at, ended_at)
    SELECT booking_id, showtime_id, reference, hold_id, owner, status, currency, total, paid,
        refunded, payment_status, payment_id, provider, provider_payment_id, reason, version,
        from_millis(coalesce(created_at, at)), from_millis(expires_at), from_millis(confirmed_at), from_millis(ended_at)
    FROM json_to_recordset($1::text::json) AS r (booking_id uuid, showtime_id uuid, reference text, hold_id uuid,
        owner text, status text, currency text, total bigint, paid bigint, refunded bigint, payment_status text,
        payment_id text, provider text, provider_payment_id text, reason text, version bigint, at bigint,
        created_at bigint, expires_at bigint, confirmed_at bigint, ended_at bigint)
    WHERE {_ALLOWED}
    ON CONFLICT (booking_id) DO UPDATE SET
        status = excluded.status, total = excluded.total, paid = excluded.paid, refunded = excluded.refunded,
        payment_status = excluded.payment_status, payment_id = excluded.payment_id,
        provider = coalesce(nullif(excluded.provider, ''), b.provider),
        provider_payment_id = coalesce(nullif(excluded.provider_payment_id, ''), b.provider_payment_id),
        reason = coalesce(nullif(excluded.reason, ''), b.reason),
        version = excluded.version, expires_at = excluded.expires_at,
        confirmed_at = coalesce(excluded.confirmed_at, b.confirmed_at),
        ended_at = CASE WHEN excluded.status IN ('cancelled', 'expired')
                        THEN coalesce(excluded.ended_at, b.ended_at) END)
, seat AS (
    SELECT * FROM json_to_recordset($2::text::json) AS r (booking_id uuid, seat text, showtime_id uuid,
        position smallint, live boolean, ticket_id text, category text, ticket_type text, amount bigint, fee bigint,
        tax bigint, discount bigint, rules text)
    WHERE {_ALLOWED})
, given_up AS (
    UPDATE booking_seat b SET live = false, ticket_id = coalesce(nullif(seat.ticket_id, ''), b.ticket_id) FROM seat
    WHERE NOT seat.live AND b.booking_id = seat.booking_id AND b.seat = seat.seat
    RETURNING b.seat)
, never_claimed AS (
    INSERT INTO booking_seat
    SELECT * FROM seat WHERE NOT live AND (SELECT count(*) FROM given_up) IS NOT NULL
        AND NOT EXISTS (SELECT FROM booking_seat b WHERE b.booking_id = seat.booking_id AND b.seat = seat.seat))
, claimed AS (
    INSERT INTO booking_seat AS b
    SELECT * FROM seat WHERE live AND (SELECT count(*) FROM given_up) IS NOT NULL
    ON CONFLICT (booking_id, seat) DO UPDATE SET
        live = true, ticket_id = coalesce(nullif(excluded.ticket_id, ''), b.ticket_id))
, projected_sales AS (
    INSERT INTO daily_sales AS d (day, showtime_id, currency, bookings, seats, captured, seats_cancelled, refunded)
    SELECT * FROM json_to_recordset($3::text::json) AS r (day date, showtime_id uuid, currency text, bookings bigint,
        seats bigint, captured bigint, seats_cancelled bigint, refunded bigint)
    WHERE {_ALLOWED}
    ON CONFLICT (day, showtime_id, currency) DO UPDATE SET
        bookings = d.bookings + excluded.bookings, seats = d.seats + excluded.seats,
        captured = d.captured + excluded.captured, seats_cancelled = d.seats_cancelled + excluded.seats_cancelled,
        refunded = d.refunded + excluded.refunded)
, projected_job AS (
    INSERT INTO job (topic, dedupe_key, showtime_id, payload, due_at)
    SELECT topic, dedupe_key, showtime_id, payload, coalesce(from_millis(due_at), 'epoch')
    FROM json_to_recordset($4::text::json) AS r (topic text, dedupe_key text, showtime_id uuid, payload jsonb,
        due_at bigint)
    WHERE {_ALLOWED}
    ON CONFLICT (dedupe_key) DO NOTHING)
, posted AS (
    {ledger.insert_from(6, _ALLOWED)})
, projected_showtime AS (
    UPDATE showtime s SET version = r.version, status = r.status, sales = r.sales, free_seats = r.free_seats,
        starts_at = from_millis(r.starts_at), ends_at = from_millis(r.ends_at),
        sales_open_at = from_millis(r.sales_open_at), sales_close_at = from_millis(r.sales_close_at),
        screen_id = r.screen_id, layout_id = r.layout_id, capacity = r.capacity
    FROM json_to_recordset($5::text::json) AS r (showtime_id uuid, version bigint, status text, sales text,
        free_seats integer, starts_at bigint, ends_at bigint, sales_open_at bigint, sales_close_at bigint,
        screen_id uuid, layout_id uuid, capacity integer)
    WHERE s.id = r.showtime_id AND {_ALLOWED})"""


# What came along with commands. Paying again in the moment of confirming is the same payment, whatever became of it.
_ENCLOSURES: Final = f"""
, reached AS (
    INSERT INTO booking_contact (booking_id, account_id, email, name, phone, created_at)
    SELECT booking_id, account_id, email, name, phone, from_millis(at)
    FROM json_to_recordset($7::text::json) AS r (booking_id uuid, showtime_id uuid, account_id text, email text,
        name text, phone text, at bigint)
    WHERE {_ALLOWED}
    ON CONFLICT (booking_id) DO NOTHING)
, paid AS (
    INSERT INTO payment (payment_id, booking_id, showtime_id, owner, provider, provider_order_id, amount, currency,
        created_at)
    SELECT payment_id, booking_id, showtime_id, owner, provider, order_id, amount, currency, from_millis(at)
    FROM {_PAID_NOW % 8} WHERE {_ALLOWED}
    ON CONFLICT (payment_id) DO NOTHING)
, ordered AS (
    INSERT INTO sandbox_order AS o (order_id, payment_id, amount, currency, status, provider_payment_id)
    SELECT order_id, payment_id, amount, currency, 'authorised', provider_payment_id
    FROM {_PAID_NOW % 8} WHERE {_ALLOWED}
    ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, provider_payment_id = excluded.provider_payment_id
        WHERE o.status <> 'captured')"""


def _append(first: int, more: str) -> str:
    """The append, with its own parameters numbered from `first`."""
    (ids, epochs, since, until, deadlines, owners, versions, of_epochs, at, keys, kinds, bodies, schema) = (
        f"${number}::text" for number in range(first, first + 13)
    )
    return f"""
WITH head AS (
    UPDATE stream s SET version = b.until, deadline = b.deadline
    FROM unnest({ids}::uuid[], {epochs}::bigint[], {since}::bigint[], {until}::bigint[], {deadlines}::bigint[])
        AS b (showtime_id, epoch, since, until, deadline)
    WHERE s.showtime_id = b.showtime_id AND s.epoch = b.epoch AND s.version = b.since
    RETURNING s.showtime_id)
, landed AS (
    INSERT INTO event (showtime_id, version, epoch, at, key, schema, kind, body)
    SELECT showtime_id, version, epoch, from_millis(at), key, {schema}::smallint, kind, body::jsonb
    FROM unnest({owners}::uuid[], {versions}::bigint[], {of_epochs}::bigint[], {at}::bigint[], {keys}::uuid[],
        {kinds}::text[], string_to_array({bodies}, chr({_BETWEEN})))
        AS r (showtime_id, version, epoch, at, key, kind, body)
    WHERE {_ALLOWED}){more}
SELECT to_millis(clock_timestamp()),
    (SELECT array_agg(id::text) FROM unnest({ids}::uuid[]) id WHERE (id IN (SELECT showtime_id FROM head)) IS FALSE)"""


APPEND: Final = _append(1, "")
APPEND_PROJECTED: Final = _append(9, _PROJECTIONS + _ENCLOSURES)

# The same projections from the whole log, for one showtime.
REBUILD: Final = f"WITH head AS (SELECT $7::uuid AS showtime_id){_PROJECTIONS} SELECT showtime_id FROM head"
# What a rebuild has just written of news: nobody wants to hear now of what happened long ago.
DROP_OLD_NEWS: Final = """
UPDATE job j SET state = 'dropped', finished_at = now(), note = 'written by a rebuild, too late to be news'
WHERE showtime_id = $1 AND created_at = now() AND state = 'ready' AND (
    (topic = 'reminder' AND due_at < now())
    OR (topic = 'announce' AND EXISTS (
        SELECT FROM event e WHERE e.showtime_id = j.showtime_id AND e.version = (j.payload->>'version')::bigint
        AND e.at < now() - interval '1 day')))"""
FORGET_PROJECTIONS: Final = (
    "DELETE FROM booking_seat WHERE showtime_id = $1",
    "DELETE FROM booking WHERE showtime_id = $1",
    "DELETE FROM daily_sales WHERE showtime_id = $1",
    "DELETE FROM ledger WHERE showtime_id = $1 AND version IS NOT NULL",
)

SCHEDULE: Final = """
WITH begun AS (
    INSERT INTO stream (showtime_id, number, version, epoch, deadline)
    SELECT r.showtime_id, r.number, r.version, coalesce(s.epoch_floor, 0), r.deadline
    FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bigint[]) AS r (showtime_id, number, version, deadline)
    LEFT JOIN showtime s ON s.id = r.showtime_id)
, shown AS (
    UPDATE showtime SET version = r.version, sales = CASE WHEN r.opened THEN 'open' ELSE sales END,
        free_seats = free_seats - $13::integer
    FROM unnest($1::uuid[], $3::bigint[], $12::boolean[]) AS r (showtime_id, version, opened)
    WHERE id = r.showtime_id AND r.version > 1)
INSERT INTO event (showtime_id, version, epoch, at, key, schema, kind, body)
SELECT r.showtime_id, r.version, coalesce(s.epoch_floor, 0), from_millis($5), r.key, $6::smallint, r.kind, body::jsonb
FROM unnest($7::uuid[], $8::bigint[], $9::uuid[], $10::text[], $11::text[])
    AS r (showtime_id, version, key, kind, body)
LEFT JOIN showtime s ON s.id = r.showtime_id"""

VET: Final = "SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('fsync')"

# Waits for an append that is under way, then shuts its writer out. The snapshot may be older than the head: the tail is
# read afterwards, in a statement of its own.
ACQUIRE: Final = """
UPDATE stream s SET epoch = epoch + 1 WHERE showtime_id = $1
RETURNING epoch, version, number, (
    SELECT state FROM snapshot k WHERE k.showtime_id = s.showtime_id AND k.schema = $2 AND k.version <= s.version)"""

HEAD: Final = "SELECT epoch, version, number FROM stream WHERE showtime_id = $1"
STREAMS: Final = "SELECT showtime_id::text FROM stream ORDER BY number"

EVENTS: Final = """
SELECT epoch, version, to_millis(at), key::text, schema, kind, body::text FROM event
WHERE showtime_id = $1 AND version > $2 AND version <= $3 ORDER BY version LIMIT $4"""

RECALL: Final = """
SELECT epoch, version, to_millis(at), key::text, schema, kind, body::text FROM event
WHERE showtime_id = $1 AND key = ANY($2::uuid[]) ORDER BY version"""

KEYS: Final = "SELECT DISTINCT key::text FROM event WHERE showtime_id = $1 AND key IS NOT NULL AND version <= $2"

LOCATE: Final = "SELECT showtime_id::text FROM stream WHERE number = $1"
DEADLINES: Final = "SELECT showtime_id::text, deadline FROM stream WHERE deadline IS NOT NULL"

# A snapshot of a log that was withdrawn meanwhile comes too late: the showtime has another number now.
SNAPSHOT: Final = """
WITH kept AS (
    INSERT INTO snapshot AS k (showtime_id, version, schema, state)
    SELECT $1, $2, $3, $4 FROM stream WHERE showtime_id = $1 AND number = $6
    ON CONFLICT (showtime_id) DO UPDATE SET
        version = excluded.version, schema = excluded.schema, state = excluded.state, taken_at = now()
    WHERE k.version < excluded.version OR k.schema <> excluded.schema)
UPDATE showtime SET free_seats = $5, version = $2 WHERE id = $1 AND version < $2 AND number = $6"""


def append_arguments(batch: Sequence[Append]) -> list[str]:
    """One head for each showtime, although several appends of one may follow each other in a batch.

    Arrays travel as the text that PostgreSQL itself writes them in: putting that together costs a third of having the
    driver encode each value. Nothing in it needs quoting, except bodies, which a character divides that no JSON has.
    """
    heads: dict[str, list[Any]] = {}
    owners: list[str] = []
    epochs: list[int] = []
    rows: list[codec.Row] = []
    for append in batch:
        after = append.after
        deadline = after.deadline if after.deadline < NEVER else "NULL"
        known = heads.get(append.showtime_id)
        if known is None:
            heads[append.showtime_id] = [append.epoch, append.before.version, after.version, deadline]
        else:
            known[2:] = after.version, deadline
        own = append.rows
        if len(own) == 1:
            rows.append(own[0])
            owners.append(append.showtime_id)
            epochs.append(append.epoch)
        else:
            rows += own
            owners += [append.showtime_id] * len(own)
            epochs += [append.epoch] * len(own)
    versions, at, keys, kinds, bodies = zip(*rows, strict=True)
    return [
        _array(heads), *[_array(map(str, column)) for column in zip(*heads.values(), strict=True)],
        _array(owners), _array(map(str, versions)), _array(map(str, epochs)), _array(map(str, at)),
        _array([key or "NULL" for key in keys]), _array(kinds), _DIVIDER.join(bodies), _SCHEMA,
    ]  # fmt: skip


def _array(values: Iterable[str]) -> str:
    return f"{{{','.join(values)}}}"


def projection_arguments(batch: Sequence[Append]) -> list[str]:
    """What the appends of a batch change besides the log; of one showtime, all its appends together."""
    spans: dict[str, tuple[SeatMap, SeatMap, list[Record]]] = {}
    for append in batch:
        before, _, records = spans.get(append.showtime_id, (append.before, None, []))
        spans[append.showtime_id] = (before, append.after, [*records, *append.records])
    return changes_arguments([changes(*span) for span in spans.values()])


JOBS_AT: Final = 3
NO_ROWS: Final = "[]"
"""Where the job rows are among those arguments, and how no rows look."""


def changes_arguments(found: Sequence[Changes]) -> list[str]:
    """$1 to $6 of the projections."""
    return [
        _json(row for change in found for row in change.bookings),
        _json(row for change in found for row in change.seats),
        _json(row for change in found for row in change.sales),
        _json(row for change in found for row in change.jobs),
        _json(change.showtime for change in found),
        _json(row for change in found for row in change.postings),
    ]


def enclosure_arguments(batch: Sequence[Append]) -> list[str]:
    """$7 and $8: contacts, and payments that are made in the moment of confirming. No row twice."""
    contacts: dict[str, str] = {}
    paid: dict[str, str] = {}
    for append in batch:
        contacts |= append.enclosed.contacts
        paid |= append.enclosed.paid
    return [f"[{','.join(rows.values())}]" for rows in (contacts, paid)]


def _json(rows: Iterable[Any]) -> str:
    return orjson.dumps(list(rows)).decode()


# What `verify` reads. The columns of each are those of the row class in persistence/projections.py.
BOOKINGS: Final = """
SELECT booking_id::text, showtime_id::text, reference, hold_id::text, owner, status, currency, total, paid, refunded,
    payment_status, payment_id, provider, provider_payment_id, reason, version, to_millis(created_at) AS created_at,
    to_millis(expires_at) AS expires_at, to_millis(confirmed_at) AS confirmed_at, to_millis(ended_at) AS ended_at
FROM booking WHERE showtime_id = $1"""
BOOKING_SEATS: Final = """
SELECT booking_id::text, seat, showtime_id::text, position::integer, live, ticket_id, category, ticket_type, amount,
    fee, tax, discount, rules
FROM booking_seat WHERE showtime_id = $1"""
DAILY_SALES: Final = """
SELECT day::text, showtime_id::text, currency, bookings, seats, captured, seats_cancelled, refunded
FROM daily_sales WHERE showtime_id = $1"""
POSTINGS: Final = """
SELECT ref, payment_id, booking_id::text, showtime_id::text, debit, credit, amount, currency, to_millis(at) AS at,
    version
FROM ledger WHERE showtime_id = $1"""
JOBS: Final = "SELECT topic, dedupe_key, showtime_id::text, payload::text, state FROM job WHERE showtime_id = $1"
SHOWTIME: Final = """
SELECT id::text AS showtime_id, version, status, sales, free_seats, to_millis(starts_at) AS starts_at,
    to_millis(ends_at) AS ends_at, to_millis(sales_open_at) AS sales_open_at,
    to_millis(sales_close_at) AS sales_close_at, screen_id::text, layout_id::text, capacity
FROM showtime WHERE id = $1"""
BEYOND_HEAD: Final = "SELECT max(version) FROM event WHERE showtime_id = $1 AND version > $2"
HEAD_FOR_UPDATE: Final = f"{HEAD} FOR UPDATE"
VERSION_AT: Final = "SELECT max(version) FROM event WHERE showtime_id = $1 AND at <= from_millis($2)"
ORPHANS: Final = """
SELECT t.name, t.showtime_id::text FROM (
    SELECT DISTINCT 'booking' AS name, showtime_id FROM booking
    UNION ALL SELECT DISTINCT 'booking_seat', showtime_id FROM booking_seat
    UNION ALL SELECT DISTINCT 'daily_sales', showtime_id FROM daily_sales
    UNION ALL SELECT DISTINCT 'job', showtime_id FROM job WHERE showtime_id IS NOT NULL
    UNION ALL SELECT DISTINCT 'ledger', showtime_id FROM ledger
    UNION ALL SELECT DISTINCT 'snapshot', showtime_id FROM snapshot
    UNION ALL SELECT DISTINCT 'event', showtime_id FROM event) t
WHERE NOT EXISTS (SELECT FROM stream s WHERE s.showtime_id = t.showtime_id)"""
