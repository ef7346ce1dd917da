"""A cinema whose money goes through the sandbox, seen from both sides: buyers here, the provider's customer there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from aiohttp import ClientResponse

from actors.runtime.clock import ManualClock
from persistence.audit import verify
from persistence.ledger import Account
from server.keys import JOBS, POOL, SANDBOX, TILL
from server.payments.sandbox import Sandbox
from tests.server.house import House, open_house
from tests.server.payments.moody import Moody
from tests.server.rest.cinema import Counter, Person, expect, fresh_key, open_counter

NOW = 1_800_000_000_000
MINUTE = 60_000
_events = count(1)


@dataclass
class Desk:
    house: House
    counter: Counter
    clock: ManualClock
    moody: Moody

    @property
    def sandbox(self) -> Sandbox:
        return self.house.app[SANDBOX]

    async def started(self, who: Person, *seats: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A booking, and its payment just begun."""
        booked = await who.book(self.counter.showtime_id, *seats)
        return booked, await self.start(who, booked["id"])

    async def start(self, who: Person, booking_id: str) -> dict[str, Any]:
        return await expect(await who.post("/payments/orders", {"booking_id": booking_id}, key=fresh_key()), 201)

    async def news(self, payment_id: str, event_id: str | None = None) -> ClientResponse:
        """A webhook as the sandbox sends it."""
        raw, headers = self.sandbox.message(event_id or f"evt_{next(_events)}", "payment.authorised", payment_id)
        return await self.house.post("/payments/webhook/sandbox", data=raw, headers=headers)

    async def work(self) -> None:
        """Until nothing that is due is left to be done."""
        await self.house.app[JOBS].settle()

    async def later(self, ms: int) -> None:
        """Time goes on, a minute at a time, and work is done on the way."""
        for _ in range(max(1, ms // MINUTE)):
            self.clock.advance(min(ms, MINUTE))
            await self.work()

    async def status(self, who: Person, booking_id: str) -> tuple[str, str]:
        shown = await expect(await who.get(f"/bookings/{booking_id}"), 200)
        return shown["status"], shown["payment"]["status"]

    async def payment_status(self, who: Person, payment_id: str) -> str:
        return str((await expect(await who.get(f"/payments/{payment_id}"), 200))["status"])

    async def books(self, payment_id: str) -> tuple[str, int, int]:
        """The provider's: stage, amount, and what went back."""
        payment = await self.house.app[TILL].payment(payment_id)
        assert payment is not None
        standing = await self.sandbox.look(payment)
        return standing.stage.value, standing.amount, sum(standing.refunds.values())

    async def balances(self, payment_id: str) -> dict[str, int]:
        """What lies in each account of the ledger for a payment; nothing where nothing lies."""
        rows = await self.house.app[POOL].fetch("SELECT * FROM ledger WHERE payment_id = $1", payment_id)
        sums = dict.fromkeys(Account, 0)
        for row in rows:
            sums[Account(row["debit"])] += row["amount"]
            sums[Account(row["credit"])] -= row["amount"]
        return {account.value: amount for account, amount in sums.items() if amount}

    async def jobs(self, topic: str) -> list[str]:
        """The states of the jobs of a topic."""
        rows = await self.house.app[POOL].fetch("SELECT state FROM job WHERE topic = $1 ORDER BY id", topic)
        return [row["state"] for row in rows]

    async def adds_up(self) -> None:
        report = await verify(self.house.app[POOL])
        assert report.differences == [], [str(difference) for difference in report.differences]


async def pause(house: House) -> None:
    """Jobs are only worked when a test says so."""
    claimer = house.app[JOBS]._claimer
    assert claimer is not None
    claimer.cancel()
    await asyncio.gather(claimer, return_exceptions=True)


@asynccontextmanager
async def open_desk(dsn: str, **settings: Any) -> AsyncIterator[Desk]:
    clock = ManualClock(NOW)
    async with open_house(dsn, clock=clock, **settings) as house:
        till = house.app[TILL]
        moody = Moody(till.providers["sandbox"])
        till.providers["sandbox"] = moody
        await pause(house)
        yield Desk(house, await open_counter(house), clock, moody)
