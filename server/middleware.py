"""The one wrapper around every handler: request id, problems, security headers, metrics.

It lies on the way of every hold, so there is exactly one, and what it adds is made beforehand.
"""

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from itertools import count
from typing import Final

import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict, istr

from server.auth.identity import Guard
from server.clouds import public_origin
from server.errors import Problem, explain, is_disconnect, unavailable
from server.keys import CLOCK, CONFIG, LIFE, REQUEST_ID, SITE, TELEMETRY
from server.responses import ANSWER_HEADERS, NO_STORE, Prompt
from server.telemetry import Telemetry

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

X_REQUEST_ID: Final = istr("X-Request-Id")
CONTENT_POLICY: Final = istr("Content-Security-Policy")
OPENER_POLICY: Final = istr("Cross-Origin-Opener-Policy")
_NOTHING_MORE: Final[Mapping[str, str]] = {}
_ANSWER_HEADERS: Final = CIMultiDict({istr(name): value for name, value in ANSWER_HEADERS.items()})
_PAGE_HEADERS: Final = {
    OPENER_POLICY: "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
PROBES: Final = frozenset(f"{base}{probe}" for base in ("", "/api/v1") for probe in ("/health", "/ready", "/metrics"))
"""Asked every few seconds by machines: open while the server drains, and nobody looks for their traces."""
_acceptable_id: Final = re.compile(r"[A-Za-z0-9._\-]{1,128}").fullmatch
_log: Final = structlog.get_logger("marquee.http")


def page_policy(media_origin: str, more: Mapping[str, str] = _NOTHING_MORE) -> str:
    """What a page of ours may load: its own files, and media from where uploads are kept. `more`, by directive."""
    media = f"'self' {media_origin}".strip()
    allowed = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"{media} data: blob:",
        "media-src": media,
        "font-src": "'self'",
        "connect-src": "'self'",
        "frame-src": "",
        "manifest-src": "'self'",
        "worker-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    sources = {name: f"{own} {more.get(name, '')}".strip() for name, own in allowed.items()}
    return "; ".join(f"{name} {source}" for name, source in sources.items() if source)


class RequestIds:
    """The client's own id where it has an acceptable one, else the next of a series."""

    def __init__(self) -> None:
        self._series = os.urandom(5).hex()
        self._numbers = count(1)

    def of(self, headers: Mapping[str, str]) -> str:
        given = headers.get(X_REQUEST_ID)
        if given is None or not _acceptable_id(given):
            return f"{self._series}-{next(self._numbers):x}"
        return given

    def has_made(self, request_id: str) -> bool:
        return request_id.startswith(f"{self._series}-")


Wrap = Callable[[Handler, Guard | None], Handler]


def wrapper(app: web.Application) -> Wrap:
    """What every handler of the application is put into with its guard, with a series of request ids of its own.

    It is no middleware of aiohttp's, which would be looked up and entered anew for each request.
    """
    clock, life, telemetry = app[CLOCK], app[LIFE], app[TELEMETRY]
    requests = telemetry.requests
    policy = page_policy(public_origin(app[CONFIG].media_url))
    page_headers = CIMultiDict({**_ANSWER_HEADERS, **_PAGE_HEADERS, CONTENT_POLICY: policy})
    ids = RequestIds()

    def wrap(handler: Handler, guard: Guard | None) -> Handler:
        @wraps(handler)
        async def answered(request: web.Request) -> web.StreamResponse:
            began = clock.monotonic()
            request_id = request[REQUEST_ID] = ids.of(request.headers)
            try:
                if life.draining and request.path not in PROBES:
                    raise unavailable("draining", "The server is restarting. Try again in a moment.")
                if guard is not None:
                    guard(request)
                response = await handler(request)
            except Exception as error:
                if is_disconnect(error) or (isinstance(error, web.HTTPException) and error.status < 400):
                    raise
                response = told(request, noted(telemetry, error, request_id, request.path))
            if type(response) is not Prompt and not response.prepared:
                _add_headers(response, request[REQUEST_ID], page_headers)
            resource = None if handler is nowhere else request.match_info.route.resource
            requests.answered(request.method, resource, response.status, clock.monotonic() - began)
            return response

        return answered

    return wrap


async def nowhere(request: web.Request) -> web.StreamResponse:
    """Where no other route leads: 404, for people as a page, or 405 when the address exists for other methods."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        if resource is not request.match_info.route.resource:
            allowed |= (await resource.resolve(request))[1]
    if allowed:
        raise web.HTTPMethodNotAllowed(request.method, allowed)
    if (page := request.app[SITE].lost(request)) is not None:
        return page
    raise web.HTTPNotFound


def _add_headers(response: web.StreamResponse, request_id: str, page_headers: CIMultiDict[str]) -> None:
    headers = response.headers
    headers[X_REQUEST_ID] = request_id
    if headers.get(hdrs.CONTENT_TYPE, "").startswith("text/html"):
        headers.extend({name: value for name, value in page_headers.items() if name not in headers})
    elif response.status != 304:  # what a browser kept has its headers already, a page its own policy
        headers.extend(_ANSWER_HEADERS)
    if hdrs.CACHE_CONTROL not in headers:
        headers[hdrs.CACHE_CONTROL] = NO_STORE


def told(request: web.Request, problem: Problem) -> web.Response:
    """The problem as an answer. What is refused to a key is the same for every retry, so body and head have the key's
    id, unless the client has named its request."""
    own = problem.facts.get("request_id")
    if own is not None and X_REQUEST_ID not in request.headers:
        request[REQUEST_ID] = str(own)
    return problem.response(request[REQUEST_ID])


def noted(telemetry: Telemetry, error: Exception, request_id: str, path: str) -> Problem:
    """What an exception means to the client, counted, and logged where it is our business."""
    problem = explain(error)
    telemetry.problems.labels(problem.code).inc()
    if problem.status == 500:
        _log.error("internal_error", request_id=request_id, path=path, exc_info=error)
    elif problem.status == 503 and not isinstance(error, Problem):
        _log.warning("unavailable", request_id=request_id, path=path, reason=repr(error))
    return problem
