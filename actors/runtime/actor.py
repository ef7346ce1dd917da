"""An actor: one task, one mailbox, one turn at a time.

What a turn raises ends the actor. Everybody who still waits gets an honest answer, and the supervisor hears why.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from actors.failures import Draining, WorldFailure
from actors.runtime.mailbox import Mailbox

M = TypeVar("M")


class ActorDied(WorldFailure):
    """The actor stopped because of a fault of ours; it is rebuilt from the log for the next message."""


class Actor(Generic[M]):
    """Subclasses say what a turn is and how a message is told that nobody will answer it."""

    def __init__(self, messages_max: int) -> None:
        self.mailbox: Mailbox[M] = Mailbox(messages_max)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def turn(self, batch: Sequence[M]) -> None:
        raise NotImplementedError

    def fail(self, message: M, why: BaseException) -> None:
        raise NotImplementedError

    def run(self, name: str, on_exit: Callable[[BaseException | None], None]) -> None:
        """Start taking turns. `on_exit` hears None after `stop`, else what ended the actor."""
        self._task = asyncio.create_task(self._live(on_exit), name=name)

    async def stop(self) -> None:
        """Take no more messages, finish those that are waiting, end."""
        self._stopping = True
        if self._task is None or self._task.done():
            return
        self.mailbox.wake()
        await asyncio.wait([self._task])

    async def _live(self, on_exit: Callable[[BaseException | None], None]) -> None:
        why: BaseException | None = None
        batch: list[M] = []
        try:
            while not (self._stopping and not self.mailbox):
                batch = await self.mailbox.take_all()
                if batch:
                    await self.turn(batch)
        except Exception as error:  # noqa: BLE001  ends the task, answers everybody, and is counted
            why = error
            answer = error if isinstance(error, WorldFailure) else ActorDied(repr(error))
            for message in batch:
                self.fail(message, answer)
        finally:
            closed = why if isinstance(why, WorldFailure) else ActorDied(repr(why)) if why else Draining("stopping")
            for message in self.mailbox.close(closed):
                self.fail(message, closed)
            on_exit(why)
