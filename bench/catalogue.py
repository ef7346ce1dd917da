"""Reads of the catalogue, and what they are held against: an aiohttp handler that only says bytes it was given.

The handler is as small as aiohttp allows: no middleware, one route, the body ready. Run it with
`python -m bench.catalogue`; `teach` gives it the bytes that the product says.
"""

import asyncio
import os
import sys
from typing import Final

import uvloop
from aiohttp import web

from actors.ids import mint
from bench import client, protocol
from bench.client import Line
from persistence import catalog
from persistence.catalog import Movie
from persistence.database import open_pool
from server.responses import etag_of

FILMS: Final = 200
LIST: Final = "/api/v1/movies?limit=20"
BODY: Final = web.AppKey("body", list[bytes])


class Reads:
    """The same question on every line, by somebody who has the answer already when it is `known`."""

    def __init__(self, path: str, known: bytes = b"") -> None:
        asked = protocol.request("GET", path)
        condition = f"If-None-Match: {etag_of(known)}\r\n".encode() if known else b""
        self._asked = asked.removesuffix(b"\r\n") + condition + b"\r\n"
        self._wanted = 304 if known else 200

    def ask(self, _line: Line) -> bytes:
        return self._asked

    def hear(self, _line: Line, received: bytes) -> tuple[int, int]:
        answer = protocol.response(received)
        if answer is None:
            return 0, 0
        assert answer[0] == self._wanted, received[:200]
        return answer[0], answer[2]


async def seed(dsn: str) -> None:
    films = [
        Movie(
            mint(0), f"Film {number}", "Something happens in it. " * 5, 90, ("drama",), ("en",), "",
            ("Ana Lee", "Bo Chan"), "Cy Doe", f"https://posters.example/{number}", None, None, None, {}, "published",
        )
        for number in range(FILMS)
    ]  # fmt: skip
    async with open_pool(dsn) as pool:
        await catalog.put_movies(pool, films)


def teach(trivial: int, product: int) -> bytes:
    """What the product says, and the trivial handler from now on."""
    status, body = client.fetch(product, protocol.request("GET", LIST))
    assert status == 200, body
    client.fetch(trivial, protocol.request("POST", "/", "", body))
    return body


async def say(request: web.Request) -> web.Response:
    return web.Response(body=request.app[BODY][0], content_type="application/json")


async def learn(request: web.Request) -> web.Response:
    request.app[BODY][0] = await request.read()
    return web.Response(status=204)


async def _serve() -> None:
    app = web.Application()
    app[BODY] = [b"{}"]
    app.router.add_get("/", say)
    app.router.add_post("/", learn)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["BENCH_PORT"]), backlog=4_096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        uvloop.run(_serve())
    except KeyboardInterrupt:
        sys.exit(0)
