"""Thousands of watchers of one showtime in a process of their own, each of them checked for gaps.

Watchers of a showtime receive the same bytes, so a chunk is parsed once and then looked up. What does not arrive as
whole frames is put together as usual. Every watcher's version must go up without a hole from its snapshot on.
"""

import array
import gc
import multiprocessing
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Final

from bench import protocol
from bench.client import connect

CONNECTING_MAX: Final = 64
RECEIVE_BYTES: Final = 131_072
REMEMBERED_MAX: Final = 64
JOIN_SECONDS_MAX: Final = 120.0


@dataclass
class Seen:
    """What the watchers saw. `arrivals` are pairs of a frame's first version and the moment it arrived somewhere."""

    watchers: int
    join_seconds: float
    frames: int = 0
    changes: int = 0
    bytes: int = 0
    gaps: int = 0
    closed: int = 0
    versions: tuple[int, ...] = ()
    client_cpu: float = 0.0
    first_versions: "array.array[int]" = field(default_factory=lambda: array.array("q"))
    arrived_at: "array.array[float]" = field(default_factory=lambda: array.array("d"))


class Crowd:
    """The far end of the process in which watchers watch."""

    def __init__(self, pipe: Connection, join_seconds: float) -> None:
        self._pipe = pipe
        self.join_seconds = join_seconds

    def begin(self) -> None:
        """Forget what was seen so far."""
        self._pipe.send("begin")
        self._pipe.recv()

    def seen(self) -> Seen:
        self._pipe.send("seen")
        seen: Seen = self._pipe.recv()
        return seen


@contextmanager
def crowd(port: int, path: str, count: int) -> Iterator[Crowd]:
    """`count` watchers who have joined and received their snapshot."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_watch, args=(theirs, port, path, count), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Crowd(ours, ours.recv())
    finally:
        ours.close()
        process.join(10)
        if process.is_alive():
            process.kill()


class _Watcher:
    __slots__ = ("rest", "socket", "upgraded", "version")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.rest = b""
        self.upgraded = False
        self.version = -1


class _Watch:
    def __init__(self, port: int, path: str, count: int) -> None:
        self.count = count
        self._port = port
        self._hello = protocol.upgrade(path)
        self._watchers: dict[int, _Watcher] = {}
        self._poll = select.epoll()
        self._joined = 0
        self._spans: dict[bytes, tuple[tuple[int, int], ...]] = {}
        self.seen = Seen(count, 0.0)

    def join(self) -> float:
        """Seconds until all have their snapshot."""
        begin, started = time.monotonic(), 0
        while self._joined < self.count:
            while started < self.count and started - self._joined < CONNECTING_MAX:
                connection = connect(self._port)
                connection.settimeout(0)
                connection.send(self._hello)
                self._watchers[connection.fileno()] = _Watcher(connection)
                self._poll.register(connection, select.EPOLLIN)
                started += 1
            self.listen(1.0)
            if time.monotonic() - begin > JOIN_SECONDS_MAX:
                raise TimeoutError(f"{self._joined} of {self.count} joined")
        return time.monotonic() - begin

    def forget(self) -> None:
        self.seen = Seen(self.count, self.seen.join_seconds, closed=self.seen.closed)

    def listen(self, wait: float) -> None:
        spans, watchers, seen = self._spans, self._watchers, self.seen
        first, arrived = seen.first_versions.append, seen.arrived_at.append
        for fileno, _ in self._poll.poll(wait):
            watcher = watchers.get(fileno)
            if watcher is None:
                continue
            try:
                chunk = watcher.socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            seen.bytes += len(chunk)
            covered = spans.get(chunk) if not watcher.rest else None
            if covered is None:
                covered = self._read(watcher, chunk)
            now = time.monotonic()
            for since, until in covered:
                if since == watcher.version + 1:
                    watcher.version = until
                    seen.frames += 1
                    seen.changes += until - since + 1
                    first(since)
                    arrived(now)
                elif until > watcher.version:
                    seen.gaps += 1
                    watcher.version = until

    def _read(self, watcher: _Watcher, chunk: bytes) -> tuple[tuple[int, int], ...]:
        if not chunk:
            self.seen.closed += 1
            self._poll.unregister(watcher.socket)
            return ()
        received = watcher.rest + chunk
        if not watcher.upgraded:
            head = received.find(protocol.HEAD_END)
            if head < 0:
                watcher.rest = received
                return ()
            if not received.startswith(b"HTTP/1.1 101"):
                raise ConnectionError(received[:100].decode())
            watcher.upgraded, received = True, received[head + 4 :]
        whole, used, covered = not watcher.rest, 0, []
        for _, begin, end in protocol.frames(received):
            used, payload = end, received[begin:end]
            if (part := protocol.span(payload)) is not None:
                covered.append(part)
            elif (version := protocol.snapshot_version(payload)) is not None:
                whole = False
                if watcher.version < 0:
                    self._joined += 1
                watcher.version = version
        watcher.rest = received[used:]
        if whole and used == len(chunk) == len(received):
            if len(self._spans) > REMEMBERED_MAX:
                self._spans.clear()
            self._spans[chunk] = tuple(covered)
        return tuple(covered)

    @property
    def versions(self) -> tuple[int, ...]:
        return tuple(sorted({watcher.version for watcher in self._watchers.values()}))


def _watch(pipe: Connection, port: int, path: str, count: int) -> None:
    gc.disable()  # its pauses would be counted as the server's
    watch = _Watch(port, path, count)
    watch.seen.join_seconds = watch.join()
    pipe.send(watch.seen.join_seconds)
    cpu = time.process_time()
    try:
        while True:
            watch.listen(0.02)
            if not pipe.poll():
                continue
            if pipe.recv() == "begin":
                watch.forget()
                cpu = time.process_time()
                pipe.send(None)
            else:
                watch.seen.versions = watch.versions
                watch.seen.client_cpu = time.process_time() - cpu
                pipe.send(watch.seen)
    except (EOFError, OSError):
        return
