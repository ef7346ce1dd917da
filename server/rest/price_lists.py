"""Price lists over HTTP: made, looked at, changed and thrown away by those who set the prices of a theatre.

A changed list is for showtimes planned from now on; those on sale follow when their prices are set from the lists
again (`PATCH /admin/pricing`).
"""

from dataclasses import replace
from typing import Annotated, Final, Literal

from aiohttp import hdrs, web
from pydantic import Field
from typing_extensions import TypedDict

from actors.ids import mint
from persistence import prices
from persistence.prices import PricedScreen, PriceList, PriceListFilter, ScopeTaken
from server.auth.details import Name
from server.auth.identity import ADMIN, MANAGER, caller, require_staff_of
from server.errors import Problem, forbidden, invalid, not_found
from server.idempotency import idempotent
from server.keys import CLOCK, POOL
from server.listings import after_start
from server.operations import Operation
from server.price_shapes import (
    Bps,
    Currency,
    Priced,
    PriceShown,
    Rules,
    RuleShown,
    exponent,
    listed,
    prices_shown,
    ruled,
    rules_shown,
)
from server.requests import Body, Cursor, Id, Page, path_id, read_body, read_query
from server.responses import answer, no_content
from server.revisions import check, tagged
from server.shapes import Listed
from server.timetable import Amount, Word
from server.wire import rfc3339

PRICERS: Final = frozenset((MANAGER, ADMIN))


class NewPriceList(Body):
    """For all theatres with a currency, a theatre, a screen, or for showtimes of a theatre that name it."""

    name: Name
    scope: Literal["global", "theatre", "screen", "showtime"]
    theatre_id: Id | None = None
    screen_id: Id | None = None
    currency: Currency | None = None
    prices: Annotated[Priced, Field(min_length=1)]
    default_ticket_type: Word | None = None
    fee: Amount | None = None
    tax_bps: Bps | None = None
    tax_included: bool | None = None
    rules: Rules | None = None


class PriceListChanges(Body):
    """What is named changes; null takes back what the list said. Prices and rules are replaced as a whole."""

    name: Name | None = None
    prices: Annotated[Priced, Field(min_length=1)] | None = None
    default_ticket_type: Word | None = None
    fee: Amount | None = None
    tax_bps: Bps | None = None
    tax_included: bool | None = None
    rules: Rules | None = None


class PriceListsQuery(Page):
    theatre_id: Id | None = None


class PriceListShown(TypedDict):
    """Amounts are minor units: the currency has `exponent` decimals. What is null is left to broader lists."""

    id: str
    name: str
    scope: str
    theatre_id: str | None
    screen_id: str | None
    currency: str
    exponent: int
    prices: list[PriceShown]
    default_ticket_type: str | None
    fee: int | None
    tax_bps: int | None
    tax_included: bool | None
    rules: list[RuleShown] | None
    created_at: str
    version: int


async def list_price_lists(request: web.Request) -> web.Response:
    """Those of all theatres, and those of the caller's."""
    who = caller(request)
    query = read_query(request, PriceListsQuery)
    if query.theatre_id is not None:
        require_staff_of(request, query.theatre_id)
    wanted = PriceListFilter(
        theatre_ids=None if who.is_any(ADMIN) else tuple(who.theatres),
        theatre_id=query.theatre_id,
        after=after_start(Cursor.read(query.cursor)),
    )
    rows = await prices.price_lists(request.app[POOL], wanted, query.limit + 1)
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    page: Listed[PriceListShown] = {
        "items": [_shape(each) for each in shown],
        "next_cursor": Cursor(key=str(last.created_at), id=last.id).text() if last else None,
    }
    return answer(page)


async def show_price_list(request: web.Request) -> web.Response:
    found = await prices.price_list(request.app[POOL], path_id(request, "price_list_id", "price_list"))
    if found is None:
        raise not_found("price_list")
    if found.theatre_id is not None:
        require_staff_of(request, found.theatre_id)
    return _shown(found)


async def add_price_list(request: web.Request) -> web.Response:
    asked = await read_body(request, NewPriceList)
    theatre_id, currency = await _place(request, asked)
    now = request.app[CLOCK].now()
    new = PriceList(
        id=mint(now),
        name=asked.name,
        scope=asked.scope,
        theatre_id=theatre_id,
        screen_id=asked.screen_id,
        currency=currency,
        prices=listed(asked.prices),
        default_ticket_type=asked.default_ticket_type,
        fee=asked.fee,
        tax_bps=asked.tax_bps,
        tax_included=asked.tax_included,
        rules=None if asked.rules is None else ruled(asked.rules),
        created_at=now,
    )
    try:
        await prices.add(request.app[POOL], new)
    except ScopeTaken:
        raise Problem(409, "scope_taken", "There is already a price list for this place. Change that one.") from None
    return _shown(new, 201)


async def change_price_list(request: web.Request) -> web.Response:
    """412 when somebody else has changed it since the caller looked."""
    asked = await read_body(request, PriceListChanges)
    async with request.app[POOL].acquire() as connection, connection.transaction():
        present = _demand_own(
            request,
            await prices.price_list(connection, path_id(request, "price_list_id", "price_list"), locked=True),
        )
        check(request, present.revision)
        changed = _changed(present, asked)
        if changed != present:
            await prices.write(connection, changed)
            changed = replace(changed, revision=present.revision + 1)
    return _shown(changed)


