"""The hub with transports that tests can jam: coalescing, joins, resumption, and sockets that do not read."""

import asyncio
import itertools
import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from actors.runtime.clock import ManualClock
from actors.seatmap import events as e
from server.live import frames
from server.live.fold import View, fold, view_of
from server.live.hub import Hub
from server.live.limits import Limits
from server.live.watcher import Gate, Watcher
from tests.server.live.stage import SHOWTIME, START, FakeTransport, Story, layout, seat_map, text


@dataclass
class House:
    """A hub, its story, and whoever watches."""

    limits: Limits = field(default_factory=Limits)
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    story: Story = field(default_factory=Story)

    def __post_init__(self) -> None:
        self.hub = Hub(self.clock, self.limits)
        self.gate = Gate(self.clock, self.limits)
        self.story.hub = self.hub
        self.hub.start()

    def watcher(self, transport: FakeTransport | None = None) -> tuple[Watcher, FakeTransport]:
        transport = transport or FakeTransport()
        return Watcher(transport, self.gate, lambda: self.hub.fresh(SHOWTIME, None)), transport

    async def join(self, since: int | None = None, epoch: int | None = None) -> tuple[Watcher, FakeTransport]:
        watcher, transport = self.watcher()
        self.hub.join(watcher, self.story, since=since, epoch=epoch)
        await turns()
        return watcher, transport

    async def pass_time(self, ms: int) -> None:
        self.clock.advance(ms)
        await turns()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def kinds(frames_: list[dict[str, Any]]) -> list[str]:
    return [frame["type"] for frame in frames_]


def folded(frames_: list[dict[str, Any]], view: View | None = None) -> View:
    for frame in frames_:
        after = fold(view, frame)
        assert after is None or isinstance(after, View), (view, frame)
        view = after
    assert view is not None
    return view


def truth(story: Story) -> dict[str, Any]:
    return view_of(text(frames.snapshot(story.epoch, story.state))).as_json()


async def test_a_newcomer_gets_the_snapshot_at_once() -> None:
    house = House()
    house.story.hold("A1")
    _, screen = await house.join()
    assert kinds(screen.read()) == ["snapshot"]


async def test_the_first_change_leaves_at_once_and_the_rest_in_one_frame_per_tick() -> None:
    house = House()
    _, screen = await house.join()
    screen.read()
    await house.pass_time(1_000)
    house.story.hold("A1")
    await turns()
    assert [frame["held"] for frame in screen.read()] == [["A1"]]
    for seat in ("A2", "A3", "A4"):
        house.story.hold(seat)
        await turns()
    assert screen.read() == []
    await house.pass_time(house.limits.tick_ms_min)
    [delta] = screen.read()
    assert (delta["from"], delta["to"], delta["held"]) == (4, 6, ["A2", "A3", "A4"])


async def test_the_tick_widens_with_the_number_of_watchers_up_to_its_bound() -> None:
    house = House(Limits(fan_out_share=0.5, delivery_us=750, slice_sockets=1_000))
    screens = [await house.join() for _ in range(40)]
    await house.pass_time(1_000)
    house.story.hold("A1")
    await turns()
    house.story.hold("A2")
    await house.pass_time(59)
    assert [kinds(screen.read()) for _, screen in screens[:1]] == [["snapshot", "delta"]]
    await house.pass_time(1)
    assert [kinds(screen.read()) for _, screen in screens[:1]] == [["delta"]]


async def test_the_tick_widens_when_a_delivery_turns_out_to_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(Limits(delivery_us=7, fan_out_share=0.01))
    screens = [(await house.join())[1] for _ in range(60)]
    looks = itertools.count()
    monkeypatch.setattr(house.clock, "monotonic", lambda: next(looks) * 60 * 15 / 1e6)  # 15 µs for each of 60

    async def tick() -> int:
        """Milliseconds from one frame to the next."""
        await house.pass_time(1_000)
        hold = house.story.hold("A1")
        await turns()
        screens[0].read()
        house.story.release(hold)
        for ms in range(1, 200):
            await house.pass_time(1)
            if screens[0].read():
                return ms
        raise AssertionError("no frame")

    ticks = [await tick() for _ in range(60)]
    assert (ticks[0], ticks[-1]) == (pytest.approx(44, abs=2), pytest.approx(90, abs=2))
    assert ticks == sorted(ticks)


