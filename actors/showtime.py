"""The actor of one showtime: it joins the rules of the seat map to the runtime that runs actors.

A turn takes all that waits, folds what time has brought, judges each command against the state so far, appends the
records once, and only then speaks: to those who asked and to those who watch. Nobody outside ever sees a state that is
not on disk: `snapshot` is the durable one, and what a turn decides stays inside it until the append has returned.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from actors.limits import Limits
from actors.ports import (
    REFUSALS_LOADED_MAX,
    Clock,
    Enclosure,
    Handle,
    Journal,
    Loaded,
    Publisher,
    Rejected,
    WorldFailure,
)
from actors.runtime.actor import Actor
from actors.seatmap.commands import ActorKind, Cause, Command, Expire
from actors.seatmap.events import Event, Record
from actors.seatmap.refusals import Accepted, Decision, Refusal, Refused
from actors.seatmap.rules import decide, due
from actors.seatmap.state import NEVER, SeatMap, evolve, next_due
from actors.seatmap.terms import Instant
from actors.seatmap.values import dataclass

CLOCKWORK: Final = Cause(command_id="", kind=ActorKind.SYSTEM, actor_id="clock")
_TICK: Final = Expire(CLOCKWORK)


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a command.

    `records` are what it caused, or what its first attempt caused when it is a retry. Accepted without records: it was
    so already. `state` is durable and includes them.
    """

    decision: Decision
    records: tuple[Record, ...]
    state: SeatMap
    epoch: int


Answer = Callable[[Reply | BaseException], None]


class Envelope:
    """A command on its way, with what came along and the place where its answer goes. Answers once."""

    __slots__ = ("_answer", "command", "enclosure")

    def __init__(self, command: Command, answer: Answer | None, enclosure: Enclosure | None = None) -> None:
        self.command = command
        self.enclosure = enclosure
        self._answer = answer

    def answer(self, reply: Reply | BaseException) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer(reply)


Told = tuple[Envelope, Decision, tuple[Record, ...]]
Past = Mapping[str, tuple[Record, ...]]
"""What commands caused that this memory does not reach back to, by command id."""

_NOTHING_PAST: Final[Past] = {}


@dataclass(slots=True)
class Judgement:
    """A turn in the making: where the state would be, and what to tell whom once that is durable."""

    state: SeatMap
    records: list[Record]
    enclosures: list[Enclosure]
    replies: list[Told]
    refused: dict[str, tuple[int, Refused]]


