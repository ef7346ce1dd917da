"""The traced parts of the house, made for one application and taken by its composition root."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from aiohttp import web
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from server.config import Config
from server.life import VERSION
from server.traces.commands import Journeys, TracedActor
from server.traces.commits import LINKS_MAX, TracedJournal
from server.traces.express import TracedExpress
from server.traces.outbox import Outbox
from server.traces.queries import traced_connection
from server.traces.requests import Requests

SERVICE: Final = "marquee"
VALUE_LENGTH_MAX: Final = 2_048


class Tracing:
    """`around` goes around the wrapper of handlers, the other parts are for the plain ones."""

    def __init__(self, config: Config) -> None:
        assert config.otlp_url is not None
        self._url, self._headers = config.otlp_url, dict(config.otlp_headers)
        ratio = TraceIdRatioBased(config.trace_ratio)
        self._provider = TracerProvider(
            sampler=ParentBased(ratio, remote_parent_sampled=ratio),
            resource=Resource.create({"service.name": SERVICE, "service.version": VERSION}),
            span_limits=SpanLimits(max_links=LINKS_MAX, max_attribute_length=VALUE_LENGTH_MAX),
            shutdown_on_exit=False,
        )
        tracer = self._provider.get_tracer(SERVICE, VERSION)
        requests = Requests(tracer)
        self.around = requests.around
        self.upgraded = requests.upgraded
        self.actor = partial(TracedActor, Journeys(tracer, requests.sockets))
        self.express = partial(TracedExpress, tracer)
        self.journal = partial(TracedJournal, tracer)
        self.connection = traced_connection(tracer)

    async def sent(self, _app: web.Application) -> AsyncIterator[None]:
        """For `app.cleanup_ctx`, as the first: what everything else does until the end is sent, too."""
        outbox = Outbox(self._url, self._headers)
        self._provider.add_span_processor(outbox.spans)
        yield
        await outbox.close()
