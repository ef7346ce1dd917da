"""Where finished spans wait for the collector: a bounded queue and one thread, so that no request ever waits.

What does not fit is dropped, what the collector does not take is dropped after some tries; both stand in the log.
"""

import asyncio
import threading
from collections.abc import Mapping
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor

SPANS_WAITING_MAX: Final = 4_096
SPANS_AT_ONCE: Final = 128
"""Encoding more in one go would keep the event loop from the interpreter for longer than a hold may take."""

PAUSE_MS: Final = 1_000
EXPORT_SECONDS_MAX: Final = 5
FLUSH_SECONDS_MAX: Final = 2.0
_log: Final = structlog.get_logger("marquee.traces")


class Outbox:
    """`spans` is where a tracer provider sends what is finished."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._exporter = OTLPSpanExporter(url, headers=dict(headers), timeout=EXPORT_SECONDS_MAX)
        self.spans = BatchSpanProcessor(
            self._exporter,
            max_queue_size=SPANS_WAITING_MAX,
            schedule_delay_millis=PAUSE_MS,
            max_export_batch_size=SPANS_AT_ONCE,
        )

    async def close(self) -> None:
        """Send what waits, for a while; a collector that hangs keeps nobody from stopping."""
        loop = asyncio.get_running_loop()
        empty = loop.create_future()

        def flush() -> None:
            self.spans.shutdown()  # type: ignore[no-untyped-call]
            loop.call_soon_threadsafe(_settle, empty)

        # The loop's own threads would be waited for at the end, however long a collector hangs.
        threading.Thread(target=flush, name="last spans", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH_SECONDS_MAX):
                await empty
        except TimeoutError:
            _log.warning("spans_lost", reason="the collector took too long")
            self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
