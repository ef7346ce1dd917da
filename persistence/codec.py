"""What the log's bytes mean: records, terms and snapshots, in both directions.

An event's body is a JSON array: first its cause, then the event's fields in the order of `_FIELDS`. Arrays are a third
of the size of objects and parse in a third of the time, which is what a replay is made of. A field that is added later
goes to the end with a default in its dataclass: old bodies are then read as they were written.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final, NamedTuple

import orjson

from actors.seatmap import events as e
from actors.seatmap.commands import ActorKind, BlockKind, Cause
from actors.seatmap.events import Event, Line, Record, Ticket
from actors.seatmap.layout import Layout
from actors.seatmap.memory import Memory
from actors.seatmap.state import Booking, BookingStatus, Claim, Hold, Sales, SeatMap, SeatState, Status
from actors.seatmap.terms import Instant, OrphanRule, PriceRule, RefundStep, Tariff, Terms
from actors.seatmap.values import dataclass

EVENT_SCHEMA: Final = e.SCHEMA
SNAPSHOT_SCHEMA: Final = 2

Build = Callable[..., Any]
Convert = Callable[[Any], Any]


class Unreadable(Exception):
    """Stored bytes that this version of the program cannot read."""


class Row(NamedTuple):
    """A record as the table `event` keeps it; `key` is the command id where the client chose it."""

    version: int
    at: Instant
    key: str | None
    kind: str
    body: str


_row: Final[Callable[[tuple[Any, ...]], Row]] = partial(tuple.__new__, Row)
"""What `Row._make` does, without its checks."""


def _thawed(kind: type) -> Build:
    """A constructor for a frozen dataclass that is three times as fast as its own.

    A frozen `__init__` sets each slot through `object.__setattr__`. An open twin with the same slots sets them
    directly and is then turned into the frozen class, which the language allows for equal layouts.
    """
    fields: list[tuple[str, Any, Any]] = [
        (own.name, own.type, dataclasses.field(default=own.default)) for own in dataclasses.fields(kind)
    ]
    twin = dataclasses.make_dataclass(kind.__name__, fields, slots=True)

    def build(*values: Any) -> Any:
        made = twin(*values)
        made.__class__ = kind
        return made

    return build


_LINE: Final = attrgetter("seat", "category", "ticket_type", "amount", "fee", "tax")
_MARKED_LINE: Final = attrgetter("seat", "category", "ticket_type", "amount", "fee", "tax", "rules", "discount")
_TICKET: Final = attrgetter("id", "seat")
_line: Final = _thawed(Line)
_ticket: Final = _thawed(Ticket)
_cause: Final = _thawed(Cause)
_record: Final = _thawed(Record)
_ACTORS: Final[Mapping[str, ActorKind]] = {kind.value: kind for kind in ActorKind}


def _lines_out(lines: Iterable[Line]) -> list[Any]:
    """Most seats cost what the list says, and then nothing is written of rules and discounts."""
    return [_MARKED_LINE(line) if line.rules or line.discount else _LINE(line) for line in lines]


def _lines_in(plain: Iterable[Any]) -> tuple[Line, ...]:
    return tuple([_line(*values) if len(values) == 6 else _marked_line(*values) for values in plain])


def _marked_line(*values: Any) -> Line:
    marked: Line = _line(*values[:6], tuple(values[6]), values[7])
    return marked


def _tickets_out(tickets: Iterable[Ticket]) -> list[Any]:
    return [_TICKET(ticket) for ticket in tickets]


def _tickets_in(plain: Iterable[Any]) -> tuple[Ticket, ...]:
    return tuple([_ticket(*values) for values in plain])


def _tariff_out(tariff: Tariff) -> dict[str, Any]:
    """Prices as pairs: `jsonb` would forget the order in which a box office lists its tickets."""
    plain = {own.name: getattr(tariff, own.name) for own in dataclasses.fields(tariff)}
    plain["prices"] = [[category, list(prices.items())] for category, prices in tariff.prices.items()]
    return plain


def _tariff_in(plain: Mapping[str, Any]) -> Tariff:
    prices = {category: dict(pairs) for category, pairs in plain["prices"]}
    return Tariff(**{**plain, "prices": prices, "rules": rules_in(plain.get("rules", ()))})


def rules_in(plain: Iterable[Mapping[str, Any]]) -> tuple[PriceRule, ...]:
    """Price rules from plain JSON values."""
    return tuple(PriceRule(**_with_tuples(rule)) for rule in plain)


def _with_tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(said) if isinstance(said, list) else said for name, said in plain.items()}


def _policy_out(policy: Iterable[RefundStep]) -> list[Any]:
    return [dataclasses.asdict(step) for step in policy]


def _policy_in(plain: Iterable[Mapping[str, Any]]) -> tuple[RefundStep, ...]:
    return tuple([RefundStep(**step) for step in plain])


def terms_out(terms: Terms) -> dict[str, Any]:
    """Terms as plain JSON values."""
    plain = {own.name: getattr(terms, own.name) for own in dataclasses.fields(terms)}
    plain["tariff"] = _tariff_out(terms.tariff)
    plain["refund_policy"] = _policy_out(terms.refund_policy)
    return plain


def terms_in(plain: Mapping[str, Any]) -> Terms:
    return Terms(
        **{
            **plain,
            "tariff": _tariff_in(plain["tariff"]),
            "refund_policy": _policy_in(plain["refund_policy"]),
            "orphan_rule": OrphanRule(plain["orphan_rule"]),
        }
    )


# The name of each kind in the log, its class, and the order of its fields in the body.
_FIELDS: Final[Mapping[str, tuple[type, str]]] = {
    "showtime_scheduled": (e.ShowtimeScheduled, "number terms"),
    "showtime_rescheduled": (e.ShowtimeRescheduled, "terms"),
    "showtime_started": (e.ShowtimeStarted, ""),
    "showtime_completed": (e.ShowtimeCompleted, ""),
    "showtime_cancelled": (e.ShowtimeCancelled, "reason"),
    "sales_opened": (e.SalesOpened, ""),
    "sales_closed": (e.SalesClosed, "reason"),
    "seats_held": (e.SeatsHeld, "hold_id owner lines expires_at renewals_left next_to_each_other"),
    "hold_changed": (e.HoldChanged, "hold_id owner lines freed expires_at renewals_left next_to_each_other"),
    "hold_renewed": (e.HoldRenewed, "hold_id owner expires_at renewals_left"),
    "hold_released": (e.HoldReleased, "hold_id owner seats"),
    "hold_expired": (e.HoldExpired, "hold_id owner seats"),
    "booking_placed": (e.BookingPlaced, "booking_id reference hold_id owner lines currency expires_at promo"),
    "payment_started": (e.PaymentStarted, "booking_id payment_id owner provider amount currency expires_at"),
    "booking_confirmed": (
        e.BookingConfirmed,
        "booking_id reference hold_id owner lines currency tickets payment_id provider provider_payment_id amount late",
    ),
    "refund_decided": (
        e.RefundDecided,
        "booking_id owner payment_id provider provider_payment_id amount currency refund_id reason",
    ),
    "booking_expired": (e.BookingExpired, "booking_id owner seats"),
    "booking_cancelled": (
        e.BookingCancelled,
        (
            "booking_id reference hold_id owner seats lines currency tickets whole payment_id paid refunded refund_id "
            "refund reason left"
        ),
    ),
    "refund_granted": (
        e.RefundGranted,
        "booking_id reference owner payment_id currency paid refunded left refund_id refund reason",
    ),
    "seats_blocked": (e.SeatsBlocked, "seats kind reason release_at"),
    "seats_unblocked": (e.SeatsUnblocked, "seats"),
    "prices_changed": (e.PricesChanged, "tariff"),
    "refund_policy_changed": (e.RefundPolicyChanged, "refund_policy"),
}

_UNWRITTEN: Final = ("layout",)
"""What the log leaves out because the catalogue has it; `recovery` brings it along."""

# How fields that are no plain JSON value are written and read.
_CONVERT: Final[Mapping[str, tuple[Convert | None, Convert]]] = {
    "lines": (_lines_out, _lines_in),
    "tickets": (_tickets_out, _tickets_in),
    "terms": (terms_out, terms_in),
    "tariff": (_tariff_out, _tariff_in),
    "refund_policy": (_policy_out, _policy_in),
    "kind": (None, BlockKind),
    "seats": (None, tuple),
    "freed": (None, tuple),
}


@dataclass(frozen=True, slots=True)
class _Form:
    """How one kind of event is written and read. `out` and `back` say which fields need converting, by position."""

    name: str
    fields: Callable[[Any], tuple[Any, ...]]
    out: tuple[tuple[int, Convert], ...]
    build: Build
    back: tuple[tuple[int, Convert], ...]


def _form(name: str, kind: type, fields: Sequence[str]) -> _Form:
    known = [own.name for own in dataclasses.fields(kind) if own.name not in _UNWRITTEN]
    assert list(fields) == known, f"{kind.__name__} has the fields {known}, the log writes {fields}"
    converted = [(place, _CONVERT[field]) for place, field in enumerate(fields) if field in _CONVERT]
    out = tuple((place, both[0]) for place, both in converted if both[0] is not None)
    back = tuple((place, both[1]) for place, both in converted)
    if len(fields) > 1:
        getter: Callable[[Any], tuple[Any, ...]] = attrgetter(*fields)
    else:
        getter = lambda event: tuple(getattr(event, field) for field in fields)  # noqa: E731
    return _Form(name, getter, out, _thawed(kind), back)


_FORM_BY_NAME: Final[Mapping[str, _Form]] = {
    name: _form(name, kind, fields.split()) for name, (kind, fields) in _FIELDS.items()
}
_FORM_BY_TYPE: Final[Mapping[type, _Form]] = {kind: _FORM_BY_NAME[name] for name, (kind, _) in _FIELDS.items()}


def kind_of(event: Event) -> str:
    """The name of an event's kind in the log."""
    return _FORM_BY_TYPE[type(event)].name


