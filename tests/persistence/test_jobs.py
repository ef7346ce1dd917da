"""The table of jobs: who gets what is due, in which order, and what a person may still decide."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from actors.ids import mint
from persistence import jobs
from persistence.database import Pool
from persistence.jobs import Job, JobState, StoredJob

NOW = 1_790_000_000_000
SECOND = 1_000


async def claimed(
    pool: Pool, *topics: str, limit: int = 8, share: int = 4, running: Sequence[StoredJob] = ()
) -> list[StoredJob]:
    return await jobs.claim(pool, topics, NOW, limit=limit, share=share, lease_ms=60 * SECOND, running=running)


def many(topic: str, count: int) -> list[Job]:
    return [Job(topic, f"{topic}:{number}", None, {}) for number in range(count)]


async def test_topics_take_turns_and_the_first_named_goes_first(pool: Pool) -> None:
    await jobs.put(pool, [*many("mail", 9), *many("sms", 9), *many("refund", 2)])
    taken = await claimed(pool, "refund", "mail", "sms", limit=5)
    assert [job.topic for job in taken] == ["refund", "mail", "sms", "refund", "mail"]
    assert [job.dedupe_key for job in taken if job.topic == "mail"] == ["mail:0", "mail:1"]


async def test_what_runs_already_counts_as_a_topics_share(pool: Pool) -> None:
    await jobs.put(pool, [*many("mail", 9), *many("sms", 9)])
    running = await claimed(pool, "mail", share=3)
    assert len(running) == 3
    more = await claimed(pool, "mail", "sms", share=4, limit=4, running=running)
    assert [job.topic for job in more] == ["sms", "sms", "sms", "mail"], "mail has three turns behind it"
    (last,) = await claimed(pool, "mail", "sms", share=4, running=[*running, *more])
    assert last.topic == "sms"
    assert not {job.id for job in running} & {job.id for job in more}


async def test_claims_at_the_same_moment_share_out_all_that_is_due(pool: Pool) -> None:
    await jobs.put(pool, many("mail", 60))
    taken = await asyncio.gather(*(claimed(pool, "mail", limit=10, share=10) for _ in range(6)))
    rest = await claimed(pool, "mail", limit=60, share=60)
    found = Counter(job.id for batch in (*taken, rest) for job in batch)
    assert len(found) == 60
    assert set(found.values()) == {1}


async def test_what_is_put_in_a_transaction_that_fails_was_never_put(pool: Pool) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await jobs.put(connection, many("mail", 1)) == 1
        await transaction.rollback()
    assert await jobs.put(pool, many("mail", 2)) == 2
    assert await jobs.put(pool, many("mail", 3)) == 1
    assert await jobs.put(pool, []) == 0


async def test_nobody_decides_about_a_job_that_runs_or_is_done(pool: Pool) -> None:
    await jobs.put(pool, many("mail", 1))
    (job,) = await claimed(pool, "mail")
    assert await jobs.drop(pool, job.id, "no", NOW) is None
    assert await jobs.revive(pool, job.id) is None
    assert await jobs.finish(pool, job, NOW)
    assert await jobs.drop(pool, job.id, "no", NOW) is None
    assert await jobs.revive(pool, job.id) is None
    assert not await jobs.finish(pool, job, NOW), "it was said already"


async def test_a_dropped_job_keeps_its_reason_and_its_key_and_may_be_revived(pool: Pool) -> None:
    await jobs.put(pool, many("mail", 1))
    found = await jobs.by_key(pool, "mail:0")
    assert found is not None
    dropped = await jobs.drop(pool, found.id, "the customer called", NOW)
    assert dropped is not None
    assert (dropped.state, dropped.note, dropped.finished_at) == (JobState.DROPPED, "the customer called", NOW)
    assert await jobs.put(pool, many("mail", 1)) == 0
    assert await claimed(pool, "mail") == []
    revived = await jobs.revive(pool, found.id)
    assert revived is not None
    assert (revived.state, revived.finished_at) == (JobState.READY, None)
    assert len(await claimed(pool, "mail")) == 1


async def test_progress_and_depth_count_by_topic_and_state(pool: Pool) -> None:
    showtime = mint(NOW)
    await jobs.put(pool, [Job("refund", f"r{number}", showtime, {}) for number in range(3)])
    await jobs.put(pool, [Job("mail", "later", showtime, {}, NOW + 5 * SECOND), Job("mail", "now", None, {}, NOW - 5)])
    first, second = await claimed(pool, "refund", limit=2)
    await jobs.finish(pool, first, NOW)
    await jobs.park(pool, second, "no", NOW)
    assert await jobs.progress(pool, showtime) == {
        "refund": {JobState.DONE: 1, JobState.PARKED: 1, JobState.READY: 1},
        "mail": {JobState.READY: 1},
    }
    depths = {(depth.topic, depth.state): depth for depth in await jobs.depths(pool, NOW)}
    assert depths["mail", JobState.READY].count == 2
    assert depths["mail", JobState.READY].oldest_due == NOW - 5
    assert depths["refund", JobState.PARKED].oldest_due is None
    assert ("refund", JobState.DONE) not in depths
