"""Best available: the seats a good box office clerk would pick.

Together in one row, nearest the focal point, leaving no lone seat, love-seats whole, and the places for wheelchairs and
companions kept for those who ask for them. Each wish is dropped only when no choice fulfils it, in that order.
"""

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actors.seatmap.commands import BestAvailable
from actors.seatmap.layout import Layout, Seat, SeatKind

ROW_AWAY: Final = 3_500
"""What each row away from the wished one weighs, in thousandths of a seat pitch from the focal point."""

NO_WHEELCHAIR_PLACE: Final = 1_000
"""More than all other flaws together, for those who need such a place."""


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


Run = Sequence[Seat]


def best_available(layout: Layout, taken: Container[str], wish: BestAvailable) -> Choice | NoBlock:
    """Choose seats for a party."""
    runs = list(_open_runs(layout, taken, wish))
    away = _row_distances(layout, wish.near_row)
    together = _window(layout, taken, runs, wish.count, wish.accessible, away)
    if together is not None:
        return Choice(_labels(together), next_to_each_other=True)
    if wish.allow_split and sum(map(len, runs)) >= wish.count:
        return Choice(_labels(_split(layout, taken, runs, wish, away)), next_to_each_other=False)
    return NoBlock(max(map(len, runs), default=0))


def largest_block(layout: Layout, taken: Container[str], category: str | None = None) -> int:
    """How many could sit together."""
    wish = BestAvailable(count=1, category=category)
    return max((len(run) for run in _open_runs(layout, taken, wish)), default=0)


def areas(layout: Layout, taken: Container[str]) -> tuple[Area, ...]:
    """What is left, by category in layout order."""
    keys = [category.key for category in layout.categories]
    free, longest, accessible = dict.fromkeys(keys, 0), dict.fromkeys(keys, 0), dict.fromkeys(keys, 0)
    places, standard = layout.seats, SeatKind.STANDARD
    for block in layout.blocks:
        run, of = 0, ""
        for label in block:
            if label in taken:
                run = 0
                continue
            seat = places[label]
            key = seat.category
            free[key] += 1
            if seat.kind is not standard:
                accessible[key] += 1
                run = 0
                continue
            run = run + 1 if key == of else 1
            of = key
            if run > longest[key]:
                longest[key] = run
    return tuple(Area(key, free[key], longest[key], accessible[key]) for key in keys)


def _open_runs(layout: Layout, taken: Container[str], wish: BestAvailable) -> Iterator[Run]:
    """Maximal runs of neighbouring seats that are free and that this party may have."""
    places, category, accessible, standard = layout.seats, wish.category, wish.accessible, SeatKind.STANDARD
    for block in layout.blocks:
        run: list[Seat] = []
        for label in block:
            if label not in taken:
                seat = places[label]
                if (accessible or seat.kind is standard) and (category is None or seat.category == category):
                    run.append(seat)
                    continue
            if run:
                yield run
                run = []
        if run:
            yield run


def _window(
    layout: Layout,
    taken: Container[str],
    runs: Sequence[Run],
    count: int,
    accessible: bool,
    away: Mapping[tuple[str, str], int],
) -> Run | None:
    """The best `count` neighbours: the fewest flaws, then the best view.

    Runs whose best seat is near come first, so that most of the hall is never looked at: without flaws, only a better
    view can win, and no seats of a run are nearer than `count` times its nearest.
    """
    best: Run | None = None
    best_flaws, best_view = 0, 0
    long_enough = [
        (count * (min([seat.distance for seat in run]) + away.get((run[0].zone, run[0].row), 0)), order, run)
        for order, run in enumerate(runs)
        if len(run) >= count
    ]
    for bound, _, run in sorted(long_enough):
        if best is not None and best_flaws == 0 and bound >= best_view:
            break
        view = sum([seat.distance for seat in run[:count]]) + count * away.get((run[0].zone, run[0].row), 0)
        for start in range(len(run) - count + 1):
            if start:
                view += run[start + count - 1].distance - run[start - 1].distance
            if best is not None and best_flaws == 0 and view >= best_view:
                continue
            window = run[start : start + count]
            flaws = _flaws(layout, taken, window, accessible)
            if best is None or (flaws, view) < (best_flaws, best_view):
                best, best_flaws, best_view = window, flaws, view
    return best


def _flaws(layout: Layout, taken: Container[str], window: Run, accessible: bool) -> int:
    """What this choice would spoil for others; zero is a choice without a fault."""
    places, standard = layout.seats, SeatKind.STANDARD
    flaws = 0
    beside = window[0].left
    if beside is not None and beside not in taken and places[beside].kind is standard:
        beyond = places[beside].left
        flaws += beyond is None or beyond in taken
    beside = window[-1].right
    if beside is not None and beside not in taken and places[beside].kind is standard:
        beyond = places[beside].right
        flaws += beyond is None or beyond in taken
    for seat in window:
        partner = seat.partner
        if partner is not None and partner not in taken and places[partner] not in window:
            flaws += 1
    if accessible:
        wheelchairs = sum([seat.kind is SeatKind.WHEELCHAIR for seat in window])
        flaws += wheelchairs - 1 if wheelchairs else NO_WHEELCHAIR_PLACE
    return flaws


def _row_distances(layout: Layout, near_row: str | None) -> Mapping[tuple[str, str], int]:
    """What a seat of each row costs for being away from the wished row, which may be there in several zones."""
    if near_row is None:
        return {}
    wished = [i for i, row in enumerate(layout.rows) if row.label == near_row]
    return {(row.zone, row.label): ROW_AWAY * min(abs(i - w) for w in wished) for i, row in enumerate(layout.rows)}


def _split(
    layout: Layout,
    taken: Container[str],
    runs: Sequence[Run],
    wish: BestAvailable,
    away: Mapping[tuple[str, str], int],
) -> Sequence[Seat]:
    """As few pieces as possible, near each other, and nobody alone if it can be helped."""
    chosen: list[Seat] = []
    left = list(runs)
    while len(chosen) < wish.count:
        accessible = wish.accessible and not chosen
        wanted = left
        if accessible:
            wanted = [run for run in left if any(seat.kind is SeatKind.WHEELCHAIR for seat in run)] or left
        missing = wish.count - len(chosen)
        size = min(missing, max(map(len, wanted)))
        if missing - size == 1 and size > 2 and sum(len(run) > 1 for run in left) > 1:
            size -= 1
        ranked = [
            (_flaws(layout, taken, piece, accessible), _spread(chosen, piece, away), order, piece)
            for order, piece in enumerate(_pieces(wanted, size))
        ]
        piece = min(ranked)[-1]
        chosen += piece
        left = [run for run in left if piece[0] not in run]
    return chosen


def _pieces(runs: Sequence[Run], size: int) -> Iterator[Run]:
    for run in runs:
        for start in range(len(run) - size + 1):
            yield run[start : start + size]


def _spread(chosen: Sequence[Seat], piece: Run, away: Mapping[tuple[str, str], int]) -> float:
    """How far a piece is from those who sit already; for the first of them, from the focal point."""
    if chosen:
        return math.fsum(math.dist((seat.x, seat.y), (chosen[0].x, chosen[0].y)) for seat in piece)
    return math.fsum(seat.distance + away.get((seat.zone, seat.row), 0) for seat in piece)


def _labels(seats: Sequence[Seat]) -> tuple[str, ...]:
    return tuple(seat.label for seat in seats)
