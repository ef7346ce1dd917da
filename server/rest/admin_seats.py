"""The house's own hand on a showtime: block and free seats, open and close sales, cancel, and look behind the map."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Annotated, Final, Literal, NamedTuple, NotRequired

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from actors.ids import is_uuid
from actors.seatmap.commands import (
    ActorKind,
    BlockKind,
    BlockSeats,
    CancelShowtime,
    Cause,
    CloseSales,
    Command,
    OpenSales,
    ReleaseHold,
    UnblockSeats,
)
from actors.seatmap.refusals import Refusal, Refused
from actors.seatmap.state import BookingStatus, SeatMap
from actors.seatmap.terms import Instant
from persistence import refunds
from persistence.bookings import theatre_of
from persistence.moments import instant
from server import wire
from server.asking import ask, cause, problem
from server.auth.identity import ADMIN, BOX_OFFICE, MANAGER, Identity, require, require_staff_of
from server.errors import Problem, invalid, not_found
from server.idempotency import idempotency_key, idempotent
from server.keys import CLOCK, POOL, REGISTRY
from server.operations import Operation
from server.requests import Body, path_id, read_body, read_optional_body
from server.responses import answer
from server.shapes import Money, SeatLabel, ShowtimeStatus, Standing, Time, Uuid
from server.timetable import Moment
from server.wire import rfc3339

SEATS_MAX: Final = 1_000
CHANNELS_MAX: Final = 50

_SHOWTIME: Final = "/api/v1/admin/showtimes/{showtime_id}"
_SELLERS: Final = frozenset((BOX_OFFICE, MANAGER, ADMIN))
_MANAGERS: Final = frozenset((MANAGER, ADMIN))

Label = Annotated[str, Field(min_length=1, max_length=64)]
Labels = Annotated[list[Label], Field(max_length=SEATS_MAX)]
Channel = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S+( \S+)*$")]
"""Words, as they are to be read in the lists of the house."""


class Block(Body):
    seat: Label
    reason: Annotated[str, Field(max_length=200)] = ""
    kind: Literal["house", "broken", "tech", "accessible"] = "house"
    release_at: Moment | None = None


class SeatChanges(Body):
    """`channel` allots seats to a sales route; nobody else may sell them. `unblock` gives back what either took."""

    block: Annotated[list[Block], Field(max_length=SEATS_MAX)] = Field(default_factory=list)
    unblock: Labels = Field(default_factory=list)
    channel: Annotated[dict[Channel, Labels], Field(max_length=CHANNELS_MAX)] = Field(default_factory=dict)


class Closing(Body):
    reason: Annotated[str, Field(max_length=200)] = ""


class Nothing(Body):
    """No members."""


class Ending(Body):
    """Why a showtime does not take place. Everybody who paid gets their money back: there is no other way."""

    reason: Annotated[str, Field(min_length=1, max_length=200)]
    refund: Literal[True] = True


class SeatResult(TypedDict):
    """What became of one seat; `reason` says why it stays as it was."""

    seat: SeatLabel
    result: Literal["blocked", "allotted", "free", "refused"]
    reason: NotRequired[str]


class SeatsChanged(Standing):
    results: list[SeatResult]


class CancellationProgress(TypedDict):
    """How many bookings ended with their showtime, and how many of their refunds are paid, given up or under way.

    `amount` is what goes back to all of them together.
    """

    showtime_id: Uuid
    bookings: int
    refunded: int
    failed: int
    pending: int
    amount: Money


class ShowtimeEnded(CancellationProgress):
    """A showtime that has just been cancelled."""

    seq: int
    status: ShowtimeStatus


class HeldSeats(TypedDict):
    hold_id: Uuid
    holder: Uuid
    seats: list[SeatLabel]
    expires_at: Time
    renewals_left: int


class UnpaidSeats(TypedDict):
    booking_id: Uuid
    reference: str
    holder: Uuid
    seats: list[SeatLabel]
    expires_at: Time


class BlockedSeat(TypedDict):
    """`release_at` is when the block ends by itself."""

    seat: SeatLabel
    reason: str
    kind: str
    release_at: Time | None


class Backstage(Standing):
    """Who holds what and until when, and how busy the showtime is."""

    epoch: int
    mailbox_depth: int
    holds: list[HeldSeats]
    unpaid: list[UnpaidSeats]
    blocked: list[BlockedSeat]
    channel: dict[str, list[SeatLabel]]


async def change_seats(request: web.Request) -> web.Response:
    """Block, allot and free, seat by seat: what is in use stays as it is and is named in the answer."""
    showtime_id, caller = await _staff(request, BOX_OFFICE, MANAGER, ADMIN)
    asked = await read_body(request, SeatChanges)
    idempotency_key(request)  # a wrong one is refused even where nothing is to be done
    state = (await request.app[REGISTRY].actor(showtime_id)).snapshot
    named = [*(block.seat for block in asked.block), *asked.unblock, *chain.from_iterable(asked.channel.values())]
    _demand_known(state, named)
    _demand_once(named)
    hand = _Hand(request, caller, showtime_id, asked, state)
    for why, seats in _blocks(asked, request.app[CLOCK].now()).items():
        await hand.block(why, seats)
    if asked.unblock:
        await hand.unblock(asked.unblock)
    refused = {seat: result["reason"] for seat, result in hand.results.items() if result["result"] == "refused"}
    if refused and len(refused) == len(hand.results):
        raise problem(*wire.refused(Refused(Refusal.SEATS_UNAVAILABLE, refused)), hand.cause("block"))
    results = [{"seat": seat, **result} for seat, result in hand.results.items()]
    return answer({**wire.standing(hand.state), "results": results})


async def open_sales(request: web.Request) -> web.Response:
    showtime_id, caller = await _staff(request, MANAGER, ADMIN)
    await read_optional_body(request, Nothing)
    who = cause(request, caller, "open sales", kind=ActorKind.STAFF)
    return await ask(request, showtime_id, OpenSales(who))


async def close_sales(request: web.Request) -> web.Response:
    showtime_id, caller = await _staff(request, MANAGER, ADMIN)
    asked = await read_optional_body(request, Closing)
    who = cause(request, caller, "close sales", asked, kind=ActorKind.STAFF)
    return await ask(request, showtime_id, CloseSales(who, asked.reason))


async def cancel_showtime(request: web.Request) -> web.Response:
    showtime_id, caller = await _staff(request, MANAGER, ADMIN)
    asked = await read_body(request, Ending)
    who = cause(request, caller, "cancel showtime", asked, kind=ActorKind.STAFF, key_required=True)
    return await ask(request, showtime_id, CancelShowtime(who, asked.reason))


async def show_cancellation(request: web.Request) -> web.Response:
    """Everybody is refunded by a job of their own, so that this goes on after a restart where it was."""
    showtime_id, _ = await _staff(request, BOX_OFFICE, MANAGER, ADMIN)
    found = await refunds.cancellation(request.app[POOL], showtime_id)
    if found is None:
        raise Problem(404, "cancellation_not_found", "This showtime has not been cancelled.")
    currency = (await request.app[REGISTRY].actor(showtime_id)).snapshot.terms.tariff.currency
    progress = wire.cancellation_progress(found.cancelled, currency, found.refunds)
    return answer({"showtime_id": showtime_id, **progress})


async def release_hold(request: web.Request) -> web.Response:
    """Take seats away from somebody who holds them."""
    showtime_id, caller = await _staff(request, BOX_OFFICE, MANAGER, ADMIN)
    asked = await read_optional_body(request, Closing)
    hold_id = path_id(request, "hold_id", "hold")
    who = cause(request, caller, "release", asked, kind=ActorKind.STAFF, hold_id=hold_id)
    return await ask(request, showtime_id, ReleaseHold(who, hold_id))


async def show_live(request: web.Request) -> web.Response:
    """Who holds what and until when, and how busy the showtime is."""
    showtime_id, _ = await _staff(request, BOX_OFFICE, MANAGER, ADMIN)
    actor = await request.app[REGISTRY].actor(showtime_id)
    state = actor.snapshot
    return answer(
        {
            **wire.standing(state),
            "epoch": actor.epoch,
            "mailbox_depth": len(actor.mailbox),
            "holds": [
                {
                    "hold_id": held.id,
                    "holder": held.owner,
                    "seats": list(held.seats),
                    "expires_at": rfc3339(held.expires_at),
                    "renewals_left": held.renewals_left,
                }
                for held in state.holds.values()
            ],
            "unpaid": [
                {
                    "booking_id": booked.id,
                    "reference": booked.reference,
                    "holder": booked.owner,
                    "seats": list(booked.seats),
                    "expires_at": rfc3339(booked.expires_at),
                }
                for booked in state.bookings.values()
                if booked.status is BookingStatus.PENDING_PAYMENT
            ],
            **_kept_back(state),
        }
    )


OPERATIONS: Final = (
    Operation(
        "PUT", f"{_SHOWTIME}/seats", idempotent(change_seats, joining=True),
        "Block, allot and free seats; what is in use is named and stays.",
        access=_SELLERS, answers={200: SeatsChanged}, asks=SeatChanges, remembers=True,
        problems=("out_of_scope", "seats_unavailable", "unknown_seat", "duplicate_seat", "past_deadline"),
    ),
    Operation(
        "POST", f"{_SHOWTIME}/sales/open", idempotent(open_sales, joining=True), "Open the sale.",
        access=_MANAGERS, answers={200: Standing}, asks=Nothing, body_required=False, remembers=True,
        problems=("out_of_scope", "past_deadline", "showtime_cancelled", "showtime_over"),
    ),
    Operation(
        "POST", f"{_SHOWTIME}/sales/close", idempotent(close_sales, joining=True), "Close the sale.",
        access=_MANAGERS, answers={200: Standing}, asks=Closing, body_required=False, remembers=True,
        problems=("out_of_scope", "showtime_cancelled", "showtime_over"),
    ),
    Operation(
        "POST", f"{_SHOWTIME}/cancel", cancel_showtime, "Cancel a showtime; everybody who paid gets the money back.",
        access=_MANAGERS, answers={202: ShowtimeEnded}, asks=Ending, key_required=True, remembers=True,
        problems=("out_of_scope", "already_cancelled", "already_started"),
    ),
    Operation(
        "GET", f"{_SHOWTIME}/cancellation", show_cancellation, "How far the refunds of a cancelled showtime are.",
        access=_SELLERS, answers={200: CancellationProgress}, problems=("out_of_scope", "cancellation_not_found"),
    ),
    Operation(
        "GET", f"{_SHOWTIME}/live", show_live, "Who holds what and until when, and how busy the showtime is.",
        access=_SELLERS, answers={200: Backstage}, problems=("out_of_scope",),
    ),
    Operation(
        "POST", f"{_SHOWTIME}/holds/{{hold_id}}/release", release_hold, "Take seats away from somebody who holds them.",
        access=_SELLERS, answers={204: None}, asks=Closing, body_required=False, remembers=True,
        problems=("out_of_scope", "hold_booked"),
    ),
)  # fmt: skip


async def _staff(request: web.Request, *roles: str) -> tuple[str, Identity]:
    """The showtime in the path, and a caller who may do this in its theatre. 403 forbidden or out_of_scope."""
    require(request, *roles)
    showtime_id = request.match_info["showtime_id"]
    theatre_id = await theatre_of(request.app[POOL], showtime_id) if is_uuid(showtime_id) else None
    if theatre_id is None:
        raise not_found("showtime")
    return showtime_id, require_staff_of(request, theatre_id, *roles)


def _demand_known(state: SeatMap, seats: list[str]) -> None:
    if unknown := [seat for seat in seats if seat not in state.layout.seats]:
        status, body = wire.refused(Refused(Refusal.SEAT_UNKNOWN, dict.fromkeys(unknown, "unknown")))
        raise Problem(status, body.pop("code"), body.pop("detail"), **body)


def _demand_once(seats: list[str]) -> None:
    """Blocked and freed in one request, or blocked for two reasons: nobody could say what is meant."""
    if twice := [seat for seat, times in Counter(seats).items() if times > 1]:
        status, body = wire.refused(Refused(Refusal.SEAT_TWICE, dict.fromkeys(twice, "twice")))
        raise Problem(status, body.pop("code"), body.pop("detail"), **body)


class _Why(NamedTuple):
    kind: BlockKind
    reason: str
    release_at: Instant | None = None


def _blocks(asked: SeatChanges, now: Instant) -> dict[_Why, list[str]]:
    """Seats that are kept from the public for the same reason and time belong together. 422."""
    groups: dict[_Why, list[str]] = {}
    for index, block in enumerate(asked.block):
        until = None if block.release_at is None else instant(block.release_at)
        if until is not None and until <= now:
            raise invalid(f"block.{index}.release_at", "A block is released later than now.")
        groups.setdefault(_Why(BlockKind(block.kind), block.reason, until), []).append(block.seat)
    for key, seats in asked.channel.items():
        groups.setdefault(_Why(BlockKind.CHANNEL, key), []).extend(seats)
    return groups


def _kept_back(state: SeatMap) -> dict[str, object]:
    """What the house keeps from the public: blocked, and allotted by channel."""
    blocked: list[BlockedSeat] = []
    channel: dict[str, list[str]] = {}
    for seat, claim in state.taken.items():
        if claim.kind is BlockKind.CHANNEL:
            channel.setdefault(claim.by, []).append(seat)
        elif claim.kind is not None:
            until = None if claim.release_at is None else rfc3339(claim.release_at)
            blocked.append({"seat": seat, "reason": claim.by, "kind": claim.kind.value, "release_at": until})
    return {"blocked": blocked, "channel": channel}


@dataclass
class _Hand:
    """One request's changes to the map, and what became of each seat so far."""

    request: web.Request
    caller: Identity
    showtime_id: str
    asked: SeatChanges
    state: SeatMap
    results: dict[str, dict[str, str]] = field(default_factory=dict)

    def cause(self, operation: str) -> Cause:
        return cause(self.request, self.caller, operation, self.asked, kind=ActorKind.STAFF)

    async def block(self, why: _Why, seats: list[str]) -> None:
        """Block as many as can be. Somebody may take one in between: it is named, and the rest tried again."""
        wanted, kind, until = seats, why.kind, f" {why.release_at}" if why.release_at else ""
        done = {"result": "allotted" if kind is BlockKind.CHANNEL else "blocked"}
        while wanted:
            who = self.cause(f"block {kind} {why.reason} {len(wanted)}{until}")
            conflicts = await self._try(BlockSeats(who, tuple(wanted), why.reason, kind, why.release_at))
            if not conflicts:
                self.results.update((seat, done) for seat in wanted)
                return
            self.results.update((seat, {"result": "refused", "reason": said}) for seat, said in conflicts.items())
            wanted = [seat for seat in wanted if seat not in conflicts]

    async def unblock(self, seats: list[str]) -> None:
        await self._try(UnblockSeats(self.cause("unblock"), tuple(seats)))
        for seat in seats:
            claim = self.state.taken.get(seat)
            self.results[seat] = (
                {"result": "free"} if claim is None else {"result": "refused", "reason": claim.state.value}
            )

    async def _try(self, command: Command) -> Mapping[str, str]:
        """Which seats were in the way. Problem for any other refusal."""
        reply = await self.request.app[REGISTRY].ask(self.showtime_id, command)
        self.state = reply.state
        if not isinstance(reply.decision, Refused):
            return {}
        if reply.decision.refusal is not Refusal.SEATS_UNAVAILABLE:
            raise problem(*wire.refused(reply.decision), command.cause)
        return reply.decision.conflicts
