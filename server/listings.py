"""How showtimes look on the wire, in lists and on their own pages.

Lists show live figures: the resident actor's where there is one, else the row that the journal keeps beside the log.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from aiohttp import web
from typing_extensions import TypedDict

from actors.seatmap.pricing import ruled_line
from actors.seatmap.terms import Instant, PriceRule, Tariff
from actors.seatmap.view import FEW_LEFT_PART, FEW_LEFT_SEATS, public_status
from persistence import programme
from persistence.programme import ProgrammeFilter, Showtime, ShowtimeDetail
from persistence.timetable import Planned
from server import wire
from server.errors import invalid
from server.keys import CLOCK, POOL, REGISTRY
from server.requests import Cursor, Page
from server.shapes import Listed, Money, PolicyLine
from server.wire import money, rfc3339


class MovieOf(TypedDict):
    id: str
    title: str
    duration_minutes: int
    certificate: str
    genres: tuple[str, ...]
    poster_url: str | None


class TheatreOf(TypedDict):
    id: str
    name: str
    city: str
    time_zone: str


class ScreenOf(TypedDict):
    id: str
    name: str


class ShowtimeCard(TypedDict):
    """`business_date` is the cinema day, which begins at six in the morning."""

    id: str
    movie: MovieOf
    theatre: TheatreOf
    screen: ScreenOf
    starts_at: str
    feature_starts_at: str
    ends_at: str
    starts_at_local: str
    business_date: date
    language: str
    format: str
    status: str
    sales: str
    sales_open_at: str
    sales_close_at: str
    price_from: Money
    free_seats: int
    capacity: int
    layout_id: str
    allocated: bool


class PriceLine(TypedDict):
    """Minor units of `currency`; `total` is what a customer pays."""

    category: str
    ticket_type: str
    amount: int
    fee: int
    tax: int
    total: int
    currency: str


class ShowtimePage(ShowtimeCard):
    prices: list[PriceLine]
    default_ticket_type: str
    hold_ttl_s: int
    max_seats: int
    cancellation_policy: list[PolicyLine]


class PlannedCard(ShowtimePage):
    """A showtime as its planners see it: prices before any rule. `version` is what `If-Match` compares."""

    movie_id: str
    screen_id: str
    fee: int
    tax_bps: int
    trailers_minutes: int
    cleaning_minutes: int
    clear_at: str
    orphan_rule: str
    version: int


def showtime_card(request: web.Request, showtime: Showtime) -> ShowtimeCard:
    if (actor := request.app[REGISTRY].resident(showtime.id)) is not None:
        free = actor.snapshot.free
        status, sales = public_status(actor.snapshot)
    else:
        free = showtime.free_seats
        status, sales = _by_now(showtime, request.app[CLOCK].now())
    return {
        "id": showtime.id,
        "movie": {
            "id": showtime.movie_id,
            "title": showtime.movie_title,
            "duration_minutes": showtime.movie_minutes,
            "certificate": showtime.movie_certificate,
            "genres": showtime.movie_genres,
            "poster_url": showtime.movie_poster_url,
        },
        "theatre": {
            "id": showtime.theatre_id,
            "name": showtime.theatre_name,
            "city": showtime.theatre_city,
            "time_zone": showtime.time_zone,
        },
        "screen": {"id": showtime.screen_id, "name": showtime.screen_name},
        "starts_at": rfc3339(showtime.starts_at),
        "feature_starts_at": rfc3339(showtime.feature_starts_at),
        "ends_at": rfc3339(showtime.ends_at),
        "starts_at_local": showtime.local_start.isoformat(timespec="seconds"),
        "business_date": showtime.business_date,
        "language": showtime.language,
        "format": showtime.format,
        "status": status,
        "sales": sales,
        "sales_open_at": rfc3339(showtime.sales_open_at),
        "sales_close_at": rfc3339(showtime.sales_close_at),
        "price_from": money(showtime.price_from, showtime.currency),
        "free_seats": free,
        "capacity": showtime.capacity,
        "layout_id": showtime.layout_id,
        "allocated": True,
    }


def showtime_page(request: web.Request, detail: ShowtimeDetail, rules: Sequence[PriceRule] = ()) -> ShowtimePage:
    """A showtime's own page: its card, what seats cost all-in under `rules`, and how one holds and cancels."""
    return {
        **showtime_card(request, detail.showtime),
        "prices": _prices(detail.tariff, rules),
        "default_ticket_type": detail.tariff.default_ticket_type,
        "hold_ttl_s": detail.hold_seconds,
        "max_seats": detail.seats_per_customer_max,
        "cancellation_policy": wire.policy(detail.refund_policy, detail.tariff.currency),
    }


