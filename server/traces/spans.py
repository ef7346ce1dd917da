"""What every span of the house has in common: how a fault is told, and what it is a child of."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context


def below(span: Span) -> Context:
    """Where children of a span are begun, whatever is current."""
    return set_span_in_context(span, Context())


def trace_id(span: Span) -> str:
    """As it stands in log lines."""
    return f"{span.get_span_context().trace_id:032x}"


def fail(span: Span, error: BaseException) -> None:
    """The kind of error only: its words may quote a row, an address, a token."""
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(Status(StatusCode.ERROR))


def end(spans: Iterable[Span], failure: BaseException | None = None) -> None:
    for span in spans:
        if failure is not None:
            fail(span, failure)
        span.end()


@contextmanager
def ending(*spans: Span) -> Iterator[None]:
    """They end with the block, and tell of what it raises."""
    try:
        yield
    except BaseException as error:
        end(spans, error)
        raise
    end(spans)
