"""The whole program, killed in the middle of its work: what was answered is there afterwards, to the last byte.

`python -m tests.proofs.power_cut [--rounds 20] [--seed N]` kills the server, the database or both, each time at a
random moment under load. `tests/server/test_power_cut.py` is the short version.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import orjson

SECONDS_MAX = 90
"""What anything may take on a machine that has much else to do."""

FRESH_SECONDS = 480
"""Younger than this, a hold cannot have expired nor an access token run out."""

ROOT = Path(__file__).parents[2]
BUYERS = 12
VICTIMS = ("server", "database", "both")
Asked = tuple[str, dict[str, Any], dict[str, str], bytes]
"""Path, body, headers, and the first answer."""


@dataclass
class Promise:
    """A hold that was acknowledged, and what has been done with it since. `stage` is only what we were told."""

    showtime_id: str
    seats: list[str]
    stage: str
    again: list[Asked]
    made_at: float = field(default_factory=time.monotonic)

    @property
    def fresh(self) -> bool:
        return time.monotonic() - self.made_at < FRESH_SECONDS


class House:
    """A server in a process of its own over an embedded database, and people who buy from it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.settings = {
            **os.environ,
            "MARQUEE_DATA_DIR": str(folder),
            "MARQUEE_PORT": str(self.port),
            "MARQUEE_RATE_LIMIT": "off",
            "MARQUEE_DEMO": "auto",
        }
        self.base = f"http://127.0.0.1:{self.port}/api/v1"
        self.promises: dict[str, Promise] = {}
        self.refusals: list[tuple[float, Asked]] = []
        self.contacts: list[tuple[float, str, dict[str, str], dict[str, Any]]] = []
        self.server: subprocess.Popen[bytes] | None = None
        self.everybody_cancels = False

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "server", *command], cwd=ROOT, env=self.settings, stdout=log, stderr=log
            )

    async def start(self, session: aiohttp.ClientSession) -> None:
        if self.server is None:
            self.server = self.run("serve")
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{self.port}/ready") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)

    def cut(self, what: str) -> None:
        if what in ("database", "both"):
            (note,) = self.folder.rglob("postmaster.pid")
            os.kill(int(note.read_text().split()[0]), signal.SIGKILL)
        if what in ("server", "both"):
            assert self.server is not None
            self.server.kill()
            self.server.wait()
            self.server = None

    async def guest(self, session: aiohttp.ClientSession) -> dict[str, str]:
        async with session.post(f"{self.base}/auth/guest") as answer:
            return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}

    async def buy(self, session: aiohttp.ClientSession, who: dict[str, str], showtimes: list[str]) -> None:
        """Hold, then release, or book and pay and perhaps cancel. Ends when the server does not answer."""
        showtime_id = self.chance.choice(showtimes)
        wish: dict[str, Any] = {"best_available": {"count": self.chance.choice((1, 2, 3))}}
        if self.chance.random() < 0.2 and self.promises:  # somebody wants what somebody else has
            wanted = self.chance.choice(list(self.promises.values()))
            showtime_id, wish = wanted.showtime_id, {"seats": wanted.seats}
        keyed = {**who, "Idempotency-Key": str(uuid4())}
        held = await self.post(session, f"/showtimes/{showtime_id}/holds", wish, keyed)
        if held is None:
            return
        hold = orjson.loads(held)
        hold_id = hold["hold_id"]
        promise = self.promises[hold_id] = Promise(
            showtime_id, [seat["seat"] for seat in hold["seats"]], "held",
            [(f"/showtimes/{showtime_id}/holds", wish, keyed, held)],
        )  # fmt: skip
        fate = self.chance.random()
        if fate < 0.5:
            promise.stage = "unknown"
            async with session.delete(f"{self.base}/holds/{hold_id}", headers=who) as answer:
                promise.stage = "free" if answer.status == 204 else "unknown"
        elif fate < 0.9:
            await self.pay(session, who, hold_id, promise, cancel=self.everybody_cancels or fate > 0.75)

    async def pay(
        self, session: aiohttp.ClientSession, who: dict[str, str], hold_id: str, promise: Promise, *, cancel: bool
    ) -> None:
        keyed = {**who, "Idempotency-Key": str(uuid4())}
        wish: dict[str, Any] = {"hold_id": hold_id, "contact": {"email": "ana@demo.example", "name": "Ana"}}
        if (placed := await self.post(session, "/bookings", wish, keyed)) is None:
            return  # held by the hold or by the booking: the same to the world
        promise.again.append(("/bookings", wish, keyed, placed))
        booking_id = orjson.loads(placed)["id"]
        self.contacts.append((time.monotonic(), f"/bookings/{booking_id}", who, wish["contact"]))
        keyed = {**who, "Idempotency-Key": str(uuid4())}
        if self.chance.random() < 0.5:  # pays in the moment of confirming
            promise.stage, paid = "unknown", {"provider": "sandbox"}
            sold = await self.post(session, f"/bookings/{booking_id}/confirm", paid, keyed, status=200)
            if sold is None:
                return
            promise.again.append((f"/bookings/{booking_id}/confirm", paid, keyed, sold))
        elif not await self.pay_at_the_checkout(session, who, booking_id, promise):
            return
        promise.stage = "sold"
        if cancel:
            promise.stage = "unknown"
            keyed = {**who, "Idempotency-Key": str(uuid4())}
            if await self.post(session, f"/bookings/{booking_id}/cancel", {}, keyed, status=200) is not None:
                promise.stage = "free"

    async def pay_at_the_checkout(
        self, session: aiohttp.ClientSession, who: dict[str, str], booking_id: str, promise: Promise
    ) -> bool:
        keyed = {**who, "Idempotency-Key": str(uuid4())}
        if (order := await self.post(session, "/payments/orders", {"booking_id": booking_id}, keyed)) is None:
            return False
        promise.stage = "unknown"
        payment_id = orjson.loads(order)["payment_id"]
        return await self.post(session, f"/payments/sandbox/{payment_id}/succeed", {}, who, status=200) is not None

    async def maps_that_differ_from_their_log(self, session: aiohttp.ClientSession) -> list[str]:
        """Each live map beside the one that its log replays to, at the same version."""
        login = {"email": "admin@demo.example", "password": "marquee-demo"}
        async with session.post(f"{self.base}/auth/login", json=login) as answer:
            admin = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}
        different = []
        for showtime_id in await self.showtimes(session):
            live = await self.seats(session, showtime_id)
            path = f"{self.base}/showtimes/{showtime_id}/seats?at={live['seq']}"
            async with session.get(path, headers=admin) as answer:
                replayed = await answer.json()
            if {**live, "server_time": ""} != {**replayed, "server_time": ""}:
                different.append(f"{showtime_id}: {live} is not {replayed}")
        return different

    async def showtimes(self, session: aiohttp.ClientSession) -> list[str]:
        async with session.get(f"{self.base}/showtimes?limit=100") as answer:
            return [showtime["id"] for showtime in (await answer.json())["items"] if showtime["sales"] == "open"]

    def log(self) -> str:
        return (self.folder / "log").read_text()[-2_000:]

    async def post_until_answered(
        self, session: aiohttp.ClientSession, path: str, body: dict[str, Any], headers: dict[str, str]
    ) -> bytes:
        """As a careful client does it: the same key again until there is an answer that is not 503."""
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                async with session.post(f"{self.base}{path}", json=body, headers=headers) as answer:
                    if answer.status != 503:
                        return await answer.read()
                await asyncio.sleep(0.05)

    async def post(
        self,
        session: aiohttp.ClientSession,
        path: str,
        body: dict[str, Any],
        headers: dict[str, str],
        status: int = 201,
    ) -> bytes | None:
        """The answer's bytes; None for a refusal that may be tried again. Anything else is a failure."""
        async with session.post(f"{self.base}{path}", json=body, headers=headers) as answer:
            raw = await answer.read()
            assert answer.status in (status, 409, 503), raw
            if answer.status == 409 and "Idempotency-Key" in headers:
                self.refusals.append((time.monotonic(), (path, body, headers, raw)))
            return raw if answer.status == status else None

    async def broken_promises(self, session: aiohttp.ClientSession) -> list[str]:
        """What was said to be held or sold, and is not."""
        broken = []
        for showtime_id in {promise.showtime_id for promise in self.promises.values()}:
            seats = await self.seats(session, showtime_id)
            there = {"held": set(seats["held"]), "sold": set(seats["sold"])}
            promises = [p for p in self.promises.values() if p.showtime_id == showtime_id and p.stage in there]
            promises = [p for p in promises if p.stage == "sold" or p.fresh]
            broken += [f"{p.stage} {p.seats}" for p in promises if not there[p.stage].issuperset(p.seats)]
            claimed = [seat for p in promises for seat in p.seats]
            broken += [f"{seat} twice" for seat in set(claimed) if claimed.count(seat) > 1]
        return broken

    async def lost_contacts(self, session: aiohttp.ClientSession) -> list[str]:
        """Some of the bookings that were acknowledged: do they still know whom to write to?"""
        fresh = [given for at, *given in self.contacts if time.monotonic() - at < FRESH_SECONDS]
        lost = []
        for path, who, contact in self.chance.sample(fresh, min(20, len(fresh))):
            async with session.get(f"{self.base}{path}", headers=who) as answer:
                booked = await answer.json()
            if booked.get("contact") != contact:
                lost.append(f"{path}: {booked.get('contact')}")
        return lost

    async def seats(self, session: aiohttp.ClientSession, showtime_id: str) -> dict[str, Any]:
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                async with session.get(f"{self.base}/showtimes/{showtime_id}/seats") as answer:
                    body: dict[str, Any] = await answer.json(content_type=None)
                    if answer.status != 503:
                        assert answer.status == 200, body
                        return body
                await asyncio.sleep(0.05)

    async def changed_answers(self, session: aiohttp.ClientSession) -> list[str]:
        """Some of the questions with a key, asked again."""
        asked = [one for promise in self.promises.values() if promise.fresh for one in promise.again]
        refused = [one for at, one in self.refusals if time.monotonic() - at < FRESH_SECONDS]
        some = self.chance.sample(asked, min(40, len(asked))) + self.chance.sample(refused, min(20, len(refused)))
        changed = []
        for path, body, headers, first in some:
            if (now := await self.post_until_answered(session, path, body, headers)) != first:
                changed.append(f"{path}: {first!r} became {now!r}")
        return changed


