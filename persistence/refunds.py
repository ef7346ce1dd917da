"""How far refunds are. Which there are is in the log, under the ids that it gave them; each has a job of its own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actors.seatmap.events import BookingCancelled, Event, RefundDecided, RefundGranted, ShowtimeCancelled
from persistence import codec
from persistence.database import Executor

PENDING: Final = "pending"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
_GIVEN_UP: Final = ("parked", "dropped")


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What became of the bookings of a cancelled showtime. `refunds` has the state of each refund, by its id."""

    cancelled: Sequence[BookingCancelled]
    refunds: Mapping[str, str]


def refund_ids(events: Collection[Event]) -> list[str]:
    """The refunds that these events decided."""
    kinds = BookingCancelled | RefundGranted | RefundDecided
    return [event.refund_id for event in events if isinstance(event, kinds) and event.refund_id]


async def states(connection: Executor, ids: Collection[str]) -> dict[str, str]:
    """Pending until the provider has paid it back; failed when only a person can decide what to do."""
    keys = [f"refund:{refund_id}" for refund_id in ids]
    rows = await connection.fetch("SELECT dedupe_key, state FROM job WHERE dedupe_key = ANY($1::text[])", keys)
    found = {row["dedupe_key"]: row["state"] for row in rows}
    return {refund_id: _state(found.get(key, "")) for refund_id, key in zip(ids, keys, strict=True)}


async def cancellation(connection: Executor, showtime_id: str) -> Cancellation | None:
    """None when the showtime has not been cancelled."""
    rows = await connection.fetch(
        """
        SELECT version, to_millis(at), key::text, schema, kind, body FROM event
        WHERE showtime_id = $1 AND kind IN ('booking_cancelled', 'showtime_cancelled') ORDER BY version
        """,
        showtime_id,
    )  # fmt: skip
    records = [codec.decode(*row) for row in rows]
    why = next((record.cause for record in records if isinstance(record.event, ShowtimeCancelled)), None)
    if why is None:
        return None
    ended = [record.event for record in records if isinstance(record.event, BookingCancelled) and record.cause == why]
    return Cancellation(ended, await states(connection, refund_ids(ended)))


def _state(job: str) -> str:
    if job == "done":
        return SUCCEEDED
    return FAILED if job in _GIVEN_UP else PENDING