async def delete_price_list(request: web.Request) -> web.Response:
    """Showtimes keep the prices they have from it."""
    async with request.app[POOL].acquire() as connection, connection.transaction():
        price_list_id = path_id(request, "price_list_id", "price_list")
        present = _demand_own(request, await prices.price_list(connection, price_list_id, locked=True))
        check(request, present.revision)
        await prices.remove(connection, present.id)
    return no_content()


_ONE: Final = "/api/v1/admin/price-lists/{price_list_id}"
_CHANGE: Final = Operation(
    "PATCH", _ONE, change_price_list, "Change a price list.",
    access=PRICERS, answers={200: PriceListShown}, asks=PriceListChanges,
    problems=("price_list_not_found", "precondition_failed"),
)  # fmt: skip
OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/admin/price-lists", list_price_lists, "Price lists, the oldest first.",
        access=PRICERS, answers={200: Listed[PriceListShown]}, query=PriceListsQuery,
    ),
    Operation(
        "POST", "/api/v1/admin/price-lists", idempotent(add_price_list), "Make a price list.",
        access=PRICERS, answers={201: PriceListShown}, asks=NewPriceList, problems=("scope_taken",),
    ),
    Operation(
        "GET", _ONE, show_price_list, "A price list.",
        access=PRICERS, answers={200: PriceListShown}, problems=("price_list_not_found",),
    ),
    _CHANGE,
    _CHANGE.also("PUT", _ONE),
    Operation(
        "DELETE", _ONE, delete_price_list, "Throw a price list away; showtimes keep their prices.",
        access=PRICERS, answers={204: None}, problems=("price_list_not_found", "precondition_failed"),
    ),
)  # fmt: skip


async def _place(request: web.Request, asked: NewPriceList) -> tuple[str | None, str]:
    """The theatre and the currency of a new list. 403 out_of_scope, 422."""
    if asked.scope == "global":
        if asked.theatre_id or asked.screen_id:
            raise invalid("scope", "A list for all theatres names none.")
        if not caller(request).is_any(ADMIN):
            raise forbidden("Only administrators set prices for all theatres.")
        if asked.currency is None:
            raise invalid("currency", "A list for all theatres says for which currency.")
        return None, asked.currency
    theatre_id, currency = await _own_theatre(request, asked)
    if asked.currency not in (None, currency):
        raise invalid("currency", f"This theatre sells in {currency}.")
    return theatre_id, currency


async def _own_theatre(request: web.Request, asked: NewPriceList) -> tuple[str, str]:
    pool = request.app[POOL]
    if asked.scope == "screen":
        if asked.screen_id is None:
            raise invalid("screen_id", "Say for which screen.")
        screens: list[PricedScreen] = await prices.screens(pool, screen_ids=[asked.screen_id])
        if not screens or asked.theatre_id not in (None, screens[0].theatre_id):
            raise invalid("screen_id", "There is no such screen.")
        require_staff_of(request, screens[0].theatre_id)
        return screens[0].theatre_id, screens[0].currency
    if asked.theatre_id is None or asked.screen_id is not None:
        raise invalid("theatre_id", "Say for which theatre, and no screen.")
    require_staff_of(request, asked.theatre_id)
    currency = await prices.currency_of(pool, asked.theatre_id)
    if currency is None:
        raise invalid("theatre_id", "There is no such theatre.")
    return asked.theatre_id, currency


def _demand_own(request: web.Request, found: PriceList | None) -> PriceList:
    """A list that the caller may change. 404, 403 forbidden or out_of_scope."""
    if found is None:
        raise not_found("price_list")
    if found.theatre_id is not None:
        require_staff_of(request, found.theatre_id)
    elif not caller(request).is_any(ADMIN):
        raise forbidden("Only administrators set prices for all theatres.")
    return found


def _changed(present: PriceList, asked: PriceListChanges) -> PriceList:
    said = asked.model_fields_set
    return replace(
        present,
        name=asked.name or present.name,
        prices=listed(asked.prices) if asked.prices else present.prices,
        default_ticket_type=asked.default_ticket_type if "default_ticket_type" in said else present.default_ticket_type,
        fee=asked.fee if "fee" in said else present.fee,
        tax_bps=asked.tax_bps if "tax_bps" in said else present.tax_bps,
        tax_included=asked.tax_included if "tax_included" in said else present.tax_included,
        rules=(None if asked.rules is None else ruled(asked.rules)) if "rules" in said else present.rules,
    )


def _shown(found: PriceList, status: int = 200) -> web.Response:
    headers = {**tagged(found.revision)}
    if status == 201:
        headers[hdrs.LOCATION] = f"/api/v1/admin/price-lists/{found.id}"
    return answer(_shape(found), status, headers)


def _shape(found: PriceList) -> PriceListShown:
    return {
        "id": found.id,
        "name": found.name,
        "scope": found.scope,
        "theatre_id": found.theatre_id,
        "screen_id": found.screen_id,
        "currency": found.currency,
        "exponent": exponent(found.currency),
        "prices": prices_shown(found.prices),
        "default_ticket_type": found.default_ticket_type,
        "fee": found.fee,
        "tax_bps": found.tax_bps,
        "tax_included": found.tax_included,
        "rules": None if found.rules is None else rules_shown(found.rules),
        "created_at": rfc3339(found.created_at),
        "version": found.revision,
    }
