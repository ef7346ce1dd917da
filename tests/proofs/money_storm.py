"""The whole program in bad weather: whatever fails, money adds up and everybody hears of what they bought.

`python -m tests.proofs.money_storm [--bookings 2000] [--seed N]` lets people book, pay, come back or not and cancel,
while the payment provider and the mail server fail, news comes as it likes, a showtime is cancelled, and the server is
killed again and again. Then all is looked at from outside. `tests/server/test_money_storm.py` is the short version.
"""

import argparse
import asyncio
import contextlib
import random
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import orjson

from actors.ids import mint
from actors.runtime.clock import SystemClock
from actors.seatmap.terms import RefundStep
from persistence.database import open_pool
from persistence.embedded import EmbeddedPostgres
from server.auth.tokens import Tokens
from tests.proofs.money_books import faults_in
from tests.proofs.power_cut import SECONDS_MAX, House, open_session
from tests.proofs.weather import StormyMail, StormyProvider, stormy_mail, stormy_provider
from tests.server.payments.razorpay_stand_in import KEY_ID, KEY_SECRET, WEBHOOK_SECRET
from tests.server.rest.cinema import HOUR, build, premiere

CUSTOMERS = 12
SEATS_PER_SHOWTIME = 60
HOLD_SECONDS = 6
"""So short that money that comes late comes soon."""

FULL_REFUND, HALF_REFUND = (RefundStep(2, 10_000),), (RefundStep(2, 5_000, 500),)
SETTLE_SECONDS_MAX = 900
EXPECTED = frozenset(
    (
        "seats_unavailable", "hold_expired", "hold_not_found", "booking_not_payable", "payment_not_captured",
        "payment_mismatch", "bad_signature", "booking_cancelled", "amount_mismatch", "already_paid",
        "expired_seats_lost", "showtime_cancelled", "already_cancelled", "showtime_over", "no_block",
        "seat_not_in_booking", "sales_closed", "second_payment",
    )
)  # fmt: skip
"""What a customer may be told in such a storm, with a status below 500."""


HEARD = {"news 200", "forged 400", "unknown 200"} | {
    f"{kind} {how}" for kind in ("news", "forged", "unknown") for how in (503, "unheard")
}
"""How the house answers to the provider's news."""


@dataclass
class Answers:
    """What customers were told."""

    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, path: str, status: int, raw: bytes) -> None:
        code = str(orjson.loads(raw).get("code", "")) if status >= 400 and raw.startswith(b"{") else ""
        self.codes[code or str(status)] += 1
        if status != 503 and (status >= 500 or (status >= 400 and code not in EXPECTED)):
            self.wrong.append(f"{path} answered {status}: {raw[:300]!r}")


