"""Old addresses that still lead somewhere: permanent redirects which keep method, body and query."""

from aiohttp import web

from server.operations import PUBLIC, Handler, Operation


def alias(method: str, path: str, target: str, **query: str) -> Operation:
    """Another address of `target`, whose `{names}` are filled from the path; `query` is added to the caller's."""
    return Operation(
        method,
        path,
        moved(target, **query),
        f"An old address of {target}.",
        PUBLIC,
        {308: None},
        alias_of=target,
    )


def moved(target: str, **query: str) -> Handler:
    """A handler that sends everybody on to `target`, whose `{names}` are filled from the path."""

    async def send_on(request: web.Request) -> web.Response:
        url = request.rel_url.with_path(target.format(**request.match_info), keep_query=True)
        location = str(url.update_query(query) if query else url)
        return web.Response(status=308, headers={"Location": location})

    return send_on
