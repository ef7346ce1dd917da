"""The seat map over HTTP: the facts of a snapshot, and the same deltas as on the live socket for those without one.

A storm of people who look costs one encoding for each version: what everybody sees is kept until the map changes.
"""

from collections import OrderedDict
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NotRequired

import orjson
from aiohttp import hdrs, web
from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from typing_extensions import TypedDict

from actors.ids import is_uuid
from actors.ports import UnknownShowtime
from actors.seatmap.best_available import areas
from actors.seatmap.events import Record, changes_showtime, public_delta
from actors.seatmap.state import SeatMap
from actors.seatmap.view import counts, public_status, public_view
from actors.showtime import ShowtimeActor
from persistence.audit import replay
from persistence.bookings import records_after, theatre_of
from persistence.database import Pool
from persistence.moments import instant
from server import wire
from server.aliases import alias
from server.auth.identity import ADMIN, BOX_OFFICE, MANAGER, Identity, identify, require, require_staff_of
from server.chronicle import Recorded, recorded
from server.errors import Problem, invalid
from server.keys import CLOCK, HUB, POOL, REGISTRY, SEATS
from server.operations import PUBLIC, Operation
from server.requests import Query, WireTime, read_query
from server.responses import JSON_TYPE, PUBLIC_READ, answer, matches
from server.shapes import Counts, Hold, SalesStatus, SeatLabel, ShowtimeStatus, Time, Uuid
from server.wire import rfc3339

EVENTS_BEHIND_MAX: Final = 10_000
EVENTS_AT_ONCE_MAX: Final = 1_000
WAIT_SECONDS_MAX: Final = 20
MAPS_KEPT_MAX: Final = 1_024
VERSION_MAX: Final = 2**53
_STAFF: Final = (BOX_OFFICE, MANAGER, ADMIN)

Form = Literal["sparse", "full", "counts"]


def _moment_or_version(text: object, read: ValidatorFunctionWrapHandler) -> object:
    """One sentence instead of one for each thing that this might have been."""
    try:
        return read(text)
    except ValidationError:
        raise ValueError(f"give a version from 1 to {VERSION_MAX}, or a time like 2026-11-21T18:00:00Z") from None


At = Annotated[
    Annotated[int, Field(ge=1, le=VERSION_MAX)] | WireTime,
    Field(union_mode="left_to_right"),
    WrapValidator(_moment_or_version),
]


class SeatsQuery(Query):
    """`at` is a version of the log or a moment: the map as it was then, for the staff of the theatre."""

    format: Form = "sparse"
    at: At | None = None


class EventsQuery(Query):
    """`after` is the last version seen; `wait` is how many seconds to wait when nothing is newer."""

    after: int = Field(ge=0)
    limit: int = Field(100, ge=1, le=EVENTS_AT_ONCE_MAX)
    wait: int = Field(WAIT_SECONDS_MAX, ge=0, le=WAIT_SECONDS_MAX)


class ElsewhereQuery(Query):
    """The old names of one thing, of which one is given."""

    showtime_id: str | None = None
    show_id: str | None = None
    showtime: str | None = Field(None, alias="showtimeId")


class AreaLeft(TypedDict):
    """What is left of a category."""

    category: str
    free: int
    largest_block: int
    accessible_free: int


class SeatMapNow(TypedDict):
    """Without its seats for `format=counts`, with the free ones too for `format=full`; `mine` comes with a token."""

    showtime_id: Uuid
    epoch: int
    seq: int
    layout_id: Uuid
    layout_version: int
    status: ShowtimeStatus
    sales: SalesStatus
    counts: Counts
    held: NotRequired[list[SeatLabel]]
    sold: NotRequired[list[SeatLabel]]
    blocked: NotRequired[list[SeatLabel]]
    areas: NotRequired[list[AreaLeft]]
    available_seats: NotRequired[list[SeatLabel]]
    booked_seats: NotRequired[list[SeatLabel]]
    total_seats: NotRequired[int]
    server_time: Time
    mine: NotRequired[list[Hold]]


class ShowtimeChange(TypedDict):
    """The whole showtime changed."""

    type: Literal["showtime"]
    epoch: int
    seq: int
    status: ShowtimeStatus
    sales: SalesStatus
    record: NotRequired[Recorded]


Delta = TypedDict(
    "Delta",
    {
        "type": Literal["delta"],
        "epoch": int,
        "from": int,
        "to": int,
        "free": NotRequired[list[SeatLabel]],
        "held": NotRequired[list[SeatLabel]],
        "sold": NotRequired[list[SeatLabel]],
        "blocked": NotRequired[list[SeatLabel]],
        "status": NotRequired[ShowtimeStatus],
        "sales": NotRequired[SalesStatus],
        "record": NotRequired[Recorded],
    },
)
"""The final state of each seat that changed. The newest of all says how the showtime stands, too."""


