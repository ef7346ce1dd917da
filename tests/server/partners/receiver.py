"""A partner's program for tests: a real server that answers as a test tells it, and notes what it hears."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks.webhooks import Webhook

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Heard:
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        said: dict[str, Any] = orjson.loads(self.body)
        return said

    def proved_by(self, secret: str) -> dict[str, Any]:
        """What it says, once the public library has checked who says it."""
        said: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return said


@dataclass
class Receiver:
    """Says yes, unless `answering` is another mind."""

    heard: list[Heard] = field(default_factory=list)
    answering: Answering | None = None
    url: str = ""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.append(Heard(headers, await request.read()))
        self._news.set()
        if self.answering is not None:
            return await self.answering(request)
        return web.Response(text="thanks")

    async def hears(self, count: int) -> list[Heard]:
        """Until so many messages have come."""
        async with asyncio.timeout(60):
            while len(self.heard) < count:
                self._news.clear()
                await self._news.wait()
        return self.heard

    def says(self, status: int, text: str = "", **headers: str) -> None:
        """Always the same answer from now on."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}

        async def same(_request: web.Request) -> web.Response:
            return web.Response(status=status, text=text, headers=told)

        self.answering = same


@asynccontextmanager
async def open_receiver(**rest: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.hear)
    server = TestServer(app, scheme="https" if "ssl" in rest else "http")
    await server.start_server(**rest)
    async with server:
        receiver.url = str(server.make_url("/hooks"))
        yield receiver
