"""Layouts: the immutable, versioned drawing of a screen's seats.

A seat id is its exact label, unique in the layout (`F7`, `BAL-C12`): it matches exactly or it is unknown. Neighbours
are worked out from positions once, here; an aisle is simply a place where two seats of a row are not neighbours.
"""

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from actors.seatmap.plan_faults import faults
from actors.seatmap.values import dataclass

ROWS_MAX: Final = 52
SEATS_PER_ROW_MAX: Final = 60
AISLE_WIDTH: Final = 1.0
AISLE_PITCHES: Final = 1.5
ROW_PITCH: Final = 1.2
PALETTE: Final = ("#8a8f98", "#b5763a", "#7a5ea8", "#3f7f73", "#a34a52", "#5b7db1")


class SeatKind(StrEnum):
    STANDARD = "standard"
    WHEELCHAIR = "wheelchair"
    COMPANION = "companion"


@dataclass(frozen=True, slots=True)
class Category:
    """What a seat is for pricing; `color` is `#rrggbb`, a hint for drawings."""

    key: str
    name: str
    color: str


@dataclass(frozen=True, slots=True)
class Zone:
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Seat:
    """One place. `x` grows to the right, `y` away from the screen, about 1.0 a seat pitch.

    `left`/`right` are the labels of the seats one can lean over to, None at an aisle or wall. `partner` is the other
    half of a love-seat or the companion place that belongs to a wheelchair space (and back). `distance` to the focal
    point is in thousandths of a seat pitch, so that sums of it are exact.
    """

    label: str
    number: str
    row: str
    zone: str
    x: float
    y: float
    category: str
    kind: SeatKind
    attributes: tuple[str, ...]
    left: str | None
    right: str | None
    partner: str | None
    distance: int


@dataclass(frozen=True, slots=True)
class Row:
    zone: str
    label: str
    order: int
    seats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """`blocks` are the maximal runs of neighbouring seats, left to right, front to back."""

    id: str
    version: int
    name: str
    categories: tuple[Category, ...]
    zones: tuple[Zone, ...]
    rows: tuple[Row, ...]
    seats: Mapping[str, Seat]
    blocks: tuple[tuple[str, ...], ...]
    focal_point: tuple[float, float]

    @property
    def capacity(self) -> int:
        return len(self.seats)


