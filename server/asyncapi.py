"""The AsyncAPI 3 document of the sockets: what is said on each, by whom, in which shape.

The frames themselves are written by `server/live/frames.py` and read by `server/live/session.py`, by hand for speed; a
test holds both to the shapes of this file.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from server.life import VERSION
from server.live.session import CloseCode
from server.notify.notices import Notice
from server.openapi import Schemas
from server.shapes import BookingState, Counts, Hold, SalesStatus, SeatLabel, ShowtimeStatus, Time, Uuid

Json = dict[str, Any]
MessageId = Annotated[int | str, Field(description="Yours; the answer carries it.")]
Key = Annotated[str, Field(description="As the Idempotency-Key over REST: the same key is the same command.")]


class Hello(TypedDict):
    """The first frame of a showtime's socket."""

    type: Literal["hello"]
    showtime_id: Uuid
    heartbeat_s: int
    server_time: Time
    hold_ttl_s: int
    max_seats: int


class Snapshot(TypedDict):
    """The whole map; seats that are not named are free."""

    type: Literal["snapshot"]
    epoch: int
    seq: int
    layout_id: Uuid
    layout_version: int
    status: ShowtimeStatus
    sales: SalesStatus
    held: list[SeatLabel]
    sold: list[SeatLabel]
    blocked: list[SeatLabel]
    counts: Counts


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
        "counts": Counts,
        "status": NotRequired[ShowtimeStatus],
        "sales": NotRequired[SalesStatus],
    },
)
"""The final state of each seat that changed. Apply it when `from` is `seq + 1`; after a gap ask for a resync."""


class Showtime(TypedDict):
    """The whole showtime changed."""

    type: Literal["showtime"]
    epoch: int
    seq: int
    status: ShowtimeStatus
    sales: SalesStatus


class Tick(TypedDict):
    """Nothing happened for a heartbeat; a higher `seq` than yours means that you missed something."""

    type: Literal["tick"]
    epoch: int
    seq: int
    server_time: Time


class OwnBooking(TypedDict):
    id: Uuid
    reference: str
    status: BookingState
    seats: list[SeatLabel]


class Mine(TypedDict):
    """One's own holds and bookings, after `auth` and when they change."""

    type: Literal["mine"]
    showtime_id: NotRequired[Uuid]
    holds: list[Hold]
    bookings: list[OwnBooking]


class Result(TypedDict):
    """The answer to a message: the fields of the REST answer, or `status`, `code` and `detail` of a problem."""

    type: Literal["result"]
    id: int | str | None
    ok: bool
    seq: NotRequired[int]
    status: NotRequired[int]
    code: NotRequired[str]
    detail: NotRequired[str]


class Pong(TypedDict):
    type: Literal["pong"]
    id: int | str | None


class Bye(TypedDict):
    """The server goes; come back after about so long."""

    type: Literal["bye"]
    code: str
    retry_after_ms: int


class Expiring(TypedDict):
    """A minute before one's own hold, or unpaid booking, ends by itself."""

    type: Literal["expiring"]
    showtime_id: Uuid
    hold_id: NotRequired[Uuid]
    booking_id: NotRequired[Uuid]
    seats: list[SeatLabel]
    expires_at: Time


class Inbox(TypedDict):
    """How much is unread: after `auth`, and when something was read somewhere."""

    type: Literal["inbox"]
    unread: int


class News(TypedDict):
    """Something new in the inbox."""

    type: Literal["notification"]
    notification: Notice
    unread: int


class Availability(TypedDict):
    """Free seats of showtimes, by id: all at first, then those that changed."""

    type: Literal["availability"]
    showtimes: dict[str, int]


class Auth(TypedDict):
    """Who one is. The token never travels in the URL."""

    type: Literal["auth"]
    id: MessageId
    token: str


class Wish(TypedDict):
    count: int
    category: NotRequired[str]
    accessible: NotRequired[bool]
    near_row: NotRequired[str]
    allow_split: NotRequired[bool]


class HoldSeats(TypedDict):
    """Either `seats` or `best_available`."""

    type: Literal["hold"]
    id: MessageId
    key: NotRequired[Key]
    seats: NotRequired[list[SeatLabel]]
    best_available: NotRequired[Wish]
    ticket_types: NotRequired[dict[str, str]]
    hold_id: NotRequired[Uuid]


class ChangeHold(TypedDict):
    """Swap seats in one step."""

    type: Literal["change"]
    id: MessageId
    key: NotRequired[Key]
    hold_id: Uuid
    add: NotRequired[list[SeatLabel]]
    remove: NotRequired[list[SeatLabel]]
    ticket_types: NotRequired[dict[str, str]]


class RenewHold(TypedDict):
    type: Literal["renew"]
    id: MessageId
    key: NotRequired[Key]
    hold_id: Uuid


