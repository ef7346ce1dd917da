"""A stand-in for an OpenTelemetry collector: takes OTLP over HTTP, decodes it, and remembers every span."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

FAILED = 2
"""The status code of a span that failed, as OTLP numbers it."""


@dataclass(frozen=True)
class Seen:
    """A span as it arrived."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    told: dict[str, Any]
    links: tuple[str, ...]
    failed: bool
    since: int
    until: int


@dataclass
class Collector:
    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    raw: bytes = b""

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Seen:
        (span,) = self.named(name)
        return span

    def below(self, parent: Seen) -> list[Seen]:
        """What was done for it, in the order in which it began."""
        children = [span for span in self.spans if span.parent == parent.id and span.trace == parent.trace]
        return sorted(children, key=lambda span: span.since)

    def names_below(self, parent: Seen, *left_out: str) -> list[str]:
        return [span.name for span in self.below(parent) if span.name not in left_out]

    async def take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.raw += raw
        self.headers.append(dict(request.headers))
        for part in ExportTraceServiceRequest.FromString(raw).resource_spans:
            self.resources.append(_plain(part.resource.attributes))
            for scope in part.scope_spans:
                self.spans += [_seen(span) for span in scope.spans]
        return web.Response(content_type="application/x-protobuf")


@asynccontextmanager
async def open_collector() -> AsyncIterator[Collector]:
    collector, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", collector.take)
    async with TestServer(app) as server:
        collector.url = str(server.make_url("")).rstrip("/")
        yield collector


def _seen(span: Any) -> Seen:
    return Seen(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        _plain(span.attributes),
        tuple(link.span_id.hex() for link in span.links),
        span.status.code == FAILED,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
