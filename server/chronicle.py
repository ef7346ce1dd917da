"""What the staff of a theatre reads of a showtime's log: who did what, when, and under which ids.

Watchers see seats only (`server/live/frames.py`); this stands beside it for those who have to answer for it.
"""

from typing import Any, Final, NotRequired

from typing_extensions import TypedDict

from actors.seatmap.events import Event, Record, SeatsBlocked, ShowtimeRescheduled
from persistence.codec import kind_of
from server.shapes import Time, Uuid
from server.wire import rfc3339

_FACTS: Final = ("owner", "hold_id", "booking_id", "reference", "payment_id", "refund_id", "reason")


class Doer(TypedDict):
    """`id` is an account's, or the name of a part of the house."""

    kind: str
    id: str


class Recorded(TypedDict):
    """An event of the log. `owner` is whose hold or booking it is about.

    A block has its `kind` and when it ends; with the kind `channel`, `reason` is who may sell the seats. A move has
    what it led to.
    """

    event: str
    at: Time
    actor: Doer
    command_id: str
    request_id: str
    owner: NotRequired[str]
    hold_id: NotRequired[str]
    booking_id: NotRequired[str]
    reference: NotRequired[str]
    payment_id: NotRequired[str]
    refund_id: NotRequired[str]
    reason: NotRequired[str]
    kind: NotRequired[str]
    release_at: NotRequired[Time]
    starts_at: NotRequired[Time]
    screen_id: NotRequired[Uuid]
    layout_id: NotRequired[Uuid]


def recorded(record: Record) -> dict[str, Any]:
    cause, event = record.cause, record.event
    facts = {name: getattr(event, name, None) for name in _FACTS}
    return {
        "event": kind_of(event),
        "at": rfc3339(record.at),
        "actor": {"kind": cause.kind.value, "id": cause.actor_id},
        "command_id": cause.command_id,
        "request_id": cause.request_id,
        **{name: fact for name, fact in facts.items() if fact},
        **_particulars(event),
    }


def _particulars(event: Event) -> dict[str, str]:
    match event:
        case SeatsBlocked(kind=kind, release_at=None):
            return {"kind": kind.value}
        case SeatsBlocked(kind=kind, release_at=int(until)):
            return {"kind": kind.value, "release_at": rfc3339(until)}
        case ShowtimeRescheduled(terms=terms):
            place = {"screen_id": terms.screen_id, "layout_id": terms.layout_id}
            return {"starts_at": rfc3339(terms.starts_at), **place}
    return {}
