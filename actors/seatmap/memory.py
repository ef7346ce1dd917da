"""What was answered to which command: a bounded cache of the log, so that a retry gets the first answer.

The log never forgets; this memory says since which version it is complete, and the actor asks the log about command
ids that may be older. Pages of doubling size keep an insert at amortised O(log n) copies without a mutable value.
"""

from typing import Final

from actors.seatmap.events import Record
from actors.seatmap.values import dataclass

PAGE_COMMANDS: Final = 64
COMMANDS_MAX: Final = 16_384

Page = dict[str, tuple[Record, ...]]


@dataclass(frozen=True, slots=True)
class Memory:
    """`pages` run from the newest (smallest) to the oldest; every retryable command since version `since` is known."""

    pages: tuple[Page, ...]
    since: int

    @classmethod
    def empty(cls, since: int) -> "Memory":
        """Knows nothing of versions below or at `since`."""
        return cls((), since)

    def recall(self, command_id: str) -> tuple[Record, ...] | None:
        """All records that the command caused, or None."""
        for page in self.pages:
            if (records := page.get(command_id)) is not None:
                return records
        return None

    def remember(self, record: Record) -> "Memory":
        command_id = record.cause.command_id
        known = self.recall(command_id) or ()
        newest = self.pages[0] if self.pages else {}
        if len(newest) < PAGE_COMMANDS:
            return Memory(({**newest, command_id: (*known, record)}, *self.pages[1:]), self.since)
        return _merged(Memory(({command_id: (*known, record)}, *self.pages), self.since))


def _merged(memory: Memory) -> Memory:
    """Join equal-sized neighbours as a binary counter does; forget the oldest page above the bound."""
    first, *rest = memory.pages
    done: list[Page] = [first]
    for page in rest:
        if len(done) > 1 and len(done[-1]) >= len(page):
            done[-1] = {**page, **done[-1]}
        else:
            done.append(page)
    since = memory.since
    while len(done) > 1 and sum(map(len, done)) > COMMANDS_MAX:
        since = max(since, max(records[-1].version for records in done.pop().values()))
    return Memory(tuple(done), since)
