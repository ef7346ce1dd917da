"""Price lists, and the tariff that comes of those that apply to a screen.

Lists lie on each other: the one of all theatres, the theatre's, the screen's, and the one a showtime names. Of each
price, and of everything else a list can say, the narrowest list that says it counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
import orjson

from actors.seatmap.terms import Instant, PriceRule, Tariff
from persistence.codec import rules_in
from persistence.database import Executor
from persistence.moments import instant, moment

ADULT: Final = "adult"
"""The ticket type of somebody who names none, where no list says another and every category has it."""

Prices = Mapping[str, Mapping[str, int]]


class ScopeTaken(Exception):
    """There is already a list for this place and currency."""


class Unpriced(Exception):
    """Categories of a layout that the lists leave without a price for the usual ticket."""

    def __init__(self, categories: Sequence[str]) -> None:
        super().__init__(", ".join(categories))
        self.categories = list(categories)


@dataclass(frozen=True, slots=True)
class PriceList:
    """What is None is not said: a broader list may say it."""

    id: str
    name: str
    scope: str
    theatre_id: str | None
    screen_id: str | None
    currency: str
    prices: Prices
    default_ticket_type: str | None
    fee: int | None
    tax_bps: int | None
    tax_included: bool | None
    rules: tuple[PriceRule, ...] | None
    created_at: Instant
    revision: int = 1


@dataclass(frozen=True, slots=True)
class PriceListFilter:
    """`theatre_ids` None is every theatre; lists of all theatres are always among them. `after` is (created, id)."""

    theatre_ids: tuple[str, ...] | None = None
    theatre_id: str | None = None
    after: tuple[Instant, str] | None = None


@dataclass(frozen=True, slots=True)
class PricedScreen:
    """A screen with what it needs to be priced."""

    id: str
    name: str
    theatre_id: str
    currency: str
    time_zone: str
    categories: tuple[str, ...]


_COLUMNS: Final = """id, name, scope, theatre_id, screen_id, currency, prices, default_ticket_type, fee, tax_bps,
    tax_included, rules, created_at, revision"""
_BREADTH: Final = {"global": 0, "theatre": 1, "screen": 2, "showtime": 3}


async def add(connection: Executor, new: PriceList) -> None:
    """ScopeTaken."""
    try:
        await connection.execute(
            f"INSERT INTO price_list ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            new.id, new.name, new.scope, new.theatre_id, new.screen_id, new.currency, _prices_out(new.prices),
            new.default_ticket_type, new.fee, new.tax_bps, new.tax_included, _rules_out(new.rules),
            moment(new.created_at), new.revision,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise ScopeTaken from error


async def write(connection: Executor, changed: PriceList) -> None:
    """Everything but its place, as its next revision."""
    await connection.execute(
        """
        UPDATE price_list SET name = $2, prices = $3, default_ticket_type = $4, fee = $5, tax_bps = $6,
            tax_included = $7, rules = $8, revision = revision + 1
        WHERE id = $1
        """,
        changed.id, changed.name, _prices_out(changed.prices), changed.default_ticket_type, changed.fee,
        changed.tax_bps, changed.tax_included, _rules_out(changed.rules),
    )  # fmt: skip


async def remove(connection: Executor, price_list_id: str) -> None:
    await connection.execute("DELETE FROM price_list WHERE id = $1", price_list_id)


async def price_list(connection: Executor, price_list_id: str, *, locked: bool = False) -> PriceList | None:
    lock = "FOR UPDATE" if locked else ""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM price_list WHERE id = $1 {lock}", price_list_id)
    return None if row is None else _list(row)


async def price_lists(connection: Executor, wanted: PriceListFilter, limit: int) -> list[PriceList]:
    """The oldest first."""
    created_at, after_id = wanted.after or (None, None)
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM price_list
        WHERE ($1::uuid[] IS NULL OR theatre_id IS NULL OR theatre_id = ANY($1::uuid[]))
          AND ($2::uuid IS NULL OR theatre_id = $2::uuid)
          AND ($3::timestamptz IS NULL OR (created_at, id) > ($3, $4::uuid))
        ORDER BY created_at, id LIMIT $5
        """,
        wanted.theatre_ids, wanted.theatre_id, None if created_at is None else moment(created_at), after_id, limit,
    )  # fmt: skip
    return [_list(row) for row in rows]


async def screens(
    connection: Executor, *, theatre_id: str | None = None, screen_ids: Sequence[str] | None = None
) -> list[PricedScreen]:
    """Screens by name: those of a theatre, or those named."""
    rows = await connection.fetch(
        """
        SELECT c.id, c.name, c.theatre_id, t.currency, t.time_zone,
            ARRAY(SELECT category->>'key' FROM jsonb_array_elements(l.plan->'categories') category) AS categories
        FROM screen c JOIN layout l ON l.id = c.layout_id JOIN theatre t ON t.id = c.theatre_id
        WHERE ($1::uuid IS NULL OR c.theatre_id = $1) AND ($2::uuid[] IS NULL OR c.id = ANY($2)) ORDER BY c.name, c.id
        """,
        theatre_id, screen_ids,
    )  # fmt: skip
    return [
        PricedScreen(
            id=str(row["id"]),
            name=row["name"],
            theatre_id=str(row["theatre_id"]),
            currency=row["currency"],
            time_zone=row["time_zone"],
            categories=tuple(row["categories"]),
        )
        for row in rows
    ]


