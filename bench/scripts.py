"""What clients ask for: holds of ever new seats, hold and release in turn, over REST and over the socket.

Every acknowledged hold's id is kept, so that the log can be asked for it afterwards.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bench import protocol
from bench.client import Line, connect
from bench.protocol import frames, request, response, text
from bench.seed import SEATS_PER_CUSTOMER

HOLD_ID: Final = b'"hold_id":"'
RESULT: Final = b'{"type":"result"'
GREETING: Final = b'{"type":"result","id":0,'
OK: Final = b'"ok":true'
Place = tuple[str, int, str]
"""Showtime, index of the seat, seat."""


class Acks:
    """Ids of holds that were acknowledged; over the socket also when each was asked for, by its version."""

    def __init__(self) -> None:
        self.holds: list[bytes] = []
        self.asked: dict[int, float] = {}


def hold_id(body: bytes) -> bytes:
    begin = body.index(HOLD_ID) + len(HOLD_ID)
    return body[begin : begin + 36]


class RestHolds:
    """A hold of one seat of each place in turn. A customer takes ten seats of a showtime, then the next one comes."""

    def __init__(self, places: Iterator[Place], guests: Sequence[str], acks: Acks) -> None:
        self._places = places
        self._guests = guests
        self._acks = acks

    def ask(self, _line: Line) -> bytes | None:
        place = next(self._places, None)
        if place is None:
            return None
        showtime, index, seat = place
        guest = self._guests[index // SEATS_PER_CUSTOMER % len(self._guests)]
        return request("POST", f"/api/v1/showtimes/{showtime}/holds", guest, b'{"seats":["%b"]}' % seat.encode())

    def hear(self, _line: Line, received: bytes) -> tuple[int, int]:
        answer = response(received)
        if answer is None:
            return 0, 0
        status, _, end = answer
        if status == 201:
            self._acks.holds.append(hold_id(received))
        return status, end


class RestCycle:
    """Each line holds a seat of its own and lets it go again. A line's memo is [place, guest, hold id or empty]."""

    def __init__(self, all_lines: Sequence[Line], places: Iterator[Place], guests: Sequence[str], acks: Acks) -> None:
        self._acks = acks
        for line in all_lines:
            showtime, index, seat = next(places)
            guest = guests[index // SEATS_PER_CUSTOMER % len(guests)]
            take = request("POST", f"/api/v1/showtimes/{showtime}/holds", guest, b'{"seats":["%b"]}' % seat.encode())
            line.memo = [take, guest, b""]

    def ask(self, line: Line) -> bytes | None:
        take, guest, held = line.memo
        if not held:
            return bytes(take)
        line.memo[2] = b""
        return request("DELETE", f"/api/v1/holds/{held.decode()}", guest)

    def hear(self, line: Line, received: bytes) -> tuple[int, int]:
        answer = response(received)
        if answer is None:
            return 0, 0
        status, _, end = answer
        if status == 201:
            line.memo[2] = held = hold_id(received)
            self._acks.holds.append(held)
        return status, end


class SocketScript:
    """Finds the answer among the frames that a socket receives."""

    def __init__(self, acks: Acks) -> None:
        self._acks = acks

    def hear(self, line: Line, received: bytes) -> tuple[int, int]:
        status = used = 0
        for _, begin, end in frames(received):
            used = end
            if received.startswith(RESULT, begin) and not received.startswith(GREETING, begin):
                status = self._judge(line, received[begin:end])
        return status, used

    def _judge(self, line: Line, result: bytes) -> int:
        if OK not in result[:48]:
            return _status(result)
        if HOLD_ID in result:
            held = hold_id(result)
            self._acks.holds.append(held)
            self.took(line, held, result)
        return 201

    def took(self, line: Line, held: bytes, result: bytes) -> None:
        """A hold was acknowledged."""


class SocketHolds(SocketScript):
    """A socket for each showtime; holds of ever new seats until it is sold out. The memo is an iterator of frames."""

    def ask(self, line: Line) -> bytes | None:
        asked: bytes | None = next(line.memo, None)
        return asked


def fill(seats: Sequence[str], guests: Sequence[str]) -> Iterator[bytes]:
    """A hold for each seat in turn; every ten seats the next customer signs in on the same socket."""
    for index, seat in enumerate(seats):
        hold = text(b'{"type":"hold","id":%d,"seats":["%b"]}' % (index + 1, seat.encode()))
        if index % SEATS_PER_CUSTOMER:
            yield hold
        else:
            yield signing_in(guests[index // SEATS_PER_CUSTOMER]) + hold


class SocketCycle(SocketScript):
    """Each socket holds a seat of its own and lets it go again. The memo is [hold frame, hold id or empty]."""

    def ask(self, line: Line) -> bytes | None:
        take, held = line.memo
        if not held:
            return bytes(take)
        line.memo[1] = b""
        return text(b'{"type":"release","id":2,"hold_id":"%b"}' % held)

    def took(self, line: Line, held: bytes, result: bytes) -> None:
        line.memo[1] = held
        begin = result.rindex(b'"seq":') + 6
        end = begin
        while result[end : end + 1].isdigit():
            end += 1
        self._acks.asked[int(result[begin:end])] = line.asked_at


def holding(seat: str) -> bytes:
    return text(b'{"type":"hold","id":1,"seats":["%b"]}' % seat.encode())


def signing_in(token: str) -> bytes:
    return text(b'{"type":"auth","id":0,"token":"%b"}' % token.encode())


def live_path(showtime: str) -> str:
    return f"/api/v1/showtimes/{showtime}/live"


def socket_line(port: int, path: str, is_ready: Callable[[bytes], bool], first: bytes = b"") -> Line:
    """A socket that has been upgraded, has sent `first`, and has received a frame for which `is_ready` is true."""
    line = Line(connect(port))
    line.socket.settimeout(10)
    line.socket.sendall(protocol.upgrade(path))
    received = b""
    while protocol.HEAD_END not in received:
        received += _more(line)
    if not received.startswith(b"HTTP/1.1 101"):
        raise ConnectionError(received[:100].decode())
    received = received[received.index(protocol.HEAD_END) + 4 :]
    if first:
        line.socket.sendall(first)
    while not any(is_ready(received[begin:end]) for _, begin, end in frames(received)):
        received += _more(line)
    return line


def signed_in_line(port: int, showtime: str, token: str) -> Line:
    return socket_line(port, live_path(showtime), lambda frame: frame.startswith(GREETING), signing_in(token))


def _more(line: Line) -> bytes:
    chunk = line.socket.recv(65_536)
    if not chunk:
        raise ConnectionError("closed in the handshake")
    return chunk


def _status(result: bytes) -> int:
    begin = result.index(b'"status":') + 9
    return int(result[begin : begin + 3])