@contextlib.contextmanager
def open_house(seed: int) -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="marquee-cut-") as name:
        Path(name).chmod(0o755)
        house = House(Path(name), seed)
        try:
            yield house
        finally:
            if house.server is not None:
                house.server.terminate()
                house.server.wait(SECONDS_MAX)


def open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS_MAX))


async def one_round(house: House, session: aiohttp.ClientSession, showtimes: list[str], what: str, holds: int) -> None:
    """Sell until so many more holds are acknowledged, cut the power, start again, and hold everybody to their word."""
    target = len(house.promises) + holds
    dark = asyncio.Event()
    buyers = [asyncio.ensure_future(_work(house, session, showtimes, dark.is_set)) for _ in range(BUYERS)]
    async with asyncio.timeout(SECONDS_MAX):
        while len(house.promises) < target:
            await asyncio.sleep(0.002)
    house.cut(what)
    dark.set()
    await asyncio.gather(*buyers)
    await house.start(session)
    assert await house.broken_promises(session) == []
    assert await house.changed_answers(session) == []
    assert await house.lost_contacts(session) == []


async def _work(house: House, session: aiohttp.ClientSession, showtimes: list[str], stop: Callable[[], bool]) -> None:
    who = await house.guest(session)
    with contextlib.suppress(aiohttp.ClientError):
        while not stop():
            await house.buy(session, who, showtimes)