async def test_what_is_wrong_with_one_room_is_not_borne_by_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, heard = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _loop, context: heard.append(context["exception"]))
    houses = [House(), House()]
    houses[1].hub = houses[1].story.hub = houses[0].hub
    other = "01890000-0000-7000-8000-00000000beef"
    monkeypatch.setattr(houses[1].story, "state", replace(houses[1].story.state, showtime_id=other))
    screens = [(await house.join())[1] for house in houses]
    for screen in screens:
        screen.read()
    news, spoilt = frames.news, iter([True])

    def sometimes(*what: Any) -> bytes:
        if next(spoilt, False):
            raise ValueError("spoilt")
        return news(*what)

    monkeypatch.setattr(frames, "news", sometimes)
    houses[0].clock.advance(1_000)
    for house in houses:
        house.story.hold("A1")
    await turns()
    assert [str(error) for error in heard] == ["spoilt"]
    assert [kinds(screen.read()) for screen in screens] == [[], ["delta"]]


async def test_a_frame_is_encoded_once_and_a_snapshot_once_per_version(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    encoded: list[object] = []
    encode = frames.snapshot

    def counting(epoch: int, state: Any) -> bytes:
        encoded.append(state)
        return encode(epoch, state)

    monkeypatch.setattr(frames, "snapshot", counting)
    for _ in range(20):
        await house.join()
    assert len(encoded) == 1


async def test_a_pass_over_many_sockets_lets_others_work_in_between() -> None:
    house = House(Limits(slice_sockets=10))
    screens = [(await house.join())[1] for _ in range(100)]
    await house.pass_time(1_000)
    for screen in screens:
        screen.read()
    house.story.hold("A1")
    await turns(2)
    reached = sum(1 for screen in screens if screen.read())
    assert 0 < reached < 100
    await turns(20)
    assert sum(len(screen.read()) for screen in screens) == 100 - reached


async def test_changes_that_come_during_a_pass_follow_it() -> None:
    house = House(Limits(slice_sockets=10))
    screens = [(await house.join())[1] for _ in range(50)]
    await house.pass_time(1_000)
    house.story.hold("A1")
    await turns(2)
    house.story.hold("A2")
    await turns(20)
    await house.pass_time(house.limits.tick_ms_max)
    await turns(20)
    for screen in screens:
        assert folded(screen.read()).as_json() == truth(house.story)


async def test_a_join_between_a_change_and_its_delta_stays_exact() -> None:
    house = House()
    await house.join()
    house.story.hold("A1")
    await turns()
    house.story.hold("A2")
    _, late = await house.join()
    house.story.hold("A3")
    await house.pass_time(100)
    heard = late.read()
    assert kinds(heard) == ["snapshot", "delta"]
    assert heard[1]["from"] <= heard[0]["seq"] < heard[1]["to"]
    assert folded(heard).as_json() == truth(house.story)


async def test_resuming_gets_exactly_what_was_missed() -> None:
    house = House()
    hold = house.story.hold("A1")
    known = house.story.state
    house.story.release(hold)
    house.story.hold("A2", "A3")
    _, screen = await house.join(since=known.version)
    [delta] = screen.read()
    assert (delta["from"], delta["to"]) == (known.version + 1, house.story.state.version)
    view = view_of(text(frames.snapshot(1, known)))
    assert folded([delta], view).as_json() == truth(house.story)


async def test_resuming_at_the_present_version_gets_a_tick() -> None:
    house = House()
    house.story.hold("A1")
    _, screen = await house.join(since=house.story.state.version)
    [tick] = screen.read()
    assert (tick["type"], tick["seq"]) == ("tick", house.story.state.version)


async def test_whoever_comes_back_after_a_restart_gets_the_snapshot_of_the_new_epoch() -> None:
    house = House()
    version = house.story.state.version  # nothing has happened since it woke
    _, screen = await house.join(since=version)
    assert kinds(screen.read()) == ["snapshot"]
    _, screen = await house.join(since=version, epoch=1)
    assert kinds(screen.read()) == ["tick"]


@pytest.mark.parametrize(("since", "epoch"), [(0, None), (1, None), (10_000, None), (3, 7)])
async def test_resuming_from_what_nobody_remembers_gets_a_snapshot(since: int, epoch: int | None) -> None:
    house = House()
    for seat in ("A1", "A2", "A3"):
        house.story.hold(seat)
    _, screen = await house.join(since=since, epoch=epoch)
    assert kinds(screen.read()) == ["snapshot"]


async def test_resuming_over_a_change_of_the_whole_showtime_hears_of_that_too() -> None:
    house = House()
    known = house.story.state
    house.story.tell(house.story.held("A1"), e.SalesClosed("hand"), house.story.held("A2"))
    _, screen = await house.join(since=known.version)
    heard = screen.read()
    assert kinds(heard) == ["delta", "showtime"]
    for frames_ in (heard, heard[:1]):
        assert folded(frames_, view_of(text(frames.snapshot(1, known)))).as_json() == truth(house.story)


async def test_a_new_epoch_comes_with_a_snapshot_for_everybody() -> None:
    house = House()
    _, screen = await house.join()
    house.story.hold("A1")
    house.story.takeover()
    await house.pass_time(100)
    heard = screen.read()
    assert kinds(heard)[-1] == "snapshot"
    assert heard[-1]["epoch"] == 2
    house.story.hold("A2")
    await house.pass_time(100)
    assert folded([*heard, *screen.read()]).as_json() == truth(house.story)


async def test_a_quiet_room_hears_a_tick_every_heartbeat() -> None:
    house = House()
    _, screen = await house.join()
    screen.read()
    for _ in range(47):
        await house.pass_time(1_000)
    ticks = screen.read()
    assert kinds(ticks) == ["tick"] * 3
    assert ticks[0]["seq"] == house.story.state.version


async def test_a_stuck_reader_is_conflated_then_caught_up_with_one_snapshot() -> None:
    house = House(Limits(backlog_bytes_max=1_000))
    _, stuck = await house.join()
    _, fine = await house.join()
    stuck.read()
    stuck.stuck = True
    before = len(stuck.written)
    for n in range(100):
        house.story.release(house.story.hold(f"A{n % 10 + 1}"))
        await house.pass_time(50)
    assert len(stuck.written) - before < 1_400
    assert house.gate.stale == 1
    stuck.read()
    stuck.drain()
    await house.pass_time(house.limits.stale_look_ms)
    assert kinds(stuck.read()) == ["snapshot"]
    assert house.gate.stale == 0
    house.story.hold("C3")
    await house.pass_time(100)
    assert kinds(stuck.read()) == ["delta"]
    assert folded(fine.read()).as_json() == truth(house.story)


async def test_a_reader_that_stays_stuck_is_closed_with_4408_and_cut_off() -> None:
    house = House(Limits(backlog_bytes_max=1_000))
    watcher, stuck = await house.join()
    stuck.stuck = True
    for n in range(40):
        house.story.release(house.story.hold(f"A{n % 10 + 1}"))
        await house.pass_time(50)
    size = len(stuck.written)
    await house.pass_time(house.limits.stale_ms_max)
    assert stuck.read()[-1]["code"] == 4408
    assert watcher.closed
    assert len(stuck.written) - size < 130
    assert not stuck.aborted
    house.story.hold("C1")
    await house.pass_time(house.limits.farewell_ms_max)
    assert stuck.aborted
    assert stuck.read() == []


async def test_a_connection_that_is_just_being_lost_disturbs_nobody() -> None:
    house = House(Limits(slice_sockets=2))
    screens = [await house.join() for _ in range(6)]
    screens[2][1].lost = True
    screens[3][0].send(frames.pong(1))
    for seat in ("A1", "A2", "A3"):
        house.story.hold(seat)
        await house.pass_time(100)
        await turns(10)
    for watcher, screen in screens:
        if screen.lost:
            assert watcher.closed
        else:
            assert folded(screen.read()).as_json() == truth(house.story)


async def test_answers_that_nobody_reads_end_the_socket_before_memory_grows() -> None:
    house = House(Limits(backlog_bytes_max=1_000, unread_bytes_max=4_000))
    watcher, stuck = await house.join()
    stuck.stuck = True
    for n in range(1_000):
        watcher.send(frames.pong(n))
        await turns(1)
    assert watcher.closed
    assert len(stuck.written) < 6_000
    assert stuck.read()[-1]["code"] == 4408


async def test_answers_of_one_loop_turn_leave_in_one_write() -> None:
    house = House()
    watcher, screen = await house.join()
    writes = screen.writes
    for n in range(10):
        watcher.send(frames.pong(n))
    await turns()
    assert screen.writes == writes + 1
    assert kinds(screen.read())[-10:] == ["pong"] * 10


async def test_only_its_owner_hears_of_a_hold_by_name() -> None:
    house = House()
    ana, anas = await house.join()
    _, bobs = await house.join()
    house.hub.recognise(ana, SHOWTIME, "ana")
    await turns()
    assert anas.read()[-1] == {"type": "mine", "showtime_id": SHOWTIME, "holds": [], "bookings": []}
    hold = house.story.hold("A1", owner="ana")
    house.story.hold("A2", owner="bob")
    await house.pass_time(100)
    mine = anas.read()[-1]
    assert [held["hold_id"] for held in mine["holds"]] == [hold.hold_id]
    house.story.sell(hold)
    await house.pass_time(100)
    assert [booking["status"] for booking in anas.read()[-1]["bookings"]] == ["confirmed"]
    assert "mine" not in kinds(bobs.read())


async def test_a_person_is_followed_over_all_showtimes() -> None:
    house = House()
    watcher, screen = house.watcher()
    house.hub.follow(watcher, "ana")
    other = Story(house.hub, seat_map(showtime_id="01890000-0000-7000-8000-000000000002", number=8))
    house.story.hold("A1", owner="ana")
    other.hold("B1", owner="ana")
    house.story.hold("A2", owner="bob")
    await turns()
    assert [(frame["showtime_id"], len(frame["holds"])) for frame in screen.read()] == [
        (SHOWTIME, 1),
        (other.state.showtime_id, 1),
    ]


async def test_the_registry_hears_of_the_first_watcher_and_the_last() -> None:
    house = House()
    heard: list[tuple[str, bool]] = []
    house.hub.on_watched = lambda showtime_id, watched: heard.append((showtime_id, watched))
    first, _ = await house.join()
    second, _ = await house.join()
    house.hub.leave(first, SHOWTIME)
    house.hub.leave(second, SHOWTIME)
    house.hub.leave(second, SHOWTIME)
    assert heard == [(SHOWTIME, True), (SHOWTIME, False)]
    assert list(house.hub) == []


async def test_a_long_poll_wakes_at_a_change_and_times_out_without_one() -> None:
    house = House()
    waiting = asyncio.create_task(house.hub.wait(SHOWTIME, 10))
    await turns()
    house.story.hold("A1")
    assert await waiting is True
    assert await house.hub.wait(SHOWTIME, 0.001) is False


@dataclass
class RandomStory:
    """Holds, releases, sales, closed and opened sales, takeovers; people who come, jam and go on reading."""

    house: House
    dice: random.Random
    holds: list[e.SeatsHeld] = field(default_factory=list)
    watchers: list[tuple[Watcher, FakeTransport]] = field(default_factory=list)

    async def step(self) -> None:
        acts = (self.hold, self.release, self.sell, self.turn_sales, self.house.story.takeover, self.come, self.jam)
        act = self.dice.choices(acts, weights=(40, 30, 3, 2, 1, 8, 5))[0]
        result = act()
        if result is not None:
            await result
        await self.house.pass_time(self.dice.choice([0, 0, 1, 10, 40]))

    def hold(self) -> None:
        state = self.house.story.state
        free = [seat for seat in state.layout.seats if seat not in state.taken]
        if free:
            seats = self.dice.sample(free, min(len(free), self.dice.randint(1, 4)))
            self.holds.append(self.house.story.hold(*seats))

    def release(self) -> None:
        if self.holds:
            self.house.story.release(self.holds.pop(self.dice.randrange(len(self.holds))))

    def sell(self) -> None:
        if self.holds:
            self.house.story.sell(self.holds.pop())

    def turn_sales(self) -> None:
        change: e.Event = e.SalesClosed("hand") if self.dice.random() < 0.5 else e.SalesOpened()
        self.house.story.tell(change)

    async def come(self) -> None:
        if len(self.watchers) < 25:
            self.watchers.append(await self.house.join())

    def jam(self) -> None:
        if self.watchers:
            transport = self.dice.choice(self.watchers)[1]
            if transport.stuck:
                transport.drain()
            else:
                transport.stuck = True


@pytest.mark.parametrize("seed", range(4))
async def test_every_watcher_of_a_random_story_ends_with_what_the_server_knows(seed: int) -> None:
    limits = Limits(slice_sockets=3, backlog_bytes_max=2_000)
    story = RandomStory(House(limits, story=Story(state=seat_map(layout(4, 12)))), random.Random(seed))
    for _ in range(600):
        await story.step()
    for _, transport in story.watchers:
        transport.drain()
    await story.house.pass_time(1_000)
    await turns(30)
    alive = [transport for watcher, transport in story.watchers if not watcher.closed]
    assert len(alive) > 10
    for transport in alive:
        assert folded(transport.read()).as_json() == truth(story.house.story)


async def test_who_watches_a_showtime_that_is_drawn_anew_starts_over() -> None:
    house = House()
    _, screen = await house.join()
    await house.pass_time(1_000)
    since = house.story.state.version
    house.story.hold("A2")
    await turns()
    house.story.hold("A3")  # waits for the tick, and is part of the snapshot
    terms = replace(house.story.state.terms, layout_id="other", screen_id="other")
    (moved,) = house.story.tell(e.ShowtimeRescheduled(terms, replace(layout(), id="other", version=7)))
    await house.pass_time(1_000)
    house.story.hold("B1")
    await house.pass_time(1_000)
    told = screen.read()
    assert kinds(told) == ["snapshot", "delta", "delta", "showtime", "snapshot", "delta"]
    assert told[4]["layout_version"] == 7
    assert folded(told).as_json() == truth(house.story)
    for known, begins in ((since, "snapshot"), (moved.version, "delta")):
        _, later = await house.join(since=known, epoch=house.story.epoch)
        assert later.read()[0]["type"] == begins