class Storm(House):
    """The house, its customers and its staff."""

    def __init__(self, folder: Path, seed: int, provider: StormyProvider, provider_url: str, mail: StormyMail) -> None:
        super().__init__(folder, seed)
        secret = secrets.token_urlsafe(48)
        self.settings |= {
            "MARQUEE_DEMO": "off",
            "MARQUEE_JWT_SECRET": secret,
            "MARQUEE_PAYMENT_PROVIDER": "razorpay",
            "MARQUEE_RAZORPAY_KEY_ID": KEY_ID,
            "MARQUEE_RAZORPAY_KEY_SECRET": KEY_SECRET,
            "MARQUEE_RAZORPAY_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "MARQUEE_RAZORPAY_BASE_URL": provider_url,
            "MARQUEE_SMTP_URL": mail.url,
        }
        self.tokens = Tokens((secret,), SystemClock())
        self.staff_id = mint(SystemClock().now())
        self.provider = provider
        self.provider.house = f"http://127.0.0.1:{self.port}"
        self.mail = mail
        self.open = asyncio.Event()
        self.answers = Answers()
        self.full, self.half = list[str](), list[str]()
        """Showtimes that give everything back, and those that keep some."""

        self.visits = 0
        self.kills = 0

    @property
    def staff(self) -> dict[str, str]:
        token = self.tokens.issue(self.staff_id, self.staff_id, ("admin",), ())
        return {"Authorization": f"Bearer {token}"}

    async def plan(self, showtimes: int) -> None:
        """Showtimes tomorrow, with little time to pay."""
        now = SystemClock().now()
        async with EmbeddedPostgres(self.folder, guest=True) as postgres, open_pool(postgres.dsn) as pool:
            cinema = await build(pool, now, 6, SEATS_PER_SHOWTIME // 6)
            for number in range(showtimes):
                policy = HALF_REFUND if number % 3 == 2 else FULL_REFUND
                starts_at = now + (24 + 3 * number) * HOUR
                showtime_id = await premiere(
                    pool, cinema, now, starts_at=starts_at, ends_at=starts_at + 2 * HOUR, refund_policy=policy,
                    hold_seconds=HOLD_SECONDS, payment_seconds_min=HOLD_SECONDS,
                )  # fmt: skip
                (self.half if policy is HALF_REFUND else self.full).append(showtime_id)

    async def customer_asks(
        self, session: aiohttp.ClientSession, path: str, body: dict[str, Any], who: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        """The same key again until there is an answer; some lose patience. Status 0 when there was none."""
        headers = {**who, "Idempotency-Key": str(uuid4())}
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                await self.open.wait()
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.post(f"{self.base}{path}", json=body, headers=headers) as answer:
                        raw = await answer.read()
                    self.answers.note(path, answer.status, raw)
                    if answer.status != 503:
                        return answer.status, orjson.loads(raw)
                if self.chance.random() < 0.15:
                    return 0, {}
                await asyncio.sleep(0.1 * self.chance.random())

    async def visit(self, session: aiohttp.ClientSession, number: int) -> None:
        chance = self.chance
        _, guest = await self.customer_asks(session, "/auth/guest", {}, {})
        if not guest:
            return
        who = {"Authorization": f"Bearer {guest['access_token']}"}
        showtime_id = chance.choice(self.full + self.half)
        wish: dict[str, Any] = {"best_available": {"count": chance.choice((1, 2, 2, 3))}}
        status, held = await self.customer_asks(session, f"/showtimes/{showtime_id}/holds", wish, who)
        if status != 201:
            return
        contact = {"email": f"visitor{number}@storm.example", "name": f"Visitor {number}"}
        wish = {"hold_id": held["hold_id"], "contact": contact}
        status, booked = await self.customer_asks(session, "/bookings", wish, who)
        if status != 201:
            return
        for _ in range(1 if chance.random() < 0.9 else 2):  # some pay twice
            await self.pay(session, who, booked["id"])
        if chance.random() < 0.35:
            await asyncio.sleep(chance.random())
            partly = showtime_id in self.full and chance.random() < 0.5
            seats = {"seats": [booked["seats"][0]["seat"]]} if partly else {}
            await self.customer_asks(session, f"/bookings/{booked['id']}/cancel", seats, who)

    async def pay(self, session: aiohttp.ClientSession, who: dict[str, str], booking_id: str) -> None:
        chance = self.chance
        status, order = await self.customer_asks(session, "/payments/orders", {"booking_id": booking_id}, who)
        if status != 201 or chance.random() < 0.08:
            return
        order_id = order["provider_order_id"]
        if chance.random() < 0.2:
            await asyncio.sleep((HOLD_SECONDS + 1) * (0.5 + chance.random()))  # until after the seats are free again
        if order_id in self.provider.hasty:
            return
        paid = self.provider.come_to_pay(order_id)
        for _ in range(chance.choice((0, 0, 1, 1, 1, 2))):
            proof = {"provider": "razorpay", "provider_order_id": order_id, "provider_payment_id": paid["id"]}
            proof["signature"] = paid["signature"] if chance.random() < 0.9 else "0" * 64
            await self.customer_asks(session, f"/bookings/{booking_id}/confirm", proof, who)

    async def staff_asks(self, session: aiohttp.ClientSession, method: str, path: str, **rest: Any) -> dict[str, Any]:
        """As staff do it: until it is answered."""
        key = {"Idempotency-Key": str(uuid4())} if method != "GET" else {}
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    headers = {**self.staff, **key}
                    async with session.request(method, f"{self.base}{path}", headers=headers, **rest) as answer:
                        raw = await answer.read()
                    if answer.status != 503:
                        assert answer.status < 400 or b"job_not_waiting" in raw, (path, answer.status, raw)
                        body: dict[str, Any] = orjson.loads(raw)
                        return body
                await asyncio.sleep(0.1)

    async def all_of(self, session: aiohttp.ClientSession, path: str) -> list[dict[str, Any]]:
        """Every page of a list."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.staff_asks(session, "GET", f"{path}limit=100{cursor}")
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    async def kill(self, session: aiohttp.ClientSession, *, lapse: bool) -> None:
        """With `lapse` the server is away for so long that whatever it had claimed is free again."""
        self.open.clear()
        self.cut("server")
        self.kills += 1
        if lapse:
            async with EmbeddedPostgres(self.folder, guest=True) as postgres:
                connection = await asyncpg.connect(postgres.dsn)
                try:
                    await connection.execute("UPDATE job SET due_at = now() WHERE state = 'running'")
                finally:
                    await connection.close()
        await self.start(session)
        self.open.set()

    async def settle(self, session: aiohttp.ClientSession, seconds_max: float) -> None:
        """Good weather, until nothing is left to be done. What waits for a time that is far is done now."""
        self.provider.calm = self.mail.calm = True
        tries: dict[str, int] = {}
        quiet, give_up_at = 0, time.monotonic() + seconds_max
        while quiet < 2:
            waiting = await self.all_of(session, "/admin/jobs?state=ready&")
            running = await self.all_of(session, "/admin/jobs?state=running&")
            left = [job for job in waiting if not _may_wait(job, tries)]
            assert time.monotonic() < give_up_at, ("there is still something to do", left, running)
            for job in left:
                await self.staff_asks(session, "POST", f"/admin/jobs/{job['id']}/retry")
            quiet = 0 if left or running else quiet + 1
            await asyncio.sleep(0.2)


def _may_wait(job: dict[str, Any], tries: dict[str, int]) -> bool:
    """What has looked in good weather at the money of somebody who may still pay, or found no such order."""
    if job["topic"] in ("payment_watch", "payment_news"):
        return bool(job["attempts"] > tries.setdefault(job["id"], job["attempts"]) and not job["last_error"])
    return job["topic"] == "reminder"


@asynccontextmanager
async def open_storm(seed: int, bookings: int) -> AsyncIterator[tuple[Storm, aiohttp.ClientSession]]:
    chance = random.Random(seed)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="marquee-storm-")))
        folder.chmod(0o755)
        provider, url = await stack.enter_async_context(stormy_provider(chance))
        mail = await stack.enter_async_context(stormy_mail(chance))
        session = await stack.enter_async_context(open_session())
        storm = Storm(folder, seed, provider, url, mail)
        try:
            await storm.start(session)
            await storm.plan(bookings // 40 + 2)
            storm.open.set()
            yield storm, session
        finally:
            if storm.server is not None:
                storm.server.terminate()
                await asyncio.to_thread(storm.server.wait, SECONDS_MAX)


async def rage(storm: Storm, session: aiohttp.ClientSession, bookings: int, kills: int, *, lapse: bool) -> None:
    """So many visits, the kills spread among them, and a showtime cancelled in the middle."""
    numbers = iter(range(bookings))
    marks = sorted(storm.chance.sample(range(bookings // 10, bookings), kills))

    async def visit_on() -> None:
        for number in numbers:
            await storm.visit(session, number)
            storm.visits += 1

    async def kill_on() -> None:
        for mark in marks:
            await _reached(storm, mark)
            await asyncio.sleep(0.3 * storm.chance.random())
            await storm.kill(session, lapse=lapse)
            print(f"killed after {storm.visits} visits", flush=True)

    async def cancel() -> None:
        await _reached(storm, bookings // 2)
        path = f"/admin/showtimes/{storm.full[0]}/cancel"
        await storm.staff_asks(session, "POST", path, json={"reason": "The projector is broken."})

    await asyncio.gather(*(visit_on() for _ in range(CUSTOMERS)), kill_on(), cancel())
    await storm.provider.all_sent()


async def _reached(storm: Storm, visits: int) -> None:
    while storm.visits < visits:
        await asyncio.sleep(0.02)


async def look_back(storm: Storm, session: aiohttp.ClientSession) -> list[str]:
    """Everything that is not as it must be."""
    found = await faults_in(storm, session)
    verifying = storm.run("verify")
    if await asyncio.to_thread(verifying.wait, SECONDS_MAX):
        found.append(f"verify: {storm.log()}")
    if (sums := storm.provider.sums()) not in storm.log():
        found.append(f"the provider's books say {sums}, the ledger: {storm.log()}")
    found += [f"news was answered so: {told}" for told in storm.provider.heard if told not in HEARD]
    return found + storm.answers.wrong


async def prove(bookings: int, seed: int, kills: int) -> int:
    """How many faults there were."""
    begin = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - begin:4.0f} s: {what}", flush=True)

    say(f"seed {seed}")
    async with open_storm(seed, bookings) as (storm, session):
        await rage(storm, session, bookings, kills, lapse=False)
        provider, mail = storm.provider, storm.mail
        say(f"the provider failed: {dict(provider.faults)}; its news was answered: {dict(provider.heard)}")
        say(f"the mail server failed: {dict(mail.faults)}; customers were told: {dict(storm.answers.codes)}")
        await storm.settle(session, SETTLE_SECONDS_MAX)
        say("nothing is left to be done")
        found = await look_back(storm, session)
    for fault in found:
        say(fault)
    say(
        f"seed {seed}: {bookings} visits, {storm.kills} kills, {len(provider.orders)} orders, "
        f"{len(provider.payments)} payments, {len(provider.refunds)} refunds, {len(mail.arrived)} letters, "
        f"{len(found) or 'no'} faults"
    )
    return len(found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.money_storm", description=__doc__)
    parser.add_argument("--bookings", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    raise SystemExit(1 if asyncio.run(prove(options.bookings, options.seed, options.kills)) else 0)


if __name__ == "__main__":
    main()
