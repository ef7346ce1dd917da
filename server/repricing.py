"""Setting the prices of a showtime: what is asked becomes a tariff, and its actor takes it for new holds.

A draft has only its row. For a showtime on sale the actor's log is the truth; the row beside it is written when the
actor has taken the prices.
"""

from dataclasses import replace
from typing import Annotated

from aiohttp import web
from pydantic import Field

from actors.seatmap.commands import Cause, Reprice
from actors.seatmap.refusals import Refused
from actors.seatmap.terms import Tariff
from persistence import prices, timetable
from persistence.database import Connection
from persistence.prices import PricedScreen, Unpriced
from persistence.timetable import Hall, Planned
from server import wire
from server.asking import problem
from server.errors import Problem, invalid, not_found
from server.keys import PLANNING, POOL, REGISTRY
from server.price_shapes import Bps, Priced, Rules, listed, ruled
from server.requests import Body, Id
from server.timetable import Amount, Selling, Word


class Pricing(Body):
    """What a showtime costs from now on. What is not named stays.

    `price_list_id` takes the prices of that list over those of screen, theatre and house; null those without it.
    `prices` replace single tickets; with `rules` all rules are replaced.
    """

    price_list_id: Id | None = None
    prices: Annotated[Priced, Field(min_length=1)] | None = None
    default_ticket_type: Word | None = None
    fee: Amount | None = None
    tax_bps: Bps | None = None
    tax_included: bool | None = None
    rules: Rules | None = None


async def reprice(
    request: web.Request, showtime_id: str, asked: Pricing, cause: Cause, revision: int | None = None
) -> bool:
    """Set the prices of a showtime; whether anything changed. Problems: 404, 409, 412, 422 category_unpriced."""
    registry = request.app[REGISTRY]
    known = await timetable.planned(request.app[POOL], showtime_id)
    if known is None:
        raise not_found("showtime")
    if known.showtime.status != "draft":
        await registry.actor(showtime_id)  # awake before a connection is held, because waking needs one too
    async with request.app[PLANNING], request.app[POOL].acquire() as connection, connection.transaction():
        await timetable.take_screens(connection, [known.terms.screen_id])
        present = await timetable.planned(connection, showtime_id)
        if present is None:
            raise not_found("showtime")
        if revision not in (None, present.revision):
            raise Problem(412, "precondition_failed", "Somebody changed this since you read it. Read it again.")
        tariff = await wanted(connection, asked, present)
        if present.showtime.status != "draft":
            tariff = await _sell_at(request, showtime_id, tariff, cause)
        if tariff == present.terms.tariff:
            return False
        await prices.write_tariff(connection, showtime_id, tariff)
        return True


async def wanted(connection: Connection, asked: Pricing, present: Planned) -> Tariff:
    """The tariff that is asked for. 422 category_unpriced, validation_failed."""
    (screen,) = await prices.screens(connection, screen_ids=[present.terms.screen_id])
    screen = replace(screen, categories=await prices.categories_of(connection, present.terms.layout_id))
    before = present.terms.tariff
    if "price_list_id" in asked.model_fields_set:
        before = replace(await from_lists(connection, screen, asked.price_list_id), version=before.version)
    return overlaid(before, asked, screen)


async def from_lists(connection: Connection, screen: PricedScreen, price_list_id: str | None) -> Tariff:
    """The tariff that the lists of a screen make. 422 category_unpriced, or no such list for this theatre."""
    try:
        applying = await prices.layers(connection, screen, price_list_id)
        if price_list_id is not None and price_list_id not in {each.id for each in applying}:
            raise invalid("price_list_id", "There is no such price list for this theatre.")
        return prices.merged(applying, screen)
    except Unpriced as error:
        raise unpriced(error) from None


async def usual(connection: Connection, hall: Hall, asked: Selling, price_list_id: str | None = None) -> Tariff | None:
    """What a new showtime costs by its lists; None where its planner names prices, or there are no lists. 422."""
    if asked.prices is not None and price_list_id is None:
        return None
    screen = PricedScreen(hall.id, hall.name, hall.theatre_id, hall.currency, hall.time_zone, hall.categories)
    if price_list_id is None and not await prices.layers(connection, screen):
        return None
    return await from_lists(connection, screen, price_list_id)


def overlaid(before: Tariff, asked: Pricing, screen: PricedScreen) -> Tariff:
    """A tariff with what is asked for on top. 422 category_unpriced."""
    cells = {category: dict(before.prices.get(category, {})) for category in screen.categories}
    for category, by_type in listed(asked.prices or ()).items():
        if category not in cells:
            raise invalid("prices", f"There is no category {category} here.")
        cells[category] |= by_type
    default = asked.default_ticket_type or before.default_ticket_type
    try:
        prices.demand_priced(cells, default)
    except Unpriced as error:
        raise unpriced(error) from None
    return replace(
        before,
        prices=cells,
        default_ticket_type=default,
        fee=before.fee if asked.fee is None else asked.fee,
        tax_bps=before.tax_bps if asked.tax_bps is None else asked.tax_bps,
        tax_included=before.tax_included if asked.tax_included is None else asked.tax_included,
        rules=before.rules if asked.rules is None else ruled(asked.rules),
        time_zone=screen.time_zone,
    )


def unpriced(error: Unpriced) -> Problem:
    named = ", ".join(error.categories)
    return Problem(422, "category_unpriced", f"The category {named} has no price.", categories=error.categories)


async def _sell_at(request: web.Request, showtime_id: str, tariff: Tariff, cause: Cause) -> Tariff:
    """What the showtime is sold at when its actor has heard of it."""
    reply = await request.app[REGISTRY].ask(showtime_id, Reprice(cause, tariff))
    if isinstance(reply.decision, Refused):
        raise problem(*wire.refused(reply.decision), cause)
    return reply.state.terms.tariff
