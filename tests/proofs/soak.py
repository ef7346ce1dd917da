"""The whole program under steady load for a while: no errors, no drift, no leak.

`python -m tests.proofs.soak [--minutes 10]`. People hold, let go, buy and cancel over REST while others watch.
Every few seconds each watcher's view is compared with the server's, and the server's memory is noted.
"""

import argparse
import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import orjson
import psutil

from server.live.fold import View, fold, view_of
from tests.proofs.power_cut import SECONDS_MAX, House, closing, open_house, open_session

BUYERS = 8
WATCHERS = 20
VISITS_OF_ONE_GUEST = 20
PAUSE_SECONDS = 0.02
LOOK_SECONDS = 10.0
GROWTH_MIB_MAX = 48
"""In the second half: in the first the showtimes fill their bounded memories of commands."""
HOLD_SECONDS = 20
"""What people leave lying must be free again while the proof runs, or everything is taken after a minute."""


@dataclass
class Watching:
    """A browser that folds what it is told."""

    showtime_id: str
    socket: aiohttp.ClientWebSocketResponse
    view: View | None = None
    frames: int = 0

    async def listen(self) -> None:
        async for message in self.socket:
            after = fold(self.view, orjson.loads(message.data))
            assert after is None or isinstance(after, View), "a frame is missing"
            self.view = after
            self.frames += 1
        raise AssertionError(f"a watcher was sent away with {self.socket.close_code}")

    async def agrees(self, house: House, session: aiohttp.ClientSession) -> None:
        """Wait until this watcher and the server are at one version, and compare."""
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                facts = await house.seats(session, self.showtime_id)
                while self.view is None or self.view.seq < facts["seq"]:
                    await asyncio.sleep(0.01)
                if self.view.seq == facts["seq"]:
                    assert self.view.as_json() == view_of(facts).as_json(), self.showtime_id
                    return


@dataclass
class Doors:
    """Buyers come in while they are open; closed for good at the end."""

    open: asyncio.Event
    closing: bool = False


async def _buy_on(house: House, session: aiohttp.ClientSession, showtimes: list[str], doors: Doors) -> None:
    while not doors.closing:
        who = await house.guest(session)
        for _ in range(VISITS_OF_ONE_GUEST):
            await doors.open.wait()
            await house.buy(session, who, showtimes)
            await asyncio.sleep(PAUSE_SECONDS)


async def soak(house: House, session: aiohttp.ClientSession, minutes: float, look_seconds: float) -> None:
    """AssertionError says what went wrong."""
    house.everybody_cancels = True
    showtimes = (await house.showtimes(session))[:10]
    doors, begin = Doors(asyncio.Event()), time.monotonic()
    doors.open.set()
    memory: list[float] = []
    async with AsyncExitStack() as stack:
        watchers = []
        for number in range(WATCHERS):
            showtime_id = showtimes[number % len(showtimes)]
            socket = session.ws_connect(f"{house.base}/showtimes/{showtime_id}/live")
            watchers.append(Watching(showtime_id, await stack.enter_async_context(socket)))
        listening = [asyncio.ensure_future(watching.listen()) for watching in watchers]
        buying = [asyncio.ensure_future(_buy_on(house, session, showtimes, doors)) for _ in range(BUYERS)]
        visits = 0
        while time.monotonic() - begin < minutes * 60:
            done, _ = await asyncio.wait((*listening, *buying), timeout=look_seconds, return_when="FIRST_COMPLETED")
            for task in done:
                task.result()
            doors.open.clear()  # what moves faster than one can look at it cannot be compared
            for watching in watchers:
                await watching.agrees(house, session)
            doors.open.set()
            assert house.server is not None
            memory.append(psutil.Process(house.server.pid).memory_info().rss / 1_048_576)
            visits += len(house.promises)
            house.promises.clear()
            print(
                f"{time.monotonic() - begin:6.0f} s: {visits} holds, {len(house.refusals)} refused, "
                f"{sum(watching.frames for watching in watchers)} frames, {memory[-1]:.0f} MiB",
                flush=True,
            )
        doors.closing = True
        await asyncio.gather(*buying)
        for task in listening:
            task.cancel()
    warm = memory[len(memory) // 2]
    assert memory[-1] - warm < GROWTH_MIB_MAX, f"memory grows: {[round(mib) for mib in memory]}"


async def prove(minutes: float) -> None:
    with open_house(seed=1) as house:
        house.settings["MARQUEE_HOLD_TTL_S"] = str(HOLD_SECONDS)
        async with open_session() as session:
            await house.start(session)
            await soak(house, session, minutes, LOOK_SECONDS)
            await closing(house, session)
    print(f"{minutes:g} minutes: no error, no drift between what is watched and what is so, memory within bounds")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    asyncio.run(prove(parser.parse_args().minutes))


if __name__ == "__main__":
    main()
