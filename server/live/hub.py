"""Who watches which showtime, and how they hear of its changes.

The actor publishes every durable change here, in log order. The first change leaves at once; while more arrive, a room
gets at most one frame per tick, wider when very many watch, and a pass over many sockets is cut into slices so that
commands are served in between. Joining and the first snapshot are one step: nothing can fall between them, and what
overlaps is harmless by the client's rule.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from actors.ports import Clock, Handle
from actors.seatmap.events import Record, changes_showtime, draws_anew, owner_of
from actors.seatmap.state import SeatMap
from actors.seatmap.terms import Instant
from server.live import frames
from server.live.limits import Limits
from server.live.session import CloseCode
from server.live.watcher import Watcher

LOAD_WINDOW_MS: Final = 100
MEASURED_SOCKETS_MIN: Final = 50
MEASURED_US_MAX: Final = 100.0
MEASURES_REMEMBERED: Final = 20
"""How what a delivery takes is learnt: from slices that are worth it, and no single stall counts for much."""

_NOBODY: Final[Mapping[Watcher, bytes]] = {}


class Owner(Protocol):
    """The part of a showtime's actor that the hub looks at."""

    @property
    def epoch(self) -> int: ...
    @property
    def snapshot(self) -> SeatMap: ...
    def trail(self, after: int) -> Sequence[Record] | None: ...


class _Soon:
    """Waits for a frame that is made in this very tick. Not cancelled: a room that was left has nobody to tell."""

    def cancel(self) -> None: ...


_SOON: Final = _Soon()


class Room:
    """The watchers of one showtime, and what they have not been told yet."""

    __slots__ = (
        "_members", "_snapshot", "due", "epoch", "owners", "passing", "pending", "spoke_at", "state", "told",
        "watchers", "window",
    )  # fmt: skip

    def __init__(self, epoch: int, state: SeatMap, now: Instant) -> None:
        self.epoch = epoch
        self.state = state
        self.told = state
        self.pending: list[Record] = []
        self.watchers: dict[Watcher, None] = {}
        self.owners: dict[str, dict[Watcher, None]] = {}
        self.spoke_at = now
        self.window = 0
        self.due: Handle | None = None
        self.passing = False
        self._members: tuple[Watcher, ...] | None = None
        self._snapshot: tuple[int, SeatMap, bytes] | None = None

    @property
    def members(self) -> tuple[Watcher, ...]:
        if self._members is None:
            self._members = tuple(self.watchers)
        return self._members

    def snapshot(self) -> bytes:
        """The state as it is now, encoded at most once per version."""
        kept = self._snapshot
        if kept is None or kept[0] != self.epoch or kept[1] is not self.state:
            kept = self._snapshot = (self.epoch, self.state, frames.snapshot(self.epoch, self.state))
        return kept[2]

    def add(self, watcher: Watcher) -> None:
        self.watchers[watcher] = None
        self._members = None

    def remove(self, watcher: Watcher) -> None:
        self.watchers.pop(watcher, None)
        self._members = None


