"""The lenient orphan rule: do not leave a lone free seat behind when the same party could sit without doing so.

A single gap counts only if this choice makes it, and is refused only if the same block has room for the party without
making one. Near sell-out the rule is silent: then every seat sold is worth more than a tidy row.
"""

from collections.abc import Container, Sequence, Sized
from dataclasses import dataclass
from typing import Final, Protocol

from actors.seatmap.layout import Layout

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
        members = set(block)
        party = len(chosen & members)
        tidy = [run for run in _free_runs(block, taken, party) if not _left_alone(layout, taken, frozenset(run))]
        if tidy:
            avoidable += [seat for seat in block if seat in lone]
            wanted = next(i for i, seat in enumerate(block) if seat in chosen)
            suggestions += sorted(tidy, key=lambda run, b=block, w=wanted: abs(b.index(run[0]) - w))  # type: ignore[misc]
    return Orphans(tuple(avoidable), tuple(suggestions[:SUGGESTIONS_MAX])) if avoidable else None


def _left_alone(layout: Layout, taken: Container[str], chosen: frozenset[str]) -> set[str]:
    """Free seats beside the choice that would have no free neighbour, and had one before."""
    lone: set[str] = set()
    places = layout.seats
    for label in chosen:
        seat = places[label]
        for beside in (seat.left, seat.right):
            if beside is None or beside in taken or beside in chosen:
                continue
            around = (places[beside].left, places[beside].right)
            if all(other is None or other in taken or other in chosen for other in around):
                lone.add(beside)
    return lone


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


def _free_runs(block: Sequence[str], taken: Container[str], length: int) -> list[tuple[str, ...]]:
    """Every run of that many free neighbours in a block."""
    runs: list[tuple[str, ...]] = []
    for start in range(len(block) - length + 1):
        run = tuple(block[start : start + length])
        if not any(seat in taken for seat in run):
            runs.append(run)
    return runs
