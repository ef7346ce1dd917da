"""Effects on the world, as rows: stored in the transaction of the event that asks for them, worked afterwards.

A job is done at least once. Its dedupe key makes that harmless: it is the payment provider's idempotency key and the
letter's Message-ID, and the table takes each key once, however often an event is projected.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from actors.seatmap.terms import Instant


@dataclass(frozen=True, slots=True)
class Job:
    """`payload` is plain JSON: ids and amounts, never personal data."""

    topic: str
    dedupe_key: str
    showtime_id: str | None
    payload: Mapping[str, object]
    due_at: Instant | None = None
