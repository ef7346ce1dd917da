"""Holds over HTTP: take seats, change them, keep them longer, let them go.

`hold_seats` is the hottest path of the house: one small model in, one command, one dict out.
"""

from collections.abc import Callable
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field, model_validator

from actors.ids import mint_in, showtime_number
from actors.seatmap.commands import (
    ActorKind,
    BestAvailable,
    Cause,
    ChangeHold,
    HoldSeats,
    ReleaseHold,
    RenewHold,
)
from actors.seatmap.holds import own_hold
from actors.seatmap.refusals import Refusal, Refused
from actors.seatmap.terms import Instant
from server import wire
from server.asking import actor_behind, actor_of, ask, cause, problem
from server.auth.identity import require
from server.errors import invalid, not_found
from server.keys import CLOCK, REGISTRY, REQUEST_ID
from server.operations import SIGNED_IN, Operation
from server.problems import STOPPED, TAKING
from server.requests import Body, Id, read_body
from server.responses import answer
from server.shapes import Hold, HoldTerm

PATH: Final = "/api/v1/showtimes/{showtime_id}/holds"
SEATS_MAX: Final = 50
"""More than any tariff allows: a limit on the request, not on the customer."""

Label = Annotated[str, Field(min_length=1, max_length=64)]
Labels = Annotated[list[Label], Field(max_length=SEATS_MAX)]
TicketTypes = Annotated[dict[Label, Label], Field(max_length=SEATS_MAX)]


class Wish(Body):
    """Seats by what they should be like."""

    count: int = Field(ge=1, le=SEATS_MAX)
    category: Label | None = None
    accessible: bool = False
    near_row: Label | None = None
    allow_split: bool = False


class NewHold(Body):
    """Either `seats`, perhaps to add to `hold_id`, or `best_available`."""

    seats: Annotated[list[Label], Field(min_length=1, max_length=SEATS_MAX)] | None = None
    best_available: Wish | None = None
    ticket_types: TicketTypes = Field(default_factory=dict)
    hold_id: Id | None = None


class HoldChange(Body):
    """Swap seats in one step."""

    add: Labels = Field(default_factory=list)
    remove: Labels = Field(default_factory=list)
    ticket_types: TicketTypes = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> "HoldChange":
        if not (self.add or self.remove or self.ticket_types):
            raise ValueError("give at least one of add, remove, ticket_types")
        return self


class Release(Body):
    hold_id: Id


async def hold_seats(request: web.Request) -> web.Response:
    caller = require(request)
    app = request.app
    actor = await app[REGISTRY].actor(request.match_info["showtime_id"])
    asked = await read_body(request, NewHold)

    def why(operation: str, unkeyed: str | None) -> Cause:
        return cause(request, caller, operation, asked, unkeyed=unkeyed)

    return await ask(request, actor.showtime_id, wanted(asked, actor.snapshot.number, app[CLOCK].now(), why))


def wanted(
    asked: NewHold, number: int, now: Instant, why: Callable[[str, str | None], Cause]
) -> HoldSeats | ChangeHold:
    """The command that a body asks for, of the showtime with this number. Problem 404 hold_not_found, 422.

    `why` makes the cause from the operation's name and the id that a command without a key goes by.
    """
    if (asked.seats is None) is (asked.best_available is None):
        raise invalid("seats", "Give either seats or best_available.")
    if asked.hold_id is not None:
        if asked.seats is None:
            raise invalid("hold_id", "Seats are added to a hold by name.")
        if showtime_number(asked.hold_id) != number:
            raise not_found("hold")
        return ChangeHold(why("change", None), asked.hold_id, tuple(asked.seats), ticket_types=asked.ticket_types)
    wish = asked.best_available
    hold_id = mint_in(number, now)
    return HoldSeats(
        why("hold", hold_id),
        hold_id,
        tuple(asked.seats or ()),
        asked.ticket_types,
        None if wish is None else BestAvailable(**wish.model_dump()),
    )


