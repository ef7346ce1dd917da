"""How prices and their rules are asked for and shown: the same words in a price list and at a showtime."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

from babel.numbers import list_currencies
from pydantic import AfterValidator, Field, model_validator
from typing_extensions import TypedDict

from actors.seatmap.pricing import ruled_line
from actors.seatmap.terms import PriceRule, Tariff
from server.errors import invalid
from server.requests import Body
from server.timetable import AMOUNT_MAX, Amount, Price, Word

RULES_MAX: Final = 50
PRICES_MAX: Final = 500
_WITHOUT_DECIMALS: Final = frozenset(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()  # noqa: SIM905
)
_WITH_THREE: Final = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
_CURRENCIES: Final = list_currencies()


def _known(currency: str) -> str:
    if currency not in _CURRENCIES:
        raise ValueError("there is no such currency")
    return currency


Words = Annotated[list[Word], Field(max_length=50)]
Percent = Annotated[int, Field(ge=0, le=100)]
Hours = Annotated[int, Field(ge=0, le=8_760)]
Bps = Annotated[int, Field(ge=0, le=10_000)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$"), AfterValidator(_known)]
Priced = Annotated[list[Price], Field(max_length=PRICES_MAX)]


class When(Body):
    """All of it must be so; what is left out is always so.

    Weekdays are those of the cinema day (1 Monday to 7 Sunday), hours those of the start on the theatre's wall, from
    the first to before the last, over midnight when the last is the smaller. Lead time is counted to the start.
    """

    weekdays: Annotated[list[Annotated[int, Field(ge=1, le=7)]], Field(max_length=7)] = Field(default_factory=list)
    hour_from: Annotated[int, Field(ge=0, le=23)] = 0
    hour_to: Annotated[int, Field(ge=0, le=24)] = 24
    lead_hours_min: Hours = 0
    lead_hours_max: Hours | None = None
    occupancy_pct_min: Percent = 0
    occupancy_pct_max: Percent = 100
    categories: Words = Field(default_factory=list)
    ticket_types: Words = Field(default_factory=list)


class Adjustment(Body):
    """Percent of the list price, down to hundredths, or an amount in minor units; below zero it becomes cheaper."""

    percent: Annotated[float, Field(ge=-100, le=1_000, allow_inf_nan=False)] | None = None
    amount: Annotated[int, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "Adjustment":
        if (self.percent is None) == (self.amount is None):
            raise ValueError("give either percent or amount")
        return self


class Rule(Body):
    """Where it applies, the price stays between `min` and `max`. The quote names it, without a name by its place."""

    name: Annotated[Word, Field(pattern=r"^[^\r\n]*$")] | None = None
    when: When = When()
    adjust: Adjustment
    min: Amount | None = None
    max: Amount | None = None


Rules = Annotated[list[Rule], Field(max_length=RULES_MAX)]


class PriceShown(TypedDict):
    category: str
    ticket_type: str
    amount: int


class WhenShown(TypedDict):
    weekdays: list[int]
    hour_from: int
    hour_to: int
    lead_hours_min: int
    lead_hours_max: int | None
    occupancy_pct_min: int
    occupancy_pct_max: int
    categories: list[str]
    ticket_types: list[str]


class AdjustmentShown(TypedDict, total=False):
    percent: int | float
    amount: int


class RuleShown(TypedDict):
    name: str
    when: WhenShown
    adjust: AdjustmentShown
    min: int | None
    max: int | None


class QuoteShown(TypedDict):
    """Minor units, before any rule; `total` is what a customer pays."""

    category: str
    ticket_type: str
    amount: int
    fee: int
    tax: int
    total: int
    currency: str


def exponent(currency: str) -> int:
    """How many decimals a currency has: its minor unit is so many times smaller."""
    if currency in _WITHOUT_DECIMALS:
        return 0
    return 3 if currency in _WITH_THREE else 2


def listed(prices: Iterable[Price]) -> dict[str, dict[str, int]]:
    """422 for a ticket that has two prices."""
    found: dict[str, dict[str, int]] = {}
    for position, price in enumerate(prices):
        by_type = found.setdefault(price.category, {})
        if price.ticket_type in by_type:
            raise invalid(f"prices.{position}", "This ticket has two prices.")
        by_type[price.ticket_type] = price.amount
    return found


def ruled(rules: Sequence[Rule]) -> tuple[PriceRule, ...]:
    """422 where two rules have one name, or no price could satisfy the bounds of all."""
    names = [rule.name or f"Rule {place}" for place, rule in enumerate(rules, 1)]
    if len(set(names)) < len(rules):
        raise invalid("rules", "Each rule has a name of its own.")
    lowest = max((rule.min for rule in rules if rule.min is not None), default=0)
    highest = min((rule.max for rule in rules if rule.max is not None), default=AMOUNT_MAX)
    if lowest > highest:
        raise invalid("rules", f"No price is at least {lowest} and at most {highest}, as these rules want together.")
    return tuple(map(_rule, names, rules))


def prices_shown(prices: Mapping[str, Mapping[str, int]]) -> list[PriceShown]:
    return [
        {"category": category, "ticket_type": ticket_type, "amount": amount}
        for category, by_type in prices.items()
        for ticket_type, amount in by_type.items()
    ]


def quotes_shown(tariff: Tariff) -> list[QuoteShown]:
    """Every ticket with its all-in price."""
    lines = [ruled_line(tariff, "", category, kind) for category, kinds in tariff.prices.items() for kind in kinds]
    return [
        {
            "category": line.category,
            "ticket_type": line.ticket_type,
            "amount": line.amount,
            "fee": line.fee,
            "tax": line.tax,
            "total": line.total,
            "currency": tariff.currency,
        }
        for line in lines
    ]


def rules_shown(rules: Iterable[PriceRule]) -> list[RuleShown]:
    return [_rule_shown(rule) for rule in rules]


def _rule(name: str, rule: Rule) -> PriceRule:
    when = rule.when
    return PriceRule(
        name=name,
        adjust_bps=round((rule.adjust.percent or 0) * 100),
        adjust_amount=rule.adjust.amount or 0,
        price_min=rule.min,
        price_max=rule.max,
        weekdays=tuple(sorted(set(when.weekdays))),
        hour_since=when.hour_from,
        hour_until=when.hour_to,
        lead_hours_min=when.lead_hours_min,
        lead_hours_max=when.lead_hours_max,
        occupancy_pct_min=when.occupancy_pct_min,
        occupancy_pct_max=when.occupancy_pct_max,
        categories=tuple(when.categories),
        ticket_types=tuple(when.ticket_types),
    )


def _rule_shown(rule: PriceRule) -> RuleShown:
    adjust: AdjustmentShown = {"percent": rule.adjust_bps / 100 if rule.adjust_bps % 100 else rule.adjust_bps // 100}
    if rule.adjust_amount:
        adjust = {"amount": rule.adjust_amount}
    return {
        "name": rule.name,
        "when": {
            "weekdays": list(rule.weekdays),
            "hour_from": rule.hour_since,
            "hour_to": rule.hour_until,
            "lead_hours_min": rule.lead_hours_min,
            "lead_hours_max": rule.lead_hours_max,
            "occupancy_pct_min": rule.occupancy_pct_min,
            "occupancy_pct_max": rule.occupancy_pct_max,
            "categories": list(rule.categories),
            "ticket_types": list(rule.ticket_types),
        },
        "adjust": adjust,
        "min": rule.price_min,
        "max": rule.price_max,
    }
