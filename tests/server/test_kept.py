"""What is kept of public lists is never older than it may be, and gone when somebody has changed something."""

import asyncio

from aiohttp import web

from actors.runtime.clock import ManualClock
from persistence.database import Pool
from server.kept import ANSWER_BYTES_MAX, ANSWERS_MAX, KEPT_MILLIS, Answer, Kept, kept
from server.keys import CLOCK, KEPT, POOL
from tests.server.house import House, open_house
from tests.server.rest.cinema import Person, expect
from tests.server.rest.planning import Office, at, open_office

MORNING = at("2026-10-20T08:00")


def answer(size: int = 1) -> Answer:
    return Answer(b"x" * size, '"x"', 100)


async def titles(house: House) -> list[str]:
    return [film["title"] for film in (await expect(await house.get("/movies"), 200))["items"]]


async def rename_behind(pool: Pool, office: Office, title: str) -> None:
    """As another process would."""
    await pool.execute("UPDATE movie SET title = $2 WHERE id = $1", office.movie_id, title)


async def test_an_answer_is_given_again_for_a_moment_and_then_made_anew(database_url: str) -> None:
    clock = ManualClock(MORNING)
    async with open_house(database_url, clock=clock) as house:
        office = await open_office(house, clock)
        before = await titles(house)
        await rename_behind(house.app[POOL], office, "Another")
        assert await titles(house) == before
        clock.advance(KEPT_MILLIS)
        assert await titles(house) == ["Another"]


async def test_who_changes_something_sees_it_at_once(database_url: str) -> None:
    clock = ManualClock(MORNING)
    async with open_house(database_url, clock=clock) as house:
        office = await open_office(house, clock)
        admin = Person(house, office.manager.account_id, ("admin",), ())
        assert len(await titles(house)) == 1
        assert len((await expect(await house.get("/theatres"), 200))["items"]) == 1
        await expect(await admin.patch(f"/admin/movies/{office.movie_id}", {"title": "Another"}), 200)
        assert await titles(house) == ["Another"]
        await expect(await admin.patch(f"/admin/theatres/{office.theatre_id}", {"name": "Kino Neu"}), 200)
        listed = await expect(await house.get("/theatres"), 200)
        assert [theatre["name"] for theatre in listed["items"]] == ["Kino Neu"]
        await expect(await admin.post(f"/admin/movies/{office.movie_id}/archive"), 200)
        assert await titles(house) == []


async def test_a_kept_answer_has_the_tag_of_a_fresh_one_and_spares_who_has_it(database_url: str) -> None:
    async with open_house(database_url, clock=ManualClock(MORNING)) as house:
        fresh, again = await house.get("/movies"), await house.get("/movies")
        assert fresh.headers["ETag"] == again.headers["ETag"]
        assert await fresh.read() == await again.read()
        assert again.headers["Content-Type"].startswith("application/json")
        spared = await house.get("/movies", headers={"If-None-Match": fresh.headers["ETag"]})
        assert (spared.status, await spared.read()) == (304, b"")


async def test_an_answer_begun_before_a_change_is_not_kept(database_url: str) -> None:
    async with open_house(database_url, clock=ManualClock(MORNING)) as house:
        store = house.app[KEPT]
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def page(_: web.Request) -> object:
            begun.set()
            await go_on.wait()
            return {}

        class Asked(dict[str, str]):
            app, raw_path, headers = house.app, "/slow", dict[str, str]()

        slow = asyncio.ensure_future(kept(page)(Asked()))  # type: ignore[arg-type]
        await begun.wait()
        store.drop()
        go_on.set()
        assert (await slow).status == 200
        assert store.find("/slow", house.app[CLOCK].now()) is None


async def test_of_many_who_ask_at_once_one_makes_the_answer() -> None:
    store, made, go_on = Kept(), list[int](), asyncio.Event()

    async def make() -> Answer:
        made.append(len(made))
        await go_on.wait()
        return answer(len(made))

    asked = [asyncio.ensure_future(store.once("/films", make)) for _ in range(20)]
    other = asyncio.ensure_future(store.once("/theatres", make))
    await asyncio.sleep(0)
    store.drop()
    late = asyncio.ensure_future(store.once("/films", make))
    await asyncio.sleep(0)
    asked[0].cancel()  # who asked first has gone
    go_on.set()
    answers = {id(one) for one in await asyncio.gather(*asked[1:])}
    assert (len(made), len(answers)) == (3, 1)
    assert id(await late) not in {*answers, id(await other)}, "what was begun before a change is not for who asks after"
    assert (await store.once("/films", make)).body == b"xxxx", "and the next one is made anew"


async def test_a_failure_is_told_to_all_who_wait_for_it_and_forgotten() -> None:
    store = Kept()

    async def fail() -> Answer:
        await asyncio.sleep(0)
        raise ConnectionError("no database")

    told = await asyncio.gather(*[store.once("/films", fail) for _ in range(3)], return_exceptions=True)
    assert [type(one) for one in told] == [ConnectionError] * 3

    async def make() -> Answer:
        return answer()

    assert await store.once("/films", make) == answer()


def test_only_so_much_is_kept() -> None:
    store = Kept()
    for number in range(ANSWERS_MAX + 3):
        store.keep(f"/{number}", answer(), store.version)
    assert [store.find(f"/{number}", 99) is None for number in range(5)] == [True, True, True, False, False]
    assert store.find(f"/{ANSWERS_MAX}", 100) is None
    store.keep("/large", answer(ANSWER_BYTES_MAX + 1), store.version)
    store.keep("/" + "x" * 2_000, answer(), store.version)
    assert store.find("/large", 0) is None
    assert store.find("/" + "x" * 2_000, 0) is None
