"""The socket protocol as an object without I/O: a frame in, actions out.

It knows who may say what, in which form and how often. It neither reads nor writes, knows no clock and verifies no
token; `socket.py` carries its actions out. Nonsense ends the connection, a mistake in a field gets an answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple

import orjson

from actors.ids import showtime_number
from actors.seatmap.commands import (
    ActorKind,
    BestAvailable,
    Cause,
    ChangeHold,
    Command,
    HoldSeats,
    ReleaseHold,
    RenewHold,
)
from actors.seatmap.terms import Instant
from server.auth.identity import Identity
from server.errors import Problem, auth_required, not_found
from server.idempotency import KEY_LENGTH_MAX, command_id, intent_of
from server.live import frames
from server.live.limits import Limits
from server.requests import parse_json


class CloseCode(IntEnum):
    """1xxx are the protocol's own; after 4400 to 4404 a client must not come back unchanged."""

    DONE = 1000
    TOO_LONG = 1009
    FAULT = 1011
    RESTARTING = 1012
    BAD_FRAME = 4400
    SIGNED_OUT = 4401
    GONE = 4404
    TOO_SLOW = 4408
    TOO_MANY = 4429


class Send(NamedTuple):
    frame: bytes


class Authenticate(NamedTuple):
    """Verify the token, then call `signed_in` or `turned_away`."""

    ref: object
    token: str


class Ask(NamedTuple):
    """Hand the command to the showtime's actor and answer with what became of it."""

    ref: object
    command: Command


class Resync(NamedTuple):
    """Send the state as it is now."""


class Close(NamedTuple):
    code: CloseCode
    reason: str


Action = Send | Authenticate | Ask | Resync | Close


@dataclass(frozen=True, slots=True)
class Desk:
    """What commands of one showtime are made with. `mint` gives ids that carry the showtime's number."""

    showtime_id: str
    number: int
    mint: Callable[[], str]
    request_id: str = ""


Make = Callable[[Desk, Cause], Command]


@dataclass(slots=True)
class Session:
    """One socket's side of the conversation. Without a desk it takes no commands (the lobby, a person's own socket)."""

    limits: Limits
    desk: Desk | None
    rate_limited: bool = True
    identity: Identity | None = None
    closed: bool = False
    _credit: float = field(init=False)
    _credit_at: Instant = 0

    def __post_init__(self) -> None:
        self._credit = self.limits.messages_burst

    def receive(self, raw: bytes, now: Instant) -> Sequence[Action]:
        """What to do about a text frame."""
        if self.closed:
            return ()
        if self.rate_limited and not self._spend(now):
            return self.close(CloseCode.TOO_MANY, "too many messages")
        if len(raw) > self.limits.frame_bytes_max:
            return self.close(CloseCode.TOO_LONG, "frame too long")
        try:
            said = _read(raw)
        except Problem as problem:
            return self.close(CloseCode.BAD_FRAME, problem.detail)
        if type(said) is not dict:
            return self.close(CloseCode.BAD_FRAME, "a frame is one JSON object")
        name = said.pop("type", None)
        kind = _KINDS.get(name) if type(name) is str else None
        if kind is None:
            return self.close(CloseCode.BAD_FRAME, "unknown frame type")
        ref = said.pop("id", None)
        if not _is_ref(ref):
            return (_invalid(None, [_fault("id", "must be an integer or a short text")]),)
        if faults := _faults(said, kind):
            return (_invalid(ref, faults),)
        return kind.answer(self, ref, said)

    def noise(self, now: Instant) -> Sequence[Action]:
        """A message that means nothing here still counts."""
        if self.rate_limited and not self._spend(now):
            return self.close(CloseCode.TOO_MANY, "too many messages")
        return ()

    def signed_in(self, ref: object, identity: Identity) -> Sequence[Action]:
        self.identity = identity
        return (Send(frames.done(ref, {"user": {"id": identity.account_id, "roles": sorted(identity.roles)}})),)

    def turned_away(self, ref: object, problem: Problem) -> Sequence[Action]:
        """The token is no good: say why, and end it, since waiting will not make it better."""
        return (Send(_problem(ref, problem)), *self.close(CloseCode.SIGNED_OUT, problem.code))

    def check(self, now: Instant) -> Sequence[Action]:
        """What the mere passing of time demands."""
        if self.identity is not None and self.identity.expires_at <= now:
            return self.close(CloseCode.SIGNED_OUT, "token_expired")
        return ()

    def close(self, code: CloseCode, reason: str) -> Sequence[Action]:
        if self.closed:
            return ()
        self.closed = True
        return (Close(code, reason),)

    def _spend(self, now: Instant) -> bool:
        earned = (now - self._credit_at) * self.limits.messages_per_second / 1_000
        self._credit = min(self.limits.messages_burst, self._credit + earned) - 1
        self._credit_at = now
        return self._credit >= 0

    def ask(self, ref: object, said: Mapping[str, Any], operation: str, make: Make, *things: str) -> Sequence[Action]:
        """A command, made with the caller's key where there is one: the same key over REST is the same command.

        `things` are those that REST names in the path.
        """
        desk, identity = self.desk, self.identity
        if desk is None:
            return self.close(CloseCode.BAD_FRAME, "this socket takes no commands")
        if identity is None:
            return (Send(_problem(ref, auth_required())),)
        who = identity.account_id
        if (key := said.get("key")) is None:
            cause = Cause(desk.mint(), ActorKind.CUSTOMER, who, desk.request_id)
        else:
            cause = Cause(
                command_id(who, operation, key, *things),
                ActorKind.CUSTOMER,
                who,
                desk.request_id,
                retryable=True,
                intent=intent_of({name: value for name, value in said.items() if name != "key"}),
            )
        return (Ask(ref, make(desk, cause)),)

    def ask_about(
        self, ref: object, said: Mapping[str, Any], operation: str, make: Make, *things: str
    ) -> Sequence[Action]:
        """A command about the hold that `said` names. What is no hold of this showtime is not found, as over REST."""
        desk = self.desk
        if desk is not None and self.identity is not None and showtime_number(said["hold_id"]) != desk.number:
            return (Send(_problem(ref, not_found("hold"))),)
        return self.ask(ref, said, operation, make, *things)


