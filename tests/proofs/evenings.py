"""Random evenings over the real actor and the verified fake of the log, with everything that can go wrong.

`python -m tests.proofs.evenings [--count 20000] [--seed N]` plays them in two processes; an evening that fails is named
by its seed, and `--only SEED` plays it alone. `tests/actors/test_evenings.py` is the short version.

After each evening: every accepted answer is in the log, under one owner each; the log replays to the live state; nobody
who watched heard of anything else, or out of order; the same key got the same answer whenever it was sent.
"""

import argparse
import asyncio
import multiprocessing
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from actors.failures import WorldFailure
from actors.ids import mint
from actors.limits import Limits
from actors.runtime.clock import ManualClock
from actors.runtime.placement import Alone
from actors.seatmap import commands as c
from actors.seatmap import invariants
from actors.seatmap.commands import ActorKind, Cause, Command
from actors.seatmap.events import Event, Record
from actors.seatmap.refusals import Accepted, Decision, Refusal, Refused
from actors.seatmap.state import SeatMap, evolve, genesis, next_due
from actors.seatmap.terms import OrphanRule
from actors.showtime import Reply
from actors.showtimes import Showtimes
from persistence.memory import FewLayouts, MemoryJournal
from tests.actors.seatmap.hall import SYSTEM, TERMS, hall

NOW = 50 * 3_600_000
HALL = hall()
LABELS = tuple(HALL.seats)
PEOPLE = ("ana", "bob", "cem", "dia")
TURNS = 30
EVENINGS_PER_ROUND = 250


@dataclass
class Watcher:
    """Hears what the actors publish, and that it comes in order within an epoch."""

    heard: dict[int, Record] = field(default_factory=dict)
    epoch: int = 0
    version: int = 0

    def publish(self, epoch: int, records: Sequence[Record], state: SeatMap) -> None:
        if epoch < self.epoch:
            assert not records, "an owner that was replaced has changed something"
            return
        if epoch > self.epoch:
            assert not records, "a new owner says first where it stands"
            assert state.version >= self.version, "a new owner has forgotten something"
            self.epoch, self.version = epoch, state.version
        for record in records:
            assert record.version == self.version + 1, (record.version, self.version)
            assert self.heard.setdefault(record.version, record) == record, "two stories of one version"
            self.version = record.version
        assert state.version == self.version


