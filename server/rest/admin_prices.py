"""The prices of showtimes: of one, of many at once, and the table of what each screen would cost today."""

from typing import Annotated, Final

from aiohttp import hdrs, web
from pydantic import Field, model_validator
from typing_extensions import TypedDict

from actors.seatmap.terms import Tariff
from persistence import prices, timetable
from persistence.moments import instant
from persistence.prices import PricedScreen, PriceList, Unpriced
from persistence.programme import ProgrammeFilter
from server.auth.identity import ADMIN, MANAGER, caller, require_staff_of
from server.errors import Problem, invalid, not_found
from server.keys import POOL
from server.listings import PlannedCard, planned_card
from server.operations import Operation
from server.planning import planner
from server.price_shapes import QuoteShown, RuleShown, exponent, quotes_shown, rules_shown
from server.repricing import Pricing, reprice
from server.requests import Id, Query, path_id, read_body, read_query
from server.responses import answer
from server.revisions import check, tagged
from server.timetable import Moment

PRICERS: Final = frozenset((MANAGER, ADMIN))
SHOWTIMES_MAX: Final = 500


class BulkPricing(Pricing):
    """Showtimes by name, or those of a theatre or a screen that begin from `from` until before `to`."""

    showtime_ids: Annotated[list[Id], Field(min_length=1, max_length=SHOWTIMES_MAX)] | None = None
    theatre_id: Id | None = None
    screen_id: Id | None = None
    since: Moment | None = Field(None, alias="from")
    until: Moment | None = Field(None, alias="to")

    @model_validator(mode="after")
    def _which(self) -> "BulkPricing":
        if sum(each is not None for each in (self.showtime_ids, self.theatre_id, self.screen_id)) != 1:
            raise ValueError("name showtimes, a theatre or a screen")
        return self


class MatrixQuery(Query):
    theatre_id: Id


class Unchanged(TypedDict):
    showtime_id: str
    reason: str
    detail: str


class Repriced(TypedDict):
    """`unchanged` cost that already."""

    changed: list[str]
    unchanged: list[str]
    refused: list[Unchanged]


class Source(TypedDict):
    """A list that has a say, the broadest first."""

    id: str
    name: str
    scope: str


class PricedScreenShown(TypedDict):
    """What a showtime planned now without prices of its own would cost. `unpriced` categories keep it from that."""

    screen_id: str
    name: str
    default_ticket_type: str | None
    prices: list[QuoteShown]
    rules: list[RuleShown]
    unpriced: list[str]
    price_lists: list[Source]


class Matrix(TypedDict):
    theatre_id: str
    currency: str
    exponent: int
    screens: list[PricedScreenShown]


async def change_pricing(request: web.Request) -> web.Response:
    """New holds pay the new prices; what is held or booked keeps its own. 412 when somebody was faster."""
    showtime_id = path_id(request, "showtime_id", "showtime")
    present = await timetable.planned(request.app[POOL], showtime_id)
    if present is None:
        raise not_found("showtime")
    who = require_staff_of(request, present.showtime.theatre_id)
    asked = await read_body(request, Pricing)
    check(request, present.revision)
    seen = present.revision if hdrs.IF_MATCH in request.headers else None
    await reprice(request, showtime_id, asked, planner(request, who), seen)
    now = await timetable.planned(request.app[POOL], showtime_id)
    if now is None:
        raise not_found("showtime")
    return answer(planned_card(request, now), headers={**tagged(now.revision)})


async def change_many(request: web.Request) -> web.Response:
    """Each showtime on its own: what cannot be repriced is named, the others are."""
    asked = await read_body(request, BulkPricing)
    cause = planner(request, caller(request))
    told: Repriced = {"changed": [], "unchanged": [], "refused": []}
    for showtime_id in await _named(request, asked):
        try:
            changed = await reprice(request, showtime_id, asked, cause)
            told["changed" if changed else "unchanged"].append(showtime_id)
        except Problem as problem:
            told["refused"].append({"showtime_id": showtime_id, "reason": problem.code, "detail": problem.detail})
    return answer(told)


