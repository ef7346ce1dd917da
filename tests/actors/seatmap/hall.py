"""A small hall for tests of the rules, and a transcript language: a moment, a person, a wish, what came of it.

0s    ana  hold h1 A1 A2      -> held
60s   bob  hold h2 A2         -> seats_unavailable A2:held
61s   bob  k1: hold h3 B1     -> seats_held(B1)             with an idempotency key
"""

import re
import zlib
from dataclasses import dataclass, field, replace

from actors.seatmap import commands as c
from actors.seatmap import events as e
from actors.seatmap import invariants
from actors.seatmap.commands import ActorKind, Cause, Command
from actors.seatmap.events import Event, Record
from actors.seatmap.layout import Layout, from_plan, from_shortcut
from actors.seatmap.refusals import Accepted, Refusal, Refused
from actors.seatmap.rules import decide, due
from actors.seatmap.state import SeatMap, evolve, genesis
from actors.seatmap.terms import OrphanRule, RefundStep, Tariff, Terms

HOUR = 3_600_000
START = 100 * HOUR
SYSTEM = Cause("", ActorKind.SYSTEM, "clock")
TARIFF = Tariff("EUR", {"standard": {"adult": 1_000, "child": 600, "free": 0}}, "adult", 100, 1_900)
TERMS = Terms(
    movie_id="movie",
    screen_id="screen",
    layout_id="hall",
    starts_at=START,
    ends_at=START + 2 * HOUR,
    sales_open_at=0,
    sales_close_at=START,
    tariff=TARIFF,
    refund_policy=(RefundStep(24, 10_000), RefundStep(2, 5_000)),
    seats_per_customer_max=4,
    orphan_rule=OrphanRule.OFF,
)
KINDS = {"desk": ActorKind.STAFF, "bank": ActorKind.PROVIDER}


def hall(rows: int = 3, seats: int = 6) -> Layout:
    return from_plan("hall", 1, from_shortcut("Hall", rows, seats))


def other_hall(rows: int, seats: int = 6) -> Layout:
    return from_plan(f"{rows} by {seats}", 1, from_shortcut("Other", rows, seats))


@dataclass
class House:
    """A seat map with its log. Every step checks every invariant."""

    terms: Terms = TERMS
    layout: Layout = field(default_factory=hall)

    def __post_init__(self) -> None:
        self.log = [Record(1, 0, SYSTEM, e.ShowtimeScheduled(1, self.terms))]
        self.state: SeatMap = genesis("showtime", self.layout, self.log[0])

    def record(self, events: tuple[Event, ...], cause: Cause, now: int) -> None:
        records = [Record(self.state.version + n, now, cause, event) for n, event in enumerate(events, 1)]
        for record in records:
            self.state = evolve(self.state, [record])
            invariants.check(self.state)
        self.log += records

    def pass_time(self, now: int) -> None:
        self.record(due(self.state, now), SYSTEM, now)

    def ask(self, command: Command, now: int) -> Accepted | Refused:
        self.pass_time(now)
        if command.cause.retryable and (known := self.state.memory.recall(command.cause.command_id)):
            if known[0].cause.intent != command.cause.intent:
                return Refused(Refusal.COMMAND_ID_REUSED)
            return Accepted(tuple(record.event for record in known))
        decision = decide(self.state, command, now)
        if isinstance(decision, Accepted):
            self.record(decision.events, command.cause, now)
        return decision

    def replayed(self) -> SeatMap:
        first, *rest = self.log
        return evolve(genesis("showtime", self.layout, first), rest)

    def log_agrees(self) -> bool:
        """Whether the log replays to this state. `deadline` is a bound that may be early, not a fact."""
        return replace(self.replayed(), deadline=0) == replace(self.state, deadline=0)


def check(transcript: str, **terms: object) -> House:
    """Play a transcript and compare each outcome."""
    house = House(replace(TERMS, **terms))  # type: ignore[arg-type]
    for line in filter(None, (line.strip() for line in transcript.splitlines())):
        said, _, expected = (part.strip() for part in line.partition("->"))
        moment, who, *wish = said.split()
        got = outcome(house.ask(command_of(who, wish), _ms(moment)), house)
        assert got == expected, f"{line}\n  came out as: {got}"
    assert house.log_agrees()
    return house


def outcome(decision: Accepted | Refused, house: House) -> str:
    """`held A1 A2`, or the refusal's code with the seats in the way and why."""
    if isinstance(decision, Refused):
        seats = [f"{seat}:{why}" for seat, why in decision.conflicts.items()]
        return " ".join([decision.refusal.value, *seats])
    return " ".join(_said(event) for event in decision.events) or "nothing"


