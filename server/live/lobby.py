"""How many seats are free in every showtime, for people who have not chosen one yet.

A newcomer gets all figures, then everybody gets the changes of each second, encoded once. Figures of sleeping showtimes
come from the database, those of waking ones from the hub; a figure of the hub is never older.
"""

from collections.abc import Awaitable, Callable, Mapping

from actors.ports import Clock, Handle
from server.live import frames
from server.live.limits import Limits
from server.live.watcher import Watcher

Load = Callable[[], Awaitable[Mapping[str, int]]]


class Lobby:
    def __init__(self, clock: Clock, limits: Limits, load: Load) -> None:
        self._clock = clock
        self._limits = limits
        self._load = load
        self._watchers: dict[Watcher, None] = {}
        self._free: dict[str, int] = {}
        self._changed: dict[str, int] = {}
        self._timer: Handle | None = None
        self._spoke_at = 0
        self._loaded_at: int | None = None

    def note(self, showtime_id: str, free: int) -> None:
        """A showtime has this many free seats now."""
        if self._free.get(showtime_id) != free:
            self._free[showtime_id] = free
            if self._watchers:
                self._changed[showtime_id] = free

    async def look_up(self) -> None:
        """Learn of showtimes that nobody has woken yet; at most once per tick, however many come in."""
        now = self._clock.now()
        if self._loaded_at is not None and now - self._loaded_at < self._limits.lobby_tick_ms:
            return
        self._loaded_at = now
        listed = await self._load()
        # What the hub has told is newer than any row; showtimes that are over leave with their rows.
        self._free = {showtime_id: self._free.get(showtime_id, free) for showtime_id, free in listed.items()}

    def join(self, watcher: Watcher) -> None:
        """Tell the newcomer everything; call `look_up` before."""
        self._watchers[watcher] = None
        watcher.send(self.fresh())
        if self._timer is None:
            self._spoke_at = self._clock.now()
            self._wait()

    def leave(self, watcher: Watcher) -> None:
        self._watchers.pop(watcher, None)
        if not self._watchers and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._changed = {}

    def fresh(self) -> bytes:
        return frames.availability(self._free)

    def _wait(self) -> None:
        self._timer = self._clock.call_at(self._clock.now() + self._limits.lobby_tick_ms, self._speak)

    def _speak(self) -> None:
        changed, self._changed = self._changed, {}
        now = self._clock.now()
        if changed or now - self._spoke_at >= self._limits.heartbeat_ms:
            self._spoke_at = now
            frame = frames.availability(changed)
            for watcher in tuple(self._watchers):
                watcher.offer(frame)
        self._wait()
