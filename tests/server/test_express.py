"""The short way of a hold answers what the ordinary way answers, in order, and loses nothing that is under way."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest

from actors.ports import JournalDown
from actors.seatmap.commands import ActorKind, Cause, Expire
from server.express import Express
from server.keys import CLOCK, LIFE, PACES, POOL, REGISTRY
from tests.server.house import House, open_house
from tests.server.rest.cinema import HOUR, Counter, Person, fresh_key, open_counter, premiere

SHORT, ORDINARY = "application/json", "application/json; charset=utf-8"
_ids = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    async with open_house(database_url) as house:
        yield house


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Which requests the short way was asked for took it."""
    tried: list[bool] = []
    take = Express.take

    def noted(self: Express, *request: Any) -> bool:
        tried.append(take(self, *request))
        return tried[-1]

    monkeypatch.setattr(Express, "take", noted)
    return tried


class Line:
    """A connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def hear(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(15):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers["Content-Length"]))


@asynccontextmanager
async def line_to(house: House) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection(house.client.host, house.client.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


def hold(who: Person, showtime_id: str, body: object, kind: str = SHORT, **headers: str) -> bytes:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = [
        f"POST /api/v1/showtimes/{showtime_id}/holds HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {who.token}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(raw)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


async def counter_at(house: House) -> Counter:
    counter = await open_counter(house)
    await house.app[REGISTRY].actor(counter.showtime_id)
    return counter


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, {"seats": ["F7", "F8"], "ticket_types": {"F8": "child"}}),
        (201, {"best_available": {"count": 3}}),
        (409, {"seats": ["A1"]}),
        (409, {"seats": [f"E{number}" for number in range(1, 12)]}),
        (422, {"seats": ["A01"]}),
        (422, {"seats": ["F7", "F7"]}),
        (422, {"seats": []}),
        (422, {}),
        (422, {"seats": ["F7"], "best_available": {"count": 1}}),
        (422, {"seats": ["F7"], "price": 1}),
        (422, {"seats": ["F7"], "hold_id": "not an id"}),
        (404, {"seats": ["F7"], "hold_id": "0199c0de-0000-7000-8000-000000000001"}),
        (400, b"{"),
        (400, b'{"seats":["F7"],"seats":["F8"]}'),
        (400, b'{"seats":["\\u0000"]}'),
        (400, b""),
        (422, b"[]"),
    ],
)
async def test_both_ways_give_the_same_answer(house: House, taken: list[bool], status: int, body: object) -> None:
    counter, now = await counter_at(house), house.app[CLOCK].now()
    later = {"starts_at": now + 48 * HOUR, "ends_at": now + 50 * HOUR}
    other = replace(counter, showtime_id=await premiere(house.app[POOL], counter.cinema, now, **later))
    answers = []
    for kind, there in ((SHORT, counter), (ORDINARY, other)):
        await there.settle()
        await there.person().hold(there.showtime_id, "A1")
        async with line_to(house) as line:
            line.say(hold(there.person(), there.showtime_id, body, kind, X_Request_Id="r-1"))
            answers.append(await line.hear())
            assert taken[-1] is (kind == SHORT)
    for got, headers, raw in answers:
        assert got == status, raw
        headers.pop("Date"), headers.pop("Content-Length")
    (_, short, said), (_, ordinary, meant) = answers
    assert short == ordinary
    times = re.compile(rb'"expires_at":"[^"]*"')
    assert times.sub(b"", _ids.sub(b"", said)) == times.sub(b"", _ids.sub(b"", meant))


async def test_one_key_is_one_hold_whichever_way_it_comes(house: House, taken: list[bool]) -> None:
    counter = await counter_at(house)
    ana, key = counter.person(), fresh_key()
    async with line_to(house) as line:
        answers = []
        for kind in (SHORT, ORDINARY, SHORT):
            line.say(hold(ana, counter.showtime_id, {"seats": ["F7"]}, kind, Idempotency_Key=key))
            answers.append((await line.hear())[2])
        assert len(set(answers)) == 1
        line.say(hold(ana, counter.showtime_id, {"seats": ["F8"]}, Idempotency_Key=key))
        status, _, raw = await line.hear()
        assert (status, orjson.loads(raw)["code"]) == (422, "idempotency_mismatch")
        line.say(hold(ana, counter.showtime_id, {"seats": ["F8"]}, Idempotency_Key="x" * 256))
        status, _, raw = await line.hear()
        assert (status, orjson.loads(raw)["code"]) == (400, "idempotency_key_invalid")
    assert taken == [True, False, True, True, True]


async def test_who_may_not_or_goes_too_fast_hears_so_as_ever(house: House, taken: list[bool]) -> None:
    counter = await counter_at(house)
    ana = counter.person()
    async with line_to(house) as line:
        line.say(hold(ana, counter.showtime_id, {"seats": ["F7"]}).replace(b"Bearer ey", b"Bearer xx"))
        status, headers, _ = await line.hear()
        assert (status, headers["WWW-Authenticate"], taken) == (401, "Bearer", [False])
        paces = house.app[PACES]
        assert paces is not None
        paces.callers.per_second = paces.callers.burst = 1
        for seat in ("F7", "F8"):
            line.say(hold(ana, counter.showtime_id, {"seats": [seat]}))
            status, headers, raw = await line.hear()
        assert (status, orjson.loads(raw)["code"], int(headers["Retry-After"]) > 0) == (429, "rate_limited", True)
    assert taken == [False, True, True]


async def test_what_is_unusual_goes_the_ordinary_way(house: House, taken: list[bool]) -> None:
    counter = await counter_at(house)
    asked = hold(counter.person(), counter.showtime_id, {"seats": ["F7"]})
    head, _, body = asked.partition(b"\r\n\r\n")
    unusual = (
        asked.replace(b"HTTP/1.1", b"HTTP/1.0"),
        asked.replace(b"Host: x", b"Host: x\r\nConnection: close"),
        asked.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"),
        asked.replace(b"/holds ", b"/holds?x=1 "),
        asked.replace(counter.showtime_id.encode(), b"0199c0de-0000-7000-8000-000000000001"),
        head.replace(f"Content-Length: {len(body)}".encode(), b"Transfer-Encoding: chunked")
        + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
    )
    for raw in unusual:
        async with line_to(house) as line:
            line.say(raw)
            async with asyncio.timeout(15):
                assert await line.reader.readuntil(b"\r\n\r\n")
    async with line_to(house) as line:  # a body that comes after its head
        line.say(head + b"\r\n\r\n")
        await asyncio.sleep(0.05)
        line.say(body)
        await line.hear()
    assert not any(taken)


@pytest.mark.parametrize("kind", [SHORT, ORDINARY])
async def test_answers_keep_the_order_of_their_requests(house: House, kind: str) -> None:
    counter = await counter_at(house)
    ana = counter.person()
    health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    async with line_to(house) as line:
        for first, second in (("F1", "F2"), ("F3", "F4")):
            line.say(hold(ana, counter.showtime_id, {"seats": [first]}, kind))
            await asyncio.sleep(0)
            line.say(health + hold(ana, counter.showtime_id, {"seats": [second]}, kind) + health)
        answers = [await line.hear() for _ in range(8)]
    assert [status for status, _, _ in answers] == [201, 200] * 4
    held = [orjson.loads(raw)["seats"][0]["seat"] for status, _, raw in answers if status == 201]
    assert held == ["F1", "F2", "F3", "F4"]


@pytest.mark.parametrize("kind", [SHORT, ORDINARY])
async def test_who_talks_on_without_listening_is_read_no_further(house: House, kind: str) -> None:
    counter = await counter_at(house)
    ana = counter.person()
    async with line_to(house) as line, stopped(house, counter.showtime_id):
        line.say(hold(ana, counter.showtime_id, {"seats": ["F1"]}, kind))
        line.say(b"GET /health HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n" % (b"y" * 4_000) * 2_000)
        await asyncio.sleep(0.1)
    async with line_to(house) as line:  # the loop is none the worse for it
        line.say(hold(ana, counter.showtime_id, {"seats": ["F2"]}))
        assert (await line.hear())[0] == 201


@pytest.mark.parametrize("kind", [SHORT, ORDINARY])
async def test_a_hold_whose_asker_has_gone_stands(house: House, kind: str) -> None:
    counter = await counter_at(house)
    async with stopped(house, counter.showtime_id):
        async with line_to(house) as line:
            line.say(hold(counter.person(), counter.showtime_id, {"seats": ["F7"]}, kind))
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        while (await counter.seats())["held"] != ["F7"]:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", [SHORT, ORDINARY])
async def test_a_hold_that_is_under_way_is_answered_before_the_doors_close(database_url: str, kind: str) -> None:
    async with open_house(database_url) as house:
        counter = await counter_at(house)
        async with line_to(house) as line:
            async with stopped(house, counter.showtime_id):
                line.say(hold(counter.person(), counter.showtime_id, {"seats": ["F7"]}, kind))
                await asyncio.sleep(0.1)
                closing = asyncio.create_task(house.client.server.close())
                await asyncio.sleep(0.1)
            status, _, raw = await line.hear()
            assert (status, orjson.loads(raw)["seats"][0]["seat"]) == (201, "F7")
            assert await line.reader.read() == b""
            await closing


async def test_an_ordinary_request_that_arrived_whole_leaves_its_connection_open_and_a_last_one_ends_it(
    house: House,
) -> None:
    async with line_to(house) as line:
        for path, status in (("/health", 200), ("/nowhere", 404), ("/api/v1/movies", 200)):
            line.say(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n".encode())
            assert (await line.hear())[0] == status
        line.say(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await line.hear())[0] == 200
        assert await line.reader.read() == b""


async def test_a_request_that_outlasts_the_patience_of_a_server_that_stops_is_given_up(database_url: str) -> None:
    async with open_house(database_url) as house:
        counter = await counter_at(house)
        async with line_to(house) as line, stopped(house, counter.showtime_id):
            line.say(hold(counter.person(), counter.showtime_id, {"seats": ["F7"]}, ORDINARY))
            await asyncio.sleep(0.1)
            (connection,) = [each for each in house.client.server.handler.connections if each._under_way]
            async with asyncio.timeout(5):
                await connection.shutdown(0.1)
                assert await line.reader.read() == b""


async def test_a_server_that_leaves_says_so(house: House, taken: list[bool]) -> None:
    counter = await counter_at(house)
    house.app[LIFE].draining = True
    async with line_to(house) as line:
        line.say(hold(counter.person(), counter.showtime_id, {"seats": ["F7"]}))
        status, headers, raw = await line.hear()
    assert (status, orjson.loads(raw)["code"], headers["Retry-After"], taken) == (503, "draining", "1", [False])


async def test_a_journal_that_is_down_is_told_as_ever(house: House, taken: list[bool]) -> None:
    counter = await counter_at(house)
    actor = await house.app[REGISTRY].actor(counter.showtime_id)
    actor.die(JournalDown("gone"))
    with pytest.raises(JournalDown):
        actor.post(Expire(Cause("", ActorKind.SYSTEM, "test")), print)
    async with line_to(house) as line:
        for seat in ("F7", "F8"):
            line.say(hold(counter.person(), counter.showtime_id, {"seats": [seat]}))
            assert (await line.hear())[0] == 201  # rebuilt from the log, the ordinary way first
    assert taken == [False, True]


@asynccontextmanager
async def stopped(house: House, showtime_id: str) -> AsyncIterator[None]:
    """The journal cannot write this showtime for as long as this lasts."""
    async with house.app[POOL].acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM stream WHERE showtime_id = $1 FOR UPDATE", showtime_id)
        yield
