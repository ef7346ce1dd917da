"""An actor: one mailbox, one turn at a time, each turn a callback of the loop.

A message that finds the actor at rest has its turn begun by the loop soon after; what arrives during a turn is the next
one. A turn may last longer than its callback: it ends with `turned`. What goes wrong in a turn ends the actor.
Everybody who still waits gets an honest answer, and the supervisor hears why.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Generic, TypeVar

from actors.failures import Draining, WorldFailure
from actors.runtime.mailbox import Mailbox

M = TypeVar("M")


class ActorDied(WorldFailure):
    """The actor stopped because of a fault of ours; it is rebuilt from the log for the next message."""


class Actor(ABC, Generic[M]):
    """Subclasses say what a turn is and how a message is told that nobody will answer it."""

    def __init__(self, messages_max: int) -> None:
        self.mailbox: Mailbox[M] = Mailbox(messages_max)
        self._batch: Sequence[M] = ()
        self._apart: deque[M] = deque()
        self._stopping = False
        self._ended: asyncio.Future[None] | None = None
        self._on_exit: Callable[[BaseException | None], None] = lambda _why: None
        self._work: asyncio.Task[None] | None = None

    @abstractmethod
    def turn(self, batch: Sequence[M]) -> None:
        """Deal with these messages and call `turned`, now or later. What it raises ends the actor."""

    @abstractmethod
    def fail(self, message: M, why: BaseException) -> None:
        """Tell a message that nobody will deal with it."""

    def run(self, on_exit: Callable[[BaseException | None], None]) -> None:
        """Start taking turns. `on_exit` hears None after `stop`, else what ended the actor."""
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._rest()

    @property
    def resting(self) -> bool:
        """Nothing waits and no turn is under way."""
        return self.mailbox.rests

    async def stop(self) -> None:
        """Take no more messages, finish those that are waiting, end."""
        self._stopping = True
        if self._ended is None or self._ended.done():
            return
        if self.mailbox.rests:
            self._end(None)
        else:
            await asyncio.shield(self._ended)

    def turned(self) -> None:
        """The turn is over."""
        self._batch = ()
        if self._apart or self.mailbox:
            self._loop.call_soon(self._begin)
        else:
            self._rest()

    def one_by_one(self, batch: Iterable[M]) -> None:
        """The turn is over, but its messages are to have one each, before anybody else's."""
        self._apart.extend(batch)
        self.turned()

    def take_time(self, work: Coroutine[Any, Any, None]) -> None:
        """Let a turn await something; what that raises ends the actor too."""
        self._work = self._loop.create_task(work)
        self._work.add_done_callback(self._took_time)

    def die(self, why: BaseException) -> None:
        """Something in this turn went wrong."""
        answer = why if isinstance(why, WorldFailure) else ActorDied(repr(why))
        for message in (*self._batch, *self._apart):
            self.fail(message, answer)
        self._batch = ()
        self._apart.clear()
        self._end(why)

    def _rest(self) -> None:
        if self._stopping and not self.mailbox:
            self._end(None)
        else:
            self.mailbox.await_mail(self._wake)

    def _wake(self) -> None:
        self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        if self._ended is None or self._ended.done():
            return
        self._batch = (self._apart.popleft(),) if self._apart else self.mailbox.take_all()
        try:
            self.turn(self._batch)
        except Exception as error:  # noqa: BLE001  ends the actor, answers everybody, and is counted
            self.die(error)

    def _took_time(self, work: "asyncio.Task[None]") -> None:
        self._work = None
        why = Draining("stopping") if work.cancelled() else work.exception()
        if why is not None:
            self.die(why)

    def _end(self, why: BaseException | None) -> None:
        if self._ended is None or self._ended.done():
            return
        self._ended.set_result(None)
        closed = why if isinstance(why, WorldFailure) else ActorDied(repr(why)) if why else Draining("stopping")
        for message in self.mailbox.close(closed):
            self.fail(message, closed)
        self._on_exit(why)
