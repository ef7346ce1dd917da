"""What is to be sent to partners, written down where the event is told: one delivery and one job for each that listens.

Both rows are written in the caller's transaction, once for each event and subscription, however often it is told.
"""

from collections.abc import Mapping
from typing import Final

from actors.ids import mint
from actors.seatmap.terms import Instant
from persistence import jobs, webhooks
from persistence.database import Connection
from persistence.jobs import Job
from persistence.webhooks import Delivery, NewDelivery
from server.partners.news import KINDS, PING, message, told

TOPIC: Final = "partners.deliver"


async def offer(connection: Connection, event_name: str, showtime_id: str, body: Mapping[str, object]) -> None:
    """Tell the partners who listen of what the showtime's log says at `body["version"]`."""
    kind, version = KINDS.get(event_name), body.get("version")
    if kind is None or not isinstance(version, int):
        return
    theatre_id, listeners = await webhooks.listening(connection, kind, showtime_id)
    record = await webhooks.record(connection, showtime_id, version) if listeners else None
    if record is None:
        return
    before = body.get("starts_at_before")
    data = told(record, showtime_id, theatre_id, before if isinstance(before, int) else None)
    news = []
    for listener in listeners:
        id_ = mint(record.at)
        raw = message(id_, kind, record.at, data)
        news.append(NewDelivery(id_, listener, f"{showtime_id}:{version}", kind, showtime_id, raw))
    added = await webhooks.add_deliveries(connection, news)
    await jobs.put(connection, [_job(delivery_id, 0, showtime_id) for delivery_id in added])


async def ping(connection: Connection, webhook_id: str, now: Instant) -> str:
    """A message that says nothing, to see whether it arrives. The id of its delivery."""
    id_ = mint(now)
    raw = message(id_, PING, now, {"webhook_id": webhook_id})
    await webhooks.add_deliveries(connection, [NewDelivery(id_, webhook_id, f"ping:{id_}", PING, None, raw)])
    await jobs.put(connection, [_job(id_, 0, None)])
    return id_


async def replay(connection: Connection, delivery: Delivery) -> None:
    """Send it again at once, as if for the first time: the same id and the same bytes."""
    number = await webhooks.replay(connection, delivery.id)
    await jobs.put(connection, [_job(delivery.id, number, delivery.showtime_id)])


def _job(delivery_id: str, number: int, showtime_id: str | None) -> Job:
    key = f"deliver:{delivery_id}:{number}"
    return Job(TOPIC, key, showtime_id, {"delivery_id": delivery_id, "round": number})
