"""Webhooks over HTTP: partners' subscriptions, and what became of each message that they were sent."""

from dataclasses import replace
from typing import Annotated, Final, Literal, NotRequired

from aiohttp import hdrs, web
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from actors.ids import mint
from actors.seatmap.terms import Instant
from persistence import prices, webhooks
from persistence.database import Connection
from persistence.webhooks import Attempt, Delivery, DeliveryFilter, Webhook, WebhookFilter
from server.auth.identity import ADMIN, MANAGER, caller, require_staff_of
from server.errors import Problem, forbidden, invalid, not_found
from server.keys import CLOCK, COURIER, DISPATCH, POOL
from server.listings import after_start
from server.operations import Operation
from server.partners import outbox
from server.partners.news import PING, Kind
from server.partners.reach import URL_LENGTH_MAX, OutOfReach
from server.partners.signing import fresh_secret, shown
from server.requests import Body, Cursor, Id, Page, path_id, read_body, read_optional_body, read_query
from server.responses import answer, no_content
from server.revisions import check, tagged
from server.shapes import Listed, Time, Uuid
from server.wire import rfc3339

PARTNERED: Final = frozenset((MANAGER, ADMIN))
WEBHOOKS_MAX: Final = 20
"""For each theatre, and for all of them together."""

OLD_SECRET_HOURS: Final = 24
HOUR_MS: Final = 3_600_000


def _once_each(events: list[Kind]) -> list[Kind]:
    if len(set(events)) != len(events):
        raise ValueError("an event is named twice")
    return events


Address = Annotated[str, Field(max_length=URL_LENGTH_MAX, examples=["https://partner.example/marquee"])]
Kinds = Annotated[list[Kind], Field(min_length=1), AfterValidator(_once_each)]
About = Annotated[str, Field(max_length=200)]


class WebhookChanges(Body):
    """What is named changes."""

    url: Address | None = None
    events: Kinds | None = None
    description: About | None = None
    active: bool | None = None


class NewWebhook(Body):
    """Without a theatre it hears of all of them."""

    url: Address
    events: Kinds
    theatre_id: Id | None = None
    description: About = ""
    active: bool = True


class SecretRotation(Body):
    """The old secret signs beside the new one for so long; 0 when it has become known to somebody."""

    old_valid_hours: Annotated[int, Field(ge=0, le=OLD_SECRET_HOURS)] = OLD_SECRET_HOURS


class WebhooksQuery(Page):
    theatre_id: Id | None = None


class DeliveriesQuery(Page):
    state: Literal["waiting", "delivered", "failed"] | None = None
    type: Kind | Literal["ping"] | None = None
    showtime_id: Id | None = None


class WebhookShown(TypedDict):
    """`stopped` says why it was switched off by us: `failing` for days, or the partner said `gone`. `failing_since` is
    the first of the failures since anything arrived."""

    id: Uuid
    theatre_id: Uuid | None
    url: str
    events: list[str]
    description: str
    active: bool
    stopped: Literal["failing", "gone"] | None
    failing_since: Time | None
    old_secret_until: Time | None
    created_at: Time
    version: int
    secret: NotRequired[Annotated[str, Field(description="Shown when it is made, and never again.")]]


class DeliveryShown(TypedDict):
    """`last_status` is the status of the newest answer; where there was none, `last_error` says why."""

    id: Uuid
    webhook_id: Uuid
    type: str
    showtime_id: Uuid | None
    state: Literal["waiting", "delivered", "failed"]
    attempts: int
    last_status: int | None
    last_error: str | None
    created_at: Time
    delivered_at: Time | None


class AttemptShown(TypedDict):
    """`answer` is how the answer began."""

    at: Time
    took_ms: int
    status: int | None
    error: str | None
    answer: str


class DeliveryDetail(DeliveryShown):
    """`request_body` is what was sent, byte for byte."""

    request_body: str
    history: list[AttemptShown]


