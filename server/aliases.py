"""Old addresses that still lead somewhere: permanent redirects which keep method, body and query."""

from collections.abc import Awaitable, Callable

from aiohttp import web


def moved(target: str, **query: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that sends everybody on to `target`, whose `{names}` are filled from the path."""

    async def send_on(request: web.Request) -> web.Response:
        url = request.rel_url.with_path(target.format(**request.match_info), keep_query=True)
        location = str(url.update_query(query) if query else url)
        return web.Response(status=308, headers={"Location": location})

    return send_on
