"""Fan-out as it is usually written: `for socket in sockets: await socket.send_str(text)`, on aiohttp and uvloop.

POST /publish sends the body to everybody who is connected to /live. Run it with `python -m bench.baseline_fanout`.
"""

import asyncio
import os
import sys
from typing import Final

import uvloop
from aiohttp import web

SOCKETS: Final = web.AppKey("sockets", set[web.WebSocketResponse])
GREETING: Final = '{"type":"snapshot","epoch":1,"seq":0}'


async def live(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    await socket.send_str(GREETING)
    request.app[SOCKETS].add(socket)
    try:
        async for _ in socket:
            pass
    finally:
        request.app[SOCKETS].discard(socket)
    return socket


async def publish(request: web.Request) -> web.Response:
    text = await request.text()
    sockets = request.app[SOCKETS]
    for socket in tuple(sockets):
        await socket.send_str(text)
    return web.Response(status=204)


async def _serve() -> None:
    app = web.Application()
    app[SOCKETS] = set()
    app.router.add_get("/live", live)
    app.router.add_post("/publish", publish)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["BENCH_PORT"]), backlog=4_096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        uvloop.run(_serve())
    except KeyboardInterrupt:
        sys.exit(0)