async def list_webhooks(request: web.Request) -> web.Response:
    """Managers see those of their theatres."""
    who = caller(request)
    query = read_query(request, WebhooksQuery)
    if query.theatre_id is not None:
        require_staff_of(request, query.theatre_id)
    wanted = WebhookFilter(
        theatre_ids=None if who.is_any(ADMIN) else tuple(who.theatres),
        theatre_id=query.theatre_id,
        after=after_start(Cursor.read(query.cursor)),
    )
    rows = await webhooks.webhooks(request.app[POOL], wanted, query.limit + 1)
    page: Listed[WebhookShown] = {
        "items": [_shape(each) for each in rows[: query.limit]],
        "next_cursor": _cursor(rows, query.limit),
    }
    return answer(page)


async def show_webhook(request: web.Request) -> web.Response:
    return _shown(await _own(request))


async def add_webhook(request: web.Request) -> web.Response:
    asked = await read_body(request, NewWebhook)
    await _demand_place(request, asked.theatre_id)
    await _demand_reachable(request, asked.url)
    pool, now = request.app[POOL], request.app[CLOCK].now()
    if await webhooks.count(pool, asked.theatre_id) >= WEBHOOKS_MAX:
        raise Problem(409, "webhook_limit", f"There are {WEBHOOKS_MAX} webhooks already.")
    new = Webhook(
        id=mint(now),
        theatre_id=asked.theatre_id,
        url=asked.url,
        events=tuple(asked.events),
        description=asked.description,
        active=asked.active,
        secret=fresh_secret(),
        created_at=now,
    )
    await webhooks.add(pool, new)
    return _shown(new, 201, with_secret=True)


async def change_webhook(request: web.Request) -> web.Response:
    """412 when somebody else has changed it since the caller looked."""
    asked = await read_body(request, WebhookChanges)
    if asked.url is not None:
        await _demand_reachable(request, asked.url)  # before a row is locked: a name may take seconds
    async with request.app[POOL].acquire() as connection, connection.transaction():
        present = await _own(request, connection)
        check(request, present.revision)
        changed = replace(
            present,
            url=present.url if asked.url is None else asked.url,
            events=present.events if asked.events is None else tuple(asked.events),
            description=present.description if asked.description is None else asked.description,
            active=present.active if asked.active is None else asked.active,
        )
        if changed != present:
            began_anew = changed.active and not present.active
            changed = replace(changed, stopped="", failing_since=None) if began_anew else changed
            await webhooks.write(connection, changed)
            changed = replace(changed, revision=present.revision + 1)
    return _shown(changed)


async def delete_webhook(request: web.Request) -> web.Response:
    async with request.app[POOL].acquire() as connection, connection.transaction():
        present = await _own(request, connection)
        check(request, present.revision)
        await webhooks.remove(connection, present.id)
    return no_content()


async def rotate_secret(request: web.Request) -> web.Response:
    asked = await read_optional_body(request, SecretRotation)
    secret, hours = fresh_secret(), asked.old_valid_hours
    old_until = request.app[CLOCK].now() + hours * HOUR_MS if hours else None
    async with request.app[POOL].acquire() as connection, connection.transaction():
        present = await _own(request, connection)
        check(request, present.revision)
        await webhooks.rotate(connection, present.id, secret, old_until)
    rotated = replace(present, secret=secret, old_secret_until=old_until, revision=present.revision + 1)
    return _shown(rotated, with_secret=True)


async def list_deliveries(request: web.Request) -> web.Response:
    """The newest first."""
    query = read_query(request, DeliveriesQuery)
    present = await _own(request)
    wanted = DeliveryFilter(
        webhook_id=present.id,
        state=query.state,
        type=query.type,
        showtime_id=query.showtime_id,
        after=after_start(Cursor.read(query.cursor)),
    )
    rows = await webhooks.deliveries(request.app[POOL], wanted, query.limit + 1)
    page: Listed[DeliveryShown] = {
        "items": [_delivery_shape(each) for each in rows[: query.limit]],
        "next_cursor": _cursor(rows, query.limit),
    }
    return answer(page)


