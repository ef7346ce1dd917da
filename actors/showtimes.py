"""All showtimes of this process: finds the actor of a showtime, wakes it, rebuilds it, and lets it sleep.

A showtime nobody looks at costs nothing but its next deadline, which wakes it, so that holds expire and sales close on
time without a sweeper. An actor that dies is rebuilt from the log, after a pause that grows while it keeps dying.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice

from actors.ids import is_uuid, showtime_number
from actors.limits import Limits
from actors.ports import (
    Clock,
    Draining,
    Enclosure,
    Handle,
    Journal,
    Loaded,
    Placement,
    Publisher,
    Rejected,
    UnknownShowtime,
    WorldFailure,
)
from actors.runtime.registry import Registry
from actors.seatmap.commands import Command, Expire
from actors.seatmap.state import NEVER
from actors.seatmap.terms import Instant
from actors.showtime import CLOCKWORK, Reply, ShowtimeActor

PASSIVATION_PASS_MS = 15_000
PASSIVATION_PAUSE_MS = 100
LONG_LIFE_MS = 10_000

MakeActor = Callable[[str, Loaded, Journal, Publisher, Clock, Limits], ShowtimeActor]


class Showtimes:
    """Open with `async with`; leaving it drains every actor."""

    def __init__(
        self,
        journal: Journal,
        publisher: Publisher,
        clock: Clock,
        placement: Placement,
        limits: Limits,
        on_death: Callable[[str, BaseException], None],
        make: MakeActor = ShowtimeActor,
    ) -> None:
        self._journal = journal
        self._publisher = publisher
        self._clock = clock
        self._placement = placement
        self._limits = limits
        self._on_death = on_death
        self._make = make
        self._registry: Registry[ShowtimeActor] = Registry(self._activate)
        self._watched: set[str] = set()
        self._alarms: dict[str, Handle] = {}
        self._born_at: dict[str, Instant] = {}
        self._deaths: dict[str, int] = {}
        self._numbers: dict[int, str] = {}
        self._wakes: set[asyncio.Task[None]] = set()
        self._waking = asyncio.Semaphore(limits.wakes_at_once_max)
        self._pass: Handle | None = None
        self._draining = False

    async def __aenter__(self) -> "Showtimes":
        self._loop = asyncio.get_running_loop()
        for showtime_id, deadline in await self._journal.deadlines():
            self._wake_at(showtime_id, deadline)
        self._pass = self._clock.call_at(self._clock.now() + PASSIVATION_PASS_MS, self._passivate_idle)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()

    def __len__(self) -> int:
        return len(self._registry)

    @property
    def mailbox_depth(self) -> int:
        """Commands that wait, over all actors."""
        return sum(len(actor.mailbox) for actor in self._registry)

    def __iter__(self) -> Iterator[ShowtimeActor]:
        """Those that are awake."""
        return iter(self._registry)

    def resident(self, showtime_id: str) -> ShowtimeActor | None:
        return self._registry.resident(showtime_id)

    async def actor(self, showtime_id: str) -> ShowtimeActor:
        """The live actor. UnknownShowtime, JournalDown, Draining."""
        if self._draining:
            raise Draining("stopping")
        actor = self._registry.resident(showtime_id)
        if actor is not None:
            return actor
        if not is_uuid(showtime_id):
            raise UnknownShowtime(showtime_id)
        return await self._registry.get(showtime_id)

    async def ask(self, showtime_id: str, command: Command, enclosure: Enclosure | None = None) -> Reply:
        """Send a command and wait for its durable outcome. Raises what `ports` names; nothing is retried."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        actor = self._registry.resident(showtime_id) or await self.actor(showtime_id)
        try:
            actor.post(command, partial(_settle, future), enclosure)
        except Draining:  # it fell asleep between finding it and writing to it
            (await self.actor(showtime_id)).post(command, partial(_settle, future), enclosure)
        return await future

    async def locate(self, hold_or_booking_id: str) -> str:
        """The showtime that an id made by `mint_in` belongs to. UnknownShowtime."""
        number = showtime_number(hold_or_booking_id)
        if number is None:
            raise UnknownShowtime(hold_or_booking_id)
        known = self._numbers.get(number)
        if known is None:
            known = await self._journal.locate(number)
            if known is None:
                raise UnknownShowtime(hold_or_booking_id)
            self._numbers[number] = known
        return known

    def watch(self, showtime_id: str, watching: bool) -> None:
        """A watched showtime stays awake, and is woken again when it dies."""
        if watching:
            self._watched.add(showtime_id)
        else:
            self._watched.discard(showtime_id)

    async def renew(self, showtime_id: str, due_at: Instant = NEVER) -> None:
        """The catalogue has begun this showtime's log, begun it anew, or taken it away: what is awake is out of date.

        `due_at` is when something happens next. Who watches hears of it at once.
        """
        if (actor := self._registry.resident(showtime_id)) is not None:
            await actor.stop()
        self._wake_at(showtime_id, self._clock.now() if showtime_id in self._watched else due_at)

    async def lost(self) -> None:
        """The log connection was lost and nobody knows what arrived: every actor is rebuilt from the log."""
        await asyncio.gather(*(actor.stop() for actor in self._registry))

    async def drain(self) -> None:
        """Take nothing new, finish what waits, keep snapshots."""
        self._draining = True
        if self._pass is not None:
            self._pass.cancel()
        for alarm in self._alarms.values():
            alarm.cancel()
        for wake in tuple(self._wakes):
            wake.cancel()
        await asyncio.gather(*self._wakes, return_exceptions=True)
        actors = tuple(self._registry)
        await asyncio.gather(*(actor.stop() for actor in actors))
        for actor in actors:
            if actor.unkept_records:
                await actor.keep()

    async def _activate(self, showtime_id: str) -> ShowtimeActor:
        assert self._placement.is_here(showtime_id), "a cluster routes before it asks"
        loaded = await self._journal.acquire(showtime_id)
        if (alarm := self._alarms.pop(showtime_id, None)) is not None:
            alarm.cancel()
        actor = self._make(showtime_id, loaded, self._journal, self._publisher, self._clock, self._limits)
        self._born_at[showtime_id] = self._clock.now()
        actor.run(partial(self._ended, actor))
        self._publisher.publish(loaded.epoch, (), loaded.state)
        if loaded.state.deadline <= self._clock.now():
            await self._catch_up(actor)
        return actor

    async def _catch_up(self, actor: ShowtimeActor) -> None:
        """What fell due while nobody was awake becomes a fact before anybody looks: no expired hold is seen."""
        caught_up: asyncio.Future[Reply] = self._loop.create_future()
        actor.post(Expire(CLOCKWORK), partial(_settle, caught_up))
        with suppress(Rejected):  # what the log does not take is told to those who ask, but the map can be looked at
            await caught_up

    def _ended(self, actor: ShowtimeActor, why: BaseException | None) -> None:
        showtime_id = actor.showtime_id
        actor.silence()
        self._registry.forget(showtime_id, actor)
        born_at = self._born_at.pop(showtime_id, 0)
        if self._draining:
            return
        if why is None:
            watched = showtime_id in self._watched
            self._wake_at(showtime_id, self._clock.now() if watched else actor.snapshot.deadline)
            return
        self._on_death(showtime_id, why)
        again = self._clock.now() - born_at < LONG_LIFE_MS
        self._deaths[showtime_id] = deaths = self._deaths.get(showtime_id, 0) + 1 if again else 1
        pause = min(self._limits.restart_seconds_min * 2**deaths, self._limits.restart_seconds_max)
        if showtime_id in self._watched or actor.snapshot.deadline < NEVER:
            self._wake_at(showtime_id, self._clock.now() + int(pause * 1_000))

    def _wake_at(self, showtime_id: str, at: Instant) -> None:
        if (alarm := self._alarms.pop(showtime_id, None)) is not None:
            alarm.cancel()
        if at < NEVER:
            self._alarms[showtime_id] = self._clock.call_at(at, partial(self._ring, showtime_id))

    def _ring(self, showtime_id: str) -> None:
        self._alarms.pop(showtime_id, None)
        wake = self._loop.create_task(self._wake(showtime_id), name=f"wake {showtime_id}")
        self._wakes.add(wake)
        wake.add_done_callback(self._wakes.discard)

    async def _wake(self, showtime_id: str) -> None:
        try:
            async with self._waking:
                await self.actor(showtime_id)
        except UnknownShowtime:
            return  # its log was taken away
        except WorldFailure:
            pause = int(self._limits.restart_seconds_max * 1_000)
            self._wake_at(showtime_id, self._clock.now() + pause)

    def _passivate_idle(self) -> None:
        """A few at a time: each writes a snapshot, and nobody should wait for a thousand of them."""
        now = self._clock.now()
        idle_since = now - self._limits.idle_seconds_before_passivation * 1_000
        idle = (
            actor
            for actor in self._registry
            if actor.busy_at < idle_since and actor.idle and actor.showtime_id not in self._watched
        )
        few = tuple(islice(idle, self._limits.passivations_at_once_max))
        for actor in few:
            self._passivate(actor)
        more = len(few) == self._limits.passivations_at_once_max
        pause = PASSIVATION_PAUSE_MS if more else PASSIVATION_PASS_MS
        self._pass = self._clock.call_at(now + pause, self._passivate_idle)

    def _passivate(self, actor: ShowtimeActor) -> None:
        """No await between finding it idle and forgetting it: the next message starts a fresh actor."""
        self._registry.forget(actor.showtime_id, actor)
        sleep = self._loop.create_task(self._put_to_sleep(actor))
        self._wakes.add(sleep)
        sleep.add_done_callback(self._wakes.discard)

    @staticmethod
    async def _put_to_sleep(actor: ShowtimeActor) -> None:
        await actor.stop()
        if actor.unkept_records:
            await actor.keep()


def _settle(future: "asyncio.Future[Reply]", reply: Reply | BaseException) -> None:
    if future.done():  # the asker has gone away; what was decided stands
        return
    if isinstance(reply, BaseException):
        future.set_exception(reply)
    else:
        future.set_result(reply)
