"""A span for each request, from its head to its answer.

A caller's `traceparent` is continued, but whether spans are kept is decided here, by the same trace id: otherwise
strangers could fill the operator's store. A socket's span ends with its upgrade; what is said on it later gets traces
of its own, which refer to it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Final

from aiohttp import web
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bound_contextvars

from server.auth.identity import Guard
from server.keys import REQUEST_ID
from server.middleware import PROBES, Handler, Wrap, nowhere
from server.traces.spans import fail, trace_id

METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
TRACEPARENT: Final = "traceparent"
_format: Final = TraceContextTextMapPropagator()


class Requests:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._sockets: dict[str, SpanContext] = {}

    @property
    def sockets(self) -> Mapping[str, SpanContext]:
        """The upgrade's span of each open socket, by the request id that its commands carry."""
        return self._sockets

    def around(self, wrap: Wrap) -> Wrap:
        """The wrapper of every handler, with a span around it."""

        def traced(handler: Handler, guard: Guard | None) -> Handler:
            answering, leads_somewhere = wrap(handler, guard), handler is not nowhere

            @wraps(handler)
            async def answered(request: web.Request) -> web.StreamResponse:
                resource = request.match_info.route.resource
                route = resource.canonical if leads_somewhere and resource is not None else ""
                return await (answering(request) if route in PROBES else self._answer(request, route, answering))

            return answered

        return traced

    async def upgraded(self, request: web.Request, response: web.StreamResponse) -> None:
        """For `app.on_response_prepare`: a socket may stay for hours, and what has not ended is not seen."""
        if isinstance(response, web.WebSocketResponse):
            span = get_current_span()
            self._sockets[request[REQUEST_ID]] = span.get_span_context()
            _end(span, request, response.status)

    async def _answer(self, request: web.Request, route: str, answering: Handler) -> web.StreamResponse:
        method = request.method if request.method in METHODS else "_OTHER"
        told = {"http.request.method": method, **({"http.route": route} if route else {})}
        span = self._tracer.start_span(
            f"{method} {route}".rstrip(), context=continued(request.headers), kind=SpanKind.SERVER, attributes=told
        )
        here = span.get_span_context()
        try:
            with current(span):
                response = await answering(request)
            _end(span, request, response.status)
            return response
        except web.HTTPException as answer:
            _end(span, request, answer.status)
            raise
        except BaseException as error:
            if span.is_recording():
                fail(span, error)
                span.end()
            raise
        finally:
            request_id = request.get(REQUEST_ID, "")
            if self._sockets.get(request_id) is here:
                del self._sockets[request_id]


@contextmanager
def current(span: Span) -> Iterator[None]:
    """What is done in the block is done for this span, and what is logged has its trace."""
    before = attach(set_span_in_context(span))
    try:
        with bound_contextvars(trace_id=trace_id(span)):
            yield
    finally:
        detach(before)


def continued(headers: Mapping[str, str]) -> Context:
    """What the caller says that this is a part of. Of its other headers for tracing nothing is kept."""
    said = headers.get(TRACEPARENT)
    return Context() if said is None else _format.extract({TRACEPARENT: said}, Context())


def answered(span: Span, status: int, request_id: str) -> None:
    """End a request's span."""
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("marquee.request_id", request_id)
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def _end(span: Span, request: web.Request, status: int) -> None:
    if span.is_recording():  # else it is not kept, or a socket's that has ended by now
        answered(span, status, request[REQUEST_ID])
