"""The short way of a hold, with the same span around it as on the ordinary way."""

import re
from typing import Final, cast

from aiohttp import StreamReader, hdrs, web
from aiohttp.http import RawRequestMessage
from opentelemetry.trace import Span, SpanKind, Tracer

from server.express import Connection, Express
from server.rest import holds
from server.traces.requests import answered, continued, current

NAME: Final = f"POST {holds.PATH}"
_END_OF_PATH: Final = holds.PATH.rpartition("/")[2]
_head: Final = re.compile(rb"HTTP/1.1 (\d+) .*?\r\nX-Request-Id: ([^\r]*)\r\n", re.DOTALL).match


class TracedExpress(Express):
    def __init__(self, tracer: Tracer, app: web.Application) -> None:
        super().__init__(app)
        self._tracer = tracer

    def take(self, connection: Connection, message: RawRequestMessage, payload: StreamReader) -> bool:
        """A span that is begun for a request which takes the ordinary way after all is dropped without an end."""
        if message.method != hdrs.METH_POST or not message.path.endswith(_END_OF_PATH):
            return super().take(connection, message, payload)
        told = {"http.request.method": hdrs.METH_POST, "http.route": holds.PATH}
        span = self._tracer.start_span(NAME, context=continued(message.headers), kind=SpanKind.SERVER, attributes=told)
        line = cast("Connection", Line(connection, span)) if span.is_recording() else connection
        with current(span):
            return super().take(line, message, payload)


class Line:
    """Stands between a call and its connection, and sees what is answered."""

    __slots__ = ("_connection", "_span")

    def __init__(self, connection: Connection, span: Span) -> None:
        self._connection = connection
        self._span = span

    def answer(self, raw: bytes) -> None:
        if (head := _head(raw)) is not None:
            answered(self._span, int(head[1]), head[2].decode())
        self._connection.answer(raw)
