"""The worker when the world fails: its process is killed, its database goes away, its claim is taken from it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from actors.runtime.clock import SystemClock
from persistence import jobs
from persistence.database import Pool
from persistence.jobs import Job, JobState, StoredJob
from server.jobs.figures import Figures
from server.jobs.worker import Work, Worker, WorkerLimits

DOOMED = Path(__file__).parent / "doomed_worker.py"
PATIENCE_SECONDS = 60


@asynccontextmanager
async def working(pool: Pool, works: Mapping[str, Work], **limits: Any) -> AsyncIterator[Worker]:
    worker = Worker(pool, SystemClock(), works, Figures(CollectorRegistry()), WorkerLimits(**limits))
    worker.start()
    try:
        yield worker
    finally:
        await worker.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.02)


async def until_state(pool: Pool, key: str, state: JobState) -> StoredJob:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            job = await jobs.by_key(pool, key)
            if job is not None and job.state is state:
                return job
            await asyncio.sleep(0.02)


async def test_a_worker_killed_between_the_effect_and_the_mark_leaves_a_job_that_is_done_again(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    effects = tmp_path / "effects"
    effects.touch()
    await jobs.put(pool, [Job("mail", "m", None, {})])
    doomed = await asyncio.create_subprocess_exec(sys.executable, DOOMED, database_url, effects, "2")
    try:
        await until(lambda: effects.read_text() == "m 1\n")
    finally:
        doomed.kill()
        await doomed.wait()
    assert (await until_state(pool, "m", JobState.RUNNING)).attempts == 1
    again: list[StoredJob] = []

    async def work(job: StoredJob) -> None:
        again.append(job)

    async with working(pool, {"mail": work}):
        await until_state(pool, "m", JobState.DONE)
    assert [(job.dedupe_key, job.attempts) for job in again] == [("m", 2)]


async def test_the_worker_outlives_an_outage_of_the_database_and_still_says_what_it_has_done(
    pool: Pool, database_url: str, cluster: str
) -> None:
    name = urlsplit(database_url).path[1:]
    house = await asyncpg.connect(cluster)
    runs: list[str] = []

    async def outage() -> None:
        await house.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await house.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)

    async def work(job: StoredJob) -> None:
        runs.append(job.dedupe_key)
        if job.dedupe_key == "first":
            await outage()

    try:
        await jobs.put(pool, [Job("mail", "first", None, {})])
        with capture_logs() as logs:
            async with working(pool, {"mail": work}, poll_seconds=0.1, outage_seconds_max=0.2):
                await until(lambda: any(line["event"] == "jobs_not_claimed" for line in logs))
                await house.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
                await until_state(pool, "first", JobState.DONE)
                await jobs.put(pool, [Job("mail", "second", None, {})])
                await until_state(pool, "second", JobState.DONE)
        assert runs == ["first", "second"]
    finally:
        await house.close()


async def test_whoever_loses_a_claim_stops_and_is_not_heard(pool: Pool) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def work(job: StoredJob) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    await jobs.put(pool, [Job("mail", "m", None, {})])
    async with working(pool, {"mail": work}, lease_seconds=4):
        await asyncio.wait_for(begun.wait(), PATIENCE_SECONDS)
        taken = "UPDATE job SET attempts = attempts + 1, due_at = now() + interval '1 day' WHERE dedupe_key = 'm'"
        await pool.execute(taken)
        await asyncio.wait_for(stopped.wait(), PATIENCE_SECONDS)
    job = await until_state(pool, "m", JobState.RUNNING)
    assert (job.attempts, job.last_error) == (2, "")


async def test_a_long_work_keeps_its_claim_past_the_first_lease(pool: Pool) -> None:
    runs: list[int] = []
    renewed = asyncio.Event()

    async def work(job: StoredJob) -> None:
        runs.append(job.attempts)
        while (found := await jobs.by_key(pool, "m")) is None or found.due_at < job.due_at + 6_000:
            await asyncio.sleep(0.05)
        renewed.set()

    await jobs.put(pool, [Job("mail", "m", None, {})])
    async with working(pool, {"mail": work}, lease_seconds=4), working(pool, {"mail": work}, lease_seconds=4):
        await asyncio.wait_for(renewed.wait(), PATIENCE_SECONDS)
        await until_state(pool, "m", JobState.DONE)
    assert runs == [1]