class Hub:
    """`on_watched(showtime_id, watched)` hears of the first watcher's coming and the last one's going."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self.limits = limits
        self._rooms: dict[str, Room] = {}
        self._people: dict[str, dict[Watcher, None]] = {}
        self._personal: dict[tuple[str, str], SeatMap] = {}
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._next: deque[Room] = deque()
        self._sweep: Handle | None = None
        self._window = 0
        self._busy = 0
        self._busy_before = 0
        self._delivery_us = limits.delivery_us
        self.on_watched: Callable[[str, bool], None] = lambda _showtime_id, _watched: None
        self.on_free: Callable[[str, int], None] = lambda _showtime_id, _free: None
        self.on_person: Callable[[str, SeatMap], None] = lambda _person, _state: None

    def __iter__(self) -> Iterator[str]:
        """The showtimes that are being watched."""
        return iter(tuple(self._rooms))

    @property
    def watching(self) -> int:
        return sum(len(room.watchers) for room in self._rooms.values())

    def start(self) -> None:
        self._sweep = self._clock.call_at(self._clock.now() + self.limits.sweep_ms, self._keep_alive)

    def stop(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()

    def publish(self, epoch: int, records: Sequence[Record], state: SeatMap) -> None:
        """Every durable change comes by here. No records: a new epoch began, so watchers start over."""
        showtime_id = state.showtime_id
        self.on_free(showtime_id, state.free)
        if (room := self._rooms.get(showtime_id)) is not None:
            if epoch == room.epoch:
                room.pending.extend(records)
                room.state = state
                if room.due is None and not room.passing:
                    self._schedule(room)
            elif epoch > room.epoch:
                self._start_over(room, epoch, state)
        if showtime_id in self._waiters:
            for waiter in self._waiters.pop(showtime_id):
                if not waiter.done():
                    waiter.set_result(None)
        if self._people:
            self._note_people(records, state)

    def join(self, watcher: Watcher, owner: Owner, *, since: int | None = None, epoch: int | None = None) -> None:
        """Add a watcher and tell it the state, in one step.

        Somebody who names the version seen last gets what is missing, if that is still known.
        """
        state = owner.snapshot
        room = self._rooms.get(state.showtime_id)
        if room is None:
            room = self._rooms[state.showtime_id] = Room(owner.epoch, state, self._clock.now())
        elif owner.epoch > room.epoch:
            self._start_over(room, owner.epoch, state)
        room.add(watcher)
        if len(room.watchers) == 1:
            self.on_watched(state.showtime_id, bool(room.watchers))
        watcher.send(self._beginning(room, owner, since, epoch))

    def leave(self, watcher: Watcher, showtime_id: str) -> None:
        room = self._rooms.get(showtime_id)
        if room is None:
            return
        room.remove(watcher)
        if not room.watchers:
            if room.due is not None:
                room.due.cancel()
            del self._rooms[showtime_id]
            self.on_watched(showtime_id, bool(room.watchers))

    def gone(self, showtime_id: str) -> None:
        """There is no such showtime any more."""
        if (room := self._rooms.get(showtime_id)) is not None:
            for watcher in room.members:
                watcher.close(CloseCode.GONE, "this showtime does not exist any more")

    def resync(self, watcher: Watcher, showtime_id: str) -> None:
        """One snapshot, unless the socket is behind and will get one anyway."""
        if watcher.stale_since is None and (room := self._rooms.get(showtime_id)) is not None:
            watcher.send(room.snapshot())

    def fresh(self, showtime_id: str, person: str | None) -> bytes:
        """Everything a watcher should know, for one that missed frames."""
        room = self._rooms.get(showtime_id)
        if room is None:
            return b""
        return room.snapshot() if person is None else room.snapshot() + frames.mine(room.state, person)

    def recognise(self, watcher: Watcher, showtime_id: str, person: str) -> None:
        """From now on the watcher hears of the person's own holds and bookings here as well."""
        if (room := self._rooms.get(showtime_id)) is not None and watcher in room.watchers:
            room.owners.setdefault(person, {})[watcher] = None
            watcher.send(frames.mine(room.state, person))

    def disown(self, watcher: Watcher, showtime_id: str, person: str) -> None:
        if (room := self._rooms.get(showtime_id)) is not None:
            _discard(room.owners, person, watcher)

    def follow(self, watcher: Watcher, person: str) -> None:
        """Tell the watcher of the person's own holds and bookings wherever they change."""
        self._people.setdefault(person, {})[watcher] = None

    def unfollow(self, watcher: Watcher, person: str) -> None:
        _discard(self._people, person, watcher)

    async def wait(self, showtime_id: str, seconds: float) -> bool:
        """Until the showtime changes; False when it did not in that time. Look at its version first, then wait."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(showtime_id, set()).add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
            return True
        except TimeoutError:
            return False
        finally:
            if waiters := self._waiters.get(showtime_id):
                waiters.discard(waiter)
                if not waiters:
                    del self._waiters[showtime_id]

    def dismiss(self) -> None:
        """Whoever waits for a change waits no longer."""
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _beginning(self, room: Room, owner: Owner, since: int | None, epoch: int | None) -> bytes:
        state = room.state
        if since is None or since > state.version or (epoch is not None and epoch != room.epoch):
            return room.snapshot()
        if since == state.version and (epoch is not None or owner.trail(since - 1) is not None):
            return frames.tick(room.epoch, state.version, self._clock.now())
        # Somebody who names no epoch may know this version from an earlier one, and a new epoch comes with a snapshot.
        missed = owner.trail(since)
        if not missed or missed[0].version != since + 1 or any(draws_anew(record.event) for record in missed):
            return room.snapshot()
        told = frames.delta(room.epoch, None, missed, state)
        if any(changes_showtime(record.event) for record in missed):
            told += frames.showtime(room.epoch, state)
        return told

    def _schedule(self, room: Room) -> None:
        now = self._clock.now()
        due = room.spoke_at + self._tick_ms(room, now)
        if now >= due:
            # After the whole turn, which becomes one frame; all rooms at once, so that answers leave in the same write.
            if not self._next:
                asyncio.get_running_loop().call_soon(self._speak_all)
            self._next.append(room)
            room.due = _SOON
        else:
            room.due = self._clock.call_at(due, lambda: self._speak(room))

    def _tick_ms(self, room: Room, now: Instant) -> int:
        """How long a room waits between two frames, so that fan-out takes no more than its share of the loop's time."""
        window = now // LOAD_WINDOW_MS
        if window != self._window:
            self._busy_before = self._busy if window == self._window + 1 else 0
            self._busy, self._window = 0, window
        if room.window != window:
            room.window = window
            self._busy += len(room.watchers)
        needed = int(max(self._busy, self._busy_before) * self._delivery_us / (self.limits.fan_out_share * 1_000))
        return min(max(self.limits.tick_ms_min, needed), self.limits.tick_ms_max)

    def _speak_all(self) -> None:
        while self._next:
            room = self._next.popleft()
            try:
                self._speak(room)
            except Exception:
                if self._next:  # what is wrong with one room is not to be borne by the others
                    asyncio.get_running_loop().call_soon(self._speak_all)
                raise

    def _speak(self, room: Room) -> None:
        room.due = None
        records, room.pending = room.pending, []
        if not records:
            return
        frame = frames.news(room.epoch, room.told, records, room.state)
        room.told = room.state
        self._deliver(room, frame, _own_news(room, records) if room.owners else _NOBODY)

    def _start_over(self, room: Room, epoch: int, state: SeatMap) -> None:
        """What was told in an older epoch may not be all there is: everybody gets the whole state."""
        room.epoch, room.state, room.told = epoch, state, state
        room.pending = []
        own = {watcher: frames.mine(state, person) for person, its in room.owners.items() for watcher in its}
        self._deliver(room, room.snapshot(), own)

    def _deliver(self, room: Room, frame: bytes, own: Mapping[Watcher, bytes]) -> None:
        """The same frame to all; some get something of their own with it, in the same write."""
        room.spoke_at = self._clock.now()
        members, size = room.members, self.limits.slice_sockets
        if len(members) <= size:
            self._offer_timed(members, frame, own)
            return
        room.passing = True
        call_soon = asyncio.get_running_loop().call_soon

        def go_on(begin: int) -> None:
            self._offer_timed(members[begin : begin + size], frame, own)
            if begin + size < len(members):
                call_soon(go_on, begin + size)
            else:
                room.passing = False
                if room.pending and room.due is None:
                    self._schedule(room)

        go_on(0)

    def _offer_timed(self, watchers: Sequence[Watcher], frame: bytes, own: Mapping[Watcher, bytes]) -> None:
        """Offer, and learn what a delivery takes here and now."""
        if len(watchers) < MEASURED_SOCKETS_MIN:
            _offer(watchers, frame, own)
            return
        begin = self._clock.monotonic()
        _offer(watchers, frame, own)
        each = (self._clock.monotonic() - begin) * 1e6 / len(watchers)
        self._delivery_us += (min(each, MEASURED_US_MAX) - self._delivery_us) / MEASURES_REMEMBERED

    def _note_people(self, records: Sequence[Record], state: SeatMap) -> None:
        for person in {owner_of(record.event) for record in records} & self._people.keys():
            assert person is not None
            if not self._personal:
                asyncio.get_running_loop().call_soon(self._tell_people)
            self._personal[person, state.showtime_id] = state

    def _tell_people(self) -> None:
        due, self._personal = self._personal, {}
        for (person, _showtime_id), state in due.items():
            self.tell(person, frames.mine(state, person))
            self.on_person(person, state)

    def tell(self, person: str, frame: bytes) -> None:
        """For everywhere that the person is followed."""
        _offer(tuple(self._people.get(person, ())), frame, _NOBODY)

    def follows(self, person: str) -> bool:
        return person in self._people

    def _keep_alive(self) -> None:
        """Rooms that have been quiet for a heartbeat hear that nothing happened."""
        now = self._clock.now()
        for room in tuple(self._rooms.values()):
            if now - room.spoke_at >= self.limits.heartbeat_ms and not room.passing:
                self._deliver(room, frames.tick(room.epoch, room.told.version, now), _NOBODY)
        self._sweep = self._clock.call_at(now + self.limits.sweep_ms, self._keep_alive)


def _offer(watchers: Sequence[Watcher], frame: bytes, own: Mapping[Watcher, bytes]) -> None:
    if own:
        for watcher in watchers:
            watcher.offer(frame + own[watcher] if watcher in own else frame)
    else:
        for watcher in watchers:
            watcher.offer(frame)


def _own_news(room: Room, records: Sequence[Record]) -> dict[Watcher, bytes]:
    """What the owners among the watchers must hear, encoded once for each person."""
    own: dict[Watcher, bytes] = {}
    for person in {owner_of(record.event) for record in records} & room.owners.keys():
        assert person is not None
        own |= dict.fromkeys(room.owners[person], frames.mine(room.state, person))
    return own


def _discard(index: dict[str, dict[Watcher, None]], person: str, watcher: Watcher) -> None:
    if (watchers := index.get(person)) is not None:
        watchers.pop(watcher, None)
        if not watchers:
            del index[person]