class ShowtimeActor(Actor[Envelope]):
    def __init__(
        self, showtime_id: str, loaded: Loaded, journal: Journal, publisher: Publisher, clock: Clock,
        limits: Limits,
    ) -> None:  # fmt: skip
        super().__init__(limits.mailbox_messages_max)
        self.showtime_id = showtime_id
        self.epoch = loaded.epoch
        self._durable = loaded.state
        self._older = loaded.older
        self._remembered_since = loaded.state.memory.since
        self._journal = journal
        self._publisher = publisher
        self._clock = clock
        self._limits = limits
        self._trail: deque[Record] = deque(maxlen=limits.trail_records_max)
        self._refused: OrderedDict[str, tuple[int, Refused]] = OrderedDict(loaded.refused)
        self._forgot_refusals = len(loaded.refused) >= REFUSALS_LOADED_MAX
        self._alarm: Handle | None = None
        self._alarm_at: Instant = NEVER
        self._kept_version = loaded.kept
        self._keeping: asyncio.Task[None] | None = None
        self.busy_at: Instant = clock.now()
        self._set_alarm()

    @property
    def snapshot(self) -> SeatMap:
        """The durable state: immutable, safe from any task."""
        return self._durable

    @property
    def unkept_records(self) -> int:
        """Records since the last snapshot: what a recovery would have to fold."""
        return self._durable.version - self._kept_version

    def trail(self, after: int) -> Sequence[Record] | None:
        """The durable records above version `after`, or None when some of them are not remembered any more."""
        missing = self._durable.version - after
        if missing <= 0:
            return ()
        if missing > len(self._trail):
            return None
        return [self._trail[index] for index in range(len(self._trail) - missing, len(self._trail))]

    def post(self, command: Command, answer: Answer, enclosure: Enclosure | None = None) -> None:
        """Put a command into the mailbox; `answer` is called once. Overloaded, Draining, or how the actor died."""
        self.mailbox.put(Envelope(command, answer, enclosure))

    def turn(self, batch: Sequence[Envelope]) -> None:
        now = self.busy_at = self._clock.now()
        if self._may_have_forgotten:
            self.take_time(self._turn_remembering(batch, now))
        else:
            self._decide(batch, now, _NOTHING_PAST)

    def fail(self, message: Envelope, why: BaseException) -> None:
        message.answer(why)

    @property
    def idle(self) -> bool:
        """Nothing waits, nobody's hold or unpaid booking depends on it, and no turn is under way."""
        return self.resting and not self._durable.pledged

    def silence(self) -> None:
        """No more alarms: this actor is leaving."""
        if self._alarm is not None:
            self._alarm.cancel()

    async def keep(self) -> None:
        """Store the present state, so that waking up is short."""
        state = self._durable
        try:
            await self._journal.snapshot(state)
        except WorldFailure:
            return  # the log alone is enough; the next thousand records try again
        finally:
            self._keeping = None
        self._kept_version = state.version

    async def _turn_remembering(self, batch: Sequence[Envelope], now: Instant) -> None:
        self._decide(batch, now, await self._ask_the_log(batch))

    def _decide(self, batch: Sequence[Envelope], now: Instant, past: Past) -> None:
        judged = self._judge(batch, now, past)
        if judged.records:
            stored = partial(self._stored, batch, judged, now)
            self._journal.store(self.epoch, self._durable, judged.state, judged.records, stored, judged.enclosures)
        else:
            self._conclude(judged, now)

    def _stored(self, batch: Sequence[Envelope], judged: Judgement, now: Instant, failure: Exception | None) -> None:
        """Called by the journal: `batch` is on disk, or not."""
        if failure is None:
            try:
                self._adopt(judged)
                self._conclude(judged, now)
            except Exception as error:  # noqa: BLE001  ends the actor, answers everybody, and is counted
                self.die(error)
        elif not isinstance(failure, Rejected):
            self.die(failure)
        elif len(batch) == 1:  # it fails alone, so it is the one that cannot be stored
            batch[0].answer(failure)
            self.turned()
        else:
            self.one_by_one(batch)

    def _conclude(self, judged: Judgement, now: Instant) -> None:
        if judged.refused:
            self.take_time(self._tell_remembered(judged, now))
        else:
            self._tell(judged.replies)
            self._be_ready()

    async def _tell_remembered(self, judged: Judgement, now: Instant) -> None:
        await self._remember(judged, now)
        self._tell(judged.replies)
        self._be_ready()

    def _be_ready(self) -> None:
        self._set_alarm()
        if self.unkept_records >= self._limits.snapshot_after_records and self._keeping is None:
            self._keeping = asyncio.create_task(self.keep())
        self.turned()

    def _judge(self, batch: Sequence[Envelope], now: Instant, past: Past) -> Judgement:
        """Synchronous from beginning to end: nothing can come between the check and the use."""
        judged = Judgement(self._durable, [], [], [], {})
        if now >= self._durable.deadline:
            self._record(judged, due(self._durable, now), CLOCKWORK, now)
        for envelope in batch:
            command = envelope.command
            if command is _TICK:
                continue
            known = self._recall(judged, command.cause, past) if command.cause.retryable else None
            if known is not None:
                judged.replies.append((envelope, *known))
                continue
            decision = decide(judged.state, command, now)
            records: tuple[Record, ...] = ()
            if isinstance(decision, Accepted):
                records = self._record(judged, decision.events, command.cause, now)
                if records and envelope.enclosure is not None:
                    judged.enclosures.append(envelope.enclosure)
            elif command.cause.retryable:
                judged.refused[command.cause.command_id] = (command.cause.intent, decision)
            judged.replies.append((envelope, decision, records))
        return judged

    @staticmethod
    def _record(judged: Judgement, events: Sequence[Event], cause: Cause, now: Instant) -> tuple[Record, ...]:
        if not events:
            return ()
        first = judged.state.version + 1
        records = tuple([Record(version, now, cause, event) for version, event in enumerate(events, first)])
        judged.state = evolve(judged.state, records)
        judged.records += records
        return records

    def _recall(self, judged: Judgement, cause: Cause, past: Past) -> tuple[Decision, tuple[Record, ...]] | None:
        """Same id, same answer; same id with another intent is refused."""
        records = judged.state.memory.recall(cause.command_id) or past.get(cause.command_id)
        if records:
            if records[0].cause.intent != cause.intent:
                return Refused(Refusal.COMMAND_ID_REUSED), ()
            return Accepted(tuple(record.event for record in records)), records
        refused = judged.refused.get(cause.command_id) or self._refused.get(cause.command_id)
        if refused is not None:
            intent, refusal = refused
            return (refusal if intent == cause.intent else Refused(Refusal.COMMAND_ID_REUSED)), ()
        return None

    @property
    def _grew_too_long(self) -> bool:
        """The memory let go of commands that `_older` does not list."""
        return self._durable.memory.since > self._remembered_since

    @property
    def _may_have_forgotten(self) -> bool:
        return bool(self._older) or self._forgot_refusals or self._grew_too_long

    async def _ask_the_log(self, batch: Sequence[Envelope]) -> Past:
        """What retries may be repeating from before this memory begins."""
        memory, forgot = self._durable.memory, self._grew_too_long
        if self._forgot_refusals:
            asked = [envelope.command.cause for envelope in batch if envelope.command.cause.retryable]
            strange = [cause.command_id for cause in asked if cause.command_id not in self._refused]
            if strange:
                self._refused.update(await self._journal.refused(self.showtime_id, strange))
        wanted = [
            cause.command_id
            for cause in (envelope.command.cause for envelope in batch)
            if cause.retryable
            and (forgot or cause.command_id in self._older)
            and memory.recall(cause.command_id) is None
        ]
        past: dict[str, tuple[Record, ...]] = {}
        if wanted:
            for record in await self._journal.recall(self.showtime_id, wanted):
                past[record.cause.command_id] = (*past.get(record.cause.command_id, ()), record)
        return past

    def _tell(self, replies: Sequence[Told]) -> None:
        for envelope, decision, records in replies:
            envelope.answer(Reply(decision, records, self._durable, self.epoch))

    async def _remember(self, judged: Judgement, now: Instant) -> None:
        """Only after the append: what was refused because of an event that was never stored must be judged again.

        And before it is answered: whoever has heard a refusal hears the same one after a restart. Nobody else waits.
        """
        self._tell([told for told in judged.replies if told[0].command.cause.command_id not in judged.refused])
        await self._journal.refuse(self.showtime_id, judged.refused, now)
        self._refused.update(judged.refused)
        while len(self._refused) > self._limits.refusals_remembered_max:
            self._refused.popitem(last=False)
            self._forgot_refusals = True

    def _adopt(self, judged: Judgement) -> None:
        """From here on the world may know."""
        self._durable = judged.state
        self._trail.extend(judged.records)
        self._publisher.publish(self.epoch, judged.records, judged.state)

    def _set_alarm(self) -> None:
        """One alarm for the earliest deadline. A stale one in the past is replaced by the exact moment."""
        at = self._durable.deadline
        if at == self._alarm_at:
            return
        if at <= self._clock.now():
            at = next_due(self._durable)
            if at == self._alarm_at:
                return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = None if at >= NEVER else self._clock.call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm_at = NEVER
        self._alarm = None
        self.mailbox.put_control(Envelope(_TICK, None))