def _said(event: Event) -> str:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    match event:
        case e.SeatsHeld(lines=lines) | e.HoldChanged(lines=lines):
            return f"{name}({','.join(line.seat for line in lines)})"
        case e.BookingCancelled(seats=seats, refund=refund):
            return f"{name}({','.join(seats)},{refund})"
        case e.RefundGranted(refund=refund, left=left):
            return f"{name}({refund},{left} left)"
        case e.BookingConfirmed(late=True):
            return f"{name}(late)"
        case e.RefundDecided(reason=reason):
            return f"{name}({reason})"
        case _:
            return name


def command_of(who: str, wish: list[str]) -> Command:  # noqa: C901 - one line for each word of the language
    verb, *words = wish
    cause = Cause(f"{who}-{verb}-{'-'.join(words)}", KINDS.get(who, ActorKind.CUSTOMER), who)
    if verb[-1] == ":":
        said = zlib.crc32(" ".join(words).encode())
        return replace(command_of(who, words), cause=replace(cause, command_id=verb, retryable=True, intent=said))
    seats = tuple(words[1:])
    match verb:
        case "hold":
            return c.HoldSeats(cause, words[0], seats)
        case "child":
            return c.HoldSeats(cause, words[0], seats, dict.fromkeys(seats, "child"))
        case "as":
            return c.HoldSeats(cause, words[0], seats[1:], dict.fromkeys(seats[1:], seats[0]))
        case "gratis":
            return c.BookSeats(cause, words[0], words[0], words[0], seats, dict.fromkeys(seats, "free"))
        case "best":
            wish = dict(zip(words[2::2], words[3::2], strict=True))
            best = c.BestAvailable(int(words[1]), category=wish.get("in"), near_row=wish.get("near"))
            return c.HoldSeats(cause, words[0], best_available=best)
        case "change":
            add = tuple(word[1:] for word in seats if word[0] == "+")
            return c.ChangeHold(cause, words[0], add, tuple(word[1:] for word in seats if word[0] == "-"))
        case "renew":
            return c.RenewHold(cause, words[0])
        case "release":
            return c.ReleaseHold(cause, words[0])
        case "adopt":
            return c.TakeOverHold(cause, words[0], words[1], words[2])
        case "book":
            return c.PlaceBooking(cause, words[0], words[1], words[1])
        case "pay":
            return c.StartPayment(cause, words[0], words[1], "sandbox")
        case "confirm":
            return c.ConfirmBooking(cause, words[0], words[1], int(words[2]), "EUR", "sandbox", words[1])
        case "cancel":
            return c.CancelBooking(cause, words[0], seats)
        case "refund" if words[-1].isdigit():
            return c.RefundBooking(cause, words[0], "sorry", amount=int(words[1]))
        case "refund":
            return c.RefundBooking(cause, words[0], "sorry", seats=seats)
        case "policy":
            steps = [RefundStep(*map(int, word.split(":"))) for word in words]
            return c.ChangeRefundPolicy(cause, tuple(steps))
        case "block":
            return c.BlockSeats(cause, tuple(words), "broken")
        case "lend":
            return c.BlockSeats(cause, tuple(words[1:]), "press", release_at=_ms(words[0]))
        case "allot":
            return c.BlockSeats(cause, tuple(words[1:]), words[0], c.BlockKind.CHANNEL)
        case "reserve":
            return c.BlockSeats(cause, tuple(words), "wheelchairs", c.BlockKind.ACCESSIBLE)
        case "unblock":
            return c.UnblockSeats(cause, tuple(words))
        case "open":
            return c.OpenSales(cause)
        case "close":
            return c.CloseSales(cause)
        case "move":
            start = _ms(words[0])
            return c.Reschedule(cause, start, start + 2 * HOUR, 0, start, "screen", notify="notify" in words)
        case "redraw":
            rows, seats = map(int, words[0].split("x"))
            layout = other_hall(rows, seats)
            return c.Reschedule(cause, START, START + 2 * HOUR, 0, START, "other", notify=True, layout=layout)
        case "call-off":
            return c.CancelShowtime(cause, "no film")
        case "wait":
            return c.Expire(cause)
    raise AssertionError(verb)


def _ms(moment: str) -> int:
    return int(moment[:-1]) * {"s": 1_000, "m": 60_000, "h": HOUR}[moment[-1]]
