"""What a clock on a cinema's wall means: local times become instants, also on the nights when the clocks change."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from actors.seatmap.terms import Instant
from persistence.moments import instant


class NoSuchTime(Exception):
    """The clocks are put forward over this time: nobody ever sees it."""


class AmbiguousTime(Exception):
    """The clocks are put back over this time: it comes twice, at these moments."""

    def __init__(self, first: datetime, second: datetime) -> None:
        super().__init__(f"{first.isoformat()} or {second.isoformat()}")
        self.first = first
        self.second = second


def resolve(local: datetime, time_zone: str, fold: int | None = None) -> Instant:
    """The moment at which the clock shows `local` (without an offset). NoSuchTime, AmbiguousTime.

    Of a time that comes twice, `fold` 0 is the first, 1 the second.
    """
    zone = ZoneInfo(time_zone)
    first, second = (local.replace(tzinfo=zone, fold=each) for each in (0, 1))
    if first.utcoffset() != second.utcoffset():
        if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) != local.replace(fold=0):
            raise NoSuchTime(f"{local.isoformat()} in {time_zone}")
        if fold is None:
            raise AmbiguousTime(first, second)
    return instant(second if fold else first)
