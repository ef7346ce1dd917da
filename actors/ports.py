"""What an actor needs from the world, as small protocols, and the exceptions that the world may raise.

Refusals are values (see `seatmap.refusals`); an exception here means that the world failed or that this process is
not the one to ask. The edge answers all of them with 503 and `Retry-After`, except `UnknownShowtime` (404).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from actors.failures import (
    Deposed,
    Draining,
    JournalDown,
    Overloaded,
    Rejected,
    UnknownShowtime,
    WorldFailure,
)
from actors.runtime.clock import Clock, Handle
from actors.seatmap.events import Record
from actors.seatmap.layout import Layout
from actors.seatmap.refusals import Refused
from actors.seatmap.state import SeatMap
from actors.seatmap.terms import Instant

__all__ = [
    "Clock",
    "Deposed",
    "Draining",
    "Enclosure",
    "Handle",
    "Journal",
    "JournalDown",
    "Layouts",
    "Loaded",
    "Overloaded",
    "Placement",
    "Publisher",
    "Refusals",
    "Rejected",
    "Stored",
    "UnknownShowtime",
    "WorldFailure",
]


Refusals = Mapping[str, tuple[int, Refused]]
"""What was refused to retryable commands: by command id, the intent and the refusal."""

REFUSALS_LOADED_MAX: Final = 1_024


@dataclass(frozen=True, slots=True)
class Loaded:
    """A showtime as the log knows it, owned by the epoch that was just taken."""

    epoch: int
    state: SeatMap
    kept: int = 0
    """The version of the snapshot that recovery began with, 0 without one."""

    older: Collection[str] = frozenset()
    """The retryable command ids in the log that the state's memory does not reach back to."""

    refused: Refusals = field(default_factory=dict)
    """The newest of what `refuse` kept, oldest first; `REFUSALS_LOADED_MAX` of them when there may be more."""


class Enclosure:
    """What somebody sends along with a command and what is no fact of the log: it holds personal data, or it belongs
    to other books. It is stored together with the records that the command causes, or not at all.

    Only who sends it and the journal know what it is.
    """

    __slots__ = ()


Stored = Callable[[Exception | None], None]
"""Hears what became of an append. It must not raise."""


class Journal(Protocol):
    """The event log. One writer per process; an append is durable when it returns."""

    async def acquire(self, showtime_id: str) -> Loaded:
        """Raise the epoch, then read snapshot and tail. UnknownShowtime, JournalDown."""
        ...

    def store(
        self, epoch: int, before: SeatMap, after: SeatMap, records: Sequence[Record], stored: Stored,
        enclosures: Sequence[Enclosure] = (),
    ) -> None:  # fmt: skip
        """Store records that lead from `before` to `after`, with what came along, then call `stored` once, perhaps at
        once.

        It hears None, or Deposed, Rejected, Overloaded, JournalDown: then nothing is stored, except after JournalDown,
        where only the log knows.
        """
        ...

    async def locate(self, number: int) -> str | None:
        """The id of the showtime with this number."""
        ...

    async def deadlines(self) -> Sequence[tuple[str, Instant]]:
        """The `deadline` of every showtime's newest state (kept beside its version by `append`), where one lies ahead
        or behind, so that holds expire on time after a restart too. Showtimes with NEVER are left out."""
        ...

    async def recall(self, showtime_id: str, command_ids: Sequence[str]) -> Sequence[Record]:
        """The records that these retryable commands caused, oldest first."""
        ...

    async def refuse(self, showtime_id: str, refusals: Refusals, now: Instant) -> None:
        """Keep refusals to retryable commands for a day. JournalDown."""
        ...

    async def refused(self, showtime_id: str, command_ids: Sequence[str]) -> Refusals:
        """Those of these commands that `refuse` was told of."""
        ...

    async def snapshot(self, state: SeatMap) -> None:
        """Keep a state, so that the next recovery is short. Failing is harmless."""
        ...


class Layouts(Protocol):
    async def layout(self, layout_id: str) -> Layout: ...


class Publisher(Protocol):
    """Hears of every durable change, in order. Must return at once.

    No records means that a new epoch began: what was published before may not have been the whole truth.
    """

    def publish(self, epoch: int, records: Sequence[Record], state: SeatMap) -> None: ...


class Placement(Protocol):
    """Which process owns a showtime."""

    def is_here(self, showtime_id: str) -> bool: ...
