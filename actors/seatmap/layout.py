"""Layouts: the immutable, versioned drawing of a screen's seats.

A seat id is its exact label, unique in the layout (`F7`, `BAL-C12`): it matches exactly or it is unknown. Neighbours
are worked out from positions once, here; an aisle is simply a place where two seats of a row are not neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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
