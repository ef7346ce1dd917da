"""What the operator can see: structured logs without secrets or personal data, and Prometheus metrics.

Metrics hang on a registry of the application's own, so two applications in one process never mix their figures.
"""

import logging
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, MutableMapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson
import structlog
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import AbstractResource, RequestPayloadError
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from persistence.journal import Figures

EXPOSITION_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SECRET_WORDS: Final = ("token", "password", "secret", "authorization", "cookie", "email", "phone")
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

Sample = tuple[str, AbstractResource | None, int]


class Requests(Collector):
    """Requests answered, and how long it took. Counted by the loop's one thread, so without the library's locks."""

    def __init__(self) -> None:
        self._counts: dict[Sample, list[int]] = {}
        self._seconds: dict[Sample, float] = {}

    def answered(self, method: str, resource: AbstractResource | None, status: int, seconds: float) -> None:
        """Count one answer. This lies on the way of every request."""
        sample = (method, resource, status)
        counts = self._counts.get(sample)
        if counts is None:
            counts = self._counts[sample] = [0] * (len(_SECONDS) + 1)
            self._seconds[sample] = 0.0
        counts[bisect_left(_SECONDS, seconds)] += 1
        self._seconds[sample] += seconds

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(
            "marquee_http_request_seconds",
            "Requests answered, and how long it took.",
            labels=["method", "route", "status"],
        )
        bounds = [*map(floatToGoString, _SECONDS), "+Inf"]
        for (method, resource, status), counts in self._counts.items():
            route = "-" if resource is None else resource.canonical
            buckets = [*zip(bounds, map(float, accumulate(counts)), strict=True)]
            family.add_metric([method, route, str(status)], buckets, self._seconds[method, resource, status])
        return [family]


class Telemetry:
    """The application's metrics. Others may register their own on `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.problems = Counter("marquee_problems_total", "Problem answers.", ["code"], registry=self.registry)
        self.logins = Counter("marquee_logins_total", "Log-in attempts.", ["outcome"], registry=self.registry)
        self.passwords_waiting = Gauge("marquee_passwords_waiting", "Passwords to hash.", registry=self.registry)
        self.deaths = Counter("marquee_showtime_deaths_total", "Actors that died.", registry=self.registry)
        self.requests = Requests()
        self.registry.register(self.requests)

    def watch_journal(self, figures: Callable[[], "Figures"]) -> None:
        """Show the journal's figures; they are asked for when somebody looks."""
        self._show("marquee_journal_rows_queued", "Rows to be written.", lambda: figures().rows_queued)
        self._show("marquee_journal_lag_seconds", "Age of the oldest unwritten row.", lambda: figures().lag_seconds)
        self._show("marquee_journal_commits", "Commits since the start.", lambda: figures().commits)
        self._show("marquee_journal_rows", "Rows written since the start.", lambda: figures().rows)
        self._show("marquee_journal_connected", "Whether the log can be written.", lambda: figures().connected)

    def watch_showtimes(self, resident: Callable[[], int], waiting: Callable[[], int]) -> None:
        self._show("marquee_showtimes_resident", "Showtimes in memory.", resident)
        self._show("marquee_mailbox_commands", "Commands that wait, over all showtimes.", waiting)

    def watch_sockets(self, opened: Callable[[], int], stale: Callable[[], int]) -> None:
        self._show("marquee_live_sockets", "Open sockets.", opened)
        self._show("marquee_live_sockets_stale", "Sockets that are behind and wait for a snapshot.", stale)

    def _show(self, name: str, about: str, figure: Callable[[], float]) -> None:
        Gauge(name, about, registry=self.registry).set_function(figure)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


def configure_logging(level: str, form: Literal["console", "json"]) -> None:
    """Send structlog and the standard library's loggers to stderr in one form."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = (
        structlog.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event, default=repr).decode())
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The default draws local variables too: passwords and tokens would end up in the log.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
        structlog.processors.format_exc_info if form == "json" else _keep,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    logging.getLogger("asyncio").setLevel(max(number, logging.WARNING))
    logging.getLogger("aiohttp.server").addFilter(_without_the_request)


def _without_the_request(record: logging.LogRecord) -> bool:
    """What cannot be parsed or unpacked is quoted in the error, and may be a token with one wrong sign."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | RequestPayloadError):
        record.msg, record.args, record.exc_info = "malformed_request", (), None
    return True


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Never let a secret or an address of a person into the log, whoever logs it."""
    for key in event:
        if any(word in key.lower() for word in SECRET_WORDS):
            event[key] = "[redacted]"
    return event


def _keep(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return event
