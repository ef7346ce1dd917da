"""A promo code on its way into a booking: is it good for this showtime and this customer, and is a use left?

What the code takes off is the actor's business; that a limit holds over all showtimes is the database's.
"""

from aiohttp import web

from actors.seatmap.terms import Instant, Promo
from actors.showtime import ShowtimeActor
from persistence import promos
from persistence.bookings import theatre_of
from persistence.promos import DECIDED_MS, PromoCode, Use
from server.auth.identity import GUEST, Identity
from server.errors import Problem
from server.keys import CLOCK, POOL


def plain(code: str) -> str:
    """How a code is kept: people type it as they like."""
    return code.strip().upper()


async def redeem(
    request: web.Request, caller: Identity, code: str, actor: ShowtimeActor, command_id: str, booking_id: str
) -> tuple[Promo, str]:
    """What the code takes off, and the id of the booking that has the use. 422 promo_invalid."""
    now = request.app[CLOCK].now()
    async with request.app[POOL].acquire() as connection:
        theatre_id = await theatre_of(connection, actor.showtime_id)
        async with connection.transaction():
            found = await promos.by_code(connection, plain(code))
            if found is None or found.theatre_id not in (None, theatre_id):
                raise invalid("unknown")
            booked = await promos.booked(connection, command_id)
            if booked is None:
                if why := _unusable(found, caller, actor, now):
                    raise invalid(why)
                wanted = Use(command_id, found.id, caller.account_id, booking_id, now)
                booked = await promos.take_use(connection, found, wanted)
    if booked is None:
        raise invalid("used_up")
    good = Promo(found.code, now + DECIDED_MS, found.percent_bps, found.amount, found.min_seats, found.ticket_types)
    return good, booked


def invalid(reason: str) -> Problem:
    return Problem(422, "promo_invalid", "This promotion code is not valid here.", reason=reason)


def _unusable(found: PromoCode, caller: Identity, actor: ShowtimeActor, now: Instant) -> str | None:
    """Why this customer cannot use the code for this showtime now, if so."""
    if not found.active:
        return "unknown"
    if found.valid_from is not None and now < found.valid_from:
        return "not_yet"
    if found.valid_to is not None and now >= found.valid_to:
        return "over"
    if found.currency not in (None, actor.snapshot.terms.tariff.currency):
        return "other_currency"
    if found.max_uses_per_customer is not None and GUEST in caller.roles:
        return "members_only"  # guests are made for nothing, so nobody could count what one of them uses
    return None
