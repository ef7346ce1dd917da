"""The registry: one actor for each key, whoever asks at the same time."""

import asyncio

from actors.runtime.registry import Registry


async def test_a_hundred_callers_at_once_start_one_actor():
    started: list[str] = []

    async def start(key: str) -> object:
        started.append(key)
        await asyncio.sleep(0)
        return object()

    registry = Registry(start)
    actors = await asyncio.gather(*(registry.get("k") for _ in range(100)))
    assert started == ["k"]
    assert len({id(actor) for actor in actors}) == 1
    assert registry.resident("k") is actors[0]


async def test_a_caller_that_goes_away_does_not_take_the_start_with_it():
    gate = asyncio.Event()

    async def start(key: str) -> str:
        await gate.wait()
        return key.upper()

    registry = Registry(start)
    impatient = asyncio.create_task(registry.get("k"))
    patient = asyncio.create_task(registry.get("k"))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    assert await patient == "K"


async def test_a_failed_start_is_told_to_all_who_wait_and_tried_again_for_the_next():
    attempts = 0

    async def start(key: str) -> str:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise ConnectionError
        return key

    registry = Registry(start)
    outcomes = await asyncio.gather(registry.get("k"), registry.get("k"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError, ConnectionError]
    assert await registry.get("k") == "k"


async def test_forgetting_a_dead_actor_never_forgets_its_successor():
    async def start(key: str) -> object:
        return object()

    registry = Registry(start)
    first = await registry.get("k")
    registry.forget("k", first)
    second = await registry.get("k")
    registry.forget("k", first)
    assert registry.resident("k") is second
