"""The worker: does what job rows ask for, at least once, a few at a time.

It claims what is due (no topic more than its share, so that a flood of letters never delays money), keeps its claims
alive while it works, and says what became of them; while the event loop is busy it steps back. Whoever is killed in
between leaves claims behind that lapse: the job is done again, and its dedupe key makes that harmless. Topics without a
work are left alone.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from traceback import extract_tb
from typing import Final

import asyncpg
import structlog

from actors.ports import Clock
from actors.runtime.clock import worked
from actors.seatmap.values import dataclass
from persistence import jobs
from persistence.database import Pool
from persistence.jobs import StoredJob
from server.jobs.figures import Figures
from server.jobs.patience import Patience

ERROR_CHARACTERS_MAX: Final = 500
WORLD: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
_HOUSE: Final = Path(__file__).parent.parent.parent
_ADDRESS: Final = re.compile(r"\S+@\S+|\+\d{6,}")
_log: Final = structlog.get_logger("marquee.jobs")

Work = Callable[[StoredJob], Awaitable[None]]
"""Returning is done. It may run twice: what it does to the world is keyed by the job's dedupe key."""


class Later(Exception):
    """Not yet: try again in `seconds`, or when patience says so. The reason is shown to admins: no personal data.

    With `counted` off it is no failure: whoever waits for something that may come is never given up.
    """

    def __init__(self, seconds: float | None = None, reason: str = "", *, counted: bool = True) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.reason = reason
        self.counted = counted


