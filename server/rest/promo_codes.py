"""Promo codes over HTTP: made, changed, switched off. A code that was ever used stays, for the books."""

from dataclasses import replace
from typing import Annotated, Final

from aiohttp import hdrs, web
from pydantic import Field
from typing_extensions import TypedDict

from actors.ids import mint
from actors.seatmap.terms import Instant
from persistence import prices, promos
from persistence.moments import instant
from persistence.promos import CodeTaken, PromoCode, PromoFilter
from server.auth.identity import ADMIN, MANAGER, caller, require_staff_of
from server.errors import Problem, forbidden, invalid, not_found
from server.idempotency import idempotent
from server.keys import CLOCK, POOL
from server.listings import after_start
from server.operations import Operation
from server.price_shapes import Currency, Words
from server.promotions import plain
from server.requests import Body, Cursor, Id, Page, path_id, read_body, read_query
from server.responses import answer, no_content
from server.revisions import check, tagged
from server.shapes import Listed
from server.timetable import AMOUNT_MAX, Moment
from server.wire import rfc3339

PROMOTERS: Final = frozenset((MANAGER, ADMIN))
USES_MAX: Final = 1_000_000_000

Code = Annotated[str, Field(min_length=3, max_length=32, pattern=r"^[A-Za-z0-9_-]+$")]
Percent = Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)]
Off = Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
Seats = Annotated[int, Field(ge=1, le=100)]
Uses = Annotated[int, Field(ge=0, le=USES_MAX)]


class PromoChanges(Body):
    """What is named changes; null takes a bound away. A code takes off either percent of each ticket, or an amount of
    the whole booking in minor units of `currency`."""

    percent: Percent | None = None
    amount: Off | None = None
    currency: Currency | None = None
    min_seats: Seats | None = None
    ticket_types: Words | None = None
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    max_uses: Uses | None = None
    max_uses_per_customer: Uses | None = None
    active: bool | None = None


class NewPromo(PromoChanges):
    """Without a theatre it is good in all of them."""

    code: Code
    theatre_id: Id | None = None


class PromosQuery(Page):
    theatre_id: Id | None = None


class PromoShown(TypedDict):
    """`used` counts the bookings that have it and were not cancelled."""

    id: str
    code: str
    theatre_id: str | None
    percent: int | float | None
    amount: int | None
    currency: str | None
    min_seats: int
    ticket_types: list[str]
    valid_from: str | None
    valid_to: str | None
    max_uses: int | None
    max_uses_per_customer: int | None
    active: bool
    used: int
    created_at: str
    version: int


async def list_promos(request: web.Request) -> web.Response:
    """Those of all theatres, and those of the caller's."""
    who = caller(request)
    query = read_query(request, PromosQuery)
    if query.theatre_id is not None:
        require_staff_of(request, query.theatre_id)
    wanted = PromoFilter(
        theatre_ids=None if who.is_any(ADMIN) else tuple(who.theatres),
        theatre_id=query.theatre_id,
        after=after_start(Cursor.read(query.cursor)),
    )
    rows = await promos.promos(request.app[POOL], wanted, query.limit + 1)
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    page: Listed[PromoShown] = {
        "items": [_shape(each) for each in shown],
        "next_cursor": Cursor(key=str(last.created_at), id=last.id).text() if last else None,
    }
    return answer(page)


async def show_promo(request: web.Request) -> web.Response:
    found = await promos.promo(request.app[POOL], path_id(request, "promo_id", "promo_code"))
    if found is None:
        raise not_found("promo_code")
    if found.theatre_id is not None:
        require_staff_of(request, found.theatre_id)
    return _shown(found)


async def add_promo(request: web.Request) -> web.Response:
    asked = await read_body(request, NewPromo)
    now = request.app[CLOCK].now()
    home = await _demand_place(request, asked)
    blank = PromoCode(
        id=mint(now),
        code=plain(asked.code),
        theatre_id=asked.theatre_id,
        percent_bps=0,
        amount=0,
        currency=None,
        min_seats=1,
        ticket_types=(),
        valid_from=None,
        valid_to=None,
        max_uses=None,
        max_uses_per_customer=None,
        active=True,
        created_at=now,
    )
    new = _changed(blank, asked, home)
    try:
        await promos.add(request.app[POOL], new)
    except CodeTaken:
        raise Problem(409, "code_taken", "There is already a promotion with this code.") from None
    return _shown(new, 201)


async def change_promo(request: web.Request) -> web.Response:
    """For bookings from now on. 412 when somebody else has changed it since the caller looked."""
    asked = await read_body(request, PromoChanges)
    async with request.app[POOL].acquire() as connection, connection.transaction():
        promo_id = path_id(request, "promo_id", "promo_code")
        present = _demand_own(request, await promos.promo(connection, promo_id, locked=True))
        check(request, present.revision)
        home = None if present.theatre_id is None else await prices.currency_of(connection, present.theatre_id)
        changed = _changed(present, asked, home)
        if changed != present:
            await promos.write(connection, changed)
            changed = replace(changed, revision=present.revision + 1)
    return _shown(changed)


async def delete_promo(request: web.Request) -> web.Response:
    async with request.app[POOL].acquire() as connection, connection.transaction():
        promo_id = path_id(request, "promo_id", "promo_code")
        present = _demand_own(request, await promos.promo(connection, promo_id, locked=True))
        check(request, present.revision)
        if not await promos.remove(connection, present.id):
            raise Problem(409, "in_use", "This code has been used. It can be switched off: active false.")
    return no_content()


