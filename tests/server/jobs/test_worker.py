"""The worker over a real database: what is due is done once, what fails is tried again, what is hopeless is parked."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

from prometheus_client import CollectorRegistry

from actors.runtime.clock import ManualClock, SystemClock
from persistence import jobs
from persistence.database import Pool
from persistence.jobs import Job, JobState, StoredJob
from server.jobs.figures import Figures
from server.jobs.worker import Hopeless, Later, Work, Worker, WorkerLimits

NOW = 1_790_000_000_000
DAY = 24 * 3_600_000


def worker(pool: Pool, clock: ManualClock, works: Mapping[str, Work], **limits: float) -> Worker:
    return Worker(pool, clock, works, Figures(CollectorRegistry()), WorkerLimits(**limits))  # type: ignore[arg-type]


def asked(topic: str, key: str, due_at: int | None = None, **payload: object) -> Job:
    return Job(topic, key, None, payload, due_at)


async def stored(pool: Pool, key: str) -> StoredJob:
    found = await jobs.by_key(pool, key)
    assert found is not None
    return found


async def test_what_is_due_is_done_and_a_key_is_taken_once_for_ever(pool: Pool) -> None:
    clock, done = ManualClock(NOW), list[StoredJob]()

    async def work(job: StoredJob) -> None:
        done.append(job)

    house = worker(pool, clock, {"mail": work})
    assert await jobs.put(pool, [asked("mail", "a", to=1), asked("mail", "a", to=2), asked("sms", "s")]) == 2
    await house.settle()
    assert [(job.dedupe_key, job.payload, job.attempts) for job in done] == [("a", {"to": 1}, 1)]
    assert ((await stored(pool, "a")).state, (await stored(pool, "a")).finished_at) == (JobState.DONE, NOW)
    assert (await stored(pool, "s")).state is JobState.READY
    assert await jobs.put(pool, [asked("mail", "a")]) == 0
    await house.settle()
    assert len(done) == 1


async def test_nothing_is_done_before_it_is_due(pool: Pool) -> None:
    clock, done = ManualClock(NOW), list[str]()

    async def work(job: StoredJob) -> None:
        done.append(job.dedupe_key)

    house = worker(pool, clock, {"reminder": work})
    await jobs.put(pool, [asked("reminder", "soon", NOW + 1_000), asked("reminder", "later", NOW + DAY)])
    await house.settle()
    assert not done
    clock.advance(1_000)
    await house.settle()
    assert done == ["soon"]


async def test_what_fails_is_tried_again_ever_more_seldom_and_parked_after_three_days(pool: Pool) -> None:
    clock, tries = ManualClock(NOW), list[int]()

    async def work(job: StoredJob) -> None:
        tries.append(clock.now())
        raise ConnectionResetError("somebody@example.com hung up")

    house = worker(pool, clock, {"refund": work})
    await jobs.put(pool, [asked("refund", "r")])
    await house.settle()
    while (job := await stored(pool, "r")).state is JobState.READY:
        clock.advance(max(0, job.due_at - clock.now()))
        await house.settle()
    waits = [after - before for before, after in pairwise(tries)]
    assert 500 <= waits[0] <= 1_000
    assert all(wait <= 3_600_000 for wait in waits)
    assert 3 * DAY <= tries[-1] - tries[0] <= 3 * DAY + 3_600_000
    assert job.state is JobState.PARKED
    assert job.last_error.startswith("ConnectionResetError at tests/server/jobs/test_worker.py:")
    assert (job.failures, job.attempts) == (len(tries), len(tries))


async def test_what_is_hopeless_is_parked_and_tried_again_when_somebody_says_so(pool: Pool) -> None:
    clock, refused = ManualClock(NOW), True

    async def work(job: StoredJob) -> None:
        if refused:
            raise Hopeless("the provider knows no such payment; ask ana@example.com")

    house = worker(pool, clock, {"refund": work})
    await jobs.put(pool, [asked("refund", "r")])
    await house.settle()
    job = await stored(pool, "r")
    assert (job.state, job.last_error) == (JobState.PARKED, "the provider knows no such payment; ask …")
    refused = False
    assert await jobs.revive(pool, job.id) is not None
    await house.settle()
    assert (await stored(pool, "r")).state is JobState.DONE


async def test_who_waits_for_something_that_may_come_is_never_given_up(pool: Pool) -> None:
    clock = ManualClock(NOW)

    async def work(job: StoredJob) -> None:
        raise Later(3_600, "the customer has not paid yet", counted=False)

    house = worker(pool, clock, {"payment_watch": work})
    await jobs.put(pool, [asked("payment_watch", "w")])
    for _ in range(100):
        await house.settle()
        clock.advance(3_600_000)
    job = await stored(pool, "w")
    assert (job.state, job.failures, job.attempts) == (JobState.READY, 0, 100)
    assert job.due_at == clock.now()


async def test_two_workers_never_run_a_job_at_the_same_time(pool: Pool) -> None:
    runs, running, together = Counter[str](), set[str](), 0

    async def work(job: StoredJob) -> None:
        nonlocal together
        assert job.dedupe_key not in running
        running.add(job.dedupe_key)
        together = max(together, len(running))
        await asyncio.sleep(0)
        running.remove(job.dedupe_key)
        runs[job.dedupe_key] += 1

    await jobs.put(pool, [asked("mail", f"m{number}") for number in range(400)])
    await asyncio.gather(*(worker(pool, ManualClock(NOW), {"mail": work}).settle() for _ in range(2)))
    assert len(runs) == 400
    assert set(runs.values()) == {1}
    assert together > 1


async def test_a_flood_of_letters_does_not_delay_money(pool: Pool) -> None:
    clock, order, stuck = ManualClock(NOW), list[str](), asyncio.Event()

    async def slow(job: StoredJob) -> None:
        order.append(job.topic)
        await stuck.wait()

    async def quick(job: StoredJob) -> None:
        order.append(job.topic)

    works = {"refund": quick, "mail": slow, "sms": slow}
    house = worker(pool, clock, works, at_once_max=8, at_once_of_topic_max=3)
    await jobs.put(pool, [asked(topic, f"{topic}{number}") for topic in ("mail", "sms") for number in range(50)])
    house.start()
    try:
        while Counter(order) != {"mail": 3, "sms": 3}:
            await asyncio.sleep(0.01)
        await jobs.put(pool, [asked("refund", f"r{number}") for number in range(20)])
        house.wake()
        while order.count("refund") < 20:
            await asyncio.sleep(0.01)
        assert Counter(order) == {"mail": 3, "sms": 3, "refund": 20}
    finally:
        stuck.set()
        await house.close()


async def test_while_the_loop_is_busy_the_worker_claims_a_few_at_a_time(pool: Pool) -> None:
    begun: list[float] = []

    async def work(_job: StoredJob) -> None:
        begun.append(asyncio.get_running_loop().time())

    limits = WorkerLimits(at_once_of_topic_max=4, busy_part_max=-1.0, busy_pause_seconds=0.3)  # always too busy
    house = Worker(pool, SystemClock(), {"mail": work}, Figures(CollectorRegistry()), limits)
    await jobs.put(pool, [asked("mail", f"mail{number}") for number in range(10)])
    house.start()
    try:
        while len(begun) < 10:
            await asyncio.sleep(0.01)
    finally:
        await house.close()
    assert all(fifth - first >= 0.25 for first, fifth in zip(begun, begun[4:], strict=False))


async def test_whoever_closes_gives_back_what_it_has_not_done(pool: Pool) -> None:
    begun, tries = asyncio.Event(), 0

    async def work(job: StoredJob) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            begun.set()
            await asyncio.Event().wait()

    house = worker(pool, ManualClock(NOW), {"mail": work}, drain_seconds_max=0.01)
    await jobs.put(pool, [asked("mail", "m")])
    house.start()
    await begun.wait()
    await house.close()
    assert (await stored(pool, "m")).state is JobState.READY
    await worker(pool, ManualClock(NOW), {"mail": work}).settle()
    assert ((await stored(pool, "m")).state, tries) == (JobState.DONE, 2)


async def test_a_claim_whose_lease_has_ended_is_anybodys_and_the_one_who_lost_it_is_not_heard(pool: Pool) -> None:
    await jobs.put(pool, [asked("mail", "m")])
    (mine,) = await jobs.claim(pool, ["mail"], NOW, limit=9, share=9, lease_ms=60_000)
    assert not await jobs.claim(pool, ["mail"], NOW + 59_999, limit=9, share=9, lease_ms=60_000)
    (theirs,) = await jobs.claim(pool, ["mail"], NOW + 60_000, limit=9, share=9, lease_ms=60_000)
    assert theirs.attempts == mine.attempts + 1
    assert not await jobs.finish(pool, mine, NOW + 60_001)
    assert not await jobs.park(pool, mine, "no", NOW + 60_001)
    assert await jobs.renew(pool, [mine], NOW + DAY) == frozenset()
    await jobs.give_back(pool, [mine])
    assert await jobs.finish(pool, theirs, NOW + 60_002)