class Hopeless(Exception):
    """Trying again cannot help: park it. The reason is shown to admins: no personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    at_once_max: int = 8
    at_once_of_topic_max: int = 4
    lease_seconds: float = 60.0
    work_seconds_max: float = 120.0
    poll_seconds: float = 1.0
    between_claims_seconds: float = 0.02
    busy_part_max: float = 0.5
    """When the process, letters included, works a larger part of the time than this, only `busy_at_once_max` jobs are
    begun every `busy_pause_seconds`: what can wait a moment must not slow those who cannot."""
    busy_at_once_max: int = 2
    busy_pause_seconds: float = 0.1
    outage_seconds_max: float = 10.0
    drain_seconds_max: float = 3.0
    give_back_seconds_max: float = 1.0
    figures_seconds: float = 15.0


class _Claim:
    """A job that runs here."""

    __slots__ = ("deadline", "job", "lease_ends", "started_at", "task")

    def __init__(self, job: StoredJob, started_at: float, lease_ends: float) -> None:
        self.job = job
        self.started_at = started_at
        self.lease_ends = lease_ends
        self.deadline: asyncio.Timeout | None = None
        self.task: asyncio.Task[None] | None = None


class Worker:
    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        works: Mapping[str, Work],
        figures: Figures,
        limits: WorkerLimits | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._works = works
        self._figures = figures
        self._limits = limits or WorkerLimits()
        self._patience = patience or Patience()
        self._running: dict[int, _Claim] = {}
        self._looked = clock.monotonic(), worked()
        self._claiming = asyncio.Lock()
        self._woken = asyncio.Event()
        self._closing = False
        self._claimer: asyncio.Task[None] | None = None
        self._keepers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._claimer = asyncio.create_task(self._run(), name="jobs")
        self._keepers = [
            asyncio.create_task(self._keep_leases(), name="job leases"),
            asyncio.create_task(self._keep_figures(), name="job figures"),
        ]

    def wake(self) -> None:
        """There may be something to do. Costs nothing when there is not."""
        self._woken.set()

    def rest(self) -> None:
        """Begin nothing new."""
        self._closing = True
        self._woken.set()

    async def close(self) -> None:
        """Finish what can be finished quickly and give the rest back."""
        self.rest()
        if self._claimer is not None:
            await asyncio.gather(self._claimer, return_exceptions=True)
        claims = list(self._running.values())
        tasks = [claim.task for claim in claims if claim.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=self._limits.drain_seconds_max)
        for task in (*tasks, *self._keepers):
            task.cancel()
        await asyncio.gather(*tasks, *self._keepers, return_exceptions=True)
        await self._give_back([claim.job for claim in claims])

    async def settle(self) -> None:
        """Until nothing that is due is left, of the topics that have a work."""
        while await self._begin_due() or self._running:
            tasks = [claim.task for claim in self._running.values() if claim.task is not None]
            if tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    async def _run(self) -> None:
        """Claim, and rest until something ends, somebody wakes us or it is time to look again."""
        limits = self._limits
        outage = 0.0
        while not self._closing:
            self._woken.clear()
            pause = limits.poll_seconds
            try:
                busy = self._is_busy()
                begun = await self._begin_due(limits.busy_at_once_max if busy else limits.at_once_max)
            except WORLD as error:
                outage = pause = min(max(limits.poll_seconds, outage * 2), limits.outage_seconds_max)
                _log.warning("jobs_not_claimed", reason=repr(error), again_in_seconds=pause)
            else:
                outage = 0.0
                if busy:
                    await asyncio.sleep(limits.busy_pause_seconds)
                elif not begun:  # many wake-ups in a row become one claim
                    await asyncio.sleep(limits.between_claims_seconds)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)

    def _is_busy(self) -> bool:
        """Whether there has hardly been a moment to spare since this was last asked."""
        now, done = self._clock.monotonic(), worked()
        (since, before), self._looked = self._looked, (now, done)
        return now > since and (done - before) / (now - since) > self._limits.busy_part_max

    async def _begin_due(self, at_once_max: int | None = None) -> int:
        """Claim what there is room for. How many were begun."""
        limits = self._limits
        async with self._claiming:
            room = (at_once_max or limits.at_once_max) - len(self._running)
            if self._closing or not self._works or room <= 0:
                return 0
            asked_at = asyncio.get_running_loop().time()
            claimed = await jobs.claim(
                self._pool,
                list(self._works),
                self._clock.now(),
                limit=room,
                share=limits.at_once_of_topic_max,
                lease_ms=int(limits.lease_seconds * 1_000),
                running=[claim.job for claim in self._running.values()],
            )
            for job in claimed:
                self._begin(_Claim(job, asked_at, asked_at + limits.lease_seconds))
            return len(claimed)

    def _begin(self, claim: _Claim) -> None:
        job = claim.job
        self._running[job.id] = claim
        claim.task = asyncio.create_task(self._work(claim), name=f"job {job.dedupe_key}")
        claim.task.add_done_callback(lambda _: self._ended(claim))

    def _ended(self, claim: _Claim) -> None:
        self._running.pop(claim.job.id, None)
        self._woken.set()

    async def _work(self, claim: _Claim) -> None:
        """One try. Nobody else works on the job as long as the lease is kept, and not longer do we."""
        job = claim.job
        failure: Exception | None = None
        try:
            async with asyncio.timeout_at(self._deadline_of(claim)) as claim.deadline:
                await self._works[job.topic](job)
        except Exception as error:  # noqa: BLE001 (the job's row says what went wrong)
            failure = error
        claim.deadline = None
        self._figures.seconds.labels(job.topic).observe(asyncio.get_running_loop().time() - claim.started_at)
        outcome, marked = await self._mark(claim, failure)
        self._figures.attempts.labels(job.topic, outcome if marked else "lost").inc()
        if not marked:
            _log.warning("job_claim_lost", topic=job.topic, job_id=job.id, key=job.dedupe_key)
        elif outcome == "parked" and failure is not None:
            _log.error("job_parked", topic=job.topic, job_id=job.id, key=job.dedupe_key, reason=_told(failure))

    async def _mark(self, claim: _Claim, failure: Exception | None) -> tuple[str, bool]:
        """Store what became of it, through short outages too: as long as the lease is ours. Outcome, whether stored."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await self._store(claim.job, failure)
            except WORLD as error:
                if loop.time() + self._limits.poll_seconds > claim.lease_ends:
                    return repr(error), False
                await asyncio.sleep(self._limits.poll_seconds)

    async def _store(self, job: StoredJob, failure: Exception | None) -> tuple[str, bool]:
        pool, now = self._pool, self._clock.now()
        if failure is None:
            return "done", await jobs.finish(pool, job, now)
        told = _told(failure)
        seconds = failure.seconds if isinstance(failure, Later) else None
        wait = self._patience.wait_ms(job.failures, random.random()) if seconds is None else int(seconds * 1_000)  # noqa: S311
        if isinstance(failure, Later) and not failure.counted:
            return "put_off", await jobs.put_off(pool, job, now + wait, told)
        if isinstance(failure, Hopeless) or self._patience.is_over(job.failing_since, now):
            return "parked", await jobs.park(pool, job, told, now)
        return "failed", await jobs.retry_at(pool, job, now + wait, told, now)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._limits.lease_seconds / 4)
            if self._running:
                with suppress(*WORLD):  # what is not renewed in time is given up by its own deadline
                    await self._renew(list(self._running.values()))

    async def _renew(self, claims: list[_Claim]) -> None:
        loop = asyncio.get_running_loop()
        lease_ends = loop.time() + self._limits.lease_seconds
        until = self._clock.now() + int(self._limits.lease_seconds * 1_000)
        kept = await jobs.renew(self._pool, [claim.job for claim in claims], until)
        for claim in claims:
            claim.lease_ends = lease_ends if claim.job.id in kept else loop.time()
            if claim.deadline is not None and not claim.deadline.expired():
                claim.deadline.reschedule(self._deadline_of(claim))

    def _deadline_of(self, claim: _Claim) -> float:
        return min(claim.started_at + self._limits.work_seconds_max, claim.lease_ends)

    async def count(self) -> None:
        """Bring the figures of what there is to do up to date."""
        now = self._clock.now()
        self._figures.show(self._works, await jobs.depths(self._pool, now), now)

    async def _keep_figures(self) -> None:
        while True:
            with suppress(*WORLD):
                await self.count()
            await asyncio.sleep(self._limits.figures_seconds)

    async def _give_back(self, claims: list[StoredJob]) -> None:
        if not claims:
            return
        try:
            async with asyncio.timeout(self._limits.give_back_seconds_max):
                await jobs.give_back(self._pool, claims)
        except WORLD as error:
            _log.warning("jobs_not_given_back", count=len(claims), reason=repr(error))


def _told(failure: Exception) -> str:
    """What went wrong, for admins. The words of a library may hold an address, so of those only the kind is told."""
    if isinstance(failure, Later | Hopeless):
        said = failure.reason
    else:
        places = [place for place in extract_tb(failure.__traceback__) if _HOUSE in Path(place.filename).parents]
        where = f" at {Path(places[-1].filename).relative_to(_HOUSE)}:{places[-1].lineno}" if places else ""
        said = f"{type(failure).__name__}{where}"
    return _ADDRESS.sub("…", said)[:ERROR_CHARACTERS_MAX]
