"""A bounded mailbox with a control lane. Putting never waits; taking takes all there is."""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from actors.failures import Overloaded

M = TypeVar("M")


class Mailbox(Generic[M]):
    """`put` refuses above the limit; `put_control` (timers, stop) always fits and is taken first."""

    def __init__(self, messages_max: int) -> None:
        self._messages_max = messages_max
        self._messages: deque[M] = deque()
        self._control: deque[M] = deque()
        self._ring: Callable[[], None] | None = None
        self._closed: BaseException | None = None

    def __len__(self) -> int:
        return len(self._messages)

    def __bool__(self) -> bool:
        return bool(self._messages or self._control)

    @property
    def rests(self) -> bool:
        """Whether whoever takes waits for a message."""
        return self._ring is not None

    def await_mail(self, ring: Callable[[], None]) -> None:
        """Call back once, as soon as there is something to take."""
        if self._messages or self._control:
            ring()
        else:
            self._ring = ring

    def put(self, message: M) -> None:
        """Overloaded when full; whatever `close` was given when closed."""
        if self._closed is not None:
            raise self._closed
        if len(self._messages) >= self._messages_max:
            raise Overloaded(f"{self._messages_max} messages are waiting")
        self._messages.append(message)
        if self._ring is not None:
            self._wake()

    def put_control(self, message: M) -> None:
        """Ignored when closed: nobody is there to obey."""
        if self._closed is None:
            self._control.append(message)
            if self._ring is not None:
                self._wake()

    def take_all(self) -> list[M]:
        """All there is, control first."""
        taken = [*self._control, *self._messages]
        self._control.clear()
        self._messages.clear()
        return taken

    def close(self, why: BaseException) -> list[M]:
        """From now on `put` raises `why`. Returns what nobody will take any more, so that it can be answered."""
        self._closed = why
        self._ring = None
        return self.take_all()

    def _wake(self) -> None:
        ring, self._ring = self._ring, None
        if ring is not None:
            ring()