class Events(TypedDict):
    """Changes in order; the next ones with `after=next_after`. For the theatre's staff each has its `record`.

    A `showtime` item with the status and sales as before says that the showtime has moved: read it again, and if its
    `layout_id` is another one, its seats too.
    """

    showtime_id: Uuid
    epoch: int
    seq: int
    server_time: Time
    items: list[Delta | ShowtimeChange]
    next_after: int


class Encoded:
    """Seat maps as they were last sent, at most one for each showtime and form."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Form], tuple[SeatMap, int, bytes]] = OrderedDict()

    def body(self, actor: ShowtimeActor, form: Form) -> bytes:
        """A JSON object without its closing brace."""
        state, key = actor.snapshot, (actor.showtime_id, form)
        kept = self._kept.get(key)
        if kept is not None and kept[0] is state and kept[1] == actor.epoch:
            return kept[2]
        body = orjson.dumps(_FORMS[form](state, actor.epoch))[:-1]
        self._kept[key] = (state, actor.epoch, body)
        self._kept.move_to_end(key)
        if len(self._kept) > MAPS_KEPT_MAX:
            self._kept.popitem(last=False)
        return body


async def show_seats(request: web.Request) -> web.Response:
    """What is free, held, sold and blocked; with a token also the caller's own holds."""
    app = request.app
    actor = await app[REGISTRY].actor(request.match_info["showtime_id"])
    caller = identify(request)
    form: Form = "sparse"
    if request.query_string:
        query = read_query(request, SeatsQuery)
        form = query.format
        if query.at is not None:
            return await _as_it_was(request, actor, form, query.at)
    state = actor.snapshot
    etag = f'"{actor.epoch}.{state.version}.{form}"'
    headers = {hdrs.ETAG: f"W/{etag}", hdrs.CACHE_CONTROL: PUBLIC_READ, hdrs.VARY: hdrs.AUTHORIZATION}
    if caller is None and matches(request.headers.get(hdrs.IF_NONE_MATCH), etag):
        return web.Response(status=304, headers=headers)
    body = app[SEATS].body(actor, form)
    tail = f',"server_time":"{rfc3339(app[CLOCK].now())}"'.encode()
    if caller is not None:
        headers = {hdrs.CACHE_CONTROL: "private, no-store"}
        tail += b',"mine":' + orjson.dumps(wire.own_holds(state, caller.account_id))
    return web.Response(body=body + tail + b"}", headers=headers, content_type=JSON_TYPE)


async def _as_it_was(request: web.Request, actor: ShowtimeActor, form: Form, at: int | datetime) -> web.Response:
    """The map at a version or a moment, replayed from the log. 403 for others than the theatre's staff."""
    pool = request.app[POOL]
    require(request, *_STAFF)
    theatre_id = await theatre_of(pool, actor.showtime_id)
    assert theatre_id is not None, "a showtime has a theatre"
    require_staff_of(request, theatre_id, *_STAFF)
    version, moment = (at, None) if isinstance(at, int) else (None, instant(at))
    try:
        state = await replay(pool, actor.showtime_id, version, moment)
    except UnknownShowtime:
        raise invalid(
            "at", f"There was no seat map then; the log has versions 1 to {actor.snapshot.version}."
        ) from None
    return answer({**_FORMS[form](state, actor.epoch), "server_time": rfc3339(request.app[CLOCK].now())})


async def show_events(request: web.Request) -> web.Response:
    """The deltas after a version, one for each event; when there are none yet, wait for the next a little."""
    app = request.app
    caller = identify(request)
    actor = await app[REGISTRY].actor(request.match_info["showtime_id"])
    query = read_query(request, EventsQuery)
    behind = actor.snapshot.version - query.after
    if not 0 <= behind <= EVENTS_BEHIND_MAX:
        raise Problem(410, "seq_too_old", "These events are not to be had any more. Take a new snapshot.")
    if behind == 0 and query.wait:
        await app[HUB].wait(actor.showtime_id, query.wait)
        actor = await app[REGISTRY].actor(actor.showtime_id)
    records = await _records(request, actor, query)
    state = actor.snapshot
    items = [_item(record, state, actor.epoch) for record in records]
    if items and records[-1].version == state.version:  # what no single event says: the last seats, or none, are left
        items[-1]["status"], items[-1]["sales"] = public_status(state)
    if caller is not None and await _answers_for(app[POOL], caller, actor.showtime_id):
        items = [{**item, "record": recorded(record)} for item, record in zip(items, records, strict=True)]
    return answer(
        {
            "showtime_id": actor.showtime_id,
            "epoch": actor.epoch,
            "seq": state.version,
            "server_time": rfc3339(app[CLOCK].now()),
            "items": items,
            "next_after": records[-1].version if records else query.after,
        }
    )