class LayoutInvalid(ValueError):
    """A plan that is no layout. `problems` are pairs of a path into the document and a sentence."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {sentence}" for path, sentence in problems))
        self.problems = tuple(problems)


Plan = Mapping[str, Any]
"""Our JSON document: name, categories, zones, rows of seats, focal_point. `to_plan` shows its shape."""


def from_plan(layout_id: str, version: int, plan: Plan) -> Layout:
    """Read a plan. LayoutInvalid names everything that is wrong with it."""
    problems = list(faults(plan, frozenset(SeatKind)))
    if problems:
        raise LayoutInvalid(problems)
    rows = sorted(plan["rows"], key=lambda row: row["order"])
    lines = [_in_order(row) for row in rows]
    usual_pitch = _usual_pitch(lines)
    focal = _focal_point(plan, rows)
    seats: dict[str, Seat] = {}
    blocks: list[tuple[str, ...]] = []
    for row, line in zip(rows, lines, strict=True):
        runs = _runs(line, usual_pitch)
        blocks += [tuple(seat["seat"] for seat in run) for run in runs]
        for run in runs:
            for seat, left, right in zip(run, (None, *run), (*run[1:], None), strict=False):
                seats[seat["seat"]] = _seat(row, seat, left, right, focal)
    return Layout(
        id=layout_id,
        version=version,
        name=plan["name"],
        categories=tuple(Category(c["key"], c["name"], c["color"]) for c in plan["categories"]),
        zones=tuple(Zone(z["key"], z["name"]) for z in plan["zones"]),
        rows=tuple(
            Row(row["zone"], row["label"], row["order"], tuple(seat["seat"] for seat in line))
            for row, line in zip(rows, lines, strict=True)
        ),
        seats=seats,
        blocks=tuple(blocks),
        focal_point=focal,
    )


def to_plan(layout: Layout) -> dict[str, Any]:
    """The document that `from_plan` reads."""
    return {
        "name": layout.name,
        "categories": [{"key": c.key, "name": c.name, "color": c.color} for c in layout.categories],
        "zones": [{"key": z.key, "name": z.name} for z in layout.zones],
        "rows": [
            {
                "zone": row.zone,
                "label": row.label,
                "order": row.order,
                "seats": [_seat_plan(layout.seats[label]) for label in row.seats],
            }
            for row in layout.rows
        ],
        "focal_point": {"x": layout.focal_point[0], "y": layout.focal_point[1]},
    }


def from_shortcut(
    name: str,
    rows: int,
    seats_per_row: int,
    *,
    aisles_after: Sequence[int] = (),
    categories: Mapping[str, Sequence[str]] | None = None,
    type_counts: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """The plan of a plain rectangular hall. LayoutInvalid.

    `aisles_after` are seat numbers with an aisle to their right. `categories` names the row labels of each category, or
    `type_counts` how many seats of each category there are from the front; all is `standard` without both.
    """
    if not (1 <= rows <= ROWS_MAX and 1 <= seats_per_row <= SEATS_PER_ROW_MAX):
        raise LayoutInvalid([("rows", f"must be 1 to {ROWS_MAX} rows of 1 to {SEATS_PER_ROW_MAX} seats")])
    labels = [row_label(index) for index in range(rows)]
    problems = list(_shortcut_problems(labels, seats_per_row, aisles_after, categories or {}, type_counts))
    if problems:
        raise LayoutInvalid(problems)
    by_seat = _categories_by_seat(labels, seats_per_row, categories or {}, type_counts)
    keys = list(dict.fromkeys(by_seat))
    return {
        "name": name,
        "categories": [
            {"key": key, "name": key.replace("_", " ").capitalize(), "color": PALETTE[i % len(PALETTE)]}
            for i, key in enumerate(keys)
        ],
        "zones": [{"key": "hall", "name": "Hall"}],
        "rows": [
            {
                "zone": "hall",
                "label": label,
                "order": order,
                "seats": [
                    {
                        "seat": f"{label}{number}",
                        "number": str(number),
                        "x": number + AISLE_WIDTH * sum(aisle < number for aisle in aisles_after),
                        "y": order * ROW_PITCH,
                        "category": by_seat[(order - 1) * seats_per_row + number - 1],
                        "kind": SeatKind.STANDARD.value,
                        "attrs": [],
                    }
                    for number in range(1, seats_per_row + 1)
                ],
            }
            for order, label in enumerate(labels, 1)
        ],
    }


def row_label(index: int) -> str:
    """A to Z, then AA, AB, …"""
    high, low = divmod(index, 26)
    return (row_label(high - 1) if high else "") + chr(ord("A") + low)


def _shortcut_problems(
    labels: Sequence[str],
    seats_per_row: int,
    aisles_after: Sequence[int],
    categories: Mapping[str, Sequence[str]],
    type_counts: Mapping[str, int] | None,
) -> Iterator[tuple[str, str]]:
    if strange_aisles := [aisle for aisle in aisles_after if not 0 < aisle < seats_per_row]:
        yield "aisles_after", f"there is nothing on one side of an aisle after {', '.join(map(str, strange_aisles))}"
    named = [row for rows in categories.values() for row in rows]
    if strange := [row for row in named if row not in labels]:
        yield "categories", f"there is no row {', '.join(strange)}"
    if twice := {row for row in named if named.count(row) > 1}:
        yield "categories", f"row {', '.join(sorted(twice))} cannot be of two categories"
    if type_counts is None:
        return
    if categories:
        yield "type_counts", "give either categories or type_counts"
    if any(count < 0 for count in type_counts.values()):
        yield "type_counts", "must not be negative"
    if sum(type_counts.values()) != len(labels) * seats_per_row:
        yield "type_counts", f"must add up to {len(labels) * seats_per_row} seats"


def _categories_by_seat(
    labels: Sequence[str],
    seats_per_row: int,
    categories: Mapping[str, Sequence[str]],
    type_counts: Mapping[str, int] | None,
) -> list[str]:
    """Row after row, each from its first seat to its last."""
    if type_counts is not None:
        return [category for category, count in type_counts.items() for _ in range(count)]
    by_row = {row: key for key, rows in categories.items() for row in rows}
    return [by_row.get(label, "standard") for label in labels for _ in range(seats_per_row)]


def _in_order(row: Plan) -> list[Plan]:
    """Left to right; a row that runs away from the screen from front to back."""
    seats = row["seats"]
    xs, ys = [seat["x"] for seat in seats], [seat["y"] for seat in seats]
    across = max(xs) - min(xs) >= max(ys) - min(ys)
    return sorted(seats, key=lambda seat: seat["x"] if across else seat["y"])


def _gaps(row: Sequence[Plan]) -> list[float]:
    return [math.dist((a["x"], a["y"]), (b["x"], b["y"])) for a, b in itertools.pairwise(row)]


def _usual_pitch(rows: Sequence[Sequence[Plan]]) -> float:
    """What tells neighbours from an aisle in a row of two. Infinite when every row has two at most."""
    pitches = [min(_gaps(row)) for row in rows if len(row) > 2]
    return statistics.median(pitches) if pitches else math.inf


def _runs(row: Sequence[Plan], usual_pitch: float) -> list[list[Plan]]:
    """The row's seats in unbroken runs: a distance of more than one and a half pitches is an aisle."""
    gaps = _gaps(row)
    reach = AISLE_PITCHES * (usual_pitch if len(gaps) == 1 else min(gaps, default=0))
    runs: list[list[Plan]] = [[row[0]]]
    for gap, (left, right) in zip(gaps, itertools.pairwise(row), strict=True):
        if gap > reach and left.get("partner") != right["seat"]:
            runs.append([])
        runs[-1].append(right)
    return runs