async def closing(house: House, session: aiohttp.ClientSession) -> None:
    """The live maps are what their logs replay to, the tables agree with the logs, and the server ends well."""
    assert await house.maps_that_differ_from_their_log(session) == []
    assert house.run("verify").wait(SECONDS_MAX) == 0, house.log()
    assert house.server is not None
    house.server.terminate()
    assert house.server.wait(SECONDS_MAX) == 0, house.log()
    house.server = None


async def prove(rounds: int, seed: int) -> None:
    with open_house(seed) as house:
        async with open_session() as session:
            await house.start(session)
            showtimes = await house.showtimes(session)
            for number in range(1, rounds + 1):
                what, holds = house.chance.choice(VICTIMS), house.chance.randint(10, 150)
                await one_round(house, session, showtimes, what, holds)
                stages = [promise.stage for promise in house.promises.values()]
                print(
                    f"round {number:2}: {what} killed after {holds} holds; of {len(stages)} acknowledged "
                    f"{stages.count('sold')} sold, {stages.count('held')} held, {stages.count('free')} free again, "
                    f"{len(house.refusals)} refused: all as promised",
                    flush=True,
                )
            await closing(house, session)
    print(f"{rounds} power cuts, seed {seed}: no promise broken, no answer changed, logs and tables agree")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.power_cut", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    asyncio.run(prove(options.rounds, options.seed))


if __name__ == "__main__":
    main()