async def show_delivery(request: web.Request) -> web.Response:
    found = await _own_delivery(request, await _own(request))
    shape: DeliveryDetail = {
        **_delivery_shape(found),
        "request_body": found.body.decode(),
        "history": [_attempt_shape(each) for each in await webhooks.attempts(request.app[POOL], found.id)],
    }
    return answer(shape)


async def replay_delivery(request: web.Request) -> web.Response:
    """Also one that waits for its next attempt: that is made now."""
    present = await _own(request)
    found = await _own_delivery(request, present)
    if not present.active and found.type != PING:
        raise Problem(409, "webhook_inactive", "This webhook is switched off. Switch it on first.")
    async with request.app[POOL].acquire() as connection, connection.transaction():
        await outbox.replay(connection, found)
    request.app[DISPATCH].wake()
    return answer(_delivery_shape(await _own_delivery(request, present)), 202)


async def ping_webhook(request: web.Request) -> web.Response:
    """One attempt only, also while it is switched off."""
    present = await _own(request)
    async with request.app[POOL].acquire() as connection, connection.transaction():
        delivery_id = await outbox.ping(connection, present.id, request.app[CLOCK].now())
        sent = await webhooks.delivery(connection, present.id, delivery_id)
    assert sent is not None, delivery_id
    request.app[DISPATCH].wake()
    return answer(_delivery_shape(sent), 202)


_ALL: Final = "/api/v1/admin/webhooks"
_ONE: Final = f"{_ALL}/{{webhook_id}}"
_CHANGE: Final = Operation(
    "PATCH", _ONE, change_webhook, "Change a webhook, or switch it off or on.",
    access=PARTNERED, answers={200: WebhookShown}, asks=WebhookChanges,
    problems=("webhook_not_found", "precondition_failed"),
)  # fmt: skip
OPERATIONS: Final = (
    Operation(
        "GET", _ALL, list_webhooks, "Webhooks, the oldest first.",
        access=PARTNERED, answers={200: Listed[WebhookShown]}, query=WebhooksQuery,
    ),
    Operation(
        "POST", _ALL, add_webhook, "Have events sent to a partner. The secret that signs them is shown only now.",
        access=PARTNERED, answers={201: WebhookShown}, asks=NewWebhook, problems=("webhook_limit",),
    ),
    Operation(
        "GET", _ONE, show_webhook, "A webhook, and whether anything arrives.",
        access=PARTNERED, answers={200: WebhookShown}, problems=("webhook_not_found",),
    ),
    _CHANGE,
    _CHANGE.also("PUT", _ONE),
    Operation(
        "DELETE", _ONE, delete_webhook, "Throw a webhook away, and what it was sent.",
        access=PARTNERED, answers={204: None}, problems=("webhook_not_found", "precondition_failed"),
    ),
    Operation(
        "POST", f"{_ONE}/rotate-secret", rotate_secret, "Replace the secret. Both sign for a day.",
        access=PARTNERED, answers={200: WebhookShown}, asks=SecretRotation, body_required=False,
        problems=("webhook_not_found", "precondition_failed"),
    ),
    Operation(
        "POST", f"{_ONE}/test", ping_webhook, "Send a `ping`, to see whether it arrives.",
        access=PARTNERED, answers={202: DeliveryShown}, problems=("webhook_not_found",),
    ),
    Operation(
        "GET", f"{_ONE}/deliveries", list_deliveries, "What it was sent, the newest first.",
        access=PARTNERED, answers={200: Listed[DeliveryShown]}, query=DeliveriesQuery,
        problems=("webhook_not_found",),
    ),
    Operation(
        "GET", f"{_ONE}/deliveries/{{delivery_id}}", show_delivery, "A message, and how each attempt went.",
        access=PARTNERED, answers={200: DeliveryDetail}, problems=("webhook_not_found", "delivery_not_found"),
    ),
    Operation(
        "POST", f"{_ONE}/deliveries/{{delivery_id}}/replay", replay_delivery, "Send a message again, now.",
        access=PARTNERED, answers={202: DeliveryShown},
        problems=("webhook_not_found", "delivery_not_found", "webhook_inactive"),
    ),
)  # fmt: skip


