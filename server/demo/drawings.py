"""Turns the drawings of `layouts.json` into layout plans.

A row is a label and a picture: one character for each place, a dot for a gap of one place. Rows are centred and bend
around the screen by `curve`; a balcony stands a little behind the stalls.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

Json = Mapping[str, Any]

ROW_PITCH: Final = 1.1
ZONE_GAP: Final = 1.6
_GAP: Final = "."
_PAIRS: Final = ("ll", "wc", "cw")


def plan_of(drawing: Json, places: Json, categories: Sequence[Json]) -> dict[str, Any]:
    """The plan that `actors.seatmap.layout.from_plan` reads."""
    widest = max(len(picture) for zone in drawing["zones"] for _, picture in map(_split, zone["rows"]))
    rows: list[dict[str, Any]] = []
    depth = 0.0
    for zone in drawing["zones"]:
        for text in zone["rows"]:
            depth += ROW_PITCH
            label, picture = _split(text)
            row = {"zone": zone["key"], "label": label, "order": len(rows) + 1}
            seats = _seats(zone["prefix"] + label, picture, places, widest, depth, drawing["curve"])
            rows.append(row | {"seats": list(seats)})
        depth += ZONE_GAP
    used = {seat["category"] for row in rows for seat in row["seats"]}
    return {
        "name": drawing["name"],
        "categories": [category for category in categories if category["key"] in used],
        "zones": [{"key": zone["key"], "name": zone["name"]} for zone in drawing["zones"]],
        "rows": rows,
        "focal_point": _focal_point(row for row in rows if row["zone"] == drawing["zones"][0]["key"]),
    }


def _focal_point(stalls: Iterable[Json]) -> dict[str, float]:
    """Two thirds of the way back in the first zone: a balcony behind it does not draw the best seats away."""
    seats = [seat for row in stalls for seat in row["seats"]]
    xs, ys = [seat["x"] for seat in seats], [seat["y"] for seat in seats]
    return {"x": (min(xs) + max(xs)) / 2, "y": min(ys) + (max(ys) - min(ys)) * 2 / 3}


def _seats(
    prefix: str, picture: str, places: Json, widest: int, depth: float, curve: float
) -> Iterator[dict[str, Any]]:
    middle, offset = (widest + 1) / 2, (widest - len(picture)) / 2
    columns = [column for column, place in enumerate(picture) if place != _GAP]
    labels = {column: f"{prefix}{number}" for number, column in enumerate(columns, 1)}
    partners = _partners(picture)
    for column in columns:
        x = column + 1 + offset
        place = places[picture[column]]
        attrs = list(place.get("attrs", ()))
        if column - 1 not in labels or column + 1 not in labels:
            attrs.append("aisle")
        seat = {
            "seat": labels[column],
            "number": labels[column].removeprefix(prefix),
            "x": round(x, 2),
            "y": round(depth - curve * (x - middle) ** 2, 3),
            "category": place["category"],
            "kind": place.get("kind", "standard"),
            "attrs": attrs,
        }
        yield seat | {"partner": labels[partners[column]]} if column in partners else seat


def _partners(picture: str) -> dict[int, int]:
    """Which places belong together: the halves of a love-seat, a wheelchair space and its companion's seat."""
    partners: dict[int, int] = {}
    for column in range(len(picture) - 1):
        if column not in partners and picture[column : column + 2] in _PAIRS:
            partners |= {column: column + 1, column + 1: column}
    return partners


def _split(row: str) -> tuple[str, str]:
    label, picture = row.split(" ", 1)
    return label, picture