async def _answers_for(pool: Pool, caller: Identity, showtime_id: str) -> bool:
    """Whether the caller works at the till or in the office of the showtime's theatre."""
    return caller.is_any(*_STAFF) and caller.works_for(await theatre_of(pool, showtime_id) or "")


async def show_seats_elsewhere(request: web.Request) -> web.Response:
    """The old addresses name the showtime in the query. What else is in it goes along."""
    query = read_query(request, ElsewhereQuery)
    showtime_id = query.showtime_id or query.showtime or query.show_id or ""
    if not is_uuid(showtime_id):
        raise invalid("showtime_id", "Name the showtime.")
    url = request.rel_url.with_path(f"/api/v1/showtimes/{showtime_id}/seats", keep_query=True)
    location = str(url.without_query_params("showtime_id", "showtimeId", "show_id"))
    return web.Response(status=308, headers={hdrs.LOCATION: location})


_ELSEWHERE: Final = Operation(
    "GET", "/api/v1/seats", show_seats_elsewhere, "An old address that names the showtime in the query.",
    access=PUBLIC, answers={308: None}, query=ElsewhereQuery, alias_of="/api/v1/showtimes/{showtime_id}/seats",
)  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/showtimes/{showtime_id}/seats", show_seats, "The seat map; with a token also one's own holds.",
        access=PUBLIC, answers={200: SeatMapNow, 304: None}, query=SeatsQuery,
        problems=("auth_required", "token_expired", "token_revoked", "forbidden", "out_of_scope"),
    ),
    Operation(
        "GET", "/api/v1/showtimes/{showtime_id}/events", show_events, "What changed since a version, or wait for it.",
        access=PUBLIC, answers={200: Events}, query=EventsQuery,
        problems=("seq_too_old", "auth_required", "token_expired", "token_revoked"),
    ),
    alias("GET", "/api/v1/shows/{showtime_id}/seats", "/api/v1/showtimes/{showtime_id}/seats"),
    _ELSEWHERE,
    replace(_ELSEWHERE, path="/api/v1/seats/availability"),
)  # fmt: skip


async def _records(request: web.Request, actor: ShowtimeActor, query: EventsQuery) -> list[Record]:
    """From the actor's memory where that reaches back far enough, else from the log. Never more than is durable."""
    remembered = actor.trail(query.after)
    if remembered is not None:
        return list(remembered[: query.limit])
    limit = min(query.limit, actor.snapshot.version - query.after)
    return await records_after(request.app[POOL], actor.showtime_id, query.after, limit)


def _item(record: Record, state: SeatMap, epoch: int) -> dict[str, Any]:
    """One event as its watchers see it: no person, hold or price. An event without seats still has its place."""
    if changes_showtime(record.event):
        status, sales = public_status(state)
        return {"type": "showtime", "epoch": epoch, "seq": record.version, "status": status, "sales": sales}
    seats = {name: list(labels) for name, labels in public_delta(record.event).items() if labels}
    return {"type": "delta", "epoch": epoch, "from": record.version, "to": record.version, **seats}


def _counts(state: SeatMap, epoch: int) -> dict[str, Any]:
    status, sales = public_status(state)
    return {
        "showtime_id": state.showtime_id,
        "epoch": epoch,
        "seq": state.version,
        "layout_id": state.layout.id,
        "layout_version": state.layout.version,
        "status": status,
        "sales": sales,
        "counts": counts(state),
    }


def _sparse(state: SeatMap, epoch: int) -> dict[str, Any]:
    view = public_view(state)
    return {
        **_counts(state, epoch),
        "held": view.held,
        "sold": view.sold,
        "blocked": view.blocked,
        "areas": areas(state.layout, state.taken),
    }


def _full(state: SeatMap, epoch: int) -> dict[str, Any]:
    taken = state.taken
    return {
        **_sparse(state, epoch),
        "available_seats": [seat for seat in state.layout.seats if seat not in taken],
        "booked_seats": public_view(state).sold,
        "total_seats": state.layout.capacity,
    }


_FORMS: Final = {"sparse": _sparse, "full": _full, "counts": _counts}