async def currency_of(connection: Executor, theatre_id: str) -> str | None:
    found: str | None = await connection.fetchval("SELECT currency FROM theatre WHERE id = $1", theatre_id)
    return found


async def categories_of(connection: Executor, layout_id: str) -> tuple[str, ...]:
    """The keys of a layout's categories, in its order."""
    found = await connection.fetchval(
        "SELECT ARRAY(SELECT c->>'key' FROM jsonb_array_elements(plan->'categories') c) FROM layout WHERE id = $1",
        layout_id,
    )
    return tuple(found or ())


async def layers(connection: Executor, screen: PricedScreen, price_list_id: str | None = None) -> list[PriceList]:
    """The lists that apply to a screen, the broadest first; `price_list_id` is the one a showtime names."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM price_list
        WHERE currency = $1 AND (scope = 'global' OR (scope = 'theatre' AND theatre_id = $2) OR screen_id = $3
            OR (id = $4 AND scope = 'showtime' AND theatre_id = $2))
        """,
        screen.currency, screen.theatre_id, screen.id, price_list_id,
    )  # fmt: skip
    return sorted(map(_list, rows), key=lambda each: _BREADTH[each.scope])


async def resolve(connection: Executor, screen: PricedScreen, price_list_id: str | None = None) -> Tariff | None:
    """What its lists make a screen cost; None where no list applies. Unpriced."""
    applying = await layers(connection, screen, price_list_id)
    return merged(applying, screen) if applying else None


def merged(applying: Sequence[PriceList], screen: PricedScreen) -> Tariff:
    """The tariff of lists that lie on each other, the broadest first. Unpriced."""
    prices: dict[str, dict[str, int]] = {category: {} for category in screen.categories}
    default, fee, tax_bps, tax_included, rules = None, 0, 0, False, tuple[PriceRule, ...]()
    for each in applying:
        for category in screen.categories:
            prices[category].update(each.prices.get(category, {}))
        default = each.default_ticket_type or default
        fee = fee if each.fee is None else each.fee
        tax_bps = tax_bps if each.tax_bps is None else each.tax_bps
        tax_included = tax_included if each.tax_included is None else each.tax_included
        rules = rules if each.rules is None else each.rules
    default = default or usual_ticket_type(prices)
    demand_priced(prices, default)
    return Tariff(screen.currency, prices, default, fee, tax_bps, tax_included, rules, screen.time_zone)


def usual_ticket_type(prices: Prices) -> str:
    """What somebody is sold who names no ticket type, where nobody has said."""
    if all(ADULT in by_type for by_type in prices.values()):
        return ADULT
    return next((ticket_type for by_type in prices.values() for ticket_type in by_type), ADULT)


def demand_priced(prices: Prices, ticket_type: str) -> None:
    """Unpriced, naming the categories that have no price for this ticket."""
    if missing := [category for category, by_type in prices.items() if ticket_type not in by_type]:
        raise Unpriced(missing)


def cheapest(tariff: Tariff) -> int:
    """What the programme shows as the price a showtime begins at."""
    return min(by_type[tariff.default_ticket_type] for by_type in tariff.prices.values())


async def write_tariff(connection: Executor, showtime_id: str, tariff: Tariff) -> None:
    """A showtime's row, after its actor has taken the prices."""
    await connection.execute(
        "UPDATE showtime SET tariff = $2, price_from = $3, revision = revision + 1 WHERE id = $1",
        showtime_id, orjson.dumps(tariff), cheapest(tariff),
    )  # fmt: skip


def _prices_out(prices: Prices) -> bytes:
    """As pairs: `jsonb` would forget the order in which a box office lists its tickets."""
    return orjson.dumps([[category, list(by_type.items())] for category, by_type in prices.items()])


def _rules_out(rules: tuple[PriceRule, ...] | None) -> bytes | None:
    return None if rules is None else orjson.dumps(rules)


def _list(row: asyncpg.Record) -> PriceList:
    return PriceList(
        id=str(row["id"]),
        name=row["name"],
        scope=row["scope"],
        theatre_id=_text(row["theatre_id"]),
        screen_id=_text(row["screen_id"]),
        currency=row["currency"],
        prices={category: dict(pairs) for category, pairs in orjson.loads(row["prices"])},
        default_ticket_type=row["default_ticket_type"],
        fee=row["fee"],
        tax_bps=row["tax_bps"],
        tax_included=row["tax_included"],
        rules=None if row["rules"] is None else rules_in(orjson.loads(row["rules"])),
        created_at=instant(row["created_at"]),
        revision=row["revision"],
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
