"""Jobs as administrators see them, in a whole house: found, tried again, dropped with a reason, never done anew."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import server.app
from actors.ids import mint
from persistence import audit, jobs
from persistence.jobs import Job, JobState, StoredJob
from server.jobs.worker import Hopeless
from server.keys import CLOCK, JOBS, POOL
from tests.server.house import House, open_house
from tests.server.rest.cinema import Counter, Person, expect, open_counter

DAY = 24 * 3_600_000


class Works:
    """Works of two topics; `bad` ones are hopeless."""

    def __init__(self) -> None:
        self.done: list[StoredJob] = []
        self.bad = True
        self.told = asyncio.Event()

    async def good_work(self, job: StoredJob) -> None:
        self.done.append(job)
        self.told.set()

    async def bad_work(self, job: StoredJob) -> None:
        if self.bad:
            raise Hopeless("the provider has never heard of it")
        self.done.append(job)


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> Works:
    works = Works()
    found = {"announce": works.good_work, "bad": works.bad_work}
    monkeypatch.setattr(server.app, "_works", lambda _app: found)
    return works


@pytest.fixture
async def house(works: Works, database_url: str) -> AsyncIterator[House]:
    async with open_house(database_url) as house:
        yield house


@pytest.fixture
async def counter(house: House) -> Counter:
    return await open_counter(house)


async def listed(who: Person, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await expect(await who.get(f"/admin/jobs{query}"), 200))["items"]
    return found


async def test_the_journal_wakes_the_worker_for_what_a_booking_asks(counter: Counter, works: Works) -> None:
    bought = await counter.person().buy(counter.showtime_id, "A1")
    await asyncio.wait_for(works.told.wait(), 30)
    await counter.house.app[JOBS].settle()
    (told,) = [job for job in works.done if job.payload["event"] == "booking_confirmed"]
    assert told.payload["booking_id"] == bought["id"]
    admin = counter.person("admin")
    (seen,) = await listed(admin, f"?topic=announce&state=done&showtime_id={counter.showtime_id}")
    assert (seen["key"], seen["attempts"], seen["last_error"]) == (f"confirmed:{bought['id']}", 1, "")
    page = await expect(await admin.get(f"/admin/jobs/{seen['id']}"), 200)
    assert page["payload"]["reference"] == bought["reference"]
    progress = await jobs.progress(counter.house.app[POOL], counter.showtime_id)
    assert progress["announce"] == {JobState.DONE: 1}
    assert all(JobState.READY in counts for topic, counts in progress.items() if topic != "announce")


async def test_nobody_works_what_nobody_knows(counter: Counter) -> None:
    await jobs.put(counter.house.app[POOL], [Job("from the future", "f", None, {})])
    await counter.house.app[JOBS].settle()
    (seen,) = await listed(counter.person("admin"), "?topic=from+the+future")
    assert (seen["state"], seen["attempts"], seen["showtime_id"]) == ("ready", 0, None)


async def test_an_admin_tries_again_or_drops_and_what_is_done_stays_done(counter: Counter, works: Works) -> None:
    app, admin = counter.house.app, counter.person("admin")
    await jobs.put(app[POOL], [Job("bad", key, None, {}) for key in ("one", "two")])
    await app[JOBS].settle()
    two, one = await listed(admin, "?state=parked")
    assert (one["key"], one["last_error"]) == ("one", "the provider has never heard of it")
    works.bad = False
    assert (await expect(await admin.post(f"/admin/jobs/{one['id']}/retry"), 200))["state"] == "ready"
    await app[JOBS].settle()
    assert [job.dedupe_key for job in works.done] == ["one"]
    for decision in ("retry", "drop"):
        refused = await expect(await admin.post(f"/admin/jobs/{one['id']}/{decision}", {"reason": "no"}), 409)
        assert (refused["code"], refused["state"]) == ("job_not_waiting", "done")
    await expect(await admin.post(f"/admin/jobs/{two['id']}/drop", {"reason": ""}), 422)
    dropped = await expect(await admin.post(f"/admin/jobs/{two['id']}/drop", {"reason": "Paid in cash."}), 200)
    assert (dropped["state"], dropped["note"]) == ("dropped", "Paid in cash.")
    await app[JOBS].settle()
    assert len(works.done) == 1
    assert (await expect(await admin.post(f"/admin/jobs/{two['id']}/drop", {"reason": "no"}), 409))[
        "state"
    ] == "dropped"


async def test_jobs_come_in_pages_and_strange_ids_are_not_there(counter: Counter) -> None:
    admin = counter.person("admin")
    await jobs.put(counter.house.app[POOL], [Job("later", f"l{number}", None, {}) for number in range(5)])
    keys, query = [], "?topic=later&limit=2"
    while True:
        page = await expect(await admin.get(f"/admin/jobs{query}"), 200)
        keys += [job["key"] for job in page["items"]]
        if page["next_cursor"] is None:
            break
        query = f"?topic=later&limit=2&cursor={page['next_cursor']}"
    assert keys == ["l4", "l3", "l2", "l1", "l0"]
    for text in ("0", "x", "9" * 30, "٣", mint(0)):
        assert (await expect(await admin.get(f"/admin/jobs/{text}"), 404))["code"] == "job_not_found"
    for query in ("?state=lost", "?cursor=x", "?showtime_id=1"):
        await expect(await admin.get(f"/admin/jobs{query}"), 422)


async def test_what_was_done_and_forgotten_is_never_done_again(counter: Counter, works: Works) -> None:
    app, admin = counter.house.app, counter.person("admin")
    await counter.person().buy(counter.showtime_id, "A1")
    await app[JOBS].settle()
    done = len(works.done)
    await jobs.forget_old(app[POOL], app[CLOCK].now() + 29 * DAY)
    (seen,) = await listed(admin, "?topic=announce")
    assert (await expect(await admin.get(f"/admin/jobs/{seen['id']}"), 200))["payload"]
    await jobs.forget_old(app[POOL], app[CLOCK].now() + 31 * DAY)
    assert (await expect(await admin.get(f"/admin/jobs/{seen['id']}"), 200))["payload"] == {}
    assert (await audit.verify(app[POOL])).differences == []
    await audit.rebuild(app[POOL])
    await app[JOBS].settle()
    assert len(works.done) == done
    assert len(await listed(admin, "?topic=announce")) == 1


async def test_depth_age_and_outcomes_are_metrics(counter: Counter) -> None:
    app = counter.house.app
    await jobs.put(app[POOL], [Job("bad", "b", None, {}), Job("announce", "a", None, {})])
    await app[JOBS].settle()
    await app[JOBS].count()
    text = await (await counter.house.client.get("/metrics")).text()
    assert 'marquee_jobs_open{state="parked",topic="bad"} 1.0' in text
    assert 'marquee_job_oldest_due_seconds{topic="announce"} 0.0' in text
    assert 'marquee_job_tries_total{outcome="parked",topic="bad"} 1.0' in text
    assert 'marquee_job_tries_total{outcome="done",topic="announce"} 1.0' in text
