"""A small cinema for tests of the live edge: a seat map whose story a test tells, and transports that can get stuck."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from actors.ids import mint_in
from actors.seatmap import events as e
from actors.seatmap.commands import ActorKind, BlockKind, Cause
from actors.seatmap.events import Line, Record
from actors.seatmap.layout import Category, Layout, Row, Seat, SeatKind, Zone
from actors.seatmap.state import SeatMap, evolve, genesis
from actors.seatmap.terms import Instant, RefundStep, Tariff, Terms
from server.live.frames import close_frame
from server.live.hub import Hub

START: Instant = 1_800_000_000_000
HOUR = 3_600_000
SHOWTIME = "01890000-0000-7000-8000-000000000001"


def layout(rows: int = 3, seats_per_row: int = 10) -> Layout:
    """Rows A, B, C… of seats 1 to n, without aisles."""
    labels = [[f"{chr(65 + row)}{number}" for number in range(1, seats_per_row + 1)] for row in range(rows)]
    seats = {
        label: Seat(
            label=label,
            number=label[1:],
            row=label[0],
            zone="main",
            x=float(column),
            y=float(row),
            category="standard",
            kind=SeatKind.STANDARD,
            attributes=(),
            left=line[column - 1] if column else None,
            right=line[column + 1] if column + 1 < len(line) else None,
            partner=None,
            distance=abs(column - seats_per_row / 2) + abs(row - rows / 2),
        )
        for row, line in enumerate(labels)
        for column, label in enumerate(line)
    }
    return Layout(
        id="01890000-0000-7000-8000-0000000000aa",
        version=1,
        name="Small",
        categories=(Category("standard", "Standard", "#336699"),),
        zones=(Zone("main", "Main"),),
        rows=tuple(Row("main", line[0][0], order, tuple(line)) for order, line in enumerate(labels)),
        seats=seats,
        blocks=tuple(tuple(line) for line in labels),
        focal_point=(seats_per_row / 2, rows / 2),
    )


def terms(now: Instant = START) -> Terms:
    return Terms(
        movie_id="01890000-0000-7000-8000-0000000000bb",
        screen_id="01890000-0000-7000-8000-0000000000cc",
        layout_id="01890000-0000-7000-8000-0000000000aa",
        starts_at=now + 24 * HOUR,
        ends_at=now + 26 * HOUR,
        sales_open_at=now - HOUR,
        sales_close_at=now + 24 * HOUR,
        tariff=Tariff("INR", {"standard": {"adult": 45_000, "child": 25_000}}, "adult", 1_000, 1_800),
        refund_policy=(RefundStep(2, 10_000),),
    )


def seat_map(
    drawn: Layout | None = None, *, showtime_id: str = SHOWTIME, number: int = 7, now: Instant = START
) -> SeatMap:
    """On sale, at version 2."""
    scheduled = Record(1, now, cause(), e.ShowtimeScheduled(number, terms(now)))
    state = genesis(showtime_id, drawn or layout(), scheduled)
    return evolve(state, [Record(2, now, cause(), e.SalesOpened())])


def cause() -> Cause:
    return Cause("", ActorKind.SYSTEM, "clock")


def lines(*seats: str) -> tuple[Line, ...]:
    return tuple(Line(seat, "standard", "adult", 45_000, 1_000, 8_280) for seat in seats)


@dataclass
class Story:
    """Tells what happens in a showtime, as its actor would: `tell` makes events durable and publishes them at once."""

    hub: Hub | None = None
    state: SeatMap = field(default_factory=seat_map)
    epoch: int = 1
    now: Instant = START
    _trail: deque[Record] = field(default_factory=lambda: deque(maxlen=1_000))

    @property
    def snapshot(self) -> SeatMap:
        return self.state

    def trail(self, after: int) -> Sequence[Record] | None:
        missing = self.state.version - after
        return None if missing > len(self._trail) else list(self._trail)[len(self._trail) - missing :]

    def tell(self, *events: e.Event) -> tuple[Record, ...]:
        version = self.state.version
        records = tuple(Record(version + n, self.now, cause(), event) for n, event in enumerate(events, 1))
        self.state = evolve(self.state, records)
        self._trail.extend(records)
        if self.hub is not None:
            self.hub.publish(self.epoch, records, self.state)
        return records

    def held(self, *seats: str, owner: str = "ana") -> e.SeatsHeld:
        hold_id = mint_in(self.state.number, self.now)
        return e.SeatsHeld(hold_id, owner, lines(*seats), self.now + 600_000, 2, next_to_each_other=True)

    def hold(self, *seats: str, owner: str = "ana") -> e.SeatsHeld:
        event = self.held(*seats, owner=owner)
        self.tell(event)
        return event

    def release(self, hold: e.SeatsHeld) -> None:
        self.tell(self.released(hold))

    def released(self, hold: e.SeatsHeld) -> e.HoldReleased:
        return e.HoldReleased(hold.hold_id, hold.owner, tuple(line.seat for line in hold.lines))

    def sell(self, hold: e.SeatsHeld) -> None:
        booking_id = mint_in(self.state.number, self.now)
        placed = e.BookingPlaced(booking_id, "REF123", hold.hold_id, hold.owner, hold.lines, "INR", self.now + 900_000)
        confirmed = e.BookingConfirmed(
            booking_id,
            "REF123",
            hold.hold_id,
            hold.owner,
            hold.lines,
            "INR",
            (),
            "pay-1",
            "sandbox",
            "p-1",
            54_280,
            late=False,
        )
        self.tell(placed, confirmed)

    def block(self, *seats: str) -> None:
        self.tell(e.SeatsBlocked(seats, BlockKind.HOUSE, "for the critics"))

    def takeover(self) -> None:
        """Somebody else owns the showtime now: the same state under a new epoch."""
        self.epoch += 1
        self._trail.clear()
        if self.hub is not None:
            self.hub.publish(self.epoch, (), self.state)


class FakeTransport:
    """Collects what is written. While `stuck`, all of it stays in the write buffer; when `lost`, writing raises."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.writes = 0
        self.stuck = False
        self.lost = False
        self.closed = False
        self.aborted = False
        self._read = 0
        self._buffered = 0

    def write(self, data: bytes) -> None:
        if self.lost:
            raise RuntimeError("the handler is closed")
        self.written += data
        self.writes += 1
        if self.stuck:
            self._buffered += len(data)

    def get_write_buffer_size(self) -> int:
        return self._buffered

    def drain(self) -> None:
        self.stuck = False
        self._buffered = 0

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def read(self) -> list[dict[str, Any]]:
        """The frames since the last look. A close frame appears as `{"type": "close", "code": …}`."""
        frames = [decoded(opcode, payload) for opcode, payload in split(bytes(self.written[self._read :]))]
        self._read = len(self.written)
        return frames


def split(data: bytes) -> list[tuple[int, bytes]]:
    """Unmasked WebSocket frames as (opcode, payload)."""
    frames, at = [], 0
    while at < len(data):
        opcode, size = data[at] & 0x0F, data[at + 1]
        at += 2
        if size == 126:
            size, at = int.from_bytes(data[at : at + 2]), at + 2
        elif size == 127:
            size, at = int.from_bytes(data[at : at + 8]), at + 8
        frames.append((opcode, data[at : at + size]))
        at += size
    assert at == len(data), "a frame is cut off"
    return frames


def decoded(opcode: int, payload: bytes) -> dict[str, Any]:
    if opcode == 8:
        return {"type": "close", "code": int.from_bytes(payload[:2]), "reason": payload[2:].decode()}
    if opcode == 10:
        return {"type": "pong-control", "payload": payload}
    frame: dict[str, Any] = orjson.loads(payload)
    return frame


def text(frame: bytes) -> dict[str, Any]:
    [(opcode, payload)] = split(frame)
    return decoded(opcode, payload)


assert text(close_frame(4400, "x")) == {"type": "close", "code": 4400, "reason": "x"}
