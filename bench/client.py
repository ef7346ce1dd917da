"""The load client: one thread, epoll, plain sockets; closed loop for throughput, open loop for latency.

In the open loop requests are due at fixed moments and latency counts from that moment, also when every connection was
busy then: a server that falls behind cannot hide it. The client's own processor time is reported beside every figure.
"""

import array
import gc
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from bench import protocol

RECEIVE_BYTES: Final = 262_144
GIVE_UP_SECONDS: Final = 5.0


class Line:
    """One connection and what it is waiting for. `memo` belongs to the script."""

    __slots__ = ("asked_at", "busy", "memo", "rest", "socket")

    def __init__(self, connection: socket.socket, memo: Any = None) -> None:
        self.socket = connection
        self.rest = b""
        self.asked_at = 0.0
        self.busy = False
        self.memo = memo


class Script(Protocol):
    """What is asked on the lines and what becomes of it."""

    def ask(self, line: Line) -> bytes | None:
        """The next request of this line; None when the line has no more to ask."""

    def hear(self, line: Line, received: bytes) -> tuple[int, int]:
        """(status of a complete answer or 0, how many bytes are dealt with)."""


@dataclass
class Tally:
    """What came of a run. Latencies in seconds, of all answers."""

    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: "array.array[float]" = field(default_factory=lambda: array.array("d"))
    seconds: float = 0.0
    client_cpu: float = 0.0
    unanswered: int = 0
    late_max: float = 0.0
    """Open loop: the longest that a due request had to wait for a free connection."""

    @property
    def answered(self) -> int:
        return sum(self.statuses.values())

    @property
    def done(self) -> int:
        return sum(count for status, count in self.statuses.items() if status < 300)

    @property
    def rate(self) -> float:
        return self.answered / self.seconds if self.seconds else 0.0

    def percentile(self, part: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1e3 if ordered else 0.0


def connect(port: int, receive_buffer: int = 0) -> socket.socket:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.connect(("127.0.0.1", port))
    return connection


def lines(port: int, count: int) -> list[Line]:
    return [Line(connect(port)) for _ in range(count)]


def close(all_lines: Iterable[Line]) -> None:
    for line in all_lines:
        line.socket.close()


def fetch(port: int, request: bytes, seconds_max: float = 30.0) -> tuple[int, bytes]:
    """One request on a connection of its own, blocking: (status, body)."""
    with connect(port) as connection:
        connection.settimeout(seconds_max)
        connection.sendall(request)
        received = b""
        while (answer := protocol.response(received)) is None:
            chunk = connection.recv(RECEIVE_BYTES)
            if not chunk:
                raise ConnectionError("closed before the answer was complete")
            received += chunk
    return answer[0], received[answer[1] : answer[2]]


def closed_loop(script: Script, all_lines: Sequence[Line], seconds: float, in_flight: int = 64) -> Tally:
    """As many requests as the server takes, with `in_flight` of them under way; a line that has no more is replaced."""
    return _Loop(script, all_lines).run(seconds, in_flight)


def open_loop(script: Script, all_lines: Sequence[Line], seconds: float, rate: float) -> Tally:
    """`rate` requests a second, whatever the server does."""
    return _Loop(script, all_lines).run(seconds, len(all_lines), rate)


class _Loop:
    def __init__(self, script: Script, all_lines: Sequence[Line]) -> None:
        self._script = script
        self._lines = {line.socket.fileno(): line for line in all_lines}
        self._free = deque(all_lines)
        self._poll = select.epoll()
        self._tally = Tally()
        self._busy = 0
        for line in all_lines:
            line.socket.settimeout(0)
            self._poll.register(line.socket, select.EPOLLIN)

    def run(self, seconds: float, in_flight: int, rate: float = 0.0) -> Tally:
        """Without Python's collector: the client's own pauses would be counted as the server's."""
        gc.collect()
        gc.disable()
        try:
            return self._run(seconds, in_flight, rate)
        finally:
            gc.enable()

    def _run(self, seconds: float, in_flight: int, rate: float) -> Tally:
        tally, cpu, begin = self._tally, time.process_time(), time.monotonic()
        end = begin + seconds
        if rate:
            self._paced(begin, end, 1 / rate)
        else:
            for _ in range(in_flight):
                self._start_one()
            while self._busy and (now := time.monotonic()) < end + GIVE_UP_SECONDS:
                self._listen(0.1, again=now < end)
        while self._busy and time.monotonic() < end + GIVE_UP_SECONDS:
            self._listen(0.1, again=False)
        tally.seconds = time.monotonic() - begin
        tally.client_cpu = time.process_time() - cpu
        tally.unanswered = self._busy
        self._poll.close()
        return tally

    def _paced(self, begin: float, end: float, step: float) -> None:
        due, fileno = begin, self._poll.fileno()
        while (now := time.monotonic()) < end:
            while due <= now and self._free and due < end:
                self._tally.late_max = max(self._tally.late_max, now - due)
                line = self._free.popleft()
                if not self._send(line, due):
                    return
                due += step
            # epoll itself counts in milliseconds, select in microseconds.
            wait = max(0.0, due - time.monotonic()) if self._free else 0.05
            if wait and not select.select((fileno,), (), (), wait)[0]:
                continue
            self._listen(0, again=False)

    def _start_one(self) -> None:
        while self._free:
            if self._send(self._free.popleft(), time.monotonic()):
                return

    def _send(self, line: Line, asked_at: float) -> bool:
        asked = self._script.ask(line)
        if asked is None:
            return False
        line.asked_at = asked_at
        if not line.busy:
            line.busy = True
            self._busy += 1
        self._tally.asked += 1
        line.socket.send(asked)
        return True

    def _listen(self, wait: float, *, again: bool) -> None:
        hear, tally, by_fileno = self._script.hear, self._tally, self._lines
        for fileno, _ in self._poll.poll(wait):
            line = by_fileno[fileno]
            try:
                chunk = line.socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            if not chunk:
                raise ConnectionError("the server closed a connection")
            received = line.rest + chunk if line.rest else chunk
            status, used = hear(line, received)
            line.rest = received[used:] if used < len(received) else b""
            if not status or not line.busy:
                continue
            now = time.monotonic()
            tally.statuses[status] += 1
            tally.latencies.append(now - line.asked_at)
            if again and self._send(line, now):
                continue
            line.busy = False
            self._busy -= 1
            if again:
                self._start_one()
            else:
                self._free.append(line)
