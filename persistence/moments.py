"""Between the program's instants (int milliseconds) and PostgreSQL's `timestamptz`, and day arithmetic in a zone."""

from datetime import UTC, datetime, timedelta
from typing import Final

from actors.seatmap.terms import Instant

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def moment(instant: Instant) -> datetime:
    return _EPOCH + timedelta(milliseconds=instant)


def instant(moment: datetime) -> Instant:
    return (moment - _EPOCH) // _MILLISECOND
