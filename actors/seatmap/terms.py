"""The terms a showtime is sold under: times, prices, limits, refund policy. Frozen into its first event."""

from collections.abc import Mapping
from enum import StrEnum

from actors.seatmap.values import dataclass

Instant = int
"""Milliseconds since the epoch, UTC. The only way time is written inside."""


class OrphanRule(StrEnum):
    OFF = "off"
    LENIENT = "lenient"


@dataclass(frozen=True, slots=True)
class PriceRule:
    """A change of prices while something is so; everything it names must be so at once, what is empty is always so.

    `weekdays` (1 Monday to 7 Sunday) are cinema days, which begin at six; `hour_since ≤ hour < hour_until` is the local
    hour of the start, over midnight when `hour_until` is the smaller; lead time is counted in hours before the start,
    occupancy in percent of the seats that can be sold, before this hold; both bounds belong to it. Where a rule
    applies, the price stays within its `price_min` and `price_max`.
    """

    name: str
    adjust_bps: int = 0
    adjust_amount: int = 0
    price_min: int | None = None
    price_max: int | None = None
    weekdays: tuple[int, ...] = ()
    hour_since: int = 0
    hour_until: int = 24
    lead_hours_min: int = 0
    lead_hours_max: int | None = None
    occupancy_pct_min: int = 0
    occupancy_pct_max: int = 100
    categories: tuple[str, ...] = ()
    ticket_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Promo:
    """What a promo code takes off a booking: a part of each ticket it is good for, or one amount off all together.

    It is good for tickets of `ticket_types` (all, when empty) and until `until`, by when it has to have been decided:
    who counts the uses of the code expects this one till then.
    """

    code: str
    until: Instant
    percent_bps: int = 0
    amount: int = 0
    seats_min: int = 1
    ticket_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices of a showtime in minor units of one currency.

    `prices[category][ticket_type]` is the base price of a seat; `fee` is added for each ticket; `tax_bps` (hundredths
    of a percent) is charged on price plus fee, or with `tax_included` is a part of both. `default_ticket_type` is used
    when a customer names none. `time_zone` is whose weekdays and hours the rules mean; `version` counts the changes.
    """

    currency: str
    prices: Mapping[str, Mapping[str, int]]
    default_ticket_type: str
    fee: int
    tax_bps: int
    tax_included: bool = False
    rules: tuple[PriceRule, ...] = ()
    time_zone: str = "UTC"
    version: int = 1


@dataclass(frozen=True, slots=True)
class RefundStep:
    """Cancelled at least `hours_before` the start: `refund_bps` of the paid amount comes back, less `fee`."""

    hours_before: int
    refund_bps: int
    fee: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """`sales_open_at ≤ sales_close_at`, `starts_at < ends_at`; refund steps run from long notice to short."""

    movie_id: str
    screen_id: str
    layout_id: str
    starts_at: Instant
    ends_at: Instant
    sales_open_at: Instant
    sales_close_at: Instant
    tariff: Tariff
    refund_policy: tuple[RefundStep, ...]
    hold_seconds: int = 600
    hold_seconds_max: int = 1_200
    renewals_max: int = 2
    payment_seconds_min: int = 300
    seats_per_customer_max: int = 10
    orphan_rule: OrphanRule = OrphanRule.LENIENT