_ONE: Final = "/api/v1/admin/promo-codes/{promo_id}"
_CHANGE: Final = Operation(
    "PATCH", _ONE, change_promo, "Change a promo code, or switch it off.",
    access=PROMOTERS, answers={200: PromoShown}, asks=PromoChanges,
    problems=("promo_code_not_found", "precondition_failed"),
)  # fmt: skip
OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/admin/promo-codes", list_promos, "Promo codes, the oldest first.",
        access=PROMOTERS, answers={200: Listed[PromoShown]}, query=PromosQuery,
    ),
    Operation(
        "POST", "/api/v1/admin/promo-codes", idempotent(add_promo), "Make a promo code.",
        access=PROMOTERS, answers={201: PromoShown}, asks=NewPromo, problems=("code_taken",),
    ),
    Operation(
        "GET", _ONE, show_promo, "A promo code, and how often it has been used.",
        access=PROMOTERS, answers={200: PromoShown}, problems=("promo_code_not_found",),
    ),
    _CHANGE,
    _CHANGE.also("PUT", _ONE),
    Operation(
        "DELETE", _ONE, delete_promo, "Throw away a promo code that nobody has used.",
        access=PROMOTERS, answers={204: None}, problems=("promo_code_not_found", "in_use", "precondition_failed"),
    ),
)  # fmt: skip


async def _demand_place(request: web.Request, asked: NewPromo) -> str | None:
    """The currency of the theatre that is named, for a caller who may. 403, 422."""
    if asked.theatre_id is None:
        if not caller(request).is_any(ADMIN):
            raise forbidden("Only administrators make codes for all theatres.")
        return None
    require_staff_of(request, asked.theatre_id)
    currency = await prices.currency_of(request.app[POOL], asked.theatre_id)
    if currency is None:
        raise invalid("theatre_id", "There is no such theatre.")
    return currency


def _demand_own(request: web.Request, found: PromoCode | None) -> PromoCode:
    """A code that the caller may change. 404, 403 forbidden or out_of_scope."""
    if found is None:
        raise not_found("promo_code")
    if found.theatre_id is not None:
        require_staff_of(request, found.theatre_id)
    elif not caller(request).is_any(ADMIN):
        raise forbidden("Only administrators change codes for all theatres.")
    return found


def _changed(present: PromoCode, asked: PromoChanges, home: str | None) -> PromoCode:
    said = asked.model_fields_set
    changed = replace(
        _with_worth(present, asked, home),
        min_seats=asked.min_seats or present.min_seats,
        ticket_types=present.ticket_types if asked.ticket_types is None else tuple(asked.ticket_types),
        valid_from=_at(asked.valid_from) if "valid_from" in said else present.valid_from,
        valid_to=_at(asked.valid_to) if "valid_to" in said else present.valid_to,
        max_uses=asked.max_uses if "max_uses" in said else present.max_uses,
        max_uses_per_customer=(
            asked.max_uses_per_customer if "max_uses_per_customer" in said else present.max_uses_per_customer
        ),
        active=present.active if asked.active is None else asked.active,
    )
    if changed.valid_from is not None and changed.valid_to is not None and changed.valid_from >= changed.valid_to:
        raise invalid("valid_to", "It ends after it has begun.")
    return changed


def _with_worth(present: PromoCode, asked: PromoChanges, home: str | None) -> PromoCode:
    """What it takes off. 422 unless it is either percent, or an amount of a currency: that of its theatre, if any."""
    if home is not None and asked.currency not in (None, home):
        raise invalid("currency", f"This theatre sells in {home}.")
    if asked.percent is not None and asked.amount is not None:
        raise invalid("amount", "Give either percent or amount.")
    if asked.percent is not None:
        return replace(present, percent_bps=round(asked.percent * 100), amount=0, currency=None)
    amount, currency = asked.amount or present.amount, asked.currency or present.currency or home
    if not amount:
        if not present.percent_bps:
            raise invalid("percent", "Say what the code takes off: percent or amount.")
        return present
    if currency is None:
        raise invalid("currency", "An amount is of some currency.")
    return replace(present, percent_bps=0, amount=amount, currency=currency)


def _at(moment: Moment | None) -> Instant | None:
    return None if moment is None else instant(moment)


def _shown(found: PromoCode, status: int = 200) -> web.Response:
    headers = {**tagged(found.revision)}
    if status == 201:
        headers[hdrs.LOCATION] = f"/api/v1/admin/promo-codes/{found.id}"
    return answer(_shape(found), status, headers)


def _shape(found: PromoCode) -> PromoShown:
    bps = found.percent_bps
    return {
        "id": found.id,
        "code": found.code,
        "theatre_id": found.theatre_id,
        "percent": (bps / 100 if bps % 100 else bps // 100) if bps else None,
        "amount": found.amount or None,
        "currency": found.currency,
        "min_seats": found.min_seats,
        "ticket_types": list(found.ticket_types),
        "valid_from": None if found.valid_from is None else rfc3339(found.valid_from),
        "valid_to": None if found.valid_to is None else rfc3339(found.valid_to),
        "max_uses": found.max_uses,
        "max_uses_per_customer": found.max_uses_per_customer,
        "active": found.active,
        "used": found.used,
        "created_at": rfc3339(found.created_at),
        "version": found.revision,
    }