def encode(record: Record) -> Row:
    """A record as a row. Raises ValueError or TypeError for what JSON cannot carry (lone surrogates, huge numbers)."""
    form = _FORM_BY_TYPE[type(record.event)]
    cause = record.cause
    key = cause.command_id if cause.retryable else None
    who = (cause.kind, cause.actor_id, cause.request_id, None if key else cause.command_id, cause.intent)
    values = form.fields(record.event)
    if form.out:
        plain = list(values)
        for place, convert in form.out:
            plain[place] = convert(plain[place])
        values = tuple(plain)
    return _row((record.version, record.at, key, form.name, orjson.dumps((who, *values)).decode()))


def decode(version: int, at: Instant, key: str | None, schema: int, kind: str, body: str | bytes) -> Record:
    """The record that `encode` made the row from. Unreadable for a kind or schema that this program does not know."""
    form = _FORM_BY_NAME.get(kind)
    if form is None or schema > EVENT_SCHEMA:
        raise Unreadable(f"an event of kind {kind!r}, schema {schema}: written by a newer version of the program")
    (actor, actor_id, request_id, command_id, intent), *values = orjson.loads(body)
    for place, convert in form.back:
        values[place] = convert(values[place])
    retryable = key is not None
    cause = _cause(key if retryable else command_id, _ACTORS[actor], actor_id, request_id, retryable, intent)
    return _record(version, at, cause, form.build(*values))  # type: ignore[no-any-return]


