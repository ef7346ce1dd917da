"""A span for each query that a request makes. Its text, whose values are always sent apart, and never its values."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.trace import SpanKind, Tracer, get_current_span

from persistence.database import WriterConnection
from server.traces.spans import below, ending


def traced_connection(tracer: Tracer) -> type[WriterConnection]:
    """The class of connection for a pool."""

    @contextmanager
    def asking(query: str) -> Iterator[None]:
        request = get_current_span()
        if not request.is_recording():  # what nobody asked for, like housekeeping, begins no trace
            yield
            return
        operation = query.split(None, 1)[0].rstrip(";").upper() if query.strip() else ""
        told = {"db.system.name": "postgresql", "db.operation.name": operation, "db.query.text": query}
        with ending(tracer.start_span(operation, context=below(request), kind=SpanKind.CLIENT, attributes=told)):
            yield

    class TracedConnection(WriterConnection):
        __slots__ = ()

        async def execute(self, query: str, *values: Any, **rest: Any) -> Any:
            with asking(query):
                return await super().execute(query, *values, **rest)

        async def executemany(self, command: str, args: Any, **rest: Any) -> None:
            with asking(command):
                await super().executemany(command, args, **rest)

        async def fetch(self, query: str, *values: Any, **rest: Any) -> Any:
            with asking(query):
                return await super().fetch(query, *values, **rest)

        async def fetchrow(self, query: str, *values: Any, **rest: Any) -> Any:
            with asking(query):
                return await super().fetchrow(query, *values, **rest)

        async def fetchval(self, query: str, *values: Any, **rest: Any) -> Any:
            with asking(query):
                return await super().fetchval(query, *values, **rest)

    return TracedConnection
