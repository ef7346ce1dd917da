"""What the API says about itself: the OpenAPI document, made when somebody first asks for it."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

from aiohttp import web

from server.keys import DOCUMENTS
from server.openapi import document
from server.operations import PUBLIC, Operation
from server.responses import public_answer


class Documents:
    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations

    @cached_property
    def openapi(self) -> dict[str, Any]:
        return document(self._operations)


async def openapi(request: web.Request) -> web.Response:
    return public_answer(request, request.app[DOCUMENTS].openapi)


OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/openapi.json", openapi, "This document.",
        access=PUBLIC, answers={200: dict[str, Any], 304: None},
    ),
)  # fmt: skip