_HOLD: Final = attrgetter("id", "owner", "lines", "expires_at", "first_held_at", "renewals_left", "next_to_each_other")
_BOOKING: Final = attrgetter(
    "id", "reference", "hold_id", "owner", "lines", "currency", "status", "expires_at", "tickets", "payment_id",
    "paid", "refunded", "refunded_payments", "promo", "value", "refund_policy", "moved",
)  # fmt: skip


def snapshot_plain(state: SeatMap) -> dict[str, Any]:
    """A state as plain JSON values: all but the layout, which its terms name, and the memory, which is in the log."""
    return {
        "showtime_id": state.showtime_id,
        "number": state.number,
        "version": state.version,
        "terms": terms_out(state.terms),
        "status": state.status,
        "sales": state.sales,
        "taken": {seat: _claim_out(claim) for seat, claim in state.taken.items()},
        "holds": [_hold_out(hold) for hold in state.holds.values()],
        "bookings": [_booking_out(booking) for booking in state.bookings.values()],
        "pledged": state.pledged,
        "held": state.held,
        "sold": state.sold,
        "blocked": state.blocked,
        "deadline": state.deadline,
    }


def snapshot_out(state: SeatMap) -> bytes:
    return orjson.dumps(snapshot_plain(state))


def snapshot_layout(stored: bytes) -> str:
    """The id of the layout that a stored state needs."""
    return str(orjson.loads(stored)["terms"]["layout_id"])


def snapshot_in(stored: bytes, layout: Layout) -> SeatMap:
    plain = orjson.loads(stored)
    terms = terms_in(plain["terms"])
    assert terms.layout_id == layout.id, (terms.layout_id, layout.id)
    return SeatMap(
        showtime_id=plain["showtime_id"],
        layout=layout,
        number=plain["number"],
        version=plain["version"],
        terms=terms,
        status=Status(plain["status"]),
        sales=Sales(plain["sales"]),
        taken={seat: _claim_in(*values) for seat, values in plain["taken"].items()},
        holds={values[0]: _hold_in(values) for values in plain["holds"]},
        bookings={values[0]: _booking_in(values) for values in plain["bookings"]},
        pledged=plain["pledged"],
        held=plain["held"],
        sold=plain["sold"],
        blocked=plain["blocked"],
        deadline=plain["deadline"],
        memory=Memory.empty(since=plain["version"]),
    )


def _claim_out(claim: Claim) -> list[Any]:
    plain = [claim.state, claim.by, claim.kind]
    return plain if claim.release_at is None else [*plain, claim.release_at]


def _claim_in(state: str, by: str, kind: str | None, release_at: Instant | None = None) -> Claim:
    return Claim(SeatState(state), by, None if kind is None else BlockKind(kind), release_at)


def _hold_out(hold: Hold) -> list[Any]:
    plain = list(_HOLD(hold))
    plain[2] = _lines_out(hold.lines)
    return plain


def _hold_in(plain: list[Any]) -> Hold:
    plain[2] = _lines_in(plain[2])
    return Hold(*plain)


def _booking_out(booking: Booking) -> list[Any]:
    plain = list(_BOOKING(booking))
    plain[4] = _lines_out(booking.lines)
    plain[8] = _tickets_out(booking.tickets)
    plain[15] = _policy_out(booking.refund_policy)
    return plain


def _booking_in(plain: list[Any]) -> Booking:
    plain[4] = _lines_in(plain[4])
    plain[6] = BookingStatus(plain[6])
    plain[8] = _tickets_in(plain[8])
    plain[12] = tuple(plain[12])
    plain[15] = _policy_in(plain[15])
    return Booking(*plain)
