"""Frames: what a socket is told, encoded once and ready to be written to any number of transports.

A frame here is the complete WebSocket frame, header and JSON, because fan-out is nothing but `transport.write(frame)`
for each socket. Public frames are made from the public view only: no person, hold id, price paid or token.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from struct import Struct
from typing import Any, Final

import orjson

from actors.seatmap.events import Record, changes_showtime, draws_anew, public_delta
from actors.seatmap.state import SeatMap, evolve
from actors.seatmap.terms import Instant
from actors.seatmap.view import counts, public_status, public_view
from server import wire
from server.wire import rfc3339

_TEXT: Final = 0x81
_CLOSE: Final = 0x88
_PONG: Final = 0x8A
_SHORT: Final = Struct("!BB").pack
_MEDIUM: Final = Struct("!BBH").pack
_LONG: Final = Struct("!BBQ").pack
_CODE: Final = Struct("!H").pack
CONTROL_BYTES_MAX: Final = 125


def text_frame(payload: bytes) -> bytes:
    """One unfragmented, uncompressed, unmasked text frame."""
    size = len(payload)
    if size < 126:
        return _SHORT(_TEXT, size) + payload
    if size < 65_536:
        return _MEDIUM(_TEXT, 126, size) + payload
    return _LONG(_TEXT, 127, size) + payload


def close_frame(code: int, reason: str) -> bytes:
    payload = (_CODE(code) + reason.encode())[:CONTROL_BYTES_MAX]
    return _SHORT(_CLOSE, len(payload)) + payload


def pong_control(payload: bytes) -> bytes:
    """The answer to a ping of the WebSocket protocol itself."""
    return _SHORT(_PONG, len(payload)) + payload


def frame(body: Mapping[str, Any]) -> bytes:
    return text_frame(orjson.dumps(body))


def hello(state: SeatMap, heartbeat_ms: int, now: Instant) -> bytes:
    terms = state.terms
    return frame(
        {
            "type": "hello",
            "showtime_id": state.showtime_id,
            "heartbeat_s": heartbeat_ms // 1_000,
            "server_time": rfc3339(now),
            "hold_ttl_s": terms.hold_seconds,
            "max_seats": terms.seats_per_customer_max,
        }
    )


def snapshot(epoch: int, state: SeatMap) -> bytes:
    status, sales = public_status(state)
    view = public_view(state)
    return frame(
        {
            "type": "snapshot",
            "epoch": epoch,
            "seq": state.version,
            "layout_id": state.layout.id,
            "layout_version": state.layout.version,
            "status": status,
            "sales": sales,
            "held": view.held,
            "sold": view.sold,
            "blocked": view.blocked,
            "counts": counts(state),
        }
    )


def tick(epoch: int, version: int, now: Instant) -> bytes:
    return frame({"type": "tick", "epoch": epoch, "seq": version, "server_time": rfc3339(now)})


def news(epoch: int, before: SeatMap, records: Sequence[Record], after: SeatMap) -> bytes:
    """What happened between two states, as one frame, or as several in one write.

    An event that concerns the whole showtime has a frame of its own, so the seat changes before and after it are told
    apart; each frame then carries the counts of exactly its version. Other seats begin with a snapshot.
    """
    if not any(changes_showtime(record.event) for record in records):
        return delta(epoch, before, records, after)
    told: list[bytes] = []
    for whole, run in groupby(records, key=lambda record: changes_showtime(record.event)):
        for part in [[record] for record in run] if whole else [list(run)]:
            then = evolve(before, part)
            told.append(showtime(epoch, then) if whole else delta(epoch, before, part, then))
            if draws_anew(part[0].event):
                return b"".join((*told, snapshot(epoch, after)))
            before = then
    return b"".join(told)


def delta(epoch: int, before: SeatMap | None, records: Sequence[Record], after: SeatMap) -> bytes:
    """The final state of every seat that the records touch; of the whole showtime, what became different.

    Without `before` (somebody resumes from a version whose state nobody has any more) status and sales are always told.
    """
    body: dict[str, Any] = {
        "type": "delta",
        "epoch": epoch,
        "from": records[0].version,
        "to": records[-1].version,
        **_final(records, after),
        "counts": counts(after),
    }
    now = public_status(after)
    if before is None or now != public_status(before):
        body["status"], body["sales"] = now
    return frame(body)


def pong(ref: object) -> bytes:
    return frame({"type": "pong", "id": ref})


def bye(code: str, retry_after_ms: int) -> bytes:
    return frame({"type": "bye", "code": code, "retry_after_ms": retry_after_ms})


def done(ref: object, facts: Mapping[str, Any], version: int | None = None) -> bytes:
    """What was asked for is so: the fields that REST answers with, at a version."""
    body = {"type": "result", "id": ref, "ok": True, **facts}
    if version is not None:
        body["seq"] = version
    return frame(body)


def refused(ref: object, status: int, facts: Mapping[str, Any]) -> bytes:
    """`facts` has at least the stable `code`."""
    return frame({"type": "result", "id": ref, "ok": False, "status": status, **facts})


def mine(state: SeatMap, account_id: str) -> bytes:
    """A person's own holds and bookings of one showtime; for that person's sockets only."""
    return frame({"type": "mine", "showtime_id": state.showtime_id, **wire.mine(state, account_id)})


def nothing_mine() -> bytes:
    """For somebody who has nothing anywhere: an answer all the same."""
    return frame({"type": "mine", "holds": [], "bookings": []})


def expiring(showtime_id: str, names: Mapping[str, str], seats: Sequence[str], expires_at: Instant) -> bytes:
    """A hold or an unpaid booking of one's own will end soon; `names` says which by its id."""
    body = {"type": "expiring", "showtime_id": showtime_id, **names, "seats": list(seats)}
    return frame({**body, "expires_at": rfc3339(expires_at)})


def inbox(unread: int) -> bytes:
    return frame({"type": "inbox", "unread": unread})


def notification(told: Mapping[str, Any], unread: int) -> bytes:
    return frame({"type": "notification", "notification": told, "unread": unread})


def availability(free: Mapping[str, int]) -> bytes:
    return frame({"type": "availability", "showtimes": free})


def showtime(epoch: int, state: SeatMap) -> bytes:
    status, sales = public_status(state)
    return frame({"type": "showtime", "epoch": epoch, "seq": state.version, "status": status, "sales": sales})


def _final(records: Iterable[Record], after: SeatMap) -> dict[str, list[str]]:
    taken = after.taken
    final: dict[str, list[str]] = {}
    for seat in dict.fromkeys(
        seat for record in records for group in public_delta(record.event).values() for seat in group
    ):
        claim = taken.get(seat)
        final.setdefault("free" if claim is None else claim.state.value, []).append(seat)
    return final
