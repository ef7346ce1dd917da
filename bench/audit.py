"""The log has the last word: every acknowledged hold must be in it, and no seat in two hands at once."""

from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg
import orjson

HELD = "seats_held"
ENDED = ("hold_released", "hold_expired")


@dataclass(frozen=True, slots=True)
class Findings:
    events: int
    acknowledged: int
    lost: int
    """Acknowledged holds that the log does not have."""
    doubled: int
    """Seats that were held although somebody held them."""
    gaps: int
    """Versions that are missing."""


async def audit(dsn: str, acknowledged: Iterable[bytes]) -> Findings:
    known: set[bytes] = set()
    taken: dict[str, str] = {}
    events = doubled = gaps = 0
    showtime, version = None, 0
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            query = "SELECT showtime_id, version, kind, body::text FROM event ORDER BY showtime_id, version"
            async for owner, number, kind, body in connection.cursor(query, prefetch=5_000):
                if owner != showtime:
                    showtime, version = owner, 0
                    taken.clear()
                events += 1
                gaps += number != version + 1
                version = number
                if kind == HELD:
                    _, hold, _, lines, *_ = orjson.loads(body)
                    known.add(hold.encode())
                    doubled += sum(line[0] in taken for line in lines)
                    taken.update((line[0], hold) for line in lines)
                elif kind in ENDED:
                    _, hold, *_ = orjson.loads(body)
                    for seat in [seat for seat, by in taken.items() if by == hold]:
                        del taken[seat]
    finally:
        await connection.close()
    acked = set(acknowledged)
    return Findings(events, len(acked), len(acked - known), doubled, gaps)
