"""Sales: a booking of a seat and its confirmation, one after the other on each line."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from bench.client import Line
from bench.protocol import request, response
from bench.scripts import Place
from bench.seed import SEATS_PER_CUSTOMER

BOOKING_ID: Final = b'"id":"'
CONFIRMED: Final = b'"status":"confirmed"'


class Sales:
    """Books a seat of each place in turn, then pays for it. A line's memo is (guest, booking id) between the two."""

    def __init__(self, places: Iterator[Place], guests: Sequence[str]) -> None:
        self._places = places
        self._guests = guests
        self._keys = count()
        self.sold = 0

    def ask(self, line: Line) -> bytes | None:
        key = f"sale-{id(self)}-{next(self._keys)}"
        if line.memo is not None:
            guest, booking = line.memo
            return request("POST", f"/api/v1/bookings/{booking}/confirm", guest, b'{"provider":"sandbox"}', key=key)
        place = next(self._places, None)
        if place is None:
            return None
        showtime, index, seat = place
        guest = self._guests[index // SEATS_PER_CUSTOMER % len(self._guests)]
        line.memo = (guest, "")
        body = b'{"showtime_id":"%b","seats":["%b"],"contact":{"email":"guest%d@example.com"}}'
        return request("POST", "/api/v1/bookings", guest, body % (showtime.encode(), seat.encode(), index), key=key)

    def hear(self, line: Line, received: bytes) -> tuple[int, int]:
        answer = response(received)
        if answer is None:
            return 0, 0
        status, begin, end = answer
        if status == 201:
            found = received.index(BOOKING_ID, begin) + len(BOOKING_ID)
            line.memo = (line.memo[0], received[found : found + 36].decode())
        else:
            self.sold += CONFIRMED in received[begin:end]
            line.memo = None
        return status, end
