"""At most one live actor for each key, started by the first message that needs it.

The starting task is stored before anything is awaited: two callers can never start two actors.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

A = TypeVar("A")


class Registry(Generic[A]):
    def __init__(self, start: Callable[[str], Awaitable[A]]) -> None:
        self._start = start
        self._resident: dict[str, A] = {}
        self._starting: dict[str, asyncio.Task[A]] = {}

    def resident(self, key: str) -> A | None:
        return self._resident.get(key)

    def __iter__(self) -> Iterator[A]:
        return iter(tuple(self._resident.values()))

    def __len__(self) -> int:
        return len(self._resident)

    async def get(self, key: str) -> A:
        """The live actor. Raises what starting it raises; the next caller tries again."""
        if (actor := self._resident.get(key)) is not None:
            return actor
        task = self._starting.get(key)
        if task is None:
            task = self._starting[key] = asyncio.create_task(self._activate(key), name=f"activate {key}")
            task.add_done_callback(_heard)
        # A caller that goes away must not take the actor of everybody else with it.
        return await asyncio.shield(task)

    def forget(self, key: str, actor: A) -> None:
        """The actor has stopped. Ignored when somebody else lives under that key by now."""
        if self._resident.get(key) is actor:
            del self._resident[key]

    async def _activate(self, key: str) -> A:
        try:
            actor = await self._start(key)
            self._resident[key] = actor
            return actor
        finally:
            del self._starting[key]


def _heard(task: asyncio.Task[A]) -> None:
    """Callers see the exception; a start that nobody waits for any more must not be reported as lost."""
    if not task.cancelled():
        task.exception()
