"""The actor over the verified fake of the log: nobody hears what is not stored, nobody pays for others."""

import asyncio
from dataclasses import replace

import pytest

from actors.failures import Draining, JournalDown, Rejected, UnknownShowtime
from actors.ids import mint
from actors.limits import Limits
from actors.runtime.clock import ManualClock
from actors.runtime.placement import Alone
from actors.seatmap import invariants
from actors.seatmap.commands import ActorKind, Cause, HoldSeats
from actors.seatmap.events import HoldExpired, Record, SeatsHeld
from actors.seatmap.refusals import Accepted, Refusal, Refused
from actors.seatmap.state import SeatMap
from actors.showtime import Reply
from actors.showtimes import Showtimes
from persistence.memory import FewLayouts, MemoryJournal
from tests.actors.seatmap.hall import SYSTEM, TERMS, hall

NOW = 50 * 3_600_000
ID = mint(NOW)


class Watcher:
    """A publisher that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, list[Record], SeatMap]] = []

    def publish(self, epoch: int, records: list[Record], state: SeatMap) -> None:
        self.told.append((epoch, list(records), state))


class Stage:
    def __init__(self, limits: Limits | None = None) -> None:
        self.clock = ManualClock(NOW)
        self.journal = MemoryJournal(FewLayouts(hall()))
        self.watcher = Watcher()
        self.deaths: list[BaseException] = []
        self.limits = limits or Limits()

    def open(self) -> Showtimes:
        return Showtimes(
            self.journal,
            self.watcher,  # type: ignore[arg-type]
            self.clock,
            Alone(),
            self.limits,
            lambda _, why: self.deaths.append(why),
        )


@pytest.fixture
async def stage() -> Stage:
    stage = Stage()
    await stage.journal.schedule(ID, 1, TERMS, NOW, SYSTEM)
    return stage


def hold(who: str, seat: str, key: str = "", intent: int = 0) -> HoldSeats:
    command_id = key or mint(NOW)
    cause = Cause(command_id, ActorKind.CUSTOMER, who, retryable=bool(key), intent=intent)
    return HoldSeats(cause, mint(NOW), (seat,))


def code(reply: Reply) -> str:
    return reply.decision.refusal.value if isinstance(reply.decision, Refused) else "accepted"


async def test_the_same_command_twice_is_one_change_and_another_intent_is_refused(stage: Stage):
    async with stage.open() as showtimes:
        key = mint(NOW)
        first, again = await asyncio.gather(
            showtimes.ask(ID, hold("ana", "A1", key, 7)), showtimes.ask(ID, hold("ana", "A1", key, 7))
        )
        assert first.records == again.records
        assert code(await showtimes.ask(ID, hold("ana", "A2", key, 8))) == Refusal.COMMAND_ID_REUSED
        assert first.state.held == 1


async def test_a_retry_after_a_restart_gets_the_first_answer_even_from_behind_a_snapshot(stage: Stage):
    key = mint(NOW)
    async with stage.open() as showtimes:
        first = await showtimes.ask(ID, hold("ana", "A1", key, 7))
    async with stage.open() as showtimes:
        again = await showtimes.ask(ID, hold("ana", "A1", key, 7))
        assert again.records == first.records
        assert again.state.version == first.state.version
        assert again.epoch > first.epoch


async def test_a_refusal_is_remembered_too(stage: Stage):
    async with stage.open() as showtimes:
        mine = await showtimes.ask(ID, hold("ana", "A1"))
        key = mint(NOW)
        assert code(await showtimes.ask(ID, hold("bob", "A1", key, 1))) == Refusal.SEATS_UNAVAILABLE
        stage.clock.advance(601_000)
        assert code(await showtimes.ask(ID, hold("bob", "A1", key, 1))) == Refusal.SEATS_UNAVAILABLE
        assert code(await showtimes.ask(ID, hold("bob", "A1"))) == "accepted"
        assert isinstance(mine.decision, Accepted)


async def test_a_refusal_is_remembered_over_a_restart_with_all_it_said(stage: Stage):
    key = mint(NOW)
    async with stage.open() as showtimes:
        await showtimes.ask(ID, hold("ana", "A1"))
        first = await showtimes.ask(ID, hold("bob", "A1", key, 1))
    stage.clock.advance(601_000)
    async with stage.open() as showtimes:
        again = await showtimes.ask(ID, hold("bob", "A1", key, 1))
        assert (code(again), again.decision) == (Refusal.SEATS_UNAVAILABLE, first.decision)
        assert code(await showtimes.ask(ID, hold("bob", "A1", key, 2))) == Refusal.COMMAND_ID_REUSED
        assert code(await showtimes.ask(ID, hold("bob", "A1"))) == "accepted"


async def test_a_refusal_is_remembered_however_many_came_after_it(stage: Stage):
    stage.limits = Limits(refusals_remembered_max=2)
    keys = [mint(NOW) for _ in range(5)]
    async with stage.open() as showtimes:
        held = await showtimes.ask(ID, hold("ana", "A1"))
        for key in keys:
            assert code(await showtimes.ask(ID, hold("bob", "A1", key, 1))) == Refusal.SEATS_UNAVAILABLE
        stage.clock.advance(601_000)
        for key in keys:
            assert code(await showtimes.ask(ID, hold("bob", "A1", key, 1))) == Refusal.SEATS_UNAVAILABLE
            assert code(await showtimes.ask(ID, hold("bob", "A1", key, 2))) == Refusal.COMMAND_ID_REUSED
        assert code(await showtimes.ask(ID, hold("bob", "A1", mint(NOW), 1))) == "accepted"
        assert isinstance(held.decision, Accepted)


async def test_a_refusal_that_cannot_be_kept_is_not_told_and_nobody_else_waits_for_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    async def fails(*_: object) -> None:
        raise JournalDown("no room")

    key = mint(NOW)
    async with stage.open() as showtimes:
        await showtimes.ask(ID, hold("ana", "A1"))
        with monkeypatch.context() as patched:
            patched.setattr(stage.journal, "refuse", fails)
            bob, cem = await asyncio.gather(
                showtimes.ask(ID, hold("bob", "A1", key, 1)),
                showtimes.ask(ID, hold("cem", "A2")),
                return_exceptions=True,
            )
        assert isinstance(bob, JournalDown)
        assert isinstance(cem, Reply)
        assert code(cem) == "accepted"
        assert code(await showtimes.ask(ID, hold("bob", "A1", key, 1))) == Refusal.SEATS_UNAVAILABLE


async def test_what_cannot_be_stored_hurts_nobody_else_in_its_turn(stage: Stage):
    def is_anas(record: Record) -> bool:
        return isinstance(record.event, SeatsHeld) and record.event.owner == "ana"

    stage.journal.faults.is_poison = is_anas
    async with stage.open() as showtimes:
        await showtimes.actor(ID)
        key = mint(NOW)
        ana, bob = await asyncio.gather(
            showtimes.ask(ID, hold("ana", "A1", mint(NOW), 1)),
            showtimes.ask(ID, hold("bob", "A1", key, 2)),
            return_exceptions=True,
        )
        assert isinstance(ana, Rejected)
        assert isinstance(bob, Reply)
        assert code(bob) == "accepted", "ana's hold never came to be"
        assert stage.deaths == []


async def test_nobody_hears_of_a_change_that_the_log_did_not_take(stage: Stage):
    async with stage.open() as showtimes:
        await showtimes.actor(ID)
        told = len(stage.watcher.told)
        stage.journal.faults.lost_before = True
        with pytest.raises(JournalDown):
            await showtimes.ask(ID, hold("ana", "A1"))
        assert all(not records or records[0].event for _, records, _ in stage.watcher.told[told:])
        assert all(state.held == 0 for _, _, state in stage.watcher.told)
        assert len(stage.deaths) == 1
        reply = await showtimes.ask(ID, hold("bob", "A1"))
        assert code(reply) == "accepted", "rebuilt from the log, where A1 is free"


async def test_an_answer_lost_after_the_commit_is_found_by_its_retry(stage: Stage):
    async with stage.open() as showtimes:
        await showtimes.actor(ID)
        stage.journal.faults.lost_after = True
        command = hold("ana", "A1", mint(NOW), 1)
        with pytest.raises(JournalDown):
            await showtimes.ask(ID, command)
        reply = await showtimes.ask(ID, command)
        assert code(reply) == "accepted"
        assert reply.state.held == 1
        invariants.check(reply.state)


async def test_a_hold_expires_by_the_alarm_and_also_after_a_restart(stage: Stage):
    async with stage.open() as showtimes:
        await showtimes.ask(ID, hold("ana", "A1"))
    async with stage.open() as showtimes:
        stage.clock.advance(600_000)
        while (actor := showtimes.resident(ID)) is None or actor.snapshot.held:
            await asyncio.sleep(0)
        assert actor.snapshot.free == 18


async def test_what_fell_due_while_the_house_was_closed_has_happened_before_anybody_looks(stage: Stage):
    async with stage.open() as showtimes:
        await showtimes.ask(ID, hold("ana", "A1"))
    stage.clock.advance(601_000)
    async with stage.open() as showtimes:
        actor = await showtimes.actor(ID)
        assert (actor.snapshot.held, actor.snapshot.version) == (0, 4)
    stage.clock.advance(601_000)
    async with stage.open() as showtimes:
        assert (await showtimes.actor(ID)).snapshot.version == 4


async def test_a_house_whose_log_is_down_says_so_when_something_is_due(stage: Stage):
    async with stage.open() as showtimes:
        await showtimes.ask(ID, hold("ana", "A1"))
    stage.clock.advance(601_000)
    async with stage.open() as showtimes:
        stage.journal.faults.lost_before = True
        with pytest.raises(JournalDown):
            await showtimes.actor(ID)
        assert (await showtimes.actor(ID)).snapshot.held == 0


async def test_what_fell_due_and_cannot_be_stored_does_not_hide_the_map(stage: Stage):
    async with stage.open() as showtimes:
        await showtimes.ask(ID, hold("ana", "A1"))
    stage.clock.advance(601_000)
    stage.journal.faults.is_poison = lambda record: isinstance(record.event, HoldExpired)
    async with stage.open() as showtimes:
        actor = await showtimes.actor(ID)
        assert showtimes.resident(ID) is actor
        assert actor.snapshot.held == 1
        with pytest.raises(Rejected):
            await showtimes.ask(ID, hold("bob", "A1"))


async def test_an_idle_showtime_rests_and_the_next_question_wakes_it():
    stage = Stage(Limits(idle_seconds_before_passivation=60))
    await stage.journal.schedule(ID, 1, replace(TERMS, sales_open_at=NOW - 1), NOW, SYSTEM)
    async with stage.open() as showtimes:
        await showtimes.actor(ID)
        while showtimes.resident(ID) is None or showtimes.resident(ID).snapshot.version < 2:  # type: ignore[union-attr]
            await asyncio.sleep(0)
        for _ in range(6):
            stage.clock.advance(15_000)
            await asyncio.sleep(0)
        assert showtimes.resident(ID) is None
        assert code(await showtimes.ask(ID, hold("ana", "A1"))) == "accepted"


async def test_a_house_that_falls_asleep_does_so_a_few_showtimes_at_a_time():
    stage = Stage(Limits(idle_seconds_before_passivation=60, passivations_at_once_max=2))
    ids = [mint(NOW) for _ in range(5)]
    for number, showtime_id in enumerate(ids, 1):
        await stage.journal.schedule(showtime_id, number, replace(TERMS, sales_open_at=NOW - 1), NOW, SYSTEM)
    async with stage.open() as showtimes:
        for showtime_id in ids:
            while (await showtimes.actor(showtime_id)).snapshot.version < 2:
                await asyncio.sleep(0)
        awake = [len(showtimes)]
        while awake[-1]:
            stage.clock.advance(75_000 if len(awake) == 1 else 100)
            awake.append(len(showtimes))
        assert awake == [5, 3, 1, 0]


async def test_who_asks_for_nothing_known_or_too_late_is_told_so(stage: Stage):
    showtimes = stage.open()
    async with showtimes:
        for strange in (mint(NOW), "no id at all"):
            with pytest.raises(UnknownShowtime):
                await showtimes.ask(strange, hold("ana", "A1"))
    with pytest.raises(Draining):
        await showtimes.ask(ID, hold("ana", "A1"))
