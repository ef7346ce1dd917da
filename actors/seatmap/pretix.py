"""Reads and writes seating plans in the JSON format that pretix uses, so that an existing drawing can be imported.

Positions there are pixels with y growing away from the stage; ours are seat pitches. What pretix does not know (kinds,
attributes) starts as standard.
"""

import statistics
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from actors.seatmap.layout import PALETTE, Layout, LayoutInvalid

DEFAULT_PITCH: Final = 30.0

Document = Mapping[str, Any]


def is_pretix(document: Document) -> bool:
    """Whether it is such a plan and not one of ours."""
    zones = document.get("zones")
    return isinstance(zones, list) and bool(zones) and isinstance(zones[0], Mapping) and "rows" in zones[0]


def to_plan(document: Document) -> dict[str, Any]:
    """Our plan for a pretix document. LayoutInvalid when it does not have the format's shape."""
    try:
        return _plan(document)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise LayoutInvalid([("", f"is not a pretix seating plan: {error!r}")]) from error


def from_layout(layout: Layout, pitch: float = DEFAULT_PITCH) -> dict[str, Any]:
    """The pretix document of a layout."""
    names = {category.key: category.name for category in layout.categories}
    width = round(max(seat.x for seat in layout.seats.values()) * pitch, 3)
    height = round(max(seat.y for seat in layout.seats.values()) * pitch, 3)
    return {
        "name": layout.name,
        "categories": [{"name": c.name, "color": c.color} for c in layout.categories],
        "zones": [
            {
                "name": zone.name,
                "position": {"x": 0, "y": 0},
                "rows": [
                    {
                        "row_number": row.label,
                        "position": {"x": 0, "y": 0},
                        "seats": [
                            {
                                "seat_number": layout.seats[label].number,
                                "seat_guid": label,
                                "position": {
                                    "x": round(layout.seats[label].x * pitch, 3),
                                    "y": round(layout.seats[label].y * pitch, 3),
                                },
                                "category": names[layout.seats[label].category],
                            }
                            for label in row.seats
                        ],
                    }
                    for row in layout.rows
                    if row.zone == zone.key
                ],
            }
            for zone in layout.zones
        ],
        "size": {"width": width + pitch, "height": height + pitch},
    }


def _plan(document: Document) -> dict[str, Any]:
    pitch = _pitch(document)
    rows = list(_rows(document, pitch))
    return {
        "name": document["name"],
        "categories": [
            {"key": _key(c["name"]), "name": c["name"], "color": c.get("color", PALETTE[i % len(PALETTE)])}
            for i, c in enumerate(document["categories"])
        ],
        "zones": [{"key": _key(zone["name"]), "name": zone["name"]} for zone in document["zones"]],
        "rows": rows,
    }


def _rows(document: Document, pitch: float) -> Iterator[dict[str, Any]]:
    order = 0
    for zone in document["zones"]:
        for row in zone["rows"]:
            order += 1
            left = zone["position"]["x"] + row["position"]["x"]
            top = zone["position"]["y"] + row["position"]["y"]
            yield {
                "zone": _key(zone["name"]),
                "label": str(row["row_number"]),
                "order": order,
                "seats": [
                    {
                        "seat": str(seat["seat_guid"]),
                        "number": str(seat["seat_number"]),
                        "x": round((left + seat["position"]["x"]) / pitch, 3),
                        "y": round((top + seat["position"]["y"]) / pitch, 3),
                        "category": _key(seat["category"]),
                        "kind": "standard",
                        "attrs": [],
                    }
                    for seat in row["seats"]
                ],
            }


def _pitch(document: Document) -> float:
    """The usual distance of two seats in a row, in pixels."""
    gaps = [
        abs(b["position"]["x"] - a["position"]["x"])
        for zone in document["zones"]
        for row in zone["rows"]
        for a, b in pairwise(row["seats"])
    ]
    return float(statistics.median(gap for gap in gaps if gap > 0)) if any(gaps) else DEFAULT_PITCH


def _key(name: str) -> str:
    return "-".join(name.lower().split())
