"""What is wrong with a layout plan: every fault at once, each with its path into the document.

A plan comes from a file that somebody wrote or another program exported, so nothing about its shape is taken for
granted. First each thing by itself; only if they all have the right shape, how they fit together.
"""

import math
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Final

SEATS_MAX: Final = 5_000
NAME_LENGTH_MAX: Final = 120
COORDINATE_MAX: Final = 100_000
LABEL: Final = re.compile(r"[\w.-]{1,16}")
COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")

Fault = tuple[str, str]
Check = Callable[[Any], str | None]


def faults(plan: object, kinds: frozenset[str]) -> Iterator[Fault]:
    """Pairs of path and sentence; nothing when the plan is a layout."""
    badly_shaped = list(_shape(plan, kinds))
    yield from badly_shaped
    if not badly_shaped:
        assert isinstance(plan, Mapping)
        yield from _fit(plan)


def _shape(plan: object, kinds: frozenset[str]) -> Iterator[Fault]:
    yield from _fields("", plan, _PLAN)
    if not isinstance(plan, Mapping):
        return
    yield from _each("categories", plan.get("categories"), _CATEGORY)
    yield from _each("zones", plan.get("zones"), _ZONE)
    yield from _each("rows", plan.get("rows"), _ROW)
    if plan.get("focal_point") is not None:
        yield from _fields("focal_point", plan["focal_point"], _POINT)
    optional = {"kind": _one_of(kinds), "attrs": _attributes, "partner": _optional_string}
    for i, row in enumerate(_listed(plan.get("rows"))):
        if isinstance(row, Mapping):
            yield from _each(f"rows.{i}.seats", row.get("seats"), _SEAT, optional)


def _fit(plan: Mapping[str, Any]) -> Iterator[Fault]:
    categories = yield from _once("categories", plan["categories"])
    zones = yield from _once("zones", plan["zones"])
    labels: dict[str, Mapping[str, Any]] = {}
    places: dict[tuple[float, float], str] = {}
    rows: set[tuple[str, str]] = set()
    for i, row in enumerate(plan["rows"]):
        if row["zone"] not in zones:
            yield f"rows.{i}.zone", f"there is no zone {row['zone']!r}"
        if (row["zone"], row["label"]) in rows:
            yield f"rows.{i}.label", f"row {row['label']!r} is there twice in its zone"
        rows.add((row["zone"], row["label"]))
        for j, seat in enumerate(row["seats"]):
            path, label, place = f"rows.{i}.seats.{j}", seat["seat"], (seat["x"], seat["y"])
            if not LABEL.fullmatch(label):
                yield f"{path}.seat", f"{label[:40]!r} is no label: 1 to 16 letters, digits, dots, hyphens, underscores"
            if label in labels:
                yield f"{path}.seat", f"{label!r} is there twice"
            elif place in places:
                yield path, f"{label!r} stands where {places[place]!r} stands"
            if seat["category"] not in categories:
                yield f"{path}.category", f"there is no category {seat['category']!r}"
            labels.setdefault(label, seat)
            places.setdefault(place, label)
    if len(labels) > SEATS_MAX:
        yield "rows", f"has {len(labels)} seats, more than {SEATS_MAX}"
    yield from _partners(plan, labels)


def _partners(plan: Mapping[str, Any], labels: Mapping[str, Mapping[str, Any]]) -> Iterator[Fault]:
    for i, row in enumerate(plan["rows"]):
        for j, seat in enumerate(row["seats"]):
            partner = seat.get("partner")
            if partner is None:
                continue
            if partner not in labels:
                yield f"rows.{i}.seats.{j}.partner", f"there is no seat {partner!r}"
            elif labels[partner].get("partner") != seat["seat"] or partner == seat["seat"]:
                yield f"rows.{i}.seats.{j}.partner", f"{partner!r} is no partner of {seat['seat']!r}"


def _once(path: str, things: Sequence[Mapping[str, Any]]) -> Generator[Fault, None, set[str]]:
    """The keys of the things; those that are there twice are faults."""
    keys: set[str] = set()
    for i, thing in enumerate(things):
        if thing["key"] in keys:
            yield f"{path}.{i}.key", f"{thing['key']!r} is there twice"
        keys.add(thing["key"])
    return keys


def _each(
    path: str, things: object, checks: Mapping[str, Check], optional: Mapping[str, Check] | None = None
) -> Iterator[Fault]:
    for i, thing in enumerate(_listed(things)):
        yield from _fields(f"{path}.{i}", thing, checks, optional or {})


def _fields(
    path: str, thing: object, checks: Mapping[str, Check], optional: Mapping[str, Check] | None = None
) -> Iterator[Fault]:
    if not isinstance(thing, Mapping):
        yield path, "must be an object"
        return
    for name, check in checks.items():
        wrong = check(thing[name]) if name in thing else "is missing"
        if wrong is not None:
            yield f"{path}.{name}".lstrip("."), wrong
    for name, check in (optional or {}).items():
        if name in thing and (wrong := check(thing[name])) is not None:
            yield f"{path}.{name}".lstrip("."), wrong


def _listed(things: object) -> Sequence[object]:
    return things if isinstance(things, list | tuple) else ()


def _text(value: object) -> str | None:
    if isinstance(value, str) and 0 < len(value.strip()) <= NAME_LENGTH_MAX and value.isprintable():
        return None
    return f"must be a text of 1 to {NAME_LENGTH_MAX} printable characters"


def _string(value: object) -> str | None:
    return None if isinstance(value, str) else "must be a text"


def _optional_string(value: object) -> str | None:
    return None if value is None else _string(value)


def _short(value: object) -> str | None:
    return None if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _number(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return None if math.isfinite(value) and abs(value) <= COORDINATE_MAX else "is out of reach"
    return "must be a number"


def _color(value: object) -> str | None:
    return None if isinstance(value, str) and COLOR.fullmatch(value) else "must be a colour like #6f8fb3"


def _some(value: object) -> str | None:
    return None if isinstance(value, list | tuple) and value else "must be a list with something in it"


def _attributes(value: object) -> str | None:
    listed = isinstance(value, list | tuple) and not any(map(_text, value))
    return None if listed else "must be a list of texts"


def _one_of(kinds: frozenset[str]) -> Check:
    def check(value: object) -> str | None:
        return None if isinstance(value, str) and value in kinds else f"must be one of {', '.join(sorted(kinds))}"

    return check


_PLAN: Final[Mapping[str, Check]] = {"name": _text, "categories": _some, "zones": _some, "rows": _some}
_CATEGORY: Final[Mapping[str, Check]] = {"key": _text, "name": _text, "color": _color}
_ZONE: Final[Mapping[str, Check]] = {"key": _text, "name": _text}
_ROW: Final[Mapping[str, Check]] = {"zone": _text, "label": _text, "order": _number, "seats": _some}
_POINT: Final[Mapping[str, Check]] = {"x": _number, "y": _number}
_SEAT: Final[Mapping[str, Check]] = {
    "seat": _string, "number": _short, "x": _number, "y": _number, "category": _text,
}  # fmt: skip
