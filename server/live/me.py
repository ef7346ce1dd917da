"""A person's own sockets: holds and bookings wherever they are, what will end soon, and what the inbox brings.

Whoever opens one says within seconds who it is. Everything is told to all sockets of the person. What is told of may be
dropped for a socket that does not read: the inbox has it too.
"""

from asyncio import Transport
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web

from actors.ports import Clock, Handle
from actors.seatmap.state import BookingStatus, SeatMap
from actors.seatmap.terms import Instant
from persistence import accounts, notifications
from persistence.database import Pool
from persistence.notifications import Notification
from server.auth.identity import Identity
from server.keys import CLOCK, HUB, LIVE, PEOPLE, POOL
from server.live import frames
from server.live.hub import Hub
from server.live.session import CloseCode, Session
from server.live.socket import REFUSED, Connection, Edge, converse
from server.notify.notices import shown
from server.notify.speech import speech_for
from server.operations import PUBLIC, Operation


@dataclass(frozen=True, slots=True)
class Ending:
    """A hold or an unpaid booking, and until when it lasts."""

    name: str
    id: str
    seats: tuple[str, ...]
    expires_at: Instant


class People:
    """What is told to people wherever they are. Alarms are kept only for those who have a socket."""

    def __init__(self, hub: Hub, clock: Clock, pool: Pool, edge: Edge) -> None:
        self._hub = hub
        self._clock = clock
        self._pool = pool
        self._edge = edge
        self._alarms: dict[str, dict[tuple[str, Ending], Handle]] = {}
        hub.on_person = self.note

    @property
    def alarms(self) -> int:
        return sum(map(len, self._alarms.values()))

    def greet(self, connection: "MyConnection", person: str) -> None:
        """Somebody who has just said who it is hears how everything stands."""
        self._hub.follow(connection.watcher, person)
        connection.watcher.send(connection.fresh())
        for state in self.states_of(person):
            self.note(person, state)
        self._edge.spawn(self._send_count(connection, person))

    def part(self, connection: "MyConnection", person: str) -> None:
        self._hub.unfollow(connection.watcher, person)
        if not self._hub.follows(person):
            for alarm in self._alarms.pop(person, {}).values():
                alarm.cancel()

    def states_of(self, person: str) -> list[SeatMap]:
        """The showtimes that are awake and where the person has something."""
        states = [actor.snapshot for actor in self._edge.showtimes]
        return [state for state in states if person in state.pledged or _has_booked(state, person)]

    def note(self, person: str, state: SeatMap) -> None:
        """Set the alarms right for what a person has in a showtime now."""
        if not self._hub.follows(person):
            return
        alarms = self._alarms.setdefault(person, {})
        due = {(state.showtime_id, ending) for ending in _endings(state, person)}
        for gone in [key for key in alarms if key[0] == state.showtime_id and key not in due]:
            alarms.pop(gone).cancel()
        for key in due - alarms.keys():
            soon = key[1].expires_at - self._hub.limits.expiry_warning_ms
            alarms[key] = self._clock.call_at(soon, partial(self._warn, person, *key))

    def tell(self, new: Iterable[Notification]) -> None:
        """Notifications that have just been stored."""
        for notification in new:
            if self._hub.follows(notification.account_id):
                self._edge.spawn(self._tell(notification))

    def recount(self, person: str) -> None:
        """Something was read somewhere: all sockets of the person show the same figure."""
        if self._hub.follows(person):
            self._edge.spawn(self._tell_count(person))

    def _warn(self, person: str, showtime_id: str, ending: Ending) -> None:
        if ending.expires_at > self._clock.now():
            frame = frames.expiring(showtime_id, {ending.name: ending.id}, ending.seats, ending.expires_at)
            self._hub.tell(person, frame)

    async def _tell(self, notification: Notification) -> None:
        person = notification.account_id
        account = await accounts.by_id(self._pool, person)
        if account is not None:
            unread = await notifications.unread_count(self._pool, person)
            self._hub.tell(person, frames.notification(shown(notification, speech_for(account.locale)), unread))

    async def _tell_count(self, person: str) -> None:
        self._hub.tell(person, frames.inbox(await notifications.unread_count(self._pool, person)))

    async def _send_count(self, connection: "MyConnection", person: str) -> None:
        unread = await notifications.unread_count(self._pool, person)
        connection.watcher.send(frames.inbox(unread))


class MyConnection(Connection):
    """A person's own holds and bookings, wherever they are."""

    def __init__(self, edge: Edge, session: Session, transport: Transport, people: People) -> None:
        super().__init__(edge, session, transport)
        self._people = people

    def begin(self) -> None:
        clock = self.edge.clock
        clock.call_at(clock.now() + self.edge.limits.stranger_ms_max, self._see_off_a_stranger)

    def recognised(self, before: Identity | None, now: Identity) -> None:
        if before is not None:
            self._people.part(self, before.account_id)
        self._people.greet(self, now.account_id)

    def leave(self) -> None:
        if self.session.identity is not None:
            self._people.part(self, self.session.identity.account_id)

    def fresh(self) -> bytes:
        """One frame for each showtime that is awake and where the person has something."""
        identity = self.session.identity
        if identity is None:
            return b""
        person = identity.account_id
        mine = [frames.mine(state, person) for state in self._people.states_of(person)]
        return b"".join(mine) or frames.nothing_mine()

    def _see_off_a_stranger(self) -> None:
        if self.session.identity is None:
            self.end(CloseCode.SIGNED_OUT, "auth_required")


async def my_socket(request: web.Request) -> web.StreamResponse:
    edge, people = request.app[LIVE], request.app[PEOPLE]
    session = Session(edge.limits, None, edge.config.rate_limit)
    return await converse(request, lambda transport: MyConnection(edge, session, transport, people))


async def people(app: web.Application) -> AsyncIterator[None]:
    """Opens after the live edge."""
    app[PEOPLE] = People(app[HUB], app[CLOCK], app[POOL], app[LIVE])
    yield


def _has_booked(state: SeatMap, person: str) -> bool:
    return any(booking.owner == person for booking in state.bookings.values())


def _endings(state: SeatMap, person: str) -> Sequence[Ending]:
    """What of a person's will end by itself."""
    if person not in state.pledged:
        return ()
    holds = [
        Ending("hold_id", hold.id, hold.seats, hold.expires_at) for hold in state.holds.values() if hold.owner == person
    ]
    unpaid = [
        Ending("booking_id", booking.id, booking.seats, booking.expires_at)
        for booking in state.bookings.values()
        if booking.owner == person and booking.status is BookingStatus.PENDING_PAYMENT
    ]
    return [*holds, *unpaid]


_MINE: Final = Operation(
    "GET", "/api/v1/me/live", my_socket, "WebSocket: one's own holds, bookings and news.",
    access=PUBLIC, answers={101: None}, problems=REFUSED,
)  # fmt: skip
OPERATIONS: Final = (_MINE, _MINE.also("GET", "/api/v1/me/stream"))
