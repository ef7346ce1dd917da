"""A program for test_faults: a worker that does its work and is killed before it can say so.

Its work is a line in a file, after which it waits for ever, so whoever kills it does so after the effect
and before the mark.
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from prometheus_client import CollectorRegistry

from actors.runtime.clock import SystemClock
from persistence.database import open_pool
from persistence.jobs import StoredJob
from server.jobs.figures import Figures
from server.jobs.worker import Worker, WorkerLimits


async def work(dsn: str, file: Path, lease_seconds: float) -> None:
    async def effect(job: StoredJob) -> None:
        with file.open("a") as lines:
            lines.write(f"{job.dedupe_key} {job.attempts}\n")
        await asyncio.Event().wait()

    async with open_pool(dsn) as pool:
        limits = WorkerLimits(lease_seconds=lease_seconds)
        worker = Worker(pool, SystemClock(), {"mail": effect}, Figures(CollectorRegistry()), limits)
        worker.start()
        await asyncio.Event().wait()


asyncio.run(work(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
