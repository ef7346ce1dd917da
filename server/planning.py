"""Changing one showtime: what a change means for a draft, for a showtime on sale, and for one that has been sold.

A draft is changed freely. A showtime on sale is moved and priced by its own actor, which alone knows whether somebody
has just bought a ticket; whatever else changes about it means that its log begins anew, which only one never sold may.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from actors.ids import mint
from actors.ports import Rejected
from actors.seatmap.commands import ActorKind, Cause, ChangeRefundPolicy, Command, OpenSales, Reprice, Reschedule
from actors.seatmap.events import SeatsBlocked
from actors.seatmap.house import kept_back
from actors.seatmap.refusals import Refusal, Refused
from actors.seatmap.state import NEVER, SeatMap
from actors.seatmap.terms import Instant
from persistence import prices, timetable
from persistence.database import Connection
from persistence.layouts import StoredLayouts
from persistence.programme import NewShowtime
from persistence.timetable import Film, Hall, HasSales, Planned
from server import wire
from server.asking import problem
from server.auth.identity import Identity
from server.errors import Problem, invalid, not_found
from server.keys import CLOCK, POOL, REGISTRY, REQUEST_ID
from server.revisions import check
from server.timetable import Place, Wishes, clear_at, demand_published, overlap, plan


class Changes(Wishes):
    """What is to change. `notify` says that people who have bought shall be told."""

    notify: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A change that fits, inside a transaction that has its screens to itself."""

    request: web.Request
    connection: Connection
    cause: Cause
    asked: Changes
    present: Planned
    new: NewShowtime
    now: Instant
    stays_in_theatre: bool

    async def make(self) -> Instant | None:
        """When something is due next to a showtime whose log began, ended or began anew; None for any other change."""
        if self.present.showtime.status == "draft":
            await timetable.revise(self.connection, self.new)
            return await self._publish() if self.asked.status == "scheduled" else None
        self._demand_changeable()
        if self.asked.status == "draft" or not self._is_for_the_actor or self._opens_again:
            return await self._begin_anew()
        if self._is_redrawn and not await self._has_people():
            return await self._begin_anew()
        await self._demand_notice()
        before = self.present.terms
        if replace(self.new.terms, tariff=before.tariff, refund_policy=before.refund_policy) != before:
            await self._move()
        if self.new.terms.refund_policy != before.refund_policy:
            await self._ask(ChangeRefundPolicy(self.cause, self.new.terms.refund_policy))
        if self.new.terms.tariff != before.tariff:
            await self._reprice()
        await timetable.annotate(self.connection, self.new)
        return None

    @property
    def _is_for_the_actor(self) -> bool:
        """Whether its actor can do it: times change, prices, the policy, the screen, or the drawing of its seats.

        In another theatre it is another showtime, which nobody has bought.
        """
        before = self.present.terms
        stayed = replace(
            self.new.terms,
            starts_at=before.starts_at,
            ends_at=before.ends_at,
            sales_open_at=before.sales_open_at,
            sales_close_at=before.sales_close_at,
            screen_id=before.screen_id,
            layout_id=before.layout_id,
            tariff=before.tariff,
            refund_policy=before.refund_policy,
        )
        return stayed == before and self.stays_in_theatre

    @property
    def _is_redrawn(self) -> bool:
        return self.new.terms.layout_id != self.present.terms.layout_id

    async def _has_people(self) -> bool:
        """Whether anybody has booked, or is choosing seats right now."""
        return _is_held(self.request, self.new.id) or await timetable.is_sold(self.connection, self.new.id)

    @property
    def _opens_again(self) -> bool:
        """Whether sales that are open shall open later: an open sale never becomes one that has not begun."""
        return self.present.terms.sales_open_at <= self.now < self.new.terms.sales_open_at

    async def _publish(self, blocks: Sequence[SeatsBlocked] = ()) -> Instant:
        if self.new.terms.starts_at <= self.now:
            raise Problem(422, "in_past", "A showtime cannot begin in the past.")
        demand_published(await film_of(self.connection, self.new.terms.movie_id))
        await timetable.publish(self.connection, [self.new], self.now, self.cause, blocks)
        return timetable.due_at(self.new, self.now, blocks)

    async def _begin_anew(self) -> Instant:
        demand_no_holds(self.request, self.new.id)
        try:
            await timetable.withdraw(self.connection, self.new.id)
        except HasSales:
            raise has_sales() from None
        await timetable.revise(self.connection, self.new)
        return NEVER if self.asked.status == "draft" else await self._publish(await self._kept_back())

    async def _kept_back(self) -> Sequence[SeatsBlocked]:
        """What the house keeps from the public stays so. Read when nothing can be appended to the log any more."""
        actor = self.request.app[REGISTRY].resident(self.new.id)
        if actor is None or not actor.snapshot.blocked:
            return ()
        return kept_back(actor.snapshot, await StoredLayouts(self.connection).layout(self.new.terms.layout_id))

    async def _move(self) -> None:
        terms, layout = self.new.terms, None
        if self._is_redrawn:
            layout = await StoredLayouts(self.connection).layout(terms.layout_id)
            # First, and for good: should we end in between, the log is readable all the same.
            await timetable.remember_layout(self.request.app[POOL], self.new.id, self.present.terms.layout_id)
        command = Reschedule(
            self.cause,
            starts_at=terms.starts_at,
            ends_at=terms.ends_at,
            sales_open_at=terms.sales_open_at,
            sales_close_at=terms.sales_close_at,
            screen_id=terms.screen_id,
            notify=self.asked.notify,
            layout=layout,
            tariff=terms.tariff if layout else None,
        )
        await self._ask(command)
        if self.present.terms.sales_close_at <= self.now < terms.sales_close_at:
            await self._ask(OpenSales(self.cause))  # the cut-off had passed, and lies ahead again

    async def _reprice(self) -> None:
        """For new holds; who holds or has bought keeps the old prices."""
        state = await self._ask(Reprice(self.cause, self.new.terms.tariff))
        await prices.write_tariff(self.connection, self.new.id, state.terms.tariff)

    async def _ask(self, command: Command) -> SeatMap:
        try:
            reply = await self.request.app[REGISTRY].ask(self.new.id, command)
        except Rejected:  # the exclusion constraint speaks last
            raise overlap(None) from None
        if isinstance(reply.decision, Refused):
            raise problem(*wire.refused(reply.decision), self.cause)
        return reply.state

    async def _demand_notice(self) -> None:
        """Who has bought a seat in one drawing, or a film in one language and format, is told of another one."""
        shown = self.present.showtime
        other = (shown.language, shown.format) != (self.new.language, self.new.format)
        if self.asked.notify or not (other or self._is_redrawn):
            return
        if self._is_redrawn or await timetable.is_sold(self.connection, self.new.id):
            raise problem(*wire.refused(Refused(Refusal.HAS_SALES)), self.cause)

    def _demand_changeable(self) -> None:
        if self.present.showtime.status == "cancelled":
            raise Problem(409, "showtime_cancelled", "This showtime has been cancelled.")
        if self.present.terms.starts_at <= self.now:
            raise Problem(409, "already_started", "This showtime has already started.")


