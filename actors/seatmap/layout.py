"""Layouts: the immutable, versioned drawing of a screen's seats.

A seat id is its exact label, unique in the layout (`F7`, `BAL-C12`): it matches exactly or it is unknown. Neighbours
are worked out from positions once, here; an aisle is simply a place where two seats of a row are not neighbours.
"""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from actors.seatmap.values import dataclass

ROWS_MAX: Final = 52
SEATS_PER_ROW_MAX: Final = 60
AISLE_WIDTH: Final = 1.0
AISLE_PITCHES: Final = 1.5
ROW_PITCH: Final = 1.2
LABEL: Final = re.compile(r"[A-Za-z0-9.-]{1,16}")
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
    half of a love-seat or the companion place that belongs to a wheelchair space (and back).
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
    distance: float


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
    problems = list(_problems(plan))
    if problems:
        raise LayoutInvalid(problems)
    rows = sorted(plan["rows"], key=lambda row: row["order"])
    focal = _focal_point(plan, rows)
    seats: dict[str, Seat] = {}
    blocks: list[tuple[str, ...]] = []
    for row in rows:
        runs = _runs(sorted(row["seats"], key=lambda seat: seat["x"]))
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
            Row(r["zone"], r["label"], r["order"], tuple(s["seat"] for s in sorted(r["seats"], key=lambda s: s["x"])))
            for r in rows
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
    `type_counts` how many seats of each category there are from the front, whole rows; all is `standard` without both.
    """
    if not (1 <= rows <= ROWS_MAX and 1 <= seats_per_row <= SEATS_PER_ROW_MAX):
        raise LayoutInvalid([("rows", f"1 to {ROWS_MAX} rows of 1 to {SEATS_PER_ROW_MAX} seats")])
    labels = [row_label(index) for index in range(rows)]
    by_row = _categories_by_row(labels, seats_per_row, categories, type_counts)
    keys = list(dict.fromkeys(by_row.values()))
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
                        "category": by_row[label],
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


def _categories_by_row(
    labels: Sequence[str],
    seats_per_row: int,
    categories: Mapping[str, Sequence[str]] | None,
    type_counts: Mapping[str, int] | None,
) -> dict[str, str]:
    by_row = dict.fromkeys(labels, "standard")
    for category, rows in (categories or {}).items():
        if strange := [row for row in rows if row not in by_row]:
            raise LayoutInvalid([("categories", f"there is no row {', '.join(strange)}")])
        by_row |= dict.fromkeys(rows, category)
    if type_counts is not None:
        if sum(type_counts.values()) != len(labels) * seats_per_row:
            raise LayoutInvalid([("type_counts", f"must add up to {len(labels) * seats_per_row} seats")])
        if any(count % seats_per_row for count in type_counts.values()):
            raise LayoutInvalid([("type_counts", f"must be whole rows of {seats_per_row} seats")])
        filled = (category for category, count in type_counts.items() for _ in range(count // seats_per_row))
        by_row = dict(zip(labels, filled, strict=True))
    return by_row


def _problems(plan: Plan) -> Iterator[tuple[str, str]]:
    shape = [key for key in ("name", "categories", "zones", "rows") if not plan.get(key)]
    yield from ((key, "is missing or empty") for key in shape)
    if shape:
        return
    categories, zones = {c["key"] for c in plan["categories"]}, {z["key"] for z in plan["zones"]}
    seen: set[str] = set()
    rows_seen: set[tuple[str, str]] = set()
    for i, row in enumerate(plan["rows"]):
        if row["zone"] not in zones:
            yield f"rows.{i}.zone", f"there is no zone {row['zone']!r}"
        if (row["zone"], row["label"]) in rows_seen:
            yield f"rows.{i}.label", f"row {row['label']!r} is there twice in its zone"
        rows_seen.add((row["zone"], row["label"]))
        if not row["seats"]:
            yield f"rows.{i}.seats", "is empty"
        for j, seat in enumerate(row["seats"]):
            for sentence in _seat_problems(seat, categories, seen):
                yield f"rows.{i}.seats.{j}", sentence
            seen.add(seat["seat"])
    for i, row in enumerate(plan["rows"]):
        for j, seat in enumerate(row["seats"]):
            if seat.get("partner") is not None and seat["partner"] not in seen:
                yield f"rows.{i}.seats.{j}.partner", f"there is no seat {seat['partner']!r}"


def _seat_problems(seat: Plan, categories: set[str], seen: set[str]) -> Iterator[str]:
    label = seat["seat"]
    if not LABEL.fullmatch(label):
        yield f"{label!r} is no label: 1 to 16 letters, digits, dots and hyphens"
    if label in seen:
        yield f"{label!r} is there twice"
    if seat["category"] not in categories:
        yield f"there is no category {seat['category']!r}"
    if seat.get("kind", SeatKind.STANDARD) not in set(SeatKind):
        yield f"there is no kind {seat['kind']!r}"


def _runs(row: Sequence[Plan]) -> list[list[Plan]]:
    """The row's seats in unbroken runs: a distance of more than one and a half pitches is an aisle."""
    gaps = [right["x"] - left["x"] for left, right in itertools.pairwise(row)]
    reach = min(gaps, default=1.0) * AISLE_PITCHES
    runs: list[list[Plan]] = [[row[0]]]
    for gap, seat in zip(gaps, row[1:], strict=True):
        if gap > reach:
            runs.append([])
        runs[-1].append(seat)
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
        distance=math.dist((seat["x"], seat["y"]), focal),
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
