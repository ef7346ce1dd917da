"""All that goes wrong between two programs, at random and over real sockets: nothing that was sold stays unheard.

The partners hang up before, within and after a message, answer nonsense, too late or not at all; the house closes and
opens again in the middle. Once the partners behave, each has heard of every event, under one id and in the same bytes.
"""

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from actors.runtime.clock import ManualClock
from persistence.database import Pool
from server.keys import COURIER, DISPATCH, POOL
from server.partners.signing import PREFIX, SECRET_BYTES, signed
from tests.server.house import House, open_house
from tests.server.partners.test_courier import LOOPBACK
from tests.server.partners.test_outbox import announce
from tests.server.partners.test_partners import subscribe
from tests.server.rest.cinema import Counter, open_counter

NOW = 1_800_000_000_000
HOUR_MS = 3_600_000
SEATS = [f"{row}{number}" for row in "ABCDE" for number in range(1, 13)]
LATE = {"sales_close_at": NOW + 1_000 * HOUR_MS, "starts_at": NOW + 1_000 * HOUR_MS, "ends_at": NOW + 1_002 * HOUR_MS}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
FAULTS = {
    "refuses": b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno",
    "asks to wait": b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n",
    "sends elsewhere": b"HTTP/1.1 302 There\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    "talks nonsense": b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n",
    "stops within the head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "hangs up": b"",
}
MOODS = (*FAULTS, "hangs up at once", "is silent", "stops within the body", "behaves")


@dataclass
class Moody:
    """A partner below HTTP. `heard` has the bytes of each message that it read, `taken` those it said 200 to."""

    chance: random.Random
    reformed: bool = False
    heard: dict[str, set[bytes]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    proofs: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    url: str = ""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mood = "behaves" if self.reformed else self.chance.choice(MOODS)
        try:
            if mood == "hangs up at once":
                writer.transport.abort()
                return
            message_id = await self._read(reader)
            if mood in ("behaves", "stops within the body"):
                self.taken.add(message_id)
            if mood == "is silent":
                await reader.read()  # until the other side gives up
            elif mood == "stops within the body":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nwell")
            else:
                writer.write(OK if mood == "behaves" else FAULTS[mood])
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> str:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head)}
        body = await reader.readexactly(int(headers["content-length"]))
        id_, at, proof = (headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        self.heard.setdefault(id_, set()).add(body)
        self.proofs.append((id_, at, proof, body))
        return id_


@asynccontextmanager
async def open_moody(seed: int) -> AsyncIterator[Moody]:
    moody = Moody(random.Random(seed))
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        task.add_done_callback(talks.discard)
        await moody.talk(reader, writer)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    moody.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    yield moody
    server.close()
    for task in tuple(talks):
        task.cancel()
    await asyncio.gather(*talks, return_exceptions=True)


@asynccontextmanager
async def opened(dsn: str, clock: ManualClock) -> AsyncIterator[House]:
    async with open_house(dsn, clock=clock, webhook_allow=LOOPBACK) as house:
        house.app[COURIER]._seconds = 0.3
        yield house


async def waiting(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM webhook_delivery WHERE state = 'waiting'"))


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_goes_wrong_every_partner_hears_of_every_sale(database_url: str, seed: int) -> None:
    chance, clock, seats = random.Random(seed), ManualClock(NOW), iter(SEATS)
    secrets: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        partners = [await stack.enter_async_context(open_moody(seed * 10 + number)) for number in range(4)]
        counter: Counter | None = None
        for _ in range(4):  # the house opens, sells while everything goes wrong, and is closed in the middle
            async with opened(database_url, clock) as house:
                if counter is None:
                    counter = await open_counter(house, **LATE)
                    for partner in partners:
                        made = await subscribe(counter, partner.url)
                        secrets[partner.url] = made["secret"]
                counter = Counter(house, counter.cinema, counter.showtime_id)
                for _ in range(3):
                    await counter.person().buy(counter.showtime_id, next(seats))
                    await announce(counter)
                    await house.app[DISPATCH].settle()
                    clock.advance(chance.randrange(2 * HOUR_MS))
                await counter.person().buy(counter.showtime_id, next(seats))
                await announce(counter)
                house.app[DISPATCH].wake()
                for _ in range(chance.randrange(300)):  # somewhere within the sending
                    await asyncio.sleep(0)
        for partner in partners:
            partner.reformed = True
        async with opened(database_url, clock) as house:
            for _ in range(60):
                await house.app[DISPATCH].settle()
                if not await waiting(house.app[POOL]):
                    break
                clock.advance(25 * HOUR_MS)
            await check(house.app[POOL], partners, secrets)


async def check(pool: Pool, partners: list[Moody], secrets: dict[str, str]) -> None:
    rows = await pool.fetch(
        """
        SELECT w.url, d.id::text, d.body, d.state, d.attempts
        FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook_id
        """
    )
    assert len(rows) == 16 * len(partners)
    assert {row["state"] for row in rows} == {"delivered"}
    assert max(row["attempts"] for row in rows) > 1
    for partner in partners:
        sent = {row["id"]: {row["body"]} for row in rows if row["url"] == partner.url}
        assert partner.heard == sent
        assert partner.taken == sent.keys()
        key = base64.b64decode(secrets[partner.url].removeprefix(PREFIX))
        assert len(key) == SECRET_BYTES
        for id_, at, proof, body in partner.proofs:
            assert signed(id_, int(at) * 1_000, body, [key])["webhook-signature"] == proof
    jobs = await pool.fetch("SELECT state, count(*) FROM job WHERE topic = 'partners.deliver' GROUP BY state")
    assert [tuple(row) for row in jobs] == [("done", 16 * len(partners))]
