"""The actor loop: turns in order, everybody answered whatever happens."""

import asyncio
from collections.abc import Sequence

from actors.failures import JournalDown, WorldFailure
from actors.runtime.actor import Actor, ActorDied


class Recorder(Actor[str]):
    def __init__(self) -> None:
        super().__init__(100)
        self.turns: list[list[str]] = []
        self.failed: list[tuple[str, type[BaseException]]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def turn(self, batch: Sequence[str]) -> None:
        self.take_time(self.take_turn(batch))

    async def take_turn(self, batch: Sequence[str]) -> None:
        await self.gate.wait()
        if "world" in batch:
            raise JournalDown("gone")
        if "bug" in batch:
            raise AssertionError("we are wrong")
        self.turns.append(list(batch))
        self.turned()

    def fail(self, message: str, why: BaseException) -> None:
        self.failed.append((message, type(why)))


def running(actor: Recorder) -> asyncio.Future[BaseException | None]:
    ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    actor.run(ended.set_result)
    return ended


async def test_what_waits_during_a_turn_is_the_next_turn():
    actor = Recorder()
    actor.gate.clear()
    ended = running(actor)
    actor.mailbox.put("a")
    while len(actor.mailbox):
        await asyncio.sleep(0)
    actor.mailbox.put("b")
    actor.mailbox.put("c")
    actor.gate.set()
    await actor.stop()
    assert actor.turns == [["a"], ["b", "c"]]
    assert await ended is None


async def test_when_the_world_fails_everybody_who_waits_hears_it():
    actor = Recorder()
    actor.gate.clear()
    ended = running(actor)
    actor.mailbox.put("world")
    while len(actor.mailbox):
        await asyncio.sleep(0)
    actor.mailbox.put("later")
    actor.gate.set()
    assert isinstance(await ended, JournalDown)
    assert actor.failed == [("world", JournalDown), ("later", JournalDown)]


async def test_a_bug_ends_the_actor_and_is_answered_as_a_failure_that_may_be_retried():
    actor = Recorder()
    ended = running(actor)
    actor.mailbox.put("bug")
    assert isinstance(await ended, AssertionError)
    assert actor.failed == [("bug", ActorDied)]
    assert issubclass(ActorDied, WorldFailure)


async def test_stopping_finishes_what_waits():
    actor = Recorder()
    ended = running(actor)
    for message in "abc":
        actor.mailbox.put(message)
    await actor.stop()
    assert [m for turn in actor.turns for m in turn] == ["a", "b", "c"]
    assert await ended is None