def planned_card(request: web.Request, planned: Planned) -> PlannedCard:
    """A showtime with all that its planners know and decide."""
    terms = planned.terms
    detail = ShowtimeDetail(
        planned.showtime, terms.tariff, terms.refund_policy, terms.hold_seconds, terms.seats_per_customer_max
    )
    return {
        **showtime_page(request, detail),
        "movie_id": terms.movie_id,
        "screen_id": terms.screen_id,
        "fee": terms.tariff.fee,
        "tax_bps": terms.tariff.tax_bps,
        "trailers_minutes": planned.preshow_minutes,
        "cleaning_minutes": planned.cleaning_minutes,
        "clear_at": rfc3339(planned.clear_at),
        "orphan_rule": terms.orphan_rule.value,
        "version": planned.revision,
    }


def _prices(tariff: Tariff, rules: Sequence[PriceRule]) -> list[PriceLine]:
    quotes = [
        ruled_line(tariff, "", category, ticket_type, rules)
        for category, by_type in tariff.prices.items()
        for ticket_type in by_type
    ]
    return [
        {
            "category": quote.category,
            "ticket_type": quote.ticket_type,
            "amount": quote.amount,
            "fee": quote.fee,
            "tax": quote.tax,
            "total": quote.total,
            "currency": tariff.currency,
        }
        for quote in quotes
    ]


def _by_now(showtime: Showtime, now: Instant) -> tuple[str, str]:
    """Status and sales of a showtime that sleeps: the row, and what has fallen due since it was written."""
    status, sales = showtime.status, showtime.sales
    if status in ("scheduled", "running"):
        if sales == "not_open" and showtime.sales_open_at <= now:
            sales = "open"
        if sales == "open" and showtime.sales_close_at <= now:
            sales = "closed"
        if showtime.starts_at <= now:
            status = "running" if now < showtime.ends_at else "completed"
    if sales != "open":
        return status, sales
    if showtime.free_seats == 0:
        return status, "sold_out"
    few = max(FEW_LEFT_SEATS, showtime.capacity // FEW_LEFT_PART)
    return status, "few_left" if showtime.free_seats <= few else "open"


async def showtime_list(request: web.Request, wanted: ProgrammeFilter, page: Page) -> Listed[ShowtimeCard]:
    """A page of showtimes by start."""
    rows = await programme.showtimes(request.app[POOL], wanted, page.limit + 1)
    shown = rows[: page.limit]
    last = shown[-1] if len(rows) > page.limit else None
    return {
        "items": [showtime_card(request, row) for row in shown],
        "next_cursor": Cursor(key=str(last.starts_at), id=last.id).text() if last else None,
    }


def after_start(cursor: Cursor | None) -> tuple[Instant, str] | None:
    """Where a list of showtimes goes on."""
    if cursor is None:
        return None
    if not cursor.key.isdecimal() or len(cursor.key) > 14:
        raise invalid("cursor", "This cursor was not made by this server.")
    return int(cursor.key), cursor.id


def days_from(first: date, count: int) -> tuple[date, date]:
    """`count` cinema days from `first`: the first wanted and the first not wanted."""
    return first, first + timedelta(days=count)
