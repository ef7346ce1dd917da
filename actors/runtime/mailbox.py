"""A bounded mailbox with a control lane. Putting never waits; taking takes all there is."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from actors.failures import Overloaded

M = TypeVar("M")


class Mailbox(Generic[M]):
    """`put` refuses above the limit; `put_control` (timers, stop) always fits and is taken first."""

    def __init__(self, messages_max: int) -> None:
        self._messages_max = messages_max
        # Kept, because looking it up asks the kernel for the process id each time (Python 3.11).
        self._loop = asyncio.get_running_loop()
        self._messages: deque[M] = deque()
        self._control: deque[M] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed: BaseException | None = None

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def sleeping(self) -> bool:
        """Whether the taker waits for a message."""
        return self._waiter is not None and not self._waiter.done()

    def put(self, message: M) -> None:
        """Overloaded when full; whatever `close` was given when closed."""
        if self._closed is not None:
            raise self._closed
        if len(self._messages) >= self._messages_max:
            raise Overloaded(f"{self._messages_max} messages are waiting")
        self._messages.append(message)
        if self._waiter is not None:
            self.wake()

    def put_control(self, message: M) -> None:
        """Ignored when closed: nobody is there to obey."""
        if self._closed is None:
            self._control.append(message)
            if self._waiter is not None:
                self.wake()

    async def take_all(self) -> list[M]:
        """Sleep until there is something, then take it all, control first."""
        if not self._messages and not self._control:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        taken = [*self._control, *self._messages]
        self._control.clear()
        self._messages.clear()
        return taken

    def close(self, why: BaseException) -> list[M]:
        """From now on `put` raises `why`. Returns what nobody will take any more, so that it can be answered."""
        self._closed = why
        left = [*self._control, *self._messages]
        self._control.clear()
        self._messages.clear()
        return left

    def wake(self) -> None:
        """Let `take_all` return, if only with nothing."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