Answer = Callable[[Session, object, Mapping[str, Any]], Sequence[Action]]


def _auth(_session: Session, ref: object, said: Mapping[str, Any]) -> Sequence[Action]:
    return (Authenticate(ref, said["token"]),)


def _ping(_session: Session, ref: object, _said: Mapping[str, Any]) -> Sequence[Action]:
    return (Send(frames.pong(ref)),)


def _resync(_session: Session, _ref: object, _said: Mapping[str, Any]) -> Sequence[Action]:
    return (Resync(),)


def _hold(session: Session, ref: object, said: Mapping[str, Any]) -> Sequence[Action]:
    seats, wish, hold_id = said.get("seats"), said.get("best_available"), said.get("hold_id")
    types = said.get("ticket_types", {})
    if (seats is None) is (wish is None):
        return (_invalid(ref, [_fault("seats", "give either seats or best_available")]),)
    if hold_id is None:
        best = None if wish is None else BestAvailable(**wish)
        return session.ask(
            ref,
            said,
            "hold",
            # Without a key the command has no name but that of the hold it makes.
            lambda desk, cause: HoldSeats(
                cause, desk.mint() if cause.retryable else cause.command_id, tuple(seats or ()), types, best
            ),
        )
    if seats is None:
        return (_invalid(ref, [_fault("hold_id", "seats are added to a hold by name")]),)
    return session.ask_about(
        ref, said, "change", lambda _desk, cause: ChangeHold(cause, hold_id, tuple(seats), ticket_types=types)
    )


def _change(session: Session, ref: object, said: Mapping[str, Any]) -> Sequence[Action]:
    add, remove, types = said.get("add", ()), said.get("remove", ()), said.get("ticket_types", {})
    if not (add or remove or types):
        return (_invalid(ref, [_fault("add", "give at least one of add, remove, ticket_types")]),)
    return session.ask_about(
        ref,
        said,
        "change",
        lambda _desk, cause: ChangeHold(cause, said["hold_id"], tuple(add), tuple(remove), types),
        said["hold_id"],
    )


def _renew(session: Session, ref: object, said: Mapping[str, Any]) -> Sequence[Action]:
    hold_id = said["hold_id"]
    return session.ask_about(ref, said, "renew", lambda _desk, cause: RenewHold(cause, hold_id), hold_id)


def _release(session: Session, ref: object, said: Mapping[str, Any]) -> Sequence[Action]:
    hold_id = said["hold_id"]
    return session.ask_about(ref, said, "release", lambda _desk, cause: ReleaseHold(cause, hold_id), hold_id)


def _read(raw: bytes) -> Any:
    """JSON as strict as `parse_json` reads it, with a short cut for the flat objects that most frames are.

    An object with as many members as the text has colons hides no second member of a name and no inner object.
    """
    try:
        said = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return parse_json(raw)
    if type(said) is dict and raw.count(b":") == len(said) and b"\\u0000" not in raw:
        return said
    return parse_json(raw)


