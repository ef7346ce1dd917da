"""The same hold as most booking systems do it: rows in a table, locked with SELECT … FOR UPDATE.

As good as a small program of this kind gets: aiohttp on uvloop, asyncpg with a pool of 16 and prepared statements, one
transaction for each hold, seats locked in a fixed order, all or nothing, an expired hold's seats free again. The same
request, the same durable commit, the same PostgreSQL as the product. Run it with `python -m bench.baseline_rowlock`.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
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
    PRIMARY KEY (showtime_id, label)) WITH (fillfactor = 80);
CREATE TABLE IF NOT EXISTS hold (
    id uuid PRIMARY KEY, showtime_id uuid NOT NULL, owner uuid NOT NULL, seats text[] NOT NULL,
    expires_at timestamptz NOT NULL);
"""
LOCK: Final = """
SELECT label, hold_id, expires_at FROM seat WHERE showtime_id = $1 AND label = ANY($2::text[])
ORDER BY label FOR UPDATE"""
TAKE: Final = "UPDATE seat SET hold_id = $3, expires_at = $4 WHERE showtime_id = $1 AND label = ANY($2::text[])"
NOTE: Final = "INSERT INTO hold (id, showtime_id, owner, seats, expires_at) VALUES ($1, $2, $3, $4, $5)"
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
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


async def _serve() -> None:
    app = web.Application()
    app[TOKENS] = Tokens((os.environ["BENCH_SECRET"],), WallClock())  # type: ignore[arg-type]
    app[DATABASE] = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=POOL, max_size=POOL)
    app.router.add_post("/api/v1/showtimes/{showtime_id}/holds", hold_seats)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["BENCH_PORT"]), backlog=4_096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        uvloop.run(_serve())
    except KeyboardInterrupt:
        sys.exit(0)
