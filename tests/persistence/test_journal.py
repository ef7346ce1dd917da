"""What every journal promises, over memory and over PostgreSQL; then what only PostgreSQL can do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import asyncpg
import journal_house as house
import pytest
from journal_house import ANA, LAYOUT, NOW, after, held

from actors.ids import mint
from actors.ports import Deposed, Enclosure, Journal, JournalDown, Loaded, Overloaded, Rejected, UnknownShowtime
from actors.runtime.clock import ManualClock
from actors.seatmap.commands import BlockKind
from actors.seatmap.events import Event, HoldReleased, SeatsBlocked
from actors.seatmap.refusals import Refusal, Refused
from actors.seatmap.state import SeatMap
from persistence.audit import verify
from persistence.database import Pool, connect_writer
from persistence.enclosures import GivenContact
from persistence.journal import JournalLimits, PgJournal, Unsafe, schedule
from persistence.memory import FewLayouts, MemoryJournal
from persistence.recovery import LogDamaged


@dataclass
class Bed:
    """A journal and the way to put a showtime into it."""

    journal: Journal
    add: Callable[[], Awaitable[str]]
    contacts: Callable[[], Awaitable[list[str]]]
    """The addresses that came along with bookings and were stored."""

    lost: list[str] = field(default_factory=list)

    async def begin(self) -> Loaded:
        return await self.journal.acquire(await self.add())

    async def write(
        self, loaded: Loaded, *happened: Event, key: str | None = None, along: Sequence[Enclosure] = ()
    ) -> Loaded:
        state, records = after(loaded.state, *happened, by=house.cause(key))
        await self.journal.append(loaded.epoch, loaded.state, state, records, along)
        return Loaded(loaded.epoch, state)


def memory_bed() -> Bed:
    journal = MemoryJournal(FewLayouts(LAYOUT))
    numbers = iter(range(1, 1_000))

    async def add() -> str:
        showtime_id = mint(NOW)
        await journal.schedule(showtime_id, next(numbers), house.terms(), NOW, house.CLOCKWORK)
        return showtime_id

    async def contacts() -> list[str]:
        return sorted(each.email for each in journal.enclosed if isinstance(each, GivenContact))

    bed = Bed(journal, add, contacts)
    journal.on_lost = lambda: bed.lost.append("lost")
    return bed


async def begin_showtime(pool: Pool, number: int) -> str:
    showtime_id = mint(NOW)
    terms = house.terms(screen_id=mint(NOW))
    async with pool.acquire() as connection, connection.transaction():
        await house.add_showtime(connection, showtime_id, number, terms)
        await schedule(connection, showtime_id, number, terms, NOW, house.CLOCKWORK)
    return showtime_id


def postgres_journal(url: str, pool: Pool, limits: JournalLimits | None = None) -> PgJournal:
    return PgJournal(
        lambda: connect_writer(url),
        pool,
        FewLayouts(LAYOUT),
        ManualClock(NOW),
        limits or JournalLimits(reconnect_seconds_min=0.001),
    )


def postgres_bed(journal: PgJournal, pool: Pool) -> Bed:
    numbers = iter(range(1, 100_000))

    async def contacts() -> list[str]:
        return [row[0] for row in await pool.fetch("SELECT email FROM booking_contact ORDER BY email")]

    bed = Bed(journal, lambda: begin_showtime(pool, next(numbers)), contacts)
    journal.on_lost = lambda: bed.lost.append("lost")
    return bed


@pytest.fixture
async def postgres(database_url: str, pool: Pool) -> AsyncIterator[Bed]:
    journal = postgres_journal(database_url, pool)
    await journal.start()
    yield postgres_bed(journal, pool)
    await journal.close()


@pytest.fixture(params=["memory", "postgres"])
def bed(request: pytest.FixtureRequest) -> Bed:
    return memory_bed() if request.param == "memory" else request.getfixturevalue("postgres")


def same(one: SeatMap, other: SeatMap) -> bool:
    """Equal but for the memory and the deadline, which may be worked out earlier than it falls."""
    names = [name for name in SeatMap.__slots__ if name not in ("memory", "deadline")]
    return [getattr(one, name) for name in names] == [getattr(other, name) for name in names]


async def test_a_new_showtime_begins_with_its_terms_at_version_one(bed: Bed) -> None:
    loaded = await bed.begin()
    assert (loaded.epoch, loaded.state.version, loaded.state.free) == (1, 1, 100)
    assert loaded.state.terms.tariff == house.terms().tariff
    assert list(loaded.state.terms.tariff.prices["standard"]) == ["senior", "adult"]


async def test_an_unknown_showtime_is_named_as_such(bed: Bed) -> None:
    with pytest.raises(UnknownShowtime):
        await bed.journal.acquire(mint(NOW))


async def test_what_was_appended_is_there_for_the_next_owner(bed: Bed) -> None:
    first = await bed.begin()
    hold = mint(NOW)
    mine = await bed.write(first, held(hold, "A1", "A2"), SeatsBlocked(("B1",), BlockKind.BROKEN, "springs"))
    mine = await bed.write(mine, HoldReleased(hold, ANA, ("A1", "A2")), held(mint(NOW), "C3"))
    again = await bed.journal.acquire(first.state.showtime_id)
    assert again.epoch == 2
    assert same(again.state, mine.state)


async def test_every_take_over_raises_the_epoch_and_deposes_the_owner_before(bed: Bed) -> None:
    old = await bed.begin()
    new = await bed.journal.acquire(old.state.showtime_id)
    with pytest.raises(Deposed):
        await bed.write(old, held(mint(NOW), "A1"))
    new = await bed.write(new, held(mint(NOW), "A2"))
    final = await bed.journal.acquire(old.state.showtime_id)
    assert set(final.state.taken) == {"A2"}


async def test_refusals_are_there_for_the_next_owner_word_for_word(bed: Bed) -> None:
    first = await bed.begin()
    showtime_id, one, two = first.state.showtime_id, mint(NOW), mint(NOW)
    taken = Refused(Refusal.SEATS_UNAVAILABLE, {"B2": "held", "A1": "sold"})
    lone = Refused(Refusal.ORPHAN_SEAT, {"A3": "orphan"}, {"suggestions": [["A2", "A3"]], "orphans": ["A3"]})
    await bed.journal.refuse(showtime_id, {one: (7, taken)}, NOW)
    await bed.journal.refuse(showtime_id, {two: (8, lone), one: (9, lone)}, NOW + 1)
    again = await bed.journal.acquire(showtime_id)
    assert list(again.refused.items()) == [(one, (7, taken)), (two, (8, lone))]
    assert list(again.refused[one][1].conflicts) == ["B2", "A1"]
    assert await bed.journal.refused(showtime_id, [two, mint(NOW), "nonsense"]) == {two: (8, lone)}
    await bed.write(again, held(mint(NOW), "A1"))
    await bed.journal.snapshot(again.state)
    assert (await bed.journal.acquire(showtime_id)).refused == again.refused
    assert (await bed.begin()).refused == {}


async def test_a_second_append_at_the_same_version_is_refused(bed: Bed) -> None:
    loaded = await bed.begin()
    await bed.write(loaded, held(mint(NOW), "A1"))
    with pytest.raises(Deposed):
        await bed.write(loaded, held(mint(NOW), "A1"))


async def test_an_append_that_would_leave_a_gap_is_refused(bed: Bed) -> None:
    loaded = await bed.begin()
    ahead, _ = after(loaded.state, held(mint(NOW), "A1"))
    with pytest.raises(Deposed):
        await bed.write(Loaded(loaded.epoch, ahead), held(mint(NOW), "A2"))
    assert (await bed.journal.acquire(loaded.state.showtime_id)).state.version == 1


async def test_a_deposed_owner_does_not_keep_its_neighbours_from_writing(bed: Bed) -> None:
    stale, *others = [await bed.begin() for _ in range(6)]
    await bed.journal.acquire(stale.state.showtime_id)
    outcomes = await asyncio.gather(
        *(bed.write(loaded, held(mint(NOW), "A1")) for loaded in [*others[:3], stale, *others[3:]]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [Loaded] * 3 + [Deposed] + [Loaded] * 2


async def test_one_poisoned_append_is_rejected_and_the_innocent_never_notice(bed: Bed) -> None:
    loaded = [await bed.begin() for _ in range(5)]
    outcomes = await asyncio.gather(
        *(
            bed.write(one, SeatsBlocked(("A1",), BlockKind.HOUSE, "nul \0" if place == 2 else "fine"))
            for place, one in enumerate(loaded)
        ),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [Loaded, Loaded, Rejected, Loaded, Loaded]
    assert (await bed.journal.acquire(loaded[2].state.showtime_id)).state.version == 1
    assert not bed.lost


async def test_what_comes_along_is_stored_with_its_records_or_not_at_all(bed: Bed) -> None:
    def given(loaded: Loaded, booking_id: str, email: str) -> GivenContact:
        return GivenContact(booking_id, loaded.state.showtime_id, ANA, email, "Ana", "", NOW)

    async def sell(loaded: Loaded, email: str) -> Loaded:
        hold, booking = mint(NOW), mint(NOW)
        return await bed.write(
            loaded, held(hold, "A1"), house.placed(booking, hold, "A1"), along=[given(loaded, booking, email)]
        )

    stale, fresh, strange = [await bed.begin() for _ in range(3)]
    await bed.journal.acquire(stale.state.showtime_id)
    outcomes = await asyncio.gather(
        sell(stale, "stale@example.org"),
        sell(fresh, "fresh@example.org"),
        sell(strange, "half a pair \ud800"),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [Deposed, Loaded, Rejected]
    assert not bed.lost
    assert await bed.contacts() == ["fresh@example.org"]


async def test_text_that_cannot_be_written_is_rejected(bed: Bed) -> None:
    loaded = await bed.begin()
    with pytest.raises(Rejected):
        await bed.write(loaded, SeatsBlocked(("A1",), BlockKind.HOUSE, "half a pair \ud800"))
    await bed.write(loaded, held(mint(NOW), "A1"))


async def test_what_a_retryable_command_caused_is_recalled_in_order(bed: Bed) -> None:
    loaded = await bed.begin()
    hold, booking, key = mint(NOW), mint(NOW), mint(NOW)
    loaded = await bed.write(loaded, held(hold, "A1"), house.placed(booking, hold, "A1"), key=key)
    loaded = await bed.write(loaded, held(mint(NOW), "A2"))
    records = await bed.journal.recall(loaded.state.showtime_id, [mint(NOW), key, "no id at all"])
    assert [record.version for record in records] == [2, 3]
    _, expected = after((await bed.begin()).state, held(hold, "A1"), house.placed(booking, hold, "A1"))
    assert [record.event for record in records] == [record.event for record in expected]
    assert records[0].cause == house.cause(key)


async def test_a_showtime_is_found_by_its_number(bed: Bed) -> None:
    loaded = await bed.begin()
    assert await bed.journal.locate(loaded.state.number) == loaded.state.showtime_id
    assert await bed.journal.locate(4_000_000_000) is None
    assert await bed.journal.locate(77_777) is None
    assert await bed.journal.locate(0) is None


async def test_a_snapshot_and_the_tail_make_the_same_state_as_the_whole_log(bed: Bed) -> None:
    loaded = await bed.begin()
    for seat in house.LABELS[:20]:
        loaded = await bed.write(loaded, held(mint(NOW), seat))
        if seat in ("A5", "B5"):
            await bed.journal.snapshot(loaded.state)
    again = await bed.journal.acquire(loaded.state.showtime_id)
    assert same(again.state, loaded.state)
    assert again.state.memory.since > 1, "the snapshot was used"


async def test_an_older_snapshot_does_not_replace_a_newer_one(bed: Bed) -> None:
    loaded = await bed.begin()
    later = await bed.write(loaded, held(mint(NOW), "A1"))
    await bed.journal.snapshot(later.state)
    await bed.journal.snapshot(loaded.state)
    assert (await bed.journal.acquire(loaded.state.showtime_id)).state.memory.since == 2


async def test_the_next_deadline_of_every_showtime_is_known_without_waking_it(bed: Bed) -> None:
    loaded = await bed.begin()
    assert dict(await bed.journal.deadlines())[loaded.state.showtime_id] == house.terms().sales_open_at
    loaded = await bed.write(loaded, held(mint(NOW), "A1"))
    assert dict(await bed.journal.deadlines())[loaded.state.showtime_id] == loaded.state.deadline


async def test_appends_of_one_showtime_may_follow_each_other_without_waiting(postgres: Bed) -> None:
    state = (loaded := await postgres.begin()).state
    writes = []
    for seat in house.LABELS[:30]:
        before, (state, records) = state, after(state, held(mint(NOW), seat))
        writes.append(postgres.journal.append(loaded.epoch, before, state, records))
    await asyncio.gather(*writes)
    assert same((await postgres.journal.acquire(state.showtime_id)).state, state)


async def test_what_waits_during_a_commit_shares_the_next_one(postgres: Bed) -> None:
    loaded = [await postgres.begin() for _ in range(20)]
    journal = postgres.journal
    assert isinstance(journal, PgJournal)
    before = journal.figures().commits
    await asyncio.gather(*(postgres.write(one, held(mint(NOW), "A1")) for one in loaded))
    assert journal.figures().commits - before <= 2
    assert journal.figures().rows_queued == 0


async def test_a_full_queue_says_so(database_url: str, pool: Pool) -> None:
    journal = postgres_journal(database_url, pool, JournalLimits(rows_queued_max=1))
    await journal.start()
    bed = postgres_bed(journal, pool)
    first, second = await bed.begin(), await bed.begin()
    outcomes = await asyncio.gather(
        bed.write(first, held(mint(NOW), "A1")), bed.write(second, held(mint(NOW), "A1")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [Loaded, Overloaded]
    await journal.close()


async def test_closing_writes_what_is_queued_and_refuses_what_comes_later(database_url: str, pool: Pool) -> None:
    journal = postgres_journal(database_url, pool)
    await journal.start()
    bed = postgres_bed(journal, pool)
    loaded = await bed.begin()
    write = asyncio.ensure_future(bed.write(loaded, held(mint(NOW), "A1")))
    await asyncio.sleep(0)
    await journal.close()
    assert (await write).state.version == 2
    with pytest.raises(JournalDown):
        await bed.write(await write, held(mint(NOW), "A2"))
    assert not bed.lost


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.002)


async def kill_writer(pool: Pool) -> None:
    await pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'marquee writer' AND datname = current_database()"
    )


async def test_a_commit_with_an_unknown_outcome_fails_everybody_and_the_log_tells_the_truth(
    postgres: Bed, pool: Pool
) -> None:
    journal = postgres.journal
    assert isinstance(journal, PgJournal)
    one, two = await postgres.begin(), await postgres.begin()
    async with pool.acquire() as blocker:
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("SELECT FROM stream WHERE showtime_id = $1 FOR UPDATE", one.state.showtime_id)
        first = asyncio.ensure_future(postgres.write(one, held(mint(NOW), "A1")))
        await until(lambda: journal.figures().rows_queued == 0)
        second = asyncio.ensure_future(postgres.write(two, held(mint(NOW), "A1")))
        await asyncio.sleep(0)
        await kill_writer(pool)
        for outcome in await asyncio.gather(first, second, return_exceptions=True):
            assert isinstance(outcome, JournalDown)
        await transaction.rollback()
    assert postgres.lost == ["lost"]
    await until(lambda: journal.figures().connected)
    again = await journal.acquire(one.state.showtime_id)
    assert again.state.version == 1
    await postgres.write(again, held(mint(NOW), "A1"))


async def test_an_idle_writer_that_is_cut_off_is_noticed_and_connects_again(postgres: Bed, pool: Pool) -> None:
    journal = postgres.journal
    assert isinstance(journal, PgJournal)
    loaded = await postgres.begin()
    await kill_writer(pool)
    await until(lambda: postgres.lost == ["lost"])
    await until(lambda: journal.figures().connected)
    await postgres.write(loaded, held(mint(NOW), "A1"))


async def test_an_append_that_waits_for_a_lock_too_long_fails_alone(postgres: Bed, pool: Pool) -> None:
    one, two = await postgres.begin(), await postgres.begin()
    async with pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT FROM stream WHERE showtime_id = $1 FOR UPDATE", one.state.showtime_id)
        outcomes = await asyncio.gather(
            postgres.write(one, held(mint(NOW), "A1")), postgres.write(two, held(mint(NOW), "A1")),
            return_exceptions=True,
        )  # fmt: skip
    assert [type(outcome) for outcome in outcomes] == [JournalDown, Loaded]
    assert not postgres.lost
    await postgres.write(one, held(mint(NOW), "A1"))


async def test_a_warning_from_the_database_counts_as_an_unknown_outcome(postgres: Bed, pool: Pool) -> None:
    await pool.execute(
        """
        CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE WARNING 'committed locally'; RETURN NEW; END $$;
        CREATE TRIGGER warn BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION warn();
        """
    )
    loaded = await postgres.journal.acquire(await begin_showtime(pool, 9_000))
    with pytest.raises(JournalDown):
        await postgres.write(loaded, held(mint(NOW), "A1"))
    assert postgres.lost == ["lost"]


async def test_a_damaged_log_is_not_folded(postgres: Bed, pool: Pool) -> None:
    loaded = await postgres.begin()
    loaded = await postgres.write(loaded, held(mint(NOW), "A1"))
    loaded = await postgres.write(loaded, held(mint(NOW), "A2"))
    showtime_id = loaded.state.showtime_id
    await pool.execute("UPDATE event SET epoch = 0 WHERE showtime_id = $1 AND version = 3", showtime_id)
    with pytest.raises(LogDamaged, match="epoch 0 after 1"):
        await postgres.journal.acquire(showtime_id)
    await pool.execute("DELETE FROM event WHERE showtime_id = $1 AND version = 2", showtime_id)
    with pytest.raises(LogDamaged, match="version 1 is followed by 3"):
        await postgres.journal.acquire(showtime_id)


async def test_the_database_says_what_time_it_is(database_url: str, pool: Pool) -> None:
    heard: list[int] = []
    journal = PgJournal(
        lambda: connect_writer(database_url), pool, FewLayouts(LAYOUT), ManualClock(NOW), heard=heard.append
    )
    await journal.start()
    bed = postgres_bed(journal, pool)
    await bed.write(await bed.begin(), held(mint(NOW), "A1"))
    await journal.close()
    truth = await pool.fetchval("SELECT to_millis(clock_timestamp())")
    assert 0 <= truth - heard[-1] < 10_000


async def test_a_server_that_could_lose_commits_is_refused(database_url: str, pool: Pool) -> None:
    class Pooled:
        """A connection whose server process is another at every statement, as behind a transaction pooler."""

        def __init__(self, real: asyncpg.Connection) -> None:
            self._real = real

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

        def get_server_pid(self) -> int:
            return -1

    async def connect() -> Pooled:
        return Pooled(await connect_writer(database_url))

    journal = PgJournal(connect, pool, FewLayouts(LAYOUT), ManualClock(NOW))
    with pytest.raises(Unsafe, match="pooler"):
        await journal.start()


async def test_no_acknowledged_append_is_lost_however_often_the_writer_is_cut_off(postgres: Bed, pool: Pool) -> None:
    journal = postgres.journal
    assert isinstance(journal, PgJournal)
    acknowledged: dict[str, set[str]] = {}
    cuts = 0

    async def sell_the_house(showtime_id: str) -> None:
        mine: set[str] = acknowledged.setdefault(showtime_id, set())
        loaded = await journal.acquire(showtime_id)
        for seat in house.LABELS:
            hold = mint(NOW)
            while True:
                try:
                    if seat not in loaded.state.taken:
                        loaded = await postgres.write(loaded, held(hold, seat))
                    mine.add(seat)
                    break
                except JournalDown:
                    await until(lambda: journal.figures().connected)
                    loaded = await journal.acquire(showtime_id)

    async def cut() -> None:
        nonlocal cuts
        while not all(done.done() for done in sellers):
            enough = journal.figures().commits + 10
            await until(lambda: journal.figures().commits > enough or all(done.done() for done in sellers))  # noqa: B023
            await kill_writer(pool)
            cuts += 1

    showtime_ids = [await postgres.add() for _ in range(8)]
    sellers = [asyncio.ensure_future(sell_the_house(showtime_id)) for showtime_id in showtime_ids]
    await asyncio.gather(*sellers, cut())
    assert cuts > 3
    for showtime_id in showtime_ids:
        final = (await journal.acquire(showtime_id)).state
        assert acknowledged[showtime_id] == set(house.LABELS)
        assert set(final.taken) == set(house.LABELS)
        assert final.version == 1 + len(house.LABELS), "nothing was written twice"
    assert (await verify(pool, FewLayouts(LAYOUT))).events == 8 * 101
