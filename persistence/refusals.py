"""Refusals to commands that came with a key, so that the same key gets the same refusal after a restart as well.

They are written before the refusal is answered and read when a showtime wakes. Without a key nothing is written.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from actors.ids import is_uuid
from actors.ports import REFUSALS_LOADED_MAX, Refusals
from actors.seatmap.refusals import Refusal, Refused
from actors.seatmap.terms import Instant
from persistence.database import Executor
from persistence.moments import moment

KEPT_MS: Final = 24 * 3_600_000


async def keep(connection: Executor, showtime_id: str, refusals: Refusals, now: Instant) -> None:
    rows = [(key, intent, told(refused)) for key, (intent, refused) in refusals.items() if is_uuid(key)]
    keys, intents, bodies = [[row[column] for row in rows] for column in range(3)]
    await connection.execute(
        """
        INSERT INTO refusal (showtime_id, command_id, intent, told, at)
        SELECT $1, key, intent, told, $5 FROM unnest($2::uuid[], $3::bigint[], $4::bytea[]) AS r (key, intent, told)
        ON CONFLICT DO NOTHING
        """,
        showtime_id, keys, intents, bodies, moment(now),
    )  # fmt: skip


async def newest(connection: Executor, showtime_id: str) -> Refusals:
    """Oldest first."""
    rows = await connection.fetch(
        "SELECT command_id::text, intent, told FROM refusal WHERE showtime_id = $1 ORDER BY at DESC LIMIT $2",
        showtime_id,
        REFUSALS_LOADED_MAX,
    )
    return {key: (intent, refused(body)) for key, intent, body in reversed(rows)}


async def of(connection: Executor, showtime_id: str, command_ids: Sequence[str]) -> Refusals:
    keys = [command_id for command_id in command_ids if is_uuid(command_id)]
    rows = await connection.fetch(
        "SELECT command_id::text, intent, told FROM refusal WHERE showtime_id = $1 AND command_id = ANY($2::uuid[])",
        showtime_id,
        keys,
    )
    return {key: (intent, refused(body)) for key, intent, body in rows}


async def forget_old(connection: Executor, now: Instant) -> None:
    await connection.execute("DELETE FROM refusal WHERE at < $1", moment(now - KEPT_MS))


def told(refused: Refused) -> bytes:
    """As it is stored. The order of conflicts and facts is kept: the answer is rendered from them."""
    return orjson.dumps([refused.refusal.value, refused.conflicts, refused.facts])


def refused(told: bytes) -> Refused:
    plain: Any = orjson.loads(told)
    refusal, conflicts, facts = plain
    return Refused(Refusal(refusal), conflicts, facts)
