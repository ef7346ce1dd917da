"""The world around the house in bad weather: a payment provider and a mail server that fail now and then.

The provider executes what it answers with a 500, or with silence. Its news comes up to five times, shuffled, late,
about nothing we know, with amounts that are not so, or not signed by it. `calm` ends the faults, not what they caused.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from aiosmtpd.smtp import SMTP

from tests.server.notify.mail_server import GONE, MailServer
from tests.server.payments.razorpay_stand_in import RazorpayStandIn

NEWS_PATH = "/api/v1/payments/webhook/razorpay"
LATE_SECONDS = 4.0
SILENCE_SECONDS = 6.0
"""Longer than the house waits for an answer."""

TRIES_MAX = 6
"""So often one message is sent while nobody hears it; then it is lost."""


class StormyProvider(RazorpayStandIn):
    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.calm = False
        self.house = ""
        self.hasty: set[str] = set()
        """Orders that were paid before anybody was told of them."""

        self.faults: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()
        """How the house answered to news, by what was sent."""

        self._deliveries: set[asyncio.Task[None]] = set()

    @web.middleware
    async def _in_a_mood(self, request: web.Request, handler: Any) -> web.StreamResponse:
        fault = "" if self.calm else self._fault()
        if fault:
            self.faults[fault] += 1
        if fault == "500 before":
            return web.json_response({"error": {"code": "SERVER_ERROR", "description": "Trouble"}}, status=500)
        response: web.StreamResponse = await handler(request)
        if fault == "500 after":
            return web.json_response({"error": {"code": "SERVER_ERROR", "description": "Trouble"}}, status=500)
        if fault in ("lost", "silent"):
            await asyncio.sleep(SILENCE_SECONDS if fault == "silent" else 0)
            if request.transport is not None:
                request.transport.abort()
        return response

    def _fault(self) -> str:
        faults = {"500 before": 4, "500 after": 4, "lost": 4, "silent": 0.5, "": 87.5}
        return self.chance.choices(list(faults), list(faults.values()))[0]

    async def _create_order(self, request: web.Request) -> web.Response:
        response = await super()._create_order(request)
        order = json.loads(response.body)  # type: ignore[arg-type]
        if "id" in order and not self.calm and self.chance.random() < 0.1:
            self.hasty.add(order["id"])
            self.tell(self.pay(order["id"]))
            await asyncio.sleep(0.05 * self.chance.random())  # some of the news is faster than this answer
        return response

    def come_to_pay(self, order_id: str) -> dict[str, Any]:
        """The customer stands before the provider's checkout. What they bring back."""
        if self.chance.random() < 0.15:
            self.tell(self.pay(order_id, status="failed"), "payment.failed")
        status = "captured" if self.chance.random() < 0.15 else "authorized"
        amount = None if self.chance.random() > 0.06 else self.orders[order_id]["amount"] - 100
        paid = self.pay(order_id, status=status, amount=amount)
        self.tell(paid, f"payment.{status}")
        return paid

    def tell(self, payment: dict[str, Any], event: str = "payment.authorized") -> None:
        """News of it, from never to five times, some of it under one event id, some of it about what is not so."""
        chance = self.chance
        told = {name: value for name, value in payment.items() if name != "signature"}
        messages = [self.message(told, event)]
        if chance.random() < 0.1:
            messages.append(self.message({**told, "amount": 1, "currency": "USD"}, event))
        for _ in range(chance.choice((0, 0, 1, 1, 1, 2, 3, 5))):
            self._deliver("news", *chance.choice(messages))
        if chance.random() < 0.1:
            raw, headers = self.message(told, event)
            self._deliver("forged", raw, {**headers, "X-Razorpay-Signature": "0" * 64})
        if chance.random() < 0.1:
            self._deliver("unknown", *self.message({**told, "id": "pay_x", "order_id": f"order_x{chance.random()}"}))

    def _deliver(self, kind: str, raw: bytes, headers: dict[str, str]) -> None:
        delay = self.chance.choice((0.0, 0.0, 0.3, 1.0, LATE_SECONDS)) * self.chance.random()
        task = asyncio.ensure_future(self._send(kind, raw, headers, delay))
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _send(self, kind: str, raw: bytes, headers: dict[str, str], delay: float) -> None:
        """As a provider does it: once more, later, until somebody hears it or it is given up."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            for attempt in range(TRIES_MAX):
                await asyncio.sleep(delay + attempt * 0.3)
                try:
                    async with session.post(f"{self.house}{NEWS_PATH}", data=raw, headers=headers) as answer:
                        self.heard[f"{kind} {answer.status}"] += 1
                        if answer.status != 503:
                            return
                except aiohttp.ClientError:
                    self.heard[f"{kind} unheard"] += 1

    async def all_sent(self) -> None:
        while self._deliveries:
            await asyncio.gather(*self._deliveries)

    def captured(self, order_id: str) -> int:
        return sum(
            paid["amount"] for paid in self.payments.values() if paid["order_id"] == order_id and paid["captured"]
        )

    def given_back(self, order_id: str) -> list[tuple[str, int]]:
        """Every refund of an order's money: its id with us, and its amount."""
        return [
            (str(refund["notes"]["refund_id"]), int(refund["amount"]))
            for refund in self.refunds.values()
            if self.payments[refund["payment_id"]]["order_id"] == order_id
        ]

    def sums(self) -> str:
        """All its books in the words of `marquee verify`."""
        taken = sum(paid["amount"] for paid in self.payments.values() if paid["captured"])
        returned = sum(refund["amount"] for refund in self.refunds.values())
        return f"INR {taken} captured, {returned} refunded"


class StormyMail(MailServer):
    """Cuts connections after DATA, with the letter taken, and puts letters off."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.calm = False
        self.faults: Counter[str] = Counter()

    async def handle_DATA(self, server: SMTP, session: object, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        if not self.calm and not self.says:
            said = self.chance.choices((GONE, "451 Later", "421 Too busy", "250 OK"), (12, 8, 4, 76))[0]
            self.says.append(said)
            if not said.startswith("2"):
                self.faults[said] += 1
        return await super().handle_DATA(server, session, envelope)


@asynccontextmanager
async def stormy_provider(chance: random.Random) -> AsyncIterator[tuple[StormyProvider, str]]:
    """With the address at which it is reached."""
    provider = StormyProvider(chance)
    runner = web.AppRunner(provider.app(), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield provider, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def stormy_mail(chance: random.Random) -> AsyncIterator[StormyMail]:
    mail = StormyMail(chance)
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(mail, enable_SMTPUTF8=True), "127.0.0.1", 0)
    mail.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield mail
    finally:
        server.close()
