"""Pages of other origins, where the operator has named them: who may ask from a browser, and what it may see.

Only tokens are accepted from elsewhere, never the site's cookie. Where no origin is named nothing is wrapped.
"""

from collections.abc import Callable
from functools import wraps
from typing import Final

from aiohttp import hdrs, web

from server.keys import REQUEST_ID
from server.middleware import Handler
from server.responses import ANSWER_HEADERS, Prompt

METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
ASKED: Final = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-Id"
SHOWN: Final = "ETag, Location, Retry-After, X-Request-Id"
KEPT_SECONDS: Final = "600"

Open = Callable[[Handler], Handler]


def opener(origins: tuple[str, ...]) -> Open:
    """What makes a handler answer pages of these origins."""
    if not origins:
        return lambda handler: handler
    known = frozenset(origins)

    def open_to_them(handler: Handler) -> Handler:
        @wraps(handler)
        async def answered(request: web.Request) -> web.StreamResponse:
            origin = request.headers.get(hdrs.ORIGIN)
            if origin not in known:
                response = await handler(request)
            elif request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
                response = _leave()
            else:
                response = await handler(request)
            # A prompt answer has a fixed head. One that must say more is sent as an ordinary response.
            if type(response) is Prompt and (origin in known or hdrs.ETAG in response.headers):
                response = response.ordinary(request[REQUEST_ID])
            if origin in known and not response.prepared:
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = str(origin)
                response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = SHOWN
            if not response.prepared and type(response) is not Prompt:
                response.headers.add(hdrs.VARY, hdrs.ORIGIN)
            return response

        return answered

    return open_to_them


def _leave() -> web.Response:
    """The answer to a browser that asks beforehand."""
    headers = {
        **ANSWER_HEADERS,
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: METHODS,
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ASKED,
        hdrs.ACCESS_CONTROL_MAX_AGE: KEPT_SECONDS,
    }
    return web.Response(status=204, headers=headers)