Check = Callable[[Any], str | None]
"""Says what is wrong with a field's value, or None."""

LABEL_LENGTH_MAX: Final = 64
TOKEN_LENGTH_MAX: Final = 8_192
LIST_LENGTH_MAX: Final = 50
ID_MAX: Final = 2**53


class _Kind(NamedTuple):
    answer: Answer
    fields: Mapping[str, Check]
    required: tuple[str, ...]


def _is_ref(value: object) -> bool:
    if type(value) is int:
        return -ID_MAX <= value <= ID_MAX
    return value is None or (type(value) is str and len(value) <= LABEL_LENGTH_MAX)


def _label(value: object) -> str | None:
    if type(value) is str and 0 < len(value) <= LABEL_LENGTH_MAX:
        return None
    return f"must be a text of 1 to {LABEL_LENGTH_MAX} characters"


def _labels(value: object) -> str | None:
    if type(value) is list and 0 < len(value) <= LIST_LENGTH_MAX and not any(map(_label, value)):
        return None
    return f"must be a list of 1 to {LIST_LENGTH_MAX} seat labels"


def _some_labels(value: object) -> str | None:
    return None if value == [] else _labels(value)


def _types(value: object) -> str | None:
    if (
        type(value) is dict
        and len(value) <= LIST_LENGTH_MAX
        and not any(map(_label, value))
        and not any(map(_label, value.values()))
    ):
        return None
    return "must map seat labels to ticket types"


def _key(value: object) -> str | None:
    if type(value) is str and 0 < len(value) <= KEY_LENGTH_MAX and value.isascii() and value.isprintable():
        return None
    return f"must be 1 to {KEY_LENGTH_MAX} printable ASCII characters"


def _token(value: object) -> str | None:
    if type(value) is str and 0 < len(value) <= TOKEN_LENGTH_MAX:
        return None
    return f"must be a text of 1 to {TOKEN_LENGTH_MAX} characters"


def _flag(value: object) -> str | None:
    return None if type(value) is bool else "must be true or false"


def _count(value: object) -> str | None:
    return None if type(value) is int and 0 < value <= LIST_LENGTH_MAX else f"must be 1 to {LIST_LENGTH_MAX}"


def _optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


_WISH: Final[Mapping[str, Check]] = {
    "count": _count,
    "category": _optional(_label),
    "accessible": _flag,
    "near_row": _optional(_label),
    "allow_split": _flag,
}


def _wish(value: object) -> str | None:
    if type(value) is not dict or "count" not in value:
        return "must be an object with a count"
    for name, inner in value.items():
        check = _WISH.get(name)
        wrong = "is not known here" if check is None else check(inner)
        if wrong is not None:
            return f"{name}: {wrong}"
    return None


_KINDS: Final[Mapping[str, _Kind]] = {
    "auth": _Kind(_auth, {"token": _token}, ("token",)),
    "hold": _Kind(
        _hold, {"key": _key, "seats": _labels, "ticket_types": _types, "best_available": _wish, "hold_id": _label}, ()
    ),
    "change": _Kind(
        _change,
        {"key": _key, "hold_id": _label, "add": _some_labels, "remove": _some_labels, "ticket_types": _types},
        ("hold_id",),
    ),
    "renew": _Kind(_renew, {"key": _key, "hold_id": _label}, ("hold_id",)),
    "release": _Kind(_release, {"key": _key, "hold_id": _label}, ("hold_id",)),
    "resync": _Kind(_resync, {}, ()),
    "ping": _Kind(_ping, {}, ()),
}


def _faults(said: Mapping[str, Any], kind: _Kind) -> list[dict[str, str]]:
    faults = []
    for name, value in said.items():
        check = kind.fields.get(name)
        wrong = "is not known here" if check is None else check(value)
        if wrong is not None:
            faults.append(_fault(name[:LABEL_LENGTH_MAX], wrong))
    faults.extend(_fault(name, "is needed") for name in kind.required if name not in said)
    return faults


def _fault(path: str, message: str) -> dict[str, str]:
    return {"path": path, "message": message}


def _problem(ref: object, problem: Problem) -> bytes:
    return frames.refused(ref, problem.status, {"code": problem.code, "detail": problem.detail})


def _invalid(ref: object, faults: list[dict[str, str]]) -> Send:
    facts = {"code": "validation_failed", "detail": "The frame is not valid.", "errors": faults[:20]}
    return Send(frames.refused(ref, 422, facts))
