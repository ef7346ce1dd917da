"""The same holds and sales as most booking systems do them: rows in a table, locked with SELECT … FOR UPDATE.

As good as a small program of this kind gets: aiohttp on uvloop, asyncpg with a pool of 16 and prepared statements, one
transaction for each request, seats locked in a fixed order, all or nothing, an expired hold's seats free again. A sale
is a booking and its confirmation, each under a key with its answer kept, with contact, payment, ledger, history, the
day's sales and jobs for what follows: all that the product keeps of one. The same requests, the same durable commits,
the same PostgreSQL as the product. Run it with `python -m bench.baseline_rowlock`.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import asyncpg
import orjson
import uvloop
from aiohttp import web

from actors.ids import mint
from server.auth.tokens import Tokens

HOLD: Final = timedelta(minutes=10)
SEATS_MAX: Final = 10
POOL: Final = 16
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS seat (
    showtime_id uuid NOT NULL, label text NOT NULL, hold_id uuid, expires_at timestamptz,
    PRIMARY KEY (showtime_id, label)) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS hold (
    id uuid PRIMARY KEY, showtime_id uuid NOT NULL, owner uuid NOT NULL, seats text[] NOT NULL,
    expires_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS request_key (
    owner uuid NOT NULL, key text NOT NULL, body_hash bytea NOT NULL, status smallint, body bytea,
    PRIMARY KEY (owner, key)) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS booking (
    id uuid PRIMARY KEY, showtime_id uuid NOT NULL, owner uuid NOT NULL, status text NOT NULL, total bigint NOT NULL,
    expires_at timestamptz NOT NULL) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS booking_seat (
    booking_id uuid NOT NULL, showtime_id uuid NOT NULL, label text NOT NULL, amount bigint NOT NULL,
    PRIMARY KEY (booking_id, label), UNIQUE (showtime_id, label));
CREATE TABLE IF NOT EXISTS contact (booking_id uuid PRIMARY KEY, email text NOT NULL);
CREATE TABLE IF NOT EXISTS payment (id uuid PRIMARY KEY, booking_id uuid NOT NULL, amount bigint NOT NULL);
CREATE TABLE IF NOT EXISTS ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payment_id uuid NOT NULL, debit text NOT NULL,
    credit text NOT NULL, amount bigint NOT NULL);
CREATE TABLE IF NOT EXISTS job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, dedupe_key text NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, booking_id uuid NOT NULL, who uuid NOT NULL, what text NOT NULL,
    at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS daily_sales (
    day date NOT NULL, showtime_id uuid NOT NULL, bookings bigint NOT NULL, seats bigint NOT NULL,
    captured bigint NOT NULL, PRIMARY KEY (day, showtime_id)) WITH (fillfactor = 50);
"""
PRICE: Final = 54_280
LOCK: Final = """
SELECT label, hold_id, expires_at FROM seat WHERE showtime_id = $1 AND label = ANY($2::text[])
ORDER BY label FOR UPDATE"""
TAKE: Final = "UPDATE seat SET hold_id = $3, expires_at = $4 WHERE showtime_id = $1 AND label = ANY($2::text[])"
NOTE: Final = "INSERT INTO hold (id, showtime_id, owner, seats, expires_at) VALUES ($1, $2, $3, $4, $5)"
FIRST_TIME: Final = """
INSERT INTO request_key (owner, key, body_hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true"""
ANSWERED: Final = "UPDATE request_key SET status = $3, body = $4 WHERE owner = $1 AND key = $2"
BOOK: Final = """
INSERT INTO booking (id, showtime_id, owner, status, total, expires_at) VALUES ($1, $2, $3, 'pending', $4, $5)"""
BOOK_SEATS: Final = """
INSERT INTO booking_seat (booking_id, showtime_id, label, amount)
SELECT $1, $2, label, $4 FROM unnest($3::text[]) label"""
REACH: Final = "INSERT INTO contact (booking_id, email) VALUES ($1, $2)"
LOCK_BOOKING: Final = """
SELECT showtime_id, owner, status, total, expires_at,
    (SELECT count(*) FROM booking_seat s WHERE s.booking_id = b.id) AS seats
FROM booking b WHERE id = $1 FOR UPDATE"""
PAY: Final = "INSERT INTO payment (id, booking_id, amount) VALUES ($1, $2, $3)"
POST: Final = "INSERT INTO ledger (payment_id, debit, credit, amount) VALUES ($1, 'captured', 'sales', $2)"
CONFIRM: Final = "UPDATE booking SET status = 'confirmed' WHERE id = $1"
SELL: Final = "UPDATE seat SET expires_at = 'infinity' WHERE showtime_id = $1 AND hold_id = $2"
REMEMBER: Final = "INSERT INTO history (booking_id, who, what) VALUES ($1, $2, $3)"
COUNT: Final = """
INSERT INTO daily_sales AS d (day, showtime_id, bookings, seats, captured) VALUES (current_date, $1, 1, $2, $3)
ON CONFLICT (day, showtime_id) DO UPDATE SET
    bookings = d.bookings + 1, seats = d.seats + excluded.seats, captured = d.captured + excluded.captured"""
DO_SOON: Final = """
INSERT INTO job (topic, dedupe_key) SELECT topic, topic || ':' || $1 FROM unnest($2::text[]) topic
ON CONFLICT (dedupe_key) DO NOTHING"""
SOON: Final = ("mail", "capture", "payment_watch", "reminder")
DATABASE: Final = web.AppKey("database", asyncpg.Pool)
TOKENS: Final = web.AppKey("tokens", Tokens)


class WallClock:
    """As much of a clock as tokens need."""

    def now(self) -> int:
        return int(datetime.now(UTC).timestamp() * 1000)


