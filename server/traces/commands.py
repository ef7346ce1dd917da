"""A command's way through its showtime: how long it lay in the mailbox, its turn, and what the turn waited for.

A command belongs to the request that sends it. One from a socket, or from a clock, begins a trace of its own.
"""

from collections.abc import Mapping, Sequence
from contextvars import Context as Surroundings
from typing import Final

from opentelemetry.context import Context, attach, create_key, get_value, set_value
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Tracer, get_current_span
from structlog.contextvars import bound_contextvars

from actors.limits import Limits
from actors.ports import Clock, Enclosure, Journal, Loaded, Publisher
from actors.seatmap.commands import Command
from actors.seatmap.refusals import Refused
from actors.showtime import Answer, Envelope, Reply, ShowtimeActor
from server.traces.spans import below, fail, trace_id

_CARRIED: Final = create_key("marquee commands of this turn")


class Journey:
    """The spans of one command."""

    __slots__ = ("_mailbox", "_name", "_parent", "_root", "_showtime_id", "_tracer", "_turn")

    def __init__(self, tracer: Tracer, showtime_id: str, command: Command, parent: Span, root: Span | None) -> None:
        self._tracer = tracer
        self._showtime_id = showtime_id
        self._name = type(command).__name__
        self._parent = parent
        self._root = root
        self._turn: Span | None = None
        self._mailbox = tracer.start_span(
            "mailbox", context=below(parent), attributes={"marquee.showtime_id": showtime_id}
        )

    def taken(self, together: int) -> None:
        """Its turn begins, with so many others. One that is judged again, alone, is still in its turn."""
        if self._turn is None:
            self._mailbox.end()
            told: dict[str, str | int] = {"marquee.showtime_id": self._showtime_id, "marquee.commands": together}
            self._turn = self._tracer.start_span(f"turn {self._name}", context=below(self._parent), attributes=told)

    @property
    def open(self) -> bool:
        """Whether its turn is under way."""
        return self._turn is not None and self._turn.is_recording()

    def waits(self, name: str, attributes: Mapping[str, int]) -> Span:
        """The turn waits for something."""
        return self._tracer.start_span(name, context=below(self._turn or self._parent), attributes=attributes)

    @property
    def trace_id(self) -> str:
        return trace_id(self._parent)

    def ended(self, outcome: Reply | BaseException) -> None:
        """What became of it is known; nobody has been told."""
        inner = self._turn or self._mailbox
        _tell(inner, outcome)
        inner.end()
        if self._root is not None:
            _tell(self._root, outcome)

    def answered(self) -> None:
        """Whoever asked has been told."""
        if self._root is not None:
            self._root.end()


class Journeys:
    """`sockets` are the spans of upgrades, by the request id that a socket's commands carry."""

    def __init__(self, tracer: Tracer, sockets: Mapping[str, SpanContext]) -> None:
        self._tracer = tracer
        self._sockets = sockets

    def begin(self, showtime_id: str, command: Command) -> Journey | None:
        """None where no spans are kept."""
        current = get_current_span()
        if current.is_recording():
            return Journey(self._tracer, showtime_id, command, current, None)
        upgrade = self._sockets.get(command.cause.request_id)
        if upgrade is None and current.get_span_context().is_valid:  # a request that is not kept
            return None
        name = type(command).__name__
        root = self._tracer.start_span(
            f"command {name}" if upgrade is None else f"socket {name}",
            context=Context(),
            kind=SpanKind.INTERNAL if upgrade is None else SpanKind.SERVER,
            links=() if upgrade is None else (Link(upgrade),),
            attributes={"marquee.request_id": command.cause.request_id},
        )
        return Journey(self._tracer, showtime_id, command, root, root) if root.is_recording() else None


class TracedEnvelope(Envelope):
    __slots__ = ("journey",)

    def __init__(self, command: Command, answer: Answer, enclosure: Enclosure | None, journey: Journey) -> None:
        super().__init__(command, answer, enclosure)
        self.journey: Journey | None = journey

    def answer(self, reply: Reply | BaseException) -> None:
        journey, self.journey = self.journey, None
        if journey is None:
            return
        journey.ended(reply)
        if isinstance(reply, BaseException):
            with bound_contextvars(trace_id=journey.trace_id):  # it may be logged
                super().answer(reply)
        else:
            super().answer(reply)
        journey.answered()


class TracedActor(ShowtimeActor):
    def __init__(
        self, journeys: Journeys, showtime_id: str, loaded: Loaded, journal: Journal, publisher: Publisher,
        clock: Clock, limits: Limits,
    ) -> None:  # fmt: skip
        super().__init__(showtime_id, loaded, journal, publisher, clock, limits)
        self._journeys = journeys

    def post(self, command: Command, answer: Answer, enclosure: Enclosure | None = None) -> None:
        journey = self._journeys.begin(self.showtime_id, command)
        if journey is None:
            super().post(command, answer, enclosure)
            return
        try:
            self.mailbox.put(TracedEnvelope(command, answer, enclosure, journey))
        except BaseException as failure:
            journey.ended(failure)
            journey.answered()
            raise

    def turn(self, batch: Sequence[Envelope]) -> None:
        """In surroundings of its own, or everything it does would belong to the request that woke it."""
        journeys = [envelope.journey for envelope in batch if isinstance(envelope, TracedEnvelope) and envelope.journey]
        for journey in journeys:
            journey.taken(len(batch))
        Surroundings().run(self._turn_of, batch, journeys)

    def _turn_of(self, batch: Sequence[Envelope], journeys: Sequence[Journey]) -> None:
        attach(set_value(_CARRIED, journeys, Context()))
        super().turn(batch)


def waits(name: str, **attributes: int) -> Sequence[Span]:
    """A span for each command of the present turn that has no answer yet: all of them wait for the same."""
    told = {f"marquee.{key}": value for key, value in attributes.items()}
    journeys = get_value(_CARRIED)
    return [journey.waits(name, told) for journey in journeys if journey.open] if isinstance(journeys, list) else []


def _tell(span: Span, outcome: Reply | BaseException) -> None:
    if isinstance(outcome, BaseException):
        fail(span, outcome)
    elif isinstance(outcome.decision, Refused):
        span.set_attribute("marquee.refusal", outcome.decision.refusal.value)
    else:
        span.set_attribute("marquee.records", len(outcome.records))