class ReleaseHold(TypedDict):
    type: Literal["release"]
    id: MessageId
    key: NotRequired[Key]
    hold_id: Uuid


class Resync(TypedDict):
    """Ask for a snapshot."""

    type: Literal["resync"]
    id: MessageId


class Ping(TypedDict):
    type: Literal["ping"]
    id: MessageId


TOLD: Final[Mapping[str, Any]] = {
    "hello": Hello,
    "snapshot": Snapshot,
    "delta": Delta,
    "showtime": Showtime,
    "tick": Tick,
    "mine": Mine,
    "result": Result,
    "pong": Pong,
    "bye": Bye,
    "availability": Availability,
    "expiring": Expiring,
    "inbox": Inbox,
    "notification": News,
}
"""What the server says, by `type`."""

SAID: Final[Mapping[str, Any]] = {
    "auth": Auth,
    "hold": HoldSeats,
    "change": ChangeHold,
    "renew": RenewHold,
    "release": ReleaseHold,
    "resync": Resync,
    "ping": Ping,
}
"""What a client says, by `type`."""

_CHANNELS: Final = {
    "showtime": (
        "/api/v1/showtimes/{showtime_id}/live",
        "A seat map as it changes, and one's own holds. `?since=` resumes after a version.",
        ("hello", "snapshot", "delta", "showtime", "tick", "mine", "result", "pong", "bye"),
        tuple(SAID),
    ),
    "mine": (
        "/api/v1/me/live",
        "One's own holds and bookings over all showtimes, and the inbox. `auth` comes first, within 10 s.",
        ("mine", "expiring", "inbox", "notification", "result", "pong", "bye"),
        ("auth", "ping"),
    ),
    "lobby": ("/api/v1/live", "How many seats are free.", ("availability", "pong", "bye"), ("ping",)),
}
_ENDINGS: Final = {
    CloseCode.TOO_LONG: "a frame of more than 16 KiB",
    CloseCode.BAD_FRAME: "a frame that means nothing; do not come back unchanged",
    CloseCode.SIGNED_OUT: "the token expired or was revoked",
    CloseCode.GONE: "the showtime is gone",
    CloseCode.TOO_SLOW: "the socket did not read",
    CloseCode.TOO_MANY: "too many messages",
    CloseCode.RESTARTING: "the server restarts; come back, each at another moment",
}
_ABOUT: Final = """\
Text frames, one JSON object each, at most 16 KiB towards the server, uncompressed. Nothing is told before it is on
disk. `seq` is the version of the showtime's log, without gaps. A frame whose `to` is not above `seq` is dropped, one
whose `from` is at most `seq + 1` is applied, since its states are final; anything else is a gap: send `resync`. A new
`epoch` comes with a snapshot. A `showtime` frame with the same status and sales as before says that the showtime has
moved: read it again. If its `layout_id` is another one, a snapshot of the new seats follows. Whoever comes back may
learn of a move from the `layout_id` of the snapshot alone.

Close codes: """


def document() -> Json:
    """The whole document."""
    wanted = {**TOLD, **{f"{name}_message": shape for name, shape in SAID.items()}}
    found, rest = TypeAdapter.json_schemas(
        [(name, "serialization", TypeAdapter(shape)) for name, shape in wanted.items()],
        ref_template="#/components/schemas/{model}",
        schema_generator=Schemas,
    )
    messages = {
        name: {"name": name.removesuffix("_message"), "payload": found[name, "serialization"]} for name in wanted
    }
    endings = "; ".join(f"{code.value} {why}" for code, why in _ENDINGS.items())
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Marquee sockets", "version": VERSION, "description": f"{_ABOUT}{endings}."},
        "defaultContentType": "application/json",
        "channels": {name: _channel(name) for name in _CHANNELS},
        "operations": dict(pair for name in _CHANNELS for pair in _directions(name)),
        "components": {"messages": messages, "schemas": rest["$defs"]},
    }


def _channel(name: str) -> Json:
    address, about, told, said = _CHANNELS[name]
    named = (*told, *(f"{message}_message" for message in said))
    channel: Json = {
        "address": address,
        "description": about,
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in named},
    }
    if "{" in address:
        channel["parameters"] = {"showtime_id": {"description": "The showtime's id."}}
    return channel


def _directions(name: str) -> list[tuple[str, Json]]:
    """The document's subject is the server: it sends what clients are told."""
    _, _, told, said = _CHANNELS[name]
    channel = {"$ref": f"#/channels/{name}"}

    def refs(messages: tuple[str, ...], suffix: str) -> list[Json]:
        return [{"$ref": f"#/channels/{name}/messages/{message}{suffix}"} for message in messages]

    return [
        (f"{name}_tells", {"action": "send", "channel": channel, "messages": refs(told, "")}),
        (f"{name}_hears", {"action": "receive", "channel": channel, "messages": refs(said, "_message")}),
    ]
