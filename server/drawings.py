"""Drawings that come with a request: our own plan or a pretix seating plan, read off the event loop.

A drawing of thousands of seats takes a while to read and to check, in which other people's holds go on.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial, wraps
from typing import Any, Final

from aiohttp import web
from pydantic import RootModel

from actors.seatmap import pretix
from actors.seatmap.layout import Category, Layout, LayoutInvalid, from_plan
from server.errors import Problem
from server.idempotency import idempotent
from server.operations import Handler

PLAN_BYTES_MAX: Final = 2 * 1024 * 1024
FAULTS_MAX: Final = 100


class PlanGiven(RootModel[dict[str, Any]]):
    """A seating plan: ours (`name, categories, zones, rows, focal_point?`), or one in the JSON format of pretix."""


def roomy(handler: Handler) -> Handler:
    """A handler that remembers its answers, whose body may be as large as a drawing."""
    remembering = idempotent(handler)

    @wraps(handler)
    async def answered(request: web.Request) -> web.StreamResponse:
        return await remembering(request.clone(client_max_size=PLAN_BYTES_MAX))

    return answered


async def read_plan(
    layout_id: str, version: int, document: Mapping[str, Any], path: str = "", known: Iterable[Category] = ()
) -> Layout:
    """The layout that a document draws. 422 validation_failed names all faults, each below `path`.

    `known` categories keep their keys in a document that knows names only: prices hang on keys.
    """
    return await drawn(partial(_read, layout_id, version, document, tuple(known)), path)


async def drawn(draw: Callable[[], Layout], path: str = "") -> Layout:
    """What a thread draws. 422 validation_failed names all faults, each below `path`."""
    try:
        return await asyncio.to_thread(draw)
    except LayoutInvalid as error:
        errors = [{"path": ".".join(filter(None, (path, where))), "message": why} for where, why in error.problems]
    raise Problem(422, "validation_failed", "This is not a seating plan that can be used.", errors=errors[:FAULTS_MAX])


def _read(layout_id: str, version: int, document: Mapping[str, Any], known: tuple[Category, ...]) -> Layout:
    if not pretix.is_pretix(document):
        return from_plan(layout_id, version, document)
    plan = pretix.to_plan(document)
    keys = {category.name: category.key for category in known}
    renamed = {category["key"]: keys.get(category["name"], category["key"]) for category in plan["categories"]}
    for category in plan["categories"]:
        category["key"] = renamed[category["key"]]
    for row in plan["rows"]:
        for seat in row["seats"]:
            seat["category"] = renamed.get(seat["category"], seat["category"])
    return from_plan(layout_id, version, plan)
