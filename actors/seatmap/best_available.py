"""Best available: the seats a good box office clerk would pick.

Together in one row, nearest the focal point, leaving no lone seat, love-seats whole, and the places for wheelchairs and
companions kept for those who ask for them. Each wish is dropped only when no choice fulfils it, in that order.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actors.seatmap.commands import BestAvailable
from actors.seatmap.layout import Layout, Seat, SeatKind

ROW_PENALTY: Final = 0.35
"""How much a row away from the wished one weighs against distance to the focal point."""


@dataclass(frozen=True, slots=True)
class Choice:
    seats: tuple[str, ...]
    next_to_each_other: bool


@dataclass(frozen=True, slots=True)
class NoBlock:
    """Nothing fits; so many seats could still sit together."""

    largest_block: int


@dataclass(frozen=True, slots=True)
class Area:
    """What is left of a category. `accessible_free` counts places for wheelchairs and companions."""

    category: str
    free: int
    largest_block: int
    accessible_free: int


def best_available(layout: Layout, taken: Container[str], wish: BestAvailable) -> Choice | NoBlock:
    """Choose seats for a party."""
    runs = list(_open_runs(layout, taken, wish))
    rows = _row_distances(layout, wish.near_row)
    best: tuple[tuple[int, int, float], tuple[str, ...]] | None = None
    for run in runs:
        for start in range(len(run) - wish.count + 1):
            seats = run[start : start + wish.count]
            score = _score(layout, taken, seats, wish, rows)
            if best is None or score < best[0]:
                best = (score, tuple(seat.label for seat in seats))
    if best is not None:
        return Choice(best[1], next_to_each_other=True)
    if wish.allow_split and sum(map(len, runs)) >= wish.count:
        return Choice(_split(runs, wish.count), next_to_each_other=False)
    return NoBlock(max(map(len, runs), default=0))


def largest_block(layout: Layout, taken: Container[str], category: str | None = None) -> int:
    """How many could sit together."""
    wish = BestAvailable(count=1, category=category)
    return max((len(run) for run in _open_runs(layout, taken, wish)), default=0)


def areas(layout: Layout, taken: Container[str]) -> tuple[Area, ...]:
    """What is left, by category in layout order."""
    free: Mapping[str, list[Seat]] = {category.key: [] for category in layout.categories}
    for label, seat in layout.seats.items():
        if label not in taken:
            free[seat.category].append(seat)
    return tuple(
        Area(
            key,
            len(seats),
            largest_block(layout, taken, key),
            sum(seat.kind is not SeatKind.STANDARD for seat in seats),
        )
        for key, seats in free.items()
    )


def _open_runs(layout: Layout, taken: Container[str], wish: BestAvailable) -> Iterator[Sequence[Seat]]:
    """Maximal runs of neighbouring seats that are free and that this party may have."""
    places = layout.seats
    for block in layout.blocks:
        run: list[Seat] = []
        for label in block:
            seat = places[label]
            fits = label not in taken and (wish.category is None or seat.category == wish.category)
            if fits and (wish.accessible or seat.kind is SeatKind.STANDARD):
                run.append(seat)
            elif run:
                yield run
                run = []
        if run:
            yield run


def _score(
    layout: Layout,
    taken: Container[str],
    seats: Sequence[Seat],
    wish: BestAvailable,
    rows: Mapping[tuple[str, str], int],
) -> tuple[int, int, float]:
    """Smaller is better: places for those who need them, then no damage, then the view."""
    labels = {seat.label for seat in seats}
    need = -sum(seat.kind is not SeatKind.STANDARD for seat in seats) if wish.accessible else 0
    damage = _lone_ends(layout, taken, seats) + _torn_partners(seats, labels)
    view = sum(seat.distance for seat in seats) / len(seats)
    first = seats[0]
    return need, damage, view + ROW_PENALTY * 10 * rows.get((first.zone, first.row), 0)


def _lone_ends(layout: Layout, taken: Container[str], seats: Sequence[Seat]) -> int:
    """How many single free seats this run leaves at its two ends."""
    lone = 0
    for beside, beyond in ((seats[0].left, "left"), (seats[-1].right, "right")):
        if beside is not None and beside not in taken:
            further = getattr(layout.seats[beside], beyond)
            lone += further is None or further in taken
    return lone


def _torn_partners(seats: Sequence[Seat], labels: set[str]) -> int:
    return sum(
        seat.partner is not None and seat.partner not in labels for seat in seats if seat.kind is SeatKind.STANDARD
    )


def _row_distances(layout: Layout, near_row: str | None) -> Mapping[tuple[str, str], int]:
    """Rows between each row and the wished one."""
    if near_row is None:
        return {}
    wished = next(i for i, row in enumerate(layout.rows) if row.label == near_row)
    return {(row.zone, row.label): abs(i - wished) for i, row in enumerate(layout.rows)}


def _split(runs: Sequence[Sequence[Seat]], count: int) -> tuple[str, ...]:
    """As few pieces as possible: the longest runs first, the last piece from the best of what is left."""
    chosen: list[str] = []
    for run in sorted(runs, key=lambda run: (-len(run), run[0].distance)):
        chosen += [seat.label for seat in run[: count - len(chosen)]]
        if len(chosen) == count:
            break
    return tuple(chosen)