async def show_matrix(request: web.Request) -> web.Response:
    query = read_query(request, MatrixQuery)
    require_staff_of(request, query.theatre_id)
    async with request.app[POOL].acquire() as connection:
        currency = await prices.currency_of(connection, query.theatre_id)
        if currency is None:
            raise not_found("theatre")
        screens = await prices.screens(connection, theatre_id=query.theatre_id)
        shown = [_screen(screen, await prices.layers(connection, screen)) for screen in screens]
    matrix: Matrix = {
        "theatre_id": query.theatre_id,
        "currency": currency,
        "exponent": exponent(currency),
        "screens": shown,
    }
    return answer(matrix)


_ONE: Final = "/api/v1/admin/showtimes/{showtime_id}/pricing"
_UNFIT: Final = ("category_unpriced", "currency_differs", "showtime_cancelled", "showtime_over")
_MANY: Final = "/api/v1/admin/pricing"
_PATCH_ONE: Final = Operation(
    "PATCH", _ONE, change_pricing, "Set the prices of a showtime, for new holds.",
    access=PRICERS, answers={200: PlannedCard}, asks=Pricing,
    problems=("showtime_not_found", "precondition_failed", *_UNFIT),
)  # fmt: skip
_PATCH_MANY: Final = Operation(
    "PATCH", _MANY, change_many, "Set the prices of many showtimes, for new holds.",
    access=PRICERS, answers={200: Repriced}, asks=BulkPricing, problems=("showtime_not_found",),
)  # fmt: skip
OPERATIONS: Final = (
    _PATCH_ONE,
    _PATCH_ONE.also("PUT", _ONE),
    _PATCH_MANY,
    _PATCH_MANY.also("PUT", _MANY),
    Operation(
        "GET", "/api/v1/admin/pricing/matrix", show_matrix, "What each screen of a theatre costs by its price lists.",
        access=PRICERS, answers={200: Matrix}, query=MatrixQuery, problems=("theatre_not_found",),
    ),
)  # fmt: skip


async def _named(request: web.Request, asked: BulkPricing) -> list[str]:
    """The showtimes that are meant, of theatres that are the caller's. 403 out_of_scope, 404, 422."""
    pool = request.app[POOL]
    if asked.showtime_ids is not None:
        found = await timetable.plans_by_id(pool, asked.showtime_ids)
        if len(found) < len(set(asked.showtime_ids)):
            raise not_found("showtime")
    else:
        wanted = ProgrammeFilter(
            theatre_id=asked.theatre_id,
            screen_id=asked.screen_id,
            since=None if asked.since is None else instant(asked.since),
            until=None if asked.until is None else instant(asked.until),
            theatre_ids=None if caller(request).is_any(ADMIN) else tuple(caller(request).theatres),
            drafts=True,
        )
        await _demand_own_place(request, asked)
        planned = await timetable.plans(pool, wanted, SHOWTIMES_MAX + 1)
        found = [plan for plan in planned if plan.showtime.status in ("draft", "scheduled", "running")]
    if len(found) > SHOWTIMES_MAX:
        raise invalid("", f"{SHOWTIMES_MAX} showtimes can be repriced at once.")
    for plan in found:
        require_staff_of(request, plan.showtime.theatre_id)
    return [plan.showtime.id for plan in found]


async def _demand_own_place(request: web.Request, asked: BulkPricing) -> None:
    theatre_id = asked.theatre_id
    if asked.screen_id is not None:
        theatre_id = (await timetable.theatres_of_screens(request.app[POOL], [asked.screen_id])).get(asked.screen_id)
        if theatre_id is None:
            raise invalid("screen_id", "There is no such screen.")
    assert theatre_id is not None, "the body names a theatre where it names nothing else"
    require_staff_of(request, theatre_id)


def _screen(screen: PricedScreen, applying: list[PriceList]) -> PricedScreenShown:
    tariff, missing = _resolved(screen, applying)
    return {
        "screen_id": screen.id,
        "name": screen.name,
        "default_ticket_type": None if tariff is None else tariff.default_ticket_type,
        "prices": [] if tariff is None else quotes_shown(tariff),
        "rules": [] if tariff is None else rules_shown(tariff.rules),
        "unpriced": missing,
        "price_lists": [{"id": each.id, "name": each.name, "scope": each.scope} for each in applying],
    }


def _resolved(screen: PricedScreen, applying: list[PriceList]) -> tuple[Tariff | None, list[str]]:
    try:
        return prices.merged(applying, screen), []
    except Unpriced as error:
        return None, error.categories
