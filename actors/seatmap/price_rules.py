"""Which price rules apply at a moment: what the clock and the hall say, before anybody asks for a category.

Decided inside the actor, from its state and the moment of the command. The weekday and hour are those of the showtime's
start on the wall of its theatre; the lines that come of it name the rules, so that a replay needs none of this.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from actors.seatmap.pricing import HOUR_MS
from actors.seatmap.state import SeatMap
from actors.seatmap.terms import Instant, PriceRule

DAY_BEGINS_HOUR = 6


def applying(state: SeatMap, now: Instant) -> tuple[PriceRule, ...]:
    """The rules of a showtime's tariff whose conditions are met now."""
    terms = state.terms
    lead = terms.starts_at - now
    for_sale = state.layout.capacity - state.blocked
    taken = state.held + state.sold
    weekday, hour = local_start(terms.starts_at, terms.tariff.time_zone)
    return tuple(
        [
            rule
            for rule in terms.tariff.rules
            if (not rule.weekdays or weekday in rule.weekdays)
            and _is_between(hour, rule.hour_since, rule.hour_until)
            and rule.lead_hours_min * HOUR_MS <= lead
            and (rule.lead_hours_max is None or lead <= rule.lead_hours_max * HOUR_MS)
            and rule.occupancy_pct_min * for_sale <= taken * 100 <= rule.occupancy_pct_max * for_sale
        ]
    )


@lru_cache(maxsize=4_096)
def local_start(starts_at: Instant, time_zone: str) -> tuple[int, int]:
    """The weekday of the cinema day (1 Monday to 7 Sunday), and the hour on the wall."""
    local = datetime.fromtimestamp(starts_at / 1_000, UTC).astimezone(ZoneInfo(time_zone))
    return (local.replace(tzinfo=None) - timedelta(hours=DAY_BEGINS_HOUR)).isoweekday(), local.hour


def _is_between(hour: int, since: int, until: int) -> bool:
    """Over midnight when `until` is the smaller."""
    return since <= hour < until if since <= until else hour >= since or hour < until