class Evening:
    """One showtime and its customers; `dice` decides everything."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        random.seed(seed)  # ids are minted with it
        self.clock = ManualClock(NOW)
        self.journal = MemoryJournal(FewLayouts(HALL))
        self.watcher = Watcher()
        self.answered: list[tuple[Command, Decision, tuple[Record, ...]]] = []
        self.asked: list[Command] = []
        self.showtime_id = mint(NOW)
        self.limits = Limits(
            snapshot_after_records=self.dice.choice((5, 1_000)),
            refusals_remembered_max=self.dice.choice((2, 1_000)),
            restart_seconds_min=0.0,
        )

    def open(self) -> Showtimes:
        return Showtimes(self.journal, self.watcher, self.clock, Alone(), self.limits, lambda *_: None)

    async def play(self) -> int:
        """How many commands were answered."""
        rule = self.dice.choice(tuple(OrphanRule))
        await self.journal.schedule(self.showtime_id, 1, replace(TERMS, orphan_rule=rule), NOW, SYSTEM)
        for _ in range(self.dice.randint(1, 3)):  # a restart in between
            async with self.open() as showtimes:
                for _ in range(self.dice.randint(1, TURNS)):
                    await self.turn(showtimes)
                await self.calm(showtimes)
                self.check((await showtimes.actor(self.showtime_id)).snapshot)
        return len(self.answered)

    async def turn(self, showtimes: Showtimes) -> None:
        """Some commands at once, after something has gone wrong or time has passed."""
        self.trouble()
        self.clock.advance(self.dice.choice((0, 0, 1, 1_000, 60_000, 400_000)))
        some = [self.command() for _ in range(self.dice.choice((1, 1, 2, 5)))]
        asking = [asyncio.ensure_future(showtimes.ask(self.showtime_id, command)) for command in some]
        if self.dice.random() < 0.05:
            await asyncio.sleep(0)
            await showtimes.lost()
        if self.dice.random() < 0.03 and not self.journal.faults.down:
            # Another process takes the showtime over, and does not keep it.
            await self.journal.acquire(self.showtime_id)
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        for command, outcome in zip(some, outcomes, strict=True):
            if isinstance(outcome, Reply):
                self.answered.append((command, outcome.decision, outcome.records))
            else:
                assert isinstance(outcome, WorldFailure), repr(outcome)
        self.journal.faults.down = False

    def trouble(self) -> None:
        faults = self.journal.faults
        happens = self.dice.random()
        faults.lost_before = happens < 0.04
        faults.lost_after = 0.04 < happens < 0.08
        faults.down = 0.08 < happens < 0.1
        unlucky = self.dice.choice(PEOPLE) if 0.1 < happens < 0.14 else None
        faults.is_poison = lambda record: record.cause.actor_id == unlucky

    async def calm(self, showtimes: Showtimes) -> None:
        """Nothing goes wrong any more, and everything that is due becomes a fact."""
        faults = self.journal.faults
        faults.lost_before = faults.lost_after = faults.down = False
        faults.is_poison = lambda _: False
        for _ in range(3):  # the actor may have died of the last trouble
            try:
                await showtimes.ask(self.showtime_id, c.Expire(SYSTEM))
            except WorldFailure:
                continue
            return
        raise AssertionError("it does not recover")

    def command(self) -> Command:
        if self.asked and self.dice.random() < 0.15:
            command = self.dice.choice(self.asked)  # somebody has not heard the answer
            if command.cause.retryable and self.dice.random() < 0.2:
                return replace(command, cause=replace(command.cause, intent=command.cause.intent + 1))
            return command if command.cause.retryable else self.fresh()
        command = self.fresh()
        self.asked.append(command)
        return command

    def fresh(self) -> Command:
        dice, log = self.dice, [record.event for record in self.journal.records(self.showtime_id)]
        who = dice.choice(PEOPLE)
        cause = Cause(
            mint(self.clock.now()),
            ActorKind.CUSTOMER,
            who,
            retryable=dice.random() < 0.6,
            intent=dice.randrange(1 << 30),
        )
        desk = replace(cause, kind=ActorKind.STAFF, actor_id="desk")
        bank = replace(cause, kind=ActorKind.PROVIDER, actor_id="bank")
        hold_id = self.one_of(log, "hold_id")
        booking_id = self.one_of(log, "booking_id")
        seats = tuple(dice.sample(LABELS, dice.randint(1, 3)))
        payment = f"p{dice.randint(1, 3)}-{booking_id}"
        new = mint(self.clock.now())
        return dice.choices(
            (
                lambda: c.HoldSeats(cause, new, seats),
                lambda: c.HoldSeats(cause, new, best_available=c.BestAvailable(dice.randint(1, 4))),
                lambda: c.ChangeHold(cause, hold_id, seats[:1], seats[1:]),
                lambda: c.RenewHold(cause, hold_id),
                lambda: c.ReleaseHold(cause, hold_id),
                lambda: c.PlaceBooking(cause, hold_id, new, new[-8:]),
                lambda: c.BookSeats(cause, new, mint(self.clock.now()), new[-8:], seats),
                lambda: c.StartPayment(cause, booking_id, payment, "sandbox"),
                lambda: c.ConfirmBooking(
                    bank, booking_id, payment, 1_309 * dice.randint(1, 4), "EUR", "sandbox", payment
                ),
                lambda: c.CancelBooking(cause, booking_id, seats[:1] if dice.random() < 0.2 else ()),
                lambda: c.RefundBooking(desk, booking_id, "sorry", dice.choice((None, 100, 1_309))),
                lambda: c.BlockSeats(desk, seats, "broken"),
                lambda: c.UnblockSeats(desk, seats),
                lambda: c.CloseSales(desk) if dice.random() < 0.3 else c.OpenSales(desk),
                lambda: c.CancelShowtime(desk, "no film") if dice.random() < 0.05 else c.OpenSales(desk),
            ),
            weights=(30, 10, 8, 4, 8, 12, 6, 6, 14, 6, 3, 4, 3, 3, 1),
        )[0]()

    def one_of(self, log: Sequence[Event], name: str) -> str:
        known = [str(getattr(event, name)) for event in log[-40:] if hasattr(event, name)]
        return self.dice.choice(known) if known else mint(NOW)

    def check(self, live: SeatMap) -> None:
        assert next_due(live) > self.clock.now(), "something is overdue"
        records = self.journal.records(self.showtime_id)
        assert [record.version for record in records] == list(range(1, len(records) + 1)), "the log has a gap"
        state = genesis(self.showtime_id, HALL, records[0])
        for record in records[1:]:
            state = evolve(state, [record])
            invariants.check(state)
        assert _facts(state) == _facts(live), "the log tells another story"
        stored = {record.version: record for record in records}
        for version, record in self.watcher.heard.items():
            assert stored.get(version) == record, "a watcher heard of what is not in the log"
        first: dict[tuple[str, int], Decision] = {}
        for command, decision, caused in self.answered:
            assert all(stored.get(record.version) == record for record in caused), "answered, but not in the log"
            cause = command.cause
            if cause.retryable:
                earlier = first.setdefault((cause.command_id, cause.intent), decision)
                # Accepted without events is remembered by nobody: it was so already, whenever it is asked again.
                if not (isinstance(earlier, Accepted) and not earlier.events) and not _is_mismatch(earlier):
                    assert decision == earlier, "another answer to the same key"


def _facts(state: SeatMap) -> SeatMap:
    """`deadline` is a bound that may be early, and the memory of commands reaches back as far as it likes."""
    return replace(state, deadline=0, memory=None)


def _is_mismatch(decision: Decision) -> bool:
    """Who asked first under a key is not decided by who was answered first: the first may have been lost."""
    return isinstance(decision, Refused) and decision.refusal is Refusal.COMMAND_ID_REUSED


def play(seeds: Sequence[int]) -> int:
    """Play these evenings; AssertionError names the seed of the one that went wrong."""
    answered = 0
    for seed in seeds:
        try:
            answered += asyncio.run(Evening(seed).play())
        except AssertionError as error:
            raise AssertionError(f"evening {seed}: {error}") from error
    return answered


def prove(count: int, seed: int) -> None:
    begin, answered, played = time.monotonic(), 0, 0
    rounds = [
        range(at, min(at + EVENINGS_PER_ROUND, seed + count)) for at in range(seed, seed + count, EVENINGS_PER_ROUND)
    ]
    with multiprocessing.Pool(2) as pool:
        for number, result in enumerate(pool.imap(play, rounds), 1):
            answered += result
            played += len(rounds[number - 1])
            if number % 8 == 0 or number == len(rounds):
                print(f"{played} evenings, {answered} commands answered, {time.monotonic() - begin:.0f} s", flush=True)
    print(f"{count} evenings from seed {seed}: every answer is in the log, every log replays to what was live")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.evenings", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="play the evening with this seed alone")
    options = parser.parse_args()
    if options.only is not None:
        print(f"{play([options.only])} commands answered")
    else:
        prove(options.count, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
