"""The same key gets the same answer; the same key for something else is refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from actors.ids import is_uuid
from actors.runtime.clock import ManualClock
from server.errors import Problem, too_many
from server.idempotency import command_id, idempotent, intent_of
from server.keys import TOKENS
from server.operations import PUBLIC, SIGNED_IN, Operation
from server.requests import Body, read_body
from server.responses import answer
from tests.server.house import House, open_house

ANA = "01890000-0000-7000-8000-00000000000a"
NOW = 1_790_000_000_000
DAY_MS = 86_400_000


class Order(Body):
    dish: str


class Kitchen:
    """Cooks what is ordered and counts; some dishes do not work out."""

    def __init__(self) -> None:
        self.cooked: list[str] = []
        self.door = asyncio.Event()
        self.door.set()

    async def cook(self, request: web.Request) -> web.Response:
        order = await read_body(request, Order)
        await self.door.wait()
        self.cooked.append(order.dish)
        match order.dish:
            case "nothing":
                raise Problem(409, "nothing_left", "There is nothing left.")
            case "rush":
                raise too_many("rate_limited", "Too many orders.", 1)
            case "fire":
                raise RuntimeError("the kitchen burns")
        return answer({"dish": order.dish, "number": len(self.cooked)}, 201)


@pytest.fixture
def kitchen() -> Kitchen:
    return Kitchen()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def house(
    database_url: str, kitchen: Kitchen, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    from server.rest import system

    more = (
        *system.OPERATIONS,
        Operation("POST", "/api/v1/orders", idempotent(kitchen.cook), "Cook.", PUBLIC, {201: None}),
        Operation(
            "POST",
            "/api/v1/careful-orders",
            idempotent(kitchen.cook, required=True),
            "Cook.",
            SIGNED_IN,
            {201: None},
            key_required=True,
        ),
    )
    monkeypatch.setattr(system, "OPERATIONS", more)
    async with open_house(database_url, clock=clock) as house:
        yield house


async def order(house: House, dish: str, key: str | None = None, token: str = "") -> tuple[int, bytes]:
    """Ana orders, unless the token is somebody else's."""
    headers = {} if key is None else {"Idempotency-Key": key}
    token = token or house.app[TOKENS].issue(ANA, ANA, ("customer",), ())
    response = await house.post("/orders", {"dish": dish}, headers=headers, token=token)
    return response.status, await response.read()


async def test_a_repeated_order_is_answered_and_not_cooked_again(house: House, kitchen: Kitchen) -> None:
    answers = [await order(house, "soup", "k1") for _ in range(3)]
    assert answers == [(201, b'{"dish":"soup","number":1}')] * 3
    assert kitchen.cooked == ["soup"]
    assert (await order(house, "soup"))[0] == 201
    assert kitchen.cooked == ["soup", "soup"]


async def test_a_refusal_is_an_answer_too_to_the_last_byte(house: House, kitchen: Kitchen) -> None:
    first = await order(house, "nothing", "k1")
    assert first[0] == 409
    assert await order(house, "nothing", "k1") == first
    assert kitchen.cooked == ["nothing"]


async def test_what_may_go_better_next_time_is_not_kept(house: House, kitchen: Kitchen) -> None:
    for dish, status in (("rush", 429), ("fire", 500)):
        assert [(await order(house, dish, dish))[0] for _ in range(2)] == [status] * 2
    assert kitchen.cooked == ["rush", "rush", "fire", "fire"]


async def test_a_key_stands_for_one_order_of_one_person(house: House, kitchen: Kitchen) -> None:
    await order(house, "soup", "k1")
    status, body = await order(house, "cake", "k1")
    assert (status, b"idempotency_mismatch" in body) == (422, True)
    guest = await house.guest()
    assert (await order(house, "cake", "k1", guest["access_token"]))[0] == 201
    assert kitchen.cooked == ["soup", "cake"]


async def test_a_key_of_nobody_in_particular_keeps_no_answer_for_the_next_stranger(
    house: House, kitchen: Kitchen
) -> None:
    for number in (1, 2):
        response = await house.post("/orders", {"dish": "soup"}, headers={"Idempotency-Key": "1"})
        assert (response.status, (await response.json())["number"]) == (201, number)
    ones, others = await house.post("/auth/guest", headers={"Idempotency-Key": "1"}), await house.guest()
    assert (await ones.json())["user"]["id"] != others["user"]["id"]


async def test_of_many_at_once_one_is_cooked(house: House, kitchen: Kitchen) -> None:
    kitchen.door.clear()
    waiting = [asyncio.create_task(order(house, "soup", "k1")) for _ in range(8)]
    refused = []
    while len(refused) < 7:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        refused += [task.result() for task in done]
        waiting = [task for task in waiting if task not in done]
    assert {status for status, _ in refused} == {409}
    assert all(b"idempotency_in_progress" in body for _, body in refused)
    kitchen.door.set()
    assert (await waiting[0])[0] == 201
    assert kitchen.cooked == ["soup"]


async def test_a_key_is_free_again_after_a_day(house: House, kitchen: Kitchen, clock: ManualClock) -> None:
    await order(house, "soup", "k1")
    clock.advance(DAY_MS - 1)
    await order(house, "soup", "k1")
    assert len(kitchen.cooked) == 1
    clock.advance(2)
    assert (await order(house, "cake", "k1"))[0] == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "ä"])
async def test_a_strange_key_is_refused(house: House, key: str) -> None:
    status, body = await order(house, "soup", key)
    assert (status, b"idempotency_key_invalid" in body) == (400, True)


async def test_where_a_key_is_required_its_absence_is_refused_after_the_caller_is_known(house: House) -> None:
    nobody = await house.post("/careful-orders", {"dish": "soup"})
    assert (nobody.status, (await nobody.json())["code"]) == (401, "auth_required")
    token = (await house.guest())["access_token"]
    response = await house.post("/careful-orders", {"dish": "soup"}, token=token)
    assert (response.status, (await response.json())["code"]) == (400, "idempotency_key_required")


def test_command_ids_and_intents_depend_on_every_part_and_on_nothing_else() -> None:
    made = {command_id(*parts) for parts in [("a", "b", "c"), ("a", "c", "b"), ("ab", "", "c"), ("a", "bc", "")]}
    assert len(made) == 4
    assert all(map(is_uuid, made))
    assert command_id("a", "b", "c") == command_id("a", "b", "c")
    assert intent_of({"a": 1, "b": [2]}) == intent_of({"b": [2], "a": 1}) != intent_of({"a": 1, "b": [3]})
    assert 0 <= intent_of({}) < 1 << 63