async def _own(request: web.Request, connection: Connection | None = None) -> Webhook:
    """The webhook of the path, which is the caller's business; locked on a connection. 404, 403."""
    webhook_id = path_id(request, "webhook_id", "webhook")
    found = await webhooks.webhook(connection or request.app[POOL], webhook_id, locked=connection is not None)
    if found is None:
        raise not_found("webhook")
    if found.theatre_id is not None:
        require_staff_of(request, found.theatre_id)
    elif not caller(request).is_any(ADMIN):
        raise forbidden("Only administrators see to webhooks of all theatres.")
    return found


async def _own_delivery(request: web.Request, present: Webhook) -> Delivery:
    delivery_id = path_id(request, "delivery_id", "delivery")
    found = await webhooks.delivery(request.app[POOL], present.id, delivery_id)
    if found is None:
        raise not_found("delivery")
    return found


async def _demand_place(request: web.Request, theatre_id: str | None) -> None:
    """A theatre that is the caller's. 403, 422."""
    if theatre_id is None:
        if not caller(request).is_any(ADMIN):
            raise forbidden("Only administrators make webhooks for all theatres.")
        return
    require_staff_of(request, theatre_id)
    if await prices.currency_of(request.app[POOL], theatre_id) is None:
        raise invalid("theatre_id", "There is no such theatre.")


async def _demand_reachable(request: web.Request, url: str) -> None:
    """422 unless we would go there now."""
    reach = request.app[COURIER].reach
    try:
        await reach.addresses(reach.read(url))
    except OutOfReach as why:
        raise invalid("url", str(why)) from None


def _cursor(rows: list[Webhook] | list[Delivery], limit: int) -> str | None:
    """Where the next page begins, if there is one."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return Cursor(key=str(last.created_at), id=last.id).text()


def _shown(found: Webhook, status: int = 200, *, with_secret: bool = False) -> web.Response:
    headers = {**tagged(found.revision)}
    if status == 201:
        headers[hdrs.LOCATION] = f"{_ALL}/{found.id}"
    shape = _shape(found)
    return answer({**shape, "secret": shown(found.secret)} if with_secret else shape, status, headers)


def _shape(found: Webhook) -> WebhookShown:
    return {
        "id": found.id,
        "theatre_id": found.theatre_id,
        "url": found.url,
        "events": list(found.events),
        "description": found.description,
        "active": found.active,
        "stopped": None if found.stopped == "" else found.stopped,
        "failing_since": _at(found.failing_since),
        "old_secret_until": _at(found.old_secret_until),
        "created_at": rfc3339(found.created_at),
        "version": found.revision,
    }


def _delivery_shape(found: Delivery) -> DeliveryShown:
    return {
        "id": found.id,
        "webhook_id": found.webhook_id,
        "type": found.type,
        "showtime_id": found.showtime_id,
        "state": found.state,
        "attempts": found.attempts,
        "last_status": found.last_status,
        "last_error": found.last_error or None,
        "created_at": rfc3339(found.created_at),
        "delivered_at": _at(found.delivered_at),
    }


def _attempt_shape(attempt: Attempt) -> AttemptShown:
    return {
        "at": rfc3339(attempt.at),
        "took_ms": attempt.took_ms,
        "status": attempt.status,
        "error": attempt.error or None,
        "answer": attempt.answer.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}"),
    }


def _at(at: Instant | None) -> str | None:
    return None if at is None else rfc3339(at)