async def hold_seats(request: web.Request) -> web.Response:
    who = request.app[TOKENS].verify_token(request.headers["Authorization"][7:]).account_id
    showtime_id = request.match_info["showtime_id"]
    seats = orjson.loads(await request.read())["seats"]
    if not 0 < len(seats) <= SEATS_MAX or len(set(seats)) < len(seats):
        return _answer(422, {"code": "validation_failed"})
    now = datetime.now(UTC)
    expires_at = now + HOLD
    hold_id = mint(int(now.timestamp() * 1000))
    async with request.app[DATABASE].acquire() as connection, connection.transaction():
        rows = await connection.fetch(LOCK, showtime_id, seats)
        if len(rows) < len(seats):
            return _answer(422, {"code": "unknown_seat"})
        taken = [row["label"] for row in rows if row["hold_id"] is not None and row["expires_at"] > now]
        if taken:
            conflicts = [{"seat": seat, "reason": "held"} for seat in taken]
            return _answer(409, {"code": "seats_unavailable", "conflicts": conflicts})
        await connection.execute(TAKE, showtime_id, seats, hold_id, expires_at)
        await connection.execute(NOTE, hold_id, showtime_id, who, seats, expires_at)
    return _answer(201, {"hold_id": hold_id, "seats": seats, "expires_at": expires_at})


async def book(request: web.Request) -> web.Response:
    who = request.app[TOKENS].verify_token(request.headers["Authorization"][7:]).account_id
    asked = orjson.loads(await request.read())
    showtime_id, seats = asked["showtime_id"], asked["seats"]
    if not 0 < len(seats) <= SEATS_MAX or len(set(seats)) < len(seats):
        return _answer(422, {"code": "validation_failed"})
    now = datetime.now(UTC)
    expires_at, total = now + HOLD, PRICE * len(seats)
    booking_id, key = mint(int(now.timestamp() * 1000)), request.headers["Idempotency-Key"]
    async with request.app[DATABASE].acquire() as connection, connection.transaction():
        if not await connection.fetchval(FIRST_TIME, who, key, sha256(await request.read()).digest()):
            return _answer(409, {"code": "idempotency_in_progress"})
        rows = await connection.fetch(LOCK, showtime_id, seats)
        if len(rows) < len(seats) or any(row["hold_id"] is not None and row["expires_at"] > now for row in rows):
            return _answer(409, {"code": "seats_unavailable"})
        await connection.execute(TAKE, showtime_id, seats, booking_id, expires_at)
        await connection.execute(BOOK, booking_id, showtime_id, who, total, expires_at)
        await connection.execute(BOOK_SEATS, booking_id, showtime_id, seats, PRICE)
        await connection.execute(REACH, booking_id, asked["contact"]["email"])
        await connection.execute(REMEMBER, booking_id, who, "placed")
        answer = orjson.dumps({"id": booking_id, "status": "pending_payment", "seats": seats, "total": total})
        await connection.execute(ANSWERED, who, key, 201, answer)
    return _sent(201, answer)


async def confirm(request: web.Request) -> web.Response:
    who = request.app[TOKENS].verify_token(request.headers["Authorization"][7:]).account_id
    booking_id, now = request.match_info["booking_id"], datetime.now(UTC)
    payment_id, key = mint(int(now.timestamp() * 1000)), request.headers["Idempotency-Key"]
    async with request.app[DATABASE].acquire() as connection, connection.transaction():
        if not await connection.fetchval(FIRST_TIME, who, key, sha256(await request.read()).digest()):
            return _answer(409, {"code": "idempotency_in_progress"})
        booked = await connection.fetchrow(LOCK_BOOKING, booking_id)
        if booked is None or str(booked["owner"]) != who:
            return _answer(404, {"code": "booking_not_found"})
        if booked["status"] != "pending" or booked["expires_at"] <= now:
            return _answer(410, {"code": "hold_expired"})
        await connection.execute(PAY, payment_id, booking_id, booked["total"])
        await connection.execute(POST, payment_id, booked["total"])
        await connection.execute(CONFIRM, booking_id)
        await connection.execute(SELL, booked["showtime_id"], booking_id)
        await connection.execute(COUNT, booked["showtime_id"], booked["seats"], booked["total"])
        await connection.execute(REMEMBER, booking_id, who, "confirmed")
        await connection.execute(DO_SOON, booking_id, SOON)
        answer = orjson.dumps({"id": booking_id, "status": "confirmed", "total": booked["total"]})
        await connection.execute(ANSWERED, who, key, 200, answer)
    return _sent(200, answer)


async def seed(dsn: str, showtimes: list[str], seats: list[str]) -> None:
    """The tables, and every seat of every showtime free."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SCHEMA)
        rows = [(showtime, seat, None, None) for showtime in showtimes for seat in seats]
        await connection.copy_records_to_table("seat", records=rows)
        await connection.execute("ANALYZE seat")
    finally:
        await connection.close()


def _answer(status: int, body: object) -> web.Response:
    return _sent(status, orjson.dumps(body))


def _sent(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json")


async def _serve() -> None:
    app = web.Application()
    app[TOKENS] = Tokens((os.environ["BENCH_SECRET"],), WallClock())  # type: ignore[arg-type]
    app[DATABASE] = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=POOL, max_size=POOL)
    app.router.add_post("/api/v1/showtimes/{showtime_id}/holds", hold_seats)
    app.router.add_post("/api/v1/bookings", book)
    app.router.add_post("/api/v1/bookings/{booking_id}/confirm", confirm)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["BENCH_PORT"]), backlog=4_096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        uvloop.run(_serve())
    except KeyboardInterrupt:
        sys.exit(0)