async def show_hold(request: web.Request) -> web.Response:
    caller = require(request)
    hold_id, actor = await actor_behind(request, "hold_id", "hold")
    state, who = actor.snapshot, Cause("", ActorKind.CUSTOMER, caller.account_id, request[REQUEST_ID])
    held = own_hold(state, who, hold_id)
    if not isinstance(held, Refused) and held.expires_at <= request.app[CLOCK].now():
        held = Refused(Refusal.HOLD_EXPIRED)
    if isinstance(held, Refused):
        raise problem(*wire.refused(held), who)
    return answer(wire.hold(state, held))


async def change_hold(request: web.Request) -> web.Response:
    caller = require(request)
    hold_id, actor = await actor_behind(request, "hold_id", "hold")
    asked = await read_body(request, HoldChange)
    who = cause(request, caller, "change", asked, hold_id=hold_id)
    command = ChangeHold(who, hold_id, tuple(asked.add), tuple(asked.remove), asked.ticket_types)
    return await ask(request, actor.showtime_id, command)


async def renew_hold(request: web.Request) -> web.Response:
    caller = require(request)
    hold_id, actor = await actor_behind(request, "hold_id", "hold")
    command = RenewHold(cause(request, caller, "renew", hold_id=hold_id), hold_id)
    return await ask(request, actor.showtime_id, command)


async def release_hold(request: web.Request) -> web.Response:
    require(request)
    hold_id, _ = await actor_behind(request, "hold_id", "hold")
    return await _release(request, hold_id)


async def release_named(request: web.Request) -> web.Response:
    """The same with the hold's id in the body."""
    require(request)
    return await _release(request, (await read_body(request, Release)).hold_id)


_RENEW: Final = Operation(
    "POST", "/api/v1/holds/{hold_id}/renew", renew_hold, "Keep a hold longer, at most twice.",
    access=SIGNED_IN, answers={200: HoldTerm}, remembers=True,
    problems=("hold_expired", "hold_booked", "renew_limit", *STOPPED),
)  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "POST", PATH, hold_seats, "Hold seats: all of them or none.",
        access=SIGNED_IN, answers={200: Hold, 201: Hold}, asks=NewHold, remembers=True,
        problems=(*TAKING, *STOPPED, "hold_not_found", "hold_expired", "hold_booked", "seat_not_in_hold"),
    ),
    Operation(
        "GET", "/api/v1/holds/{hold_id}", show_hold, "One of the caller's holds.",
        access=SIGNED_IN, answers={200: Hold}, problems=("hold_expired", "hold_booked"),
    ),
    Operation(
        "PATCH", "/api/v1/holds/{hold_id}", change_hold, "Swap seats of a hold in one step.",
        access=SIGNED_IN, answers={200: Hold}, asks=HoldChange, remembers=True,
        problems=(*TAKING, *STOPPED, "hold_expired", "hold_booked", "seat_not_in_hold"),
    ),
    _RENEW,
    _RENEW.also("PATCH", "/api/v1/seats/hold/{hold_id}/refresh"),
    Operation(
        "DELETE", "/api/v1/holds/{hold_id}", release_hold, "Let a hold go. To do it again changes nothing.",
        access=SIGNED_IN, answers={204: None}, remembers=True, problems=("hold_booked",),
    ),
    Operation(
        "POST", "/api/v1/bookings/release", release_named, "Let a hold go that is named in the body.",
        access=SIGNED_IN, answers={204: None}, asks=Release, remembers=True, problems=("hold_not_found", "hold_booked"),
        alias_of="/api/v1/holds/{hold_id}",
    ),
)  # fmt: skip


async def _release(request: web.Request, hold_id: str) -> web.Response:
    caller = require(request)
    actor = await actor_of(request, hold_id, "hold")
    command = ReleaseHold(cause(request, caller, "release", hold_id=hold_id), hold_id)
    return await ask(request, actor.showtime_id, command)
