"""Announcements: one event is spread over the ways on which people and partners hear of it, in one transaction.

A letter is a `mail` job, a text an `sms` job, a notice a row of the inbox, and partners have an outbox of their own.
Each has a key that comes from the announcement's, so spreading it twice tells nobody twice. News of a whole showtime
first becomes one announcement for each booking.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from actors.ids import mint
from actors.ports import Clock
from persistence import bookings, jobs, notifications
from persistence.bookings import StoredBooking
from persistence.database import Connection, Pool
from persistence.jobs import Job, StoredJob
from persistence.notifications import Addressee, Notification
from server.jobs.worker import Later
from server.notify import news, notices
from server.notify.ways import TOPICS, ways

REMINDER_MS: Final = 3 * 60 * 60_000
"""How long before the start people are reminded."""

Offer = Callable[[Connection, str, str, Mapping[str, Any]], Awaitable[None]]
Tell = Callable[[list[Notification]], None]


class Announcer:
    """`offer` fills the partners' outbox, `tell` shows notices to whoever is looking, `wake` wakes the worker."""

    def __init__(self, pool: Pool, clock: Clock, offer: Offer, tell: Tell, wake: Callable[[], None]) -> None:
        self._pool = pool
        self._clock = clock
        self._offer = offer
        self._tell = tell
        self._wake = wake

    async def announce(self, job: StoredJob) -> None:
        facts: dict[str, Any] = dict(job.payload)
        event, showtime_id = str(facts["event"]), str(facts["showtime_id"])
        new: list[Notification] = []
        async with self._pool.acquire() as connection, connection.transaction():
            if "booking_id" in facts:
                new = await self._spread(connection, job.dedupe_key, event, facts)
            elif event == "showtime_changed":
                await self._divide(connection, job, showtime_id)
            # Where a showtime was cancelled, each of its bookings ended by an event of its own.
            if "of" not in facts:
                await self._offer(connection, event, showtime_id, facts)
        self._wake()
        self._tell(new)

    async def remind(self, job: StoredJob) -> None:
        """Some hours before the start, or later when it was moved meanwhile. Later."""
        booking = await bookings.booking(self._pool, str(job.payload["booking_id"]))
        if booking is None or booking.status != news.CONFIRMED or booking.showtime.status != news.SCHEDULED:
            return
        now, due_at = self._clock.now(), booking.showtime.starts_at - REMINDER_MS
        if now < due_at:
            raise Later((due_at - now) / 1000, "the showtime was moved", counted=False)
        if now >= booking.showtime.starts_at:
            return
        facts = {"booking_id": booking.id, "starts_at": booking.showtime.starts_at}
        async with self._pool.acquire() as connection, connection.transaction():
            new = await self._spread(connection, job.dedupe_key, "reminder", facts)
        self._wake()
        self._tell(new)

    async def _divide(self, connection: Connection, job: StoredJob, showtime_id: str) -> None:
        await jobs.put(
            connection,
            [
                Job(
                    job.topic,
                    f"{job.dedupe_key}:{booking_id}",
                    showtime_id,
                    {**job.payload, "booking_id": booking_id, "of": job.dedupe_key},
                )
                for booking_id in await notifications.standing(connection, showtime_id)
            ],
        )

    async def _spread(
        self, connection: Connection, key: str, event: str, facts: Mapping[str, Any]
    ) -> list[Notification]:
        """Over the ways that its owner wants; returns what is new in the inbox."""
        booking = await bookings.booking(connection, str(facts["booking_id"]))
        person = await notifications.addressee(connection, str(facts["booking_id"]))
        if booking is None or person is None or person.erased:
            return []
        kind = news.kind_of(event, facts)
        wanted = ways(person.preferences, TOPICS[kind])
        said = {name: value for name, value in facts.items() if name not in _ENVELOPE}
        wished: list[Job] = []
        if wanted["email"]:
            wished.append(Job("mail", f"mail:{key}", booking.showtime.id, {"letter": kind, **said}))
        if wanted["sms"] and person.phone is not None:
            wished.append(Job("sms", f"sms:{key}", booking.showtime.id, {"text": kind, **said}))
        await jobs.put(connection, wished)
        if not wanted["in_app"]:
            return []
        return await notifications.put(connection, self._notices(key, kind, booking, person, facts))

    def _notices(
        self, key: str, kind: str, booking: StoredBooking, person: Addressee, facts: Mapping[str, Any]
    ) -> list[Notification]:
        if person.account_id is None:
            return []
        now = self._clock.now()
        return [
            Notification(
                id=mint(now),
                account_id=person.account_id,
                dedupe_key=key,
                kind=kind,
                showtime_id=booking.showtime.id,
                booking_id=booking.id,
                facts=notices.facts_of(booking, facts),
                created_at=now,
            )
        ]


_ENVELOPE: Final = frozenset(("event", "of", "owner", "reference"))
"""Members of an announcement that no letter needs."""