def _focal_point(plan: Plan, rows: Sequence[Plan]) -> tuple[float, float]:
    """Where the film looks best: as the plan says, else the middle, two thirds of the way back."""
    if (focal := plan.get("focal_point")) is not None:
        return float(focal["x"]), float(focal["y"])
    xs = [seat["x"] for row in rows for seat in row["seats"]]
    ys = [seat["y"] for row in rows for seat in row["seats"]]
    return (min(xs) + max(xs)) / 2, min(ys) + (max(ys) - min(ys)) * 2 / 3


def _seat(row: Plan, seat: Plan, left: Plan | None, right: Plan | None, focal: tuple[float, float]) -> Seat:
    return Seat(
        label=seat["seat"],
        number=str(seat["number"]),
        row=row["label"],
        zone=row["zone"],
        x=float(seat["x"]),
        y=float(seat["y"]),
        category=seat["category"],
        kind=SeatKind(seat.get("kind", SeatKind.STANDARD)),
        attributes=tuple(seat.get("attrs", ())),
        left=left["seat"] if left else None,
        right=right["seat"] if right else None,
        partner=seat.get("partner"),
        distance=round(math.dist((seat["x"], seat["y"]), focal) * 1_000),
    )


def _seat_plan(seat: Seat) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "seat": seat.label,
        "number": seat.number,
        "x": seat.x,
        "y": seat.y,
        "category": seat.category,
        "kind": seat.kind.value,
        "attrs": list(seat.attributes),
    }
    return plan if seat.partner is None else plan | {"partner": seat.partner}