async def change(
    request: web.Request, connection: Connection, caller: Identity, showtime_id: str, asked: Changes, screen_id: str
) -> Instant | None:
    """Look again now that nobody else plans for these screens, and change what is asked for. See `Change.make`."""
    wanted = asked.screen_id or screen_id
    halls = await timetable.take_screens(connection, [screen_id, wanted])
    if wanted not in halls:
        raise invalid("screen_id", "There is no such screen.")
    present = await timetable.planned(connection, showtime_id)
    if present is None:
        raise not_found("showtime")
    check(request, present.revision)
    now = request.app[CLOCK].now()
    film = await film_of(connection, asked.movie_id or present.terms.movie_id)
    hall = await _as_sold(connection, halls[wanted], asked, present)
    new = plan(showtime_id, asked, Place(hall, film), now, present)
    await demand_room(connection, new)
    stays = hall.theatre_id == present.showtime.theatre_id
    return await Change(request, connection, planner(request, caller), asked, present, new, now, stays).make()


async def _as_sold(connection: Connection, hall: Hall, asked: Changes, present: Planned) -> Hall:
    """Of screens that are alike each has a drawing of its own; what is on sale in one keeps its own in the other."""
    sold = present.terms.layout_id
    moves = present.showtime.status != "draft" and hall.id != present.terms.screen_id
    if moves and asked.layout_id in (None, sold) and await timetable.is_drawn_alike(connection, sold, hall.layout_id):
        return replace(hall, layout_id=sold)
    return hall


def planner(request: web.Request, caller: Identity) -> Cause:
    return Cause(mint(request.app[CLOCK].now()), ActorKind.STAFF, caller.account_id, request[REQUEST_ID])


async def film_of(connection: Connection, movie_id: str) -> Film:
    film = await timetable.film(connection, movie_id)
    if film is None:
        raise invalid("movie_id", "There is no such film.")
    return film


async def demand_room(connection: Connection, new: NewShowtime) -> None:
    """409 overlap, naming who has the screen."""
    terms = new.terms
    other = await timetable.occupied(connection, terms.screen_id, terms.starts_at, clear_at(new), but=new.id)
    if other is not None:
        raise overlap(other)


def demand_no_holds(request: web.Request, showtime_id: str) -> None:
    """People who are choosing seats right now are not sent away."""
    if _is_held(request, showtime_id):
        raise has_sales()


def _is_held(request: web.Request, showtime_id: str) -> bool:
    actor = request.app[REGISTRY].resident(showtime_id)
    return actor is not None and bool(actor.snapshot.pledged)


def has_sales() -> Problem:
    return Problem(409, "has_sales", "Tickets for this showtime are sold or held. Cancel it instead.")
