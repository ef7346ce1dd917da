"""What the API says about itself: the OpenAPI and AsyncAPI documents, made when somebody first asks for them."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

from aiohttp import web

from server import asyncapi, openapi
from server.keys import DOCUMENTS
from server.operations import PUBLIC, Operation
from server.responses import public_answer


class Documents:
    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations

    @cached_property
    def requests(self) -> dict[str, Any]:
        return openapi.document(self._operations)

    @cached_property
    def sockets(self) -> dict[str, Any]:
        return asyncapi.document()


async def show_openapi(request: web.Request) -> web.Response:
    return public_answer(request, request.app[DOCUMENTS].requests)


async def show_asyncapi(request: web.Request) -> web.Response:
    return public_answer(request, request.app[DOCUMENTS].sockets)


OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/openapi.json", show_openapi, "This document.",
        access=PUBLIC, answers={200: dict[str, Any], 304: None},
    ),
    Operation(
        "GET", "/api/v1/asyncapi.json", show_asyncapi, "The same for the sockets: AsyncAPI 3.",
        access=PUBLIC, answers={200: dict[str, Any], 304: None},
    ),
)  # fmt: skip
