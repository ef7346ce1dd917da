"""The lenient orphan rule: do not leave a lone free seat behind when the same party could sit without doing so.

A single gap counts only if this choice makes it, and is refused only if the same block has room for the party, at the
same price, without making one. Near sell-out the rule is silent: then every seat sold is worth more than a tidy row.
"""

from collections.abc import Container, Sequence, Sized
from dataclasses import dataclass
from typing import Final, Protocol

from actors.seatmap.layout import Layout, SeatKind

SUGGESTIONS_MAX: Final = 3
SILENT_BELOW_PART: Final = 10
SILENT_BELOW_PARTIES: Final = 2


class Taken(Container[str], Sized, Protocol):
    """The seats that are not free."""


@dataclass(frozen=True, slots=True)
class Orphans:
    """The lone seats that a choice would leave, and runs of seats in the same block that leave none."""

    orphans: tuple[str, ...]
    suggestions: tuple[tuple[str, ...], ...]


def orphans(layout: Layout, taken: Taken, seats: Sequence[str]) -> Orphans | None:
    """What is wrong with taking these free seats, or None."""
    chosen = frozenset(seats)
    lone = _left_alone(layout, taken, chosen)
    if not lone or _near_sell_out(layout, taken, len(chosen)):
        return None
    avoidable: list[str] = []
    suggestions: list[tuple[str, ...]] = []
    for block in _blocks_of(layout, chosen):
        tidy = _tidy_runs(layout, taken, block, [seat for seat in block if seat in chosen])
        if tidy:
            avoidable += [seat for seat in block if seat in lone]
            suggestions += tidy
    return Orphans(tuple(avoidable), tuple(suggestions[:SUGGESTIONS_MAX])) if avoidable else None


def _left_alone(layout: Layout, taken: Container[str], chosen: frozenset[str]) -> set[str]:
    """Free seats beside the choice that would have no free neighbour, and had one before.

    Places for wheelchairs and companions are kept for those who ask for them: they are nobody's lone seat.
    """
    lone: set[str] = set()
    places = layout.seats
    for label in chosen:
        seat = places[label]
        for beside in (seat.left, seat.right):
            if beside is None or beside in taken or beside in chosen:
                continue
            place = places[beside]
            left, right = place.left, place.right
            if (
                (left is None or left in taken or left in chosen)
                and (right is None or right in taken or right in chosen)
                and place.kind is SeatKind.STANDARD
            ):
                lone.add(beside)
    return lone


def _tidy_runs(
    layout: Layout, taken: Container[str], block: Sequence[str], party: Sequence[str]
) -> list[tuple[str, ...]]:
    """Where this party could sit in its block at the same price without leaving a lone seat, the nearest first."""
    places = layout.seats
    if any(places[seat].kind is not SeatKind.STANDARD for seat in party):
        return []
    categories = {places[seat].category for seat in party}
    fits = [
        seat not in taken and places[seat].kind is SeatKind.STANDARD and places[seat].category in categories
        for seat in block
    ]
    size, wanted = len(party), block.index(party[0])
    starts = [start for start in range(len(block) - size + 1) if all(fits[start : start + size])]
    runs = [tuple(block[start : start + size]) for start in sorted(starts, key=lambda start: abs(start - wanted))]
    return [run for run in runs if not _left_alone(layout, taken, frozenset(run))]


def _near_sell_out(layout: Layout, taken: Sized, party: int) -> bool:
    free = layout.capacity - len(taken)
    return free * SILENT_BELOW_PART <= layout.capacity or free <= SILENT_BELOW_PARTIES * party


def _blocks_of(layout: Layout, chosen: frozenset[str]) -> list[tuple[str, ...]]:
    blocks: dict[str, tuple[str, ...]] = {}
    for label in chosen:
        first = label
        while (left := layout.seats[first].left) is not None:
            first = left
        if first not in blocks:
            blocks[first] = _run_from(layout, first)
    return list(blocks.values())


def _run_from(layout: Layout, first: str) -> tuple[str, ...]:
    run = [first]
    while (right := layout.seats[run[-1]].right) is not None:
        run.append(right)
    return tuple(run)
