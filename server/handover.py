"""What a guest holds goes along to the account that it signs in to."""

from contextlib import suppress

from aiohttp import web

from actors.failures import UnknownShowtime, WorldFailure
from actors.ids import mint_in
from actors.seatmap.commands import ActorKind, Cause, TakeOverHold
from server.auth.identity import GUEST, Identity
from server.keys import CLOCK, PEOPLE, REGISTRY, REQUEST_ID


async def bring_along(request: web.Request, guest: Identity | None, account_id: str) -> None:
    """Never a reason not to sign in: a hold that cannot change hands stays with the guest until it runs out.

    Showtimes that sleep are not woken for it; one that somebody has just chosen seats in is awake.
    """
    if guest is None or guest.roles != {GUEST} or guest.account_id == account_id:
        return
    app = request.app
    for state in app[PEOPLE].states_of(guest.account_id):
        for hold in [hold for hold in state.holds.values() if hold.owner == guest.account_id]:
            new_id = mint_in(state.number, app[CLOCK].now())
            why = Cause(new_id, ActorKind.CUSTOMER, account_id, request[REQUEST_ID])
            with suppress(WorldFailure, UnknownShowtime):
                await app[REGISTRY].ask(state.showtime_id, TakeOverHold(why, hold.id, new_id, guest.account_id))
