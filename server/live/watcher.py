"""One socket's outgoing side, and what becomes of sockets that do not read.

Frames come in two kinds. What is *offered* may be dropped, because a later frame makes up for it: seat states are
last-write-wins. What is *sent* answers somebody and must arrive; such frames of one loop tick leave in one write.
A socket whose backlog passes the limit is conflated: it gets no more offers, one fresh frame when it has drained, and
the close code 4408 when it has not drained in time. Nothing here ever waits.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from actors.ports import Clock, Handle
from actors.seatmap.terms import Instant
from server.live.frames import close_frame
from server.live.limits import Limits
from server.live.session import CloseCode

DRAINED_PART: Final = 4


class Transport(Protocol):
    """The part of `asyncio.Transport` that is used."""

    def write(self, data: bytes, /) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class Watcher:
    """`fresh` gives the frames that bring a socket up to date after it was conflated."""

    __slots__ = (
        "_answers", "_answers_bytes", "_backlog", "_backlog_max", "_gate", "_out", "closed", "fresh", "stale_since",
        "transport",
    )  # fmt: skip

    def __init__(self, transport: Transport, gate: "Gate", fresh: Callable[[], bytes]) -> None:
        self.transport = transport
        self._out = transport.write
        self._backlog = transport.get_write_buffer_size
        self._gate = gate
        self._backlog_max = gate.limits.backlog_bytes_max
        self._answers: list[bytes] = []
        self._answers_bytes = 0
        self.fresh = fresh
        self.stale_since: Instant | None = None
        self.closed = False

    def offer(self, frame: bytes) -> None:
        """Write a frame that a later one would make up for, unless the socket is behind."""
        if self._answers:
            # Answers go first, in the same write: a snapshot among them must not arrive after this, which is newer.
            if self.stale_since is None:
                self._answers.append(frame)
            self.flush()
        elif self.stale_since is None and not self.closed:
            # As in `_write`; this is done for every change and every watcher.
            try:
                self._out(frame)
            except RuntimeError:
                self.closed = True
                return
            if self._backlog() > self._backlog_max:
                self._gate.conflate(self)

    def send(self, frame: bytes) -> None:
        """Write a frame that must arrive, together with the others of this loop tick."""
        if not self._answers:
            self._gate.flush_soon(self)
        self._answers.append(frame)
        self._answers_bytes += len(frame)
        if self._answers_bytes > self._backlog_max:
            self.flush()  # a thousand questions in one packet must not pile up a thousand answers

    def flush(self) -> None:
        frames, self._answers = self._answers, []
        self._answers_bytes = 0
        if self.closed or not frames:
            return
        self._write(frames[0] if len(frames) == 1 else b"".join(frames))
        backlog = self._backlog()
        if backlog > self._gate.limits.unread_bytes_max:
            self.close(CloseCode.TOO_SLOW, "answers are not read")
        elif backlog > self._backlog_max and self.stale_since is None:
            self._gate.conflate(self)

    def close(self, code: int, reason: str) -> None:
        """Say goodbye; the connection ends when the other side has answered, or soon after."""
        if not self.closed:
            self.flush()
        if not self.closed:
            self._write(close_frame(code, reason))
            self.closed = True
            self._gate.see_off(self.transport)

    def retire(self) -> None:
        """The connection is gone. What knew it is let go of, so that no cycle keeps it in memory."""
        self.closed = True
        self.fresh = bytes

    def catch_up(self, now: Instant) -> bool:
        """Whether a conflated socket needs no more looking after: it drained, or its time is up."""
        if self.closed or self.stale_since is None:
            return True
        if self._backlog() <= self._backlog_max // DRAINED_PART:
            self.stale_since = None
            self.offer(self.fresh())
            return self.stale_since is None
        if now - self.stale_since >= self._gate.limits.stale_ms_max:
            self.close(CloseCode.TOO_SLOW, "frames are not read")
            return True
        return False

    def _write(self, data: bytes) -> None:
        """Write, unless the connection was lost a moment ago: uvloop raises then, asyncio takes no notice."""
        try:
            self._out(data)
        except RuntimeError:
            self.closed = True


class Gate:
    """What all watchers of a process share: the write at the end of the tick, the look after those who fell behind."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self.limits = limits
        self._clock = clock
        self._waiting: list[Watcher] = []
        self._stale: dict[Watcher, None] = {}
        self._look: Handle | None = None

    @property
    def stale(self) -> int:
        """How many sockets are conflated at the moment."""
        return len(self._stale)

    def flush_soon(self, watcher: Watcher) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(watcher)

    def conflate(self, watcher: Watcher) -> None:
        watcher.stale_since = self._clock.now()
        self._stale[watcher] = None
        if self._look is None:
            self._look = self._clock.call_at(watcher.stale_since + self.limits.stale_look_ms, self._look_after)

    def see_off(self, transport: Transport) -> None:
        """Let the last frames leave, then end the connection, whatever the other side does."""
        now = self._clock.now()
        self._shut_later(transport, now, now + self.limits.farewell_ms_max)

    def _shut_later(self, transport: Transport, now: Instant, deadline: Instant) -> None:
        self._clock.call_at(now + self.limits.farewell_look_ms, lambda: self._shut(transport, deadline))

    def _shut(self, transport: Transport, deadline: Instant) -> None:
        now = self._clock.now()
        if now >= deadline:
            transport.abort()
        elif transport.get_write_buffer_size() == 0:
            transport.close()
        else:
            self._shut_later(transport, now, deadline)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for watcher in waiting:
            watcher.flush()

    def _look_after(self) -> None:
        self._look = None
        now = self._clock.now()
        for watcher in tuple(self._stale):
            if watcher.catch_up(now):
                self._stale.pop(watcher, None)
        if self._stale:
            self._look = self._clock.call_at(now + self.limits.stale_look_ms, self._look_after)
